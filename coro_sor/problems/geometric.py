"""The Laplacian of a random geometric graph."""
import math

import numpy as np

from coro_sor.problems.generator import SparseGenerator

__all__ = ['Geometric', 'geometric']

_DEGREE = 8.0       # expected number of neighbours away from the border
_SHIFT = 0.01       # what makes the Laplacian positive definite
_STEP = 4096        # rows made together


class Geometric(SparseGenerator):
    """Random points in the unit square, joined where they are near each other.

    The right-hand side is standard normal, drawn after the points.

    Parameters
    ----------
    n : int
    seed : int
    """

    def __init__(self, n, seed=0):
        super().__init__(n, _STEP)
        self._seed, self._counts = seed, None
        self._x, self._y = np.random.default_rng(seed).random((n, 2)).T.copy()
        self._reach = _DEGREE / (math.pi * n)       # square of the distance up to which points are joined
        # Cells at least that wide, so that all neighbours of a point lie in the 3 x 3 cells around it.
        self._side = max(1, int(1 / math.sqrt(self._reach)))
        cell = self._cell_of(self._y) * self._side + self._cell_of(self._x)
        self._order = np.argsort(cell, kind='stable').astype(np.int32)
        self._starts = np.concatenate(([0], np.cumsum(np.bincount(cell, minlength=self._side**2))))
        self._sorted_x, self._sorted_y = self._x[self._order], self._y[self._order]

    def _cell_of(self, coordinates):
        return np.minimum((coordinates * self._side).astype(np.int64), self._side - 1)

    def _candidates(self, lo, hi):
        """(local row, position among the points sorted by cell) of all pairs in neighbouring cells, by rows."""
        column, line = self._cell_of(self._x[lo:hi]), self._cell_of(self._y[lo:hi])
        left, right = np.maximum(column - 1, 0), np.minimum(column + 1, self._side - 1)
        first, last = np.zeros((2, hi - lo, 3), dtype=np.int64)
        for k in range(3):      # three cells side by side are one run of sorted points
            there = np.flatnonzero((line + k >= 1) & (line + k <= self._side))
            base = (line[there] + k - 1) * self._side
            first[there, k], last[there, k] = self._starts[base + left[there]], self._starts[base + right[there] + 1]
        lengths = (last - first).ravel()
        ends = np.cumsum(lengths)
        positions = np.arange(lengths.sum()) + np.repeat(first.ravel() - (ends - lengths), lengths)
        return np.repeat(np.arange(hi - lo), (last - first).sum(axis=1)), positions

    def _pairs(self, lo, hi):
        """(local row, position) of all pairs that are near each other, a point and itself included."""
        row, position = self._candidates(lo, hi)
        dx = self._sorted_x[position] - self._x[lo:hi][row]
        dy = self._sorted_y[position] - self._y[lo:hi][row]
        near = np.flatnonzero(dx * dx + dy * dy <= self._reach)
        return row[near], position[near]

    def _make(self, lo, hi):
        row, position = self._pairs(lo, hi)
        places = np.sort(row * self.n + self._order[position])      # rows ascend already, so this orders columns only
        columns = (places - row * self.n).astype(np.int32)
        counts = np.bincount(row, minlength=hi - lo)
        values = np.full(len(columns), -1.0)
        values[columns == row + lo] = counts - 1 + _SHIFT
        return counts, columns, values

    def _count(self, lo, hi):
        return np.bincount(self._pairs(lo, hi)[0], minlength=hi - lo)

    def row_nonzeros(self, start=0, stop=None):
        if self._counts is None:
            self._counts = super().row_nonzeros()
        return self._counts[start:stop]

    @property
    def nonzeros(self):
        return int(self.row_nonzeros().sum())

    def rhs(self):
        seed = self._seed
        rng = np.random.default_rng(seed)
        rng.random((self.n, 2))
        return rng.standard_normal(self.n)


def geometric(n, seed=0):
    """The Laplacian of a random geometric graph, plus 0.01 on the diagonal; strictly diagonally dominant.

    Points are uniform in the unit square and joined up to the distance at which one has 8 neighbours on average (fewer
    at the border). They are numbered as they are drawn, so neighbours in the graph are far apart in the numbering. The
    diagonal entry is the number of neighbours + 0.01, the others are -1.

    Parameters
    ----------
    n : int
        Points.
    seed : int
        Of the points.

    Returns
    -------
    SparseRows
        As ``geometric:N`` (seed 0) its right-hand side is standard normal, drawn after the points.
    """
    return Geometric(n, seed).rows(0, n)
