"""How parallel exactly ordered sweeps are: which ordering blocks wait for which, and what speed-up that leaves."""
import numpy as np

__all__ = ['WAKE', 'BlockGraph', 'block_graph', 'ordering_blocks', 'pass_seconds', 'speed_up', 'worth']

WAKE = 50e-6
"""Seconds from the end of a pass until a worker that waits for it goes on; 10 to 60 us through shared memory."""

_SPARSE = 1.1e-9  # seconds a nonzero, measured on grids of 10^5 to 10^6 points
_DENSE = 0.5e-9   # seconds an entry where the rows do not fit into the cache
_CALLS = 10e-6    # seconds a pass of a block needs beside that

_SPARSE_BLOCK = 80_000  # nonzeros whose pass takes about nine times _CALLS
_ENOUGH = 16            # blocks that keep a few workers busy as well as any larger number
_MOST = 64
_DENSE_ROWS = 512       # a few pieces a worker and sweep are enough for fresh values
_SHARE = 4 * WAKE       # seconds of computing in a sweep below which a worker mostly waits


class BlockGraph:
    """Which ordering blocks read from each other, from the rows of A piece by piece.

    Parameters
    ----------
    bounds : (B + 1,) sequence of int
        Block i has rows ``bounds[i] .. bounds[i + 1]``; ascending from 0 to n. Blocks may be empty.
    """

    def __init__(self, bounds):
        self._bounds = np.asarray(bounds, dtype=np.int64)
        self._reads = np.zeros((len(bounds) - 1,) * 2, dtype=bool)

    def add(self, start, rows):
        """Take in a piece of the rows.

        Parameters
        ----------
        start : int
            Its first row is row `start` of A.
        rows : SparseRows
            With global columns in any order. No temporary is larger than the piece.
        """
        bounds, stop = self._bounds, start + len(rows)
        stops = bounds[1:].astype(rows.indices.dtype)
        first = int(np.searchsorted(bounds, start, side='right')) - 1
        for block in range(first, int(np.searchsorted(bounds, stop))):
            lo, hi = max(start, bounds[block]), min(stop, bounds[block + 1])
            columns = rows.indices[rows.indptr[lo - start]:rows.indptr[hi - start]]
            # Few columns of a well numbered matrix lie outside the block, and only those need the search.
            outside = columns[(columns < bounds[block]) | (columns >= bounds[block + 1])]
            self._reads[block, np.searchsorted(stops, outside, side='right')] = True

    @property
    def graph(self):
        """(B, B) bool array, symmetric: block i reads from j or j from i in the rows so far; False where i = j."""
        return self._reads | self._reads.T


def block_graph(pieces, bounds):
    """Find which ordering blocks read from each other.

    Parameters
    ----------
    pieces : iterable of (int, SparseRows)
        The rows of A with the number of the first in each piece, cut anyhow.
    bounds : (B + 1,) sequence of int
        Block i has rows ``bounds[i] .. bounds[i + 1]``; ascending from 0 to n.

    Returns
    -------
    (B, B) array of bool
        As `BlockGraph.graph`.
    """
    found = BlockGraph(bounds)
    for start, rows in pieces:
        found.add(start, rows)
    return found.graph


