"""Sparse rows in the order in which a sweep passes over them, panel by panel, with their diagonal apart."""
from bisect import bisect_right
from itertools import accumulate, groupby

import numpy as np

from .colouring import colour
from .rows import index_dtype

__all__ = ['Arranged', 'TRIANGLE', 'arrange']

TRIANGLE = 64       # rows of the largest group that is swept as a triangle: of 32 to 128 the fastest, if only just
_OWN = 32           # rows from which a colour is as fast in a call of its own, which takes 4 microseconds beside them
_PIECE = 1 << 18    # entries renumbered together: what is computed on the way stays in cache


class Arranged:
    """The rows of one owner in the order of updates.

    "Position" p is the place of a row in that order: panels ascend, inside a panel positions ascend, and the row at
    position p is updated with the new values of all positions before p. A vector by local rows becomes one by
    positions with ``values[order]``; ``values[order] = arranged`` is the way back.

    Attributes
    ----------
    order : (m,) array of int32
        Natural local row at each position; inside each panel a permutation of its rows.
    indptr : (m + 1,) int array
        Entries ``indptr[p] .. indptr[p + 1]`` of the next two are the row at position p, in their natural order.
    indices : array of int32
        The position 0 .. m of an own column, and m + k for column k of the halo.
    data : array
        The negated entries of A, all but the diagonal; float64 or float32.
    diagonal : (m,) array of float64
    groups : list of list of (int, int, bool)
        For each panel the ranges (lo, hi, coloured) of positions. No row of a coloured one reads another row of it;
        the others have at most `TRIANGLE` rows, which are to be updated one after the other.
    nonzeros : list of int
        Entries of each panel, diagonal included.
    columns : int
        m + h: own entries of x and those read from others.
    """

    __slots__ = ('order', 'indptr', 'indices', 'data', 'diagonal', 'groups', 'nonzeros', 'columns')


def arrange(rows, start, panels, halo):
    """Bring rows into the order of updates.

    Inside a panel rows are ordered by the colour of the panel's own rows and columns, see
    `coro_sor.colouring.colour`, then by number. Where a colour would have fewer than 64 rows in the mean, a panel
    keeps the natural order, in triangles: so small a panel gains little by colours (0.1 microseconds a row at most),
    and where rows have many neighbours, as in elasticity, they may need more sweeps at the best omega.

    Parameters
    ----------
    rows : SparseRows
        m rows, columns ascending and unique within a row, each row with its diagonal entry. Its columns and values are
        overwritten: the result holds them, and nothing but the result may use them. A panel is copied at a time.
    start : int
        Number of the first row in the whole system.
    panels : list of (int, int)
        Ranges of local rows that ascend and cover 0 .. m.
    halo : (h,) int array
        All columns outside ``start .. start + m`` that the rows read, ascending and unique.

    Returns
    -------
    Arranged

    Raises
    ------
    ValueError
        If the panels don't ascend from 0 to m without gaps, a diagonal entry is missing, or a column outside is not
        in the halo.
    """
    m = len(rows)
    _check(panels, m)
    made = Arranged()
    made.columns = m + len(halo)
    made.order, made.groups = np.empty(m, dtype=np.int32), []
    for lo, hi in panels:
        order, groups = _order_of_panel(rows, start, lo, hi)
        np.add(order, lo, out=made.order[lo:hi])
        made.groups.append([(lo + first, lo + last, coloured) for first, last, coloured in groups])
    made.nonzeros = [int(rows.indptr[hi] - rows.indptr[lo]) for lo, hi in panels]
    place = np.empty(m, dtype=np.int32)
    place[made.order] = np.arange(m, dtype=np.int32)
    _renumber(rows, start, place, halo, made, panels)
    return made


def _check(panels, m):
    met = 0
    for lo, hi in panels:
        if lo != met or hi <= lo:
            raise ValueError('panel (%d, %d) does not continue at row %d' % (lo, hi, met))
        met = hi
    if met != m:
        raise ValueError('the panels end at row %d of %d' % (met, m))


