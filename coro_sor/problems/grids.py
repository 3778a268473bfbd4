"""Laplacians on square and cubic grids."""
import numpy as np

from coro_sor.problems.generator import SparseGenerator

__all__ = ['Grid', 'laplace9', 'poisson2d', 'poisson3d']

_STEP = 16384       # rows made together


class Grid(SparseGenerator):
    """The difference of a point to its neighbours on a grid of m points a side, numbered line by line.

    The right-hand side is 1 everywhere.

    Parameters
    ----------
    m : int
        Points along one side.
    dimensions : int
    corners : bool
        Whether points that touch at a corner only (or an edge) are neighbours too.
    """

    def __init__(self, m, dimensions, corners=False):
        super().__init__(m ** dimensions, _STEP)
        self._m, self._dimensions = m, dimensions
        steps = np.indices((3,) * dimensions).reshape(dimensions, -1).T - 1
        # In lexicographic order, and so are the numbers of the neighbours that exist.
        self._offsets = steps if corners else steps[np.abs(steps).sum(axis=1) <= 1]
        self._shifts = (self._offsets @ m ** np.arange(dimensions - 1, -1, -1)).astype(np.int32)
        self._weights = np.where(self._offsets.any(axis=1), -1.0, len(self._offsets) - 1.0)
        self.nonzeros = int((m - np.abs(self._offsets)).prod(axis=1).sum())

    def _neighbours(self, lo, hi):
        """Whether each neighbour exists: an array (rows,) for each of the offsets."""
        inside, rest = [], np.arange(lo, hi, dtype=np.int32)
        for _ in range(self._dimensions):
            line = rest // self._m
            place = rest - line * self._m
            inside.insert(0, {-1: place > 0, 0: None, 1: place < self._m - 1})
            rest = line
        for offset in self._offsets:
            exists = np.ones(hi - lo, dtype=bool)
            for axis, step in enumerate(offset):
                if step:
                    exists &= inside[axis][step]
            yield exists

    def _make(self, lo, hi):
        exists = np.empty((hi - lo, len(self._shifts)), dtype=bool)
        counts = np.zeros(hi - lo, dtype=np.int32)
        for column, found in enumerate(self._neighbours(lo, hi)):
            exists[:, column] = found
            counts += found
        columns = np.arange(lo, hi, dtype=np.int32)[:, None] + self._shifts
        return counts, columns[exists], np.broadcast_to(self._weights, exists.shape)[exists]

    def _count(self, lo, hi):
        counts = np.zeros(hi - lo, dtype=np.int32)
        for found in self._neighbours(lo, hi):
            counts += found
        return counts

    def rhs(self):
        return np.ones(self.n)


def poisson2d(m):
    """The five-point Laplacian on an m x m grid (4 on the diagonal, -1 for each neighbour); positive definite.

    Parameters
    ----------
    m : int
        Points along one side.

    Returns
    -------
    SparseRows
        (m * m, m * m), numbered row by row. As ``poisson2d:M`` its right-hand side is 1 everywhere.
    """
    return _all(Grid(m, 2))


def poisson3d(m):
    """The seven-point Laplacian on an m x m x m grid (6 and -1); otherwise as `poisson2d`."""
    return _all(Grid(m, 3))


def laplace9(m):
    """The nine-point Laplacian on an m x m grid (8, and -1 for all eight neighbours); otherwise as `poisson2d`.

    ``laplace9(30)`` is the matrix GR_30_30 of the Harwell-Boeing collection.
    """
    return _all(Grid(m, 2, corners=True))


def _all(generator):
    return generator.rows(0, generator.n)