def speed_up(graph, weights, worker_of, sequence=None, delay=0.0, sweeps=8):
    """Simulate exactly ordered sweeps: how many times as fast as one worker are several?

    A worker passes over its own blocks in the order of the sweep, sweep after sweep. The pass over block i in sweep k
    waits for that of each neighbour j in sweep k where j comes before i, else in sweep k - 1; by the symmetry of the
    graph nobody can change a value that is still to be read.

    Parameters
    ----------
    graph : (B, B) array of bool
        Which blocks are neighbours; symmetric, as from `block_graph`.
    weights : (B,) array
        Time of one pass over each block, in any unit, as from `pass_seconds`.
    worker_of : (B,) array of int
        The worker of each block, counted from 0.
    sequence : (B,) or (period, B) array of int, optional
        The order of the blocks in a sweep; ascending by default. Several rows are the orders of successive sweeps,
        taken in turn: ``[order, order[::-1]]`` for symmetric sweeps (which are serial on a chain of blocks).
    delay : float
        Time from the end of a pass until another worker can use its values, in the unit of `weights`.
    sweeps : int
        How many to simulate, at least 2. The first half, in which the pipeline fills, is not counted; the other half
        should be whole periods of `sequence`.

    Returns
    -------
    float
        Work of a sweep / time of a sweep. At most the number of workers; near 1 where blocks wait for each other one
        by one, and below 1 where the delay costs more than the workers gain.
    """
    weights, worker_of = np.asarray(weights, dtype=np.float64), np.asarray(worker_of)
    sequences = np.atleast_2d(np.arange(len(weights)) if sequence is None else sequence).tolist()
    # What the same worker passed over before needs no waiting.
    waits = np.where(graph & (worker_of[:, None] != worker_of), float(delay), -np.inf)
    ready = np.full(len(weights), -np.inf)
    free = [0.0] * (int(worker_of.max()) + 1)
    costs, workers, scratch, ends = weights.tolist(), worker_of.tolist(), np.empty(len(weights)), []
    for sweep in range(sweeps):
        for block in sequences[sweep % len(sequences)]:
            # The last pass over a block is of this sweep where it comes before, else of the one before.
            np.add(ready, waits[block], out=scratch)
            worker = workers[block]
            ready[block] = free[worker] = max(free[worker], float(np.maximum.reduce(scratch))) + costs[block]
        ends.append(max(free))
    start = sweeps // 2
    return float((sweeps - start) * weights.sum() / (ends[-1] - ends[start - 1]))


def pass_seconds(nonzeros, dense=False):
    """Estimate the time of a pass.

    Parameters
    ----------
    nonzeros : int or (B,) array
        Stored entries of a block or of each block.
    dense : bool

    Returns
    -------
    float or (B,) array
        Seconds on one core; right within a factor of two on present machines, which is enough to compare with `WAKE`.
    """
    return _CALLS + np.asarray(nonzeros) * (_DENSE if dense else _SPARSE)


def ordering_blocks(n, nonzeros, dense):
    """Choose the number B of ordering blocks.

    It depends on nothing but the system, since the order of updates depends on it. On a chain of blocks w workers are
    busy from B = 2 w on, and the delay of messages is hidden from B = 4 w on; each block costs about ten microseconds
    more a sweep. A sparse system gets blocks of about 80,000 nonzeros, up to 16 (two workers sweep Poisson 512^2 at
    1.5, 1.45, 1.6 and 1.6 times the speed of one with 4, 8, 16 and 32). From there on blocks grow in number and size
    alike: larger systems get more workers, and lose less to each block. A power of two can be dealt evenly.

    Parameters
    ----------
    n : int
        Number of rows.
    nonzeros : int
        Stored entries.
    dense : bool
        Then blocks have about 512 rows, never below 256, and an even number of them, so that two workers share evenly;
        exact sweeps cut them finer.

    Returns
    -------
    int
        1 up to 512 dense rows and below 320,000 sparse nonzeros: two neighbouring blocks are as serial as one, and
        the delay of messages is as long as the passes that three or four smaller ones would overlap.
    """
    if dense:
        return max(1, 2 * round(n / (2 * _DENSE_ROWS)))
    ratio = nonzeros / _SPARSE_BLOCK
    if ratio < 4:
        return 1
    blocks = min(ratio, (_ENOUGH * ratio) ** 0.5, _MOST, n)
    return 2 ** round(np.log2(blocks))


def worth(nonzeros, dense, workers):
    """Bound the number of workers that can pay.

    In each sweep a worker waits for each of two neighbours and they for it, and four times `WAKE` are 200
    microseconds: a worker that computes for less mostly waits.

    Parameters
    ----------
    nonzeros : int
        Stored entries of A.
    dense : bool
    workers : int
        How many there are.

    Returns
    -------
    int
        From 1 to `workers`.
    """
    return max(1, min(workers, int(pass_seconds(nonzeros, dense) / _SHARE)))