def _order_of_panel(rows, start, lo, hi):
    """The order of the panel's rows and its groups, both counted from the panel's first row."""
    first, last = int(rows.indptr[lo]), int(rows.indptr[hi])
    columns = rows.indices[first:last]
    inside = (columns >= start + lo) & (columns < start + hi)
    met = np.zeros(last - first + 1, dtype=index_dtype(last - first))
    np.cumsum(inside, out=met[1:])
    colours = colour(met[rows.indptr[lo:hi + 1] - first], columns[inside] - (start + lo), hi - lo)
    sizes = np.bincount(colours)
    if hi - lo < TRIANGLE * len(sizes):
        return np.arange(hi - lo), _groups([1] * (hi - lo))
    return np.argsort(colours, kind='stable'), _groups(sizes.tolist())


def _groups(sizes):
    """Ranges for calls of their own, where sizes are those of the colours: small colours share triangles."""
    groups = []
    for small, colours in groupby(zip(accumulate(sizes), sizes), key=lambda colour: colour[1] < _OWN):
        colours = list(colours)
        if not small:
            groups += [(end - size, end, True) for end, size in colours]
            continue
        ends, lo = [end for end, _ in colours], colours[0][0] - colours[0][1]
        while lo < ends[-1]:
            hi = min(lo + TRIANGLE, ends[-1])
            groups.append((lo, hi, ends[bisect_right(ends, lo)] >= hi))
            lo = hi
    return groups


def _renumber(rows, start, place, halo, made, panels):
    """Move the entries into the order of updates, in place, and give columns the numbers of positions."""
    m = len(place)
    made.diagonal = np.empty(m)
    made.indptr = np.zeros(m + 1, dtype=index_dtype(rows.nonzeros - m))
    indices = rows.indices if rows.indices.dtype == np.int32 else np.empty(len(rows.indices), dtype=np.int32)
    for lo, hi in panels:
        # Every row loses one entry, so that a panel is never written where a later one is still to be read.
        part = slice(int(rows.indptr[lo]), int(rows.indptr[hi]))
        columns, values = rows.indices[part].copy(), rows.data[part].copy()
        order = made.order[lo:hi]
        lengths = (rows.indptr[order + 1] - rows.indptr[order]).astype(np.intp)
        ends = np.cumsum(lengths)
        made.indptr[lo + 1:hi + 1] = part.start - lo + ends - np.arange(1, hi - lo + 1)
        moves = rows.indptr[order] - part.start - (ends - lengths)     # from an entry's new place to its old one
        first = 0
        while first < hi - lo:
            last = max(first + 1, int(np.searchsorted(ends, ends[first] + _PIECE)))
            length = lengths[first:last]
            entries = np.arange(ends[first] - length[0], ends[last - 1]) + np.repeat(moves[first:last], length)
            column, value = columns[entries], values[entries]
            diagonal = column == np.repeat(order[first:last], length) + start
            if np.count_nonzero(diagonal) != last - first:
                raise ValueError('a row has no diagonal entry')
            made.diagonal[lo + first:lo + last] = value[diagonal]
            to = slice(int(made.indptr[lo + first]), int(made.indptr[lo + last]))
            np.negative(value[~diagonal], out=rows.data[to])
            indices[to] = _positions(column[~diagonal], start, place, halo)
            first = last
    made.indices, made.data = indices[:made.indptr[-1]], rows.data[:made.indptr[-1]]


def _positions(columns, start, place, halo):
    """The numbers that global columns have in x."""
    m = len(place)
    local = columns - start
    own = (local >= 0) & (local < m)
    if own.all():
        return place[local]
    found = np.empty(len(columns), dtype=np.int32)
    found[own] = place[local[own]]
    outside = columns[~own]
    at = np.searchsorted(halo, outside)
    if not len(halo) or (at == len(halo)).any() or (halo[at] != outside).any():
        raise ValueError('a column is neither own nor in the halo')
    found[~own] = m + at
    return found
