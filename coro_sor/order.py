"""The order of updates: which block comes when in a sweep, and which way its rows are passed."""
from __future__ import annotations

import numpy as np

__all__ = ['ORDERS', 'Order']

ORDERS = ('cyclic', 'symmetric', 'shuffled')


class Order:
    """The order that all owners share without talking: it follows from the sweep's number and the seed.

    Parameters
    ----------
    kind : str
        'cyclic': blocks and rows in the base order, every sweep. 'symmetric': the base order and its reverse in turn.
        'shuffled': blocks, and the sub-blocks of a dense one, in a new random order every sweep.
    seed : int
    base : (B,) array of int
        The blocks in the base order.
    """

    def __init__(self, kind, seed, base):
        self.kind, self._seed = kind, seed
        self._base = np.asarray(base)
        self._cached = {}

    def blocks(self, sweep):
        """The blocks in the order of a sweep, a list of int; sweeps count from 1."""
        return self._of(sweep)[0]

    def rank(self, sweep):
        """The place of every block in a sweep, a list by block."""
        return self._of(sweep)[1]

    def _of(self, sweep):
        # What does not change from sweep to sweep is made once, else only the last sweeps' is kept.
        key = sweep if self.kind == 'shuffled' else self.backward(sweep)
        found = self._cached.get(key)
        if found is None:
            if len(self._cached) > 4:
                del self._cached[min(self._cached)]
            blocks = self._sequence(sweep)
            rank = np.empty(len(blocks), dtype=np.int64)
            rank[blocks] = np.arange(len(blocks))
            found = self._cached[key] = blocks.tolist(), rank.tolist()
        return found

    def _sequence(self, sweep):
        if self.kind == 'shuffled':
            seed = [self._seed, sweep]
            return self._base[np.random.default_rng(seed).permutation(len(self._base))]
        return self._base[::-1] if self.backward(sweep) else self._base

    def backward(self, sweep):
        """Whether the rows of each block are passed from the last to the first."""
        return self.kind == 'symmetric' and sweep % 2 == 0

    def pieces(self, sweep, block, count):
        """The order of the `count` sub-blocks of a dense block; None for the usual one."""
        if self.kind != 'shuffled' or count < 2:
            return None
        seed = [self._seed, sweep, block + 1]
        return np.random.default_rng(seed).permutation(count).tolist()
