"""Where the entries of x are in an owner's memory, and in which panels its rows are swept."""
from __future__ import annotations

import numpy as np

from .kernels import panel_step
from .partition import panels
from .rows import SparseRows

__all__ = ['DenseLayout', 'SparseLayout', 'cut_panels']

_SPARSE_COST = 16       # a sparse entry takes about as long as this many dense ones
_SHARED_COST = 3        # an exchange through shared memory takes about a third of one by message


def cut_panels(rows, assignment, blocks):
    """Cut every own block into panels, after each of which the neighbours get what has changed.

    Parameters
    ----------
    rows : DenseRows or SparseRows
        Own rows.
    assignment : Assignment
    blocks : list of (int, int, int)
        (block, first, last + 1) of each own block, rows counted from the owner's first.

    Returns
    -------
    dict of int to list of (int, int)
        By block, ranges of rows counted from its first.
    """
    settings, sparse = assignment.settings, assignment.sparse
    # Panel by panel sparse rows are coloured and sub-blocks of dense ones shuffled: no matter of the exchange.
    if settings['whole_blocks']:
        return {block: [(0, hi - lo)] for block, lo, hi in blocks}
    nonzeros = rows.indptr if sparse else rows.n
    grain = max(1, settings['panel_nonzeros'] // (_SPARSE_COST if sparse else 1))
    most = settings['exchanges']
    if settings['exchange'] != 'messages':
        grain, most = max(1, grain // _SHARED_COST), most * _SHARED_COST
    if settings['exchange_every'] is not None:
        grain, most = 1, -(-len(rows) // settings['exchange_every'])
    cut = {block: panels(nonzeros, lo, hi, grain, max(1, most // len(blocks)), panel_step(rows))
           for block, lo, hi in blocks}
    return {block: [(first - lo, last - lo) for first, last in cut[block]] for block, lo, _ in blocks}


class DenseLayout:
    """All of x, in the order of rows.

    Parameters
    ----------
    rows : DenseRows
    start : int
        Number of the first own row.
    reads : dict of int to Reads
        What is read, by owner.
    flat : list of (int, int)
        All panels, rows counted from `start`.

    Attributes
    ----------
    size : int
        Length of x.
    own : slice
        The own entries in it.
    keys : dict of int to slice
        Where the entries read from each owner are.
    diagonal : (m,) array
        Diagonal entries of the own rows, in the order of x.
    rows : DenseRows or SparseRows
        The rows in the order of x, their columns counted as x is.
    flat : list of (int, int)
    """

    sparse = False

    def __init__(self, rows, start, reads, flat):
        self.rows, self.flat = rows, flat
        self.size, self.own = rows.n, slice(start, start + len(rows))
        self.keys = {owner: read.key for owner, read in reads.items()}
        self.diagonal = rows.diagonal(start)

    def arranged(self, values):
        """Values (m,) by row, in the order of x."""
        return np.array(values)

    def natural(self, values):
        """Values (m,) in the order of x, by row; may be `values` itself."""
        return values

    def spots(self, part):
        """Where among the own entries a slice of the own rows is."""
        return part

    def own_key(self, reads):
        """Where own entries are that a neighbour reads."""
        return reads.key


class SparseLayout:
    """Own entries in the order of updates, then what is read from the other owners, owner by owner.

    The rows are rearranged in place: they must not be used elsewhere any more. Parameters and attributes are those of
    `DenseLayout`; in `rows` the diagonal is missing and all other entries are negated.

    Attributes
    ----------
    arrangement : Arranged
    """

    sparse = True

    def __init__(self, rows, start, reads, flat):
        m = len(rows)
        empty = np.empty(0, dtype=np.int64)
        halo = np.concatenate([empty] + [reads[owner].indices() for owner in sorted(reads)])
        self.keys, at = {}, m
        for owner in sorted(reads):
            self.keys[owner] = slice(at, at + reads[owner].size)
            at += reads[owner].size
        self.size, self.own, self.flat, self._start = at, slice(0, m), flat, start
        from .arrangement import arrange
        made = self.arrangement = arrange(rows, start, flat, halo)
        self._place = np.empty(m, dtype=np.int64)
        self._place[made.order] = np.arange(m)
        self.diagonal = made.diagonal
        self.rows = SparseRows(made.indptr, made.indices, made.data, at)

    def arranged(self, values):
        """Values (m,) by row, in the order of x."""
        return values[self.arrangement.order]

    def natural(self, values):
        """Values (m,) in the order of x, by row."""
        return values[self._place]

    def spots(self, part):
        """Where among the own entries a slice of the own rows is."""
        return self._place[part]

    def own_key(self, reads):
        """Where own entries are that a neighbour reads."""
        return self._place[reads.indices() - self._start]
