"""Who owns which rows, in which panels they are swept, and who needs which entries of x."""
import numpy as np

__all__ = ['Reads', 'deal', 'halo', 'owner_of_blocks', 'panels', 'split_rows', 'subset']

_CHUNK = 1 << 20  # column numbers looked at together, so that no temporary grows with the rows


class Reads:
    """The entries of x that one owner's rows read from another: a range, or an ascending list of rows.

    Parameters
    ----------
    entries : (int, int) or (k,) array of int
        (first, stop), or the global row numbers, ascending and unique. Kept as it is, and what to send in a message.

    Attributes
    ----------
    entries : (int, int) or (k,) array of int
    key : slice or (k,) array of int
        ``x[reads.key]`` are the entries' values (a view of x where it is a slice).
    size : int
        Number of entries.
    """

    __slots__ = ('entries', 'key', 'size')

    def __init__(self, entries):
        self.entries = entries
        if isinstance(entries, np.ndarray):
            self.key = entries
            self.size = len(entries)
        else:
            first, stop = entries
            self.key = slice(first, stop)
            self.size = stop - first

    def indices(self):
        """Return the global row numbers as an array."""
        return np.arange(*self.entries) if isinstance(self.key, slice) else self.key

    def __repr__(self):
        if isinstance(self.key, slice):
            return 'Reads((%d, %d))' % self.entries
        return '<Reads of %d entries>' % self.size


def split_rows(weights, blocks):
    """Cut rows into contiguous blocks of about equal weight.

    Parameters
    ----------
    weights : int or (n,) array
        Nonzeros of each row, or the number of rows where all weigh the same.
    blocks : int
        Number of blocks; n where there are fewer rows.

    Returns
    -------
    (blocks + 1,) array of int64
        Block k has rows ``bounds[k] .. bounds[k + 1]``; none is empty, and none is heavier than the mean by more
        than the heaviest row.

    Raises
    ------
    ValueError
        If there is no row or no block.
    """
    weights = np.ones(weights) if np.ndim(weights) == 0 else np.asarray(weights)
    if blocks < 1 or not len(weights):
        raise ValueError('cannot cut %d rows into %d blocks' % (len(weights), blocks))
    blocks = min(blocks, len(weights))
    sums = np.concatenate(([0], np.cumsum(weights)))
    targets = sums[-1] * (np.arange(blocks + 1) / blocks)
    after = np.clip(np.searchsorted(sums, targets), 1, len(weights))
    before = after - 1
    return _cut(np.where(targets - sums[before] < sums[after] - targets, before, after), len(weights))


def deal(blocks, workers, speeds=None):
    """Give each worker a contiguous run of blocks.

    Parameters
    ----------
    blocks, workers : int
    speeds : (workers,) array, optional
        Relative speed of each worker; all alike by default.

    Returns
    -------
    (blocks,) array of int64
        Worker of each block, ascending. Each worker gets a block; where there are fewer blocks than workers, the
        fastest (the first ones among equals) get one each.
    """
    speeds = np.ones(workers) if speeds is None else np.asarray(speeds, dtype=np.float64)
    if blocks <= workers:
        return np.sort(np.argsort(-speeds, kind='stable')[:blocks])
    shares = np.concatenate(([0.0], np.cumsum(speeds))) / np.sum(speeds)
    bounds = _cut(np.rint(shares * blocks).astype(np.int64), blocks)
    return np.repeat(np.arange(workers), np.diff(bounds))


def owner_of_blocks(block_bounds, owner_bounds):
    """The owner of each block, a list of int.

    Parameters
    ----------
    block_bounds : (blocks + 1,) sequence of int
    owner_bounds : (owners + 1,) sequence of int
        Each among the block bounds.
    """
    return (np.searchsorted(owner_bounds, block_bounds[:-1], side='right') - 1).tolist()


def panels(nonzeros, lo, hi, grain, limit, step):
    """Cut a block's sweep into panels of about equal work.

    Parameters
    ----------
    nonzeros : int or array
        Nonzeros of every row where all have as many, else their running sum: row i has
        ``nonzeros[i + 1] - nonzeros[i]``, as CSR's indptr.
    lo, hi : int
        The block's rows, counted as `nonzeros` does.
    grain : int
        Wanted least number of nonzeros a panel: below it, handing a panel to the thread costs more than computing it.
    limit : int
        Largest number of panels.
    step : int
        Panels start at multiples of this number of rows from `lo` (the kernel's ``SIZE``).

    Returns
    -------
    list of (int, int)
        Ranges of rows that cover ``lo .. hi``; at least one.
    """
    edges = np.append(np.arange(lo, hi, step), hi)
    sums = edges * nonzeros if np.ndim(nonzeros) == 0 else np.asarray(nonzeros)[edges]
    count = max(1, min(limit, int(sums[-1] - sums[0]) // grain))
    bounds = edges[split_rows(np.diff(sums), count)].tolist()
    return list(zip(bounds[:-1], bounds[1:]))


def halo(rows, bounds, start, stop):
    """Find what rows start .. stop read from each other owner.

    Parameters
    ----------
    rows : object
        Rows start .. stop of A: dense where it has ``values`` (then all columns are read), else CSR ``indices``.
    bounds : (owners + 1,) array of int
        Owner k has rows ``bounds[k] .. bounds[k + 1]``; start and stop are among the bounds.
    start, stop : int

    Returns
    -------
    dict of int to Reads
        By owner, ascending; owners that nothing is read from are left out.

    Raises
    ------
    ValueError
        If start or stop cuts an owner's rows in two.
    """
    bounds = [int(bound) for bound in bounds]
    if start not in bounds or stop not in bounds:
        raise ValueError('rows %d to %d are not whole owners of %s' % (start, stop, bounds))
    others = [(owner, first, last) for owner, (first, last) in enumerate(zip(bounds[:-1], bounds[1:]))
              if first < last and not start <= first < stop]
    if hasattr(rows, 'values'):
        return {owner: Reads((first, last)) for owner, first, last in others}
    read = np.zeros(bounds[-1], dtype=bool)
    for piece in range(0, len(rows.indices), _CHUNK):
        read[rows.indices[piece:piece + _CHUNK]] = True
    found = ((owner, first + np.flatnonzero(read[first:last])) for owner, first, last in others)
    return {owner: _compact(entries) for owner, entries in found if len(entries)}


def subset(reads, lo, hi):
    """Find which of the entries lie in global rows lo .. hi.

    Parameters
    ----------
    reads : Reads
    lo, hi : int

    Returns
    -------
    (int, int)
        Positions (u, v): entries u .. v, and no others, lie there; u == v where none does.
    """
    if isinstance(reads.key, slice):
        first, stop = reads.entries
        u = min(max(lo, first), stop)
        return u - first, min(max(hi, u), stop) - first
    u, v = np.searchsorted(reads.key, (lo, hi))
    return int(u), int(max(u, v))


def _cut(points, total):
    """Move ascending cut points from 0 to total as little as needed to leave no piece empty."""
    count = np.arange(len(points))
    points = np.maximum.accumulate(points - count) + count
    return np.minimum(points, total - count[::-1]).astype(np.int64)


def _compact(entries):
    """A range where the rows are consecutive: it needs no index array on either side."""
    first, stop = int(entries[0]), int(entries[-1]) + 1
    return Reads((first, stop) if stop - first == len(entries) else entries)
