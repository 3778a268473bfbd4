"""Colours of the graph of a sparse matrix: rows of one colour do not read from each other."""
import numpy as np

__all__ = ['colour']

_PIECE = 1 << 20    # entries looked at together, so that no temporary grows with the matrix more than needed
_ROUNDS = 512       # rounds that a small graph may take in the order of priorities that gives the fewest colours
_WIDTH = 16         # rows coloured in a mean round below which a large graph goes on with random priorities


def colour(indptr, indices, n):
    """Colour the graph of A + A'.

    Graphs without odd cycles (grids with five or seven points, trees, paths) get two colours, the smallest row of each
    component colour 0. All others are coloured greedily: each row gets the smallest colour that no neighbour of higher
    priority has, the rows of larger degree and among them the lower numbers first (Welsh and Powell, The Computer
    Journal 10, 1967), as many at once as have no neighbour before them (Jones and Plassmann, SIAM J. Sci. Comput. 14,
    1993). On matrices of practice that needs hardly more colours than any other order, and a sweep by these
    colours is worth as much as one in natural order, which cannot be said of random priorities. Only where that order
    is nearly serial (a band of a few entries) the rest goes by hashed numbers.

    Parameters
    ----------
    indptr : (n + 1,) int array
        As CSR's, of any width, from any first value.
    indices : int array
        Columns within 0 .. n, in any order; entries ``indptr[i] - indptr[0]`` to ``indptr[i + 1] - indptr[0]`` are
        row i. Diagonal entries count for nothing.
    n : int
        Number of rows and of columns.

    Returns
    -------
    (n,) array of int32
        Colours, counted from 0 without gaps. They depend on the pattern alone.
    """
    indptr = np.asarray(indptr, dtype=np.intp)
    indptr = indptr - indptr[:1]
    indices = np.asarray(indices)[:indptr[-1]]
    colours = _two_sides(indptr, indices, n)
    if colours is None:
        colours = _greedy(indptr, indices, n)
    if colours is None:
        colours = _greedy(*_with_transpose(indptr, indices, n), n)
    return colours


def _pieces(indptr):
    """Ranges of rows that hold about _PIECE entries each, and the row of every entry."""
    lo, rows = 0, len(indptr) - 1
    while lo < rows:
        hi = max(lo + 1, int(np.searchsorted(indptr, indptr[lo] + _PIECE, side='right')) - 1)
        yield lo, hi, np.repeat(np.arange(lo, hi), np.diff(indptr[lo:hi + 1]))
        lo = hi


def _two_sides(indptr, indices, n):
    """Two colours by a forest of all edges, whose rows know the side of their root; None where a cycle is odd."""
    # 2 * parent + (1 where the row is on the other side than its parent), in one word so that one look-up finds both.
    link = 2 * np.arange(n)
    filled = np.flatnonzero(np.diff(indptr))
    if len(filled):
        lowest = np.minimum.reduceat(indices, indptr[filled]).astype(np.intp)
        hooked = lowest < filled
        link[filled[hooked]] = 2 * lowest[hooked] + 1
    link = _flatten(link)
    crossing = []
    for lo, hi, row in _pieces(indptr):
        column = indices[indptr[lo]:indptr[hi]]
        one, other = link[row], link[column]
        gap = one ^ other
        if ((gap == 0) & (row != column)).any():
            return None
        apart = gap > 1
        crossing.append(np.stack((one[apart], other[apart])))
    edges = np.concatenate(crossing, axis=1) if crossing else np.empty((2, 0), dtype=np.intp)
    while edges.shape[1]:
        low, high = edges.min(axis=0), edges.max(axis=0)
        link[high >> 1] = low ^ (high & 1) ^ 1  # any one of a root's lower neighbours will do
        link = _flatten(link)
        edges = link[edges >> 1] ^ (edges & 1)
        if (edges[0] == edges[1]).any():
            return None
        edges = edges[:, (edges[0] ^ edges[1]) > 1]
    return (link & 1).astype(np.int32)


def _flatten(link):
    """Let every row point to its root: paths halve in every round."""
    while True:
        further = link[link >> 1] ^ (link & 1)
        if np.array_equal(further, link):
            return link
        link = further


def _greedy(indptr, indices, n):
    """First-fit colours in rounds of rows without neighbours before them; None where the pattern is not symmetric."""
    degree = np.diff(indptr)
    colours = np.where(degree, -1, 0).astype(np.int32)
    numbers = np.arange(n)
    # Multiplying by an odd number is a permutation of the words, and the high half of each mixes all bits.
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    for tie, width in ((numbers, _WIDTH), (mixed >> np.uint64(32), 0)):
        rank = np.empty(n, dtype=np.intp)
        rank[np.lexsort((tie, -degree))] = numbers
        if not _colour_by_rank(indptr, indices, colours, rank, width):
            return None
    for lo, hi, row in _pieces(indptr):
        column = indices[indptr[lo]:indptr[hi]]
        if ((colours[row] == colours[column]) & (row != column)).any():
            return None
    return colours


def _colour_by_rank(indptr, indices, colours, rank, width):
    """Colour the rows whose colour is -1, those of low rank first, in place.

    Returns False where no row can be next; where rounds become many and narrower than `width`, the rest is left.
    """
    waiting = np.zeros(len(rank), dtype=np.intp)    # neighbours before a row that have no colour yet
    for lo, hi, row in _pieces(indptr):
        column = indices[indptr[lo]:indptr[hi]]
        before = (colours[column] < 0) & (rank[column] < rank[row])
        waiting[lo:hi] = np.bincount(row[before] - lo, minlength=hi - lo)
    left = np.count_nonzero(colours < 0)
    ready = np.flatnonzero((colours < 0) & (waiting == 0))
    rounds = done = 0
    while done < left:
        if not len(ready):
            return False
        if rounds > _ROUNDS and done < width * rounds:
            return True
        counts = indptr[ready + 1] - indptr[ready]
        firsts = np.cumsum(counts) - counts
        entries = np.arange(firsts[-1] + counts[-1]) + np.repeat(indptr[ready] - firsts, counts)
        column = indices[entries]
        colours[ready] = _first_fit(colours[column], counts)
        done, rounds = done + len(ready), rounds + 1
        column = column[(colours[column] < 0) & (rank[column] > np.repeat(rank[ready], counts))]
        np.subtract.at(waiting, column, 1)
        ready = np.unique(column[waiting[column] == 0])
    return True


def _first_fit(used, counts):
    """The smallest colour free for each row, whose neighbours have the next counts[k] of `used`; -1 is no colour."""
    # Among k + 1 colours k neighbours leave one free, so that a table of that many places a row suffices.
    width = counts + 1
    start = np.cumsum(width) - width
    known = (used >= 0) & (used < np.repeat(width, counts))
    taken = np.zeros(start[-1] + width[-1], dtype=bool)
    taken[(np.repeat(start, counts) + used)[known]] = True
    free = np.flatnonzero(~taken)
    return free[np.searchsorted(free, start)] - start


def _with_transpose(indptr, indices, n):
    """The pattern of A + A'; entries that both have stand twice."""
    column = np.repeat(np.arange(n), np.diff(indptr))
    row = np.concatenate((column, indices))
    column = np.concatenate((indices, column))
    order = np.argsort(row, kind='stable')
    return np.concatenate(([0], np.cumsum(np.bincount(row, minlength=n)))), column[order]
