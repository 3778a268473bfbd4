"""Dense symmetric systems of which every row can be computed alone."""
import numpy as np

from coro_sor.problems.generator import DenseGenerator

__all__ = ['Gram', 'MMatrix', 'RandomDense', 'gram', 'm_matrix', 'random_dense']

_WIDTH = 0.1        # of the Gaussian, relative to the side of the square
_DOMINANCE = 1.05   # of an M-matrix: diagonal entry / sum of |off-diagonal entries|


class _Hashed(DenseGenerator):
    """Off-diagonal entries that are a hash of two words, one of the row and one of the column.

    The right-hand side is standard normal.

    Parameters
    ----------
    n : int
    seed : int
    """

    def __init__(self, n, seed=0):
        super().__init__(n)
        self._seed = seed
        self._words = np.random.default_rng(seed).integers(0, 2**32, n, dtype=np.uint32)

    def _bits(self, lo, hi):
        """32 random bits an entry (hi - lo, n); entry (i, j) is entry (j, i)."""
        return _mixed(self._words[lo:hi, None] + self._words)

    def _diagonal(self, sums):
        """The diagonal entries, from the sums of |off-diagonal entries|."""
        raise NotImplementedError

    def _close(self, lo, values):
        """Set the diagonal entries of the rows from `lo` on."""
        row = np.arange(len(values))
        values[row, lo + row] = 0
        # Entries are multiples of 2**-32, so the sums are exact, in whatever order they are taken.
        values[row, lo + row] = self._diagonal(np.abs(values).sum(axis=1))

    def rhs(self):
        seed = self._seed
        return np.random.default_rng(seed).standard_normal(self.n)


class RandomDense(_Hashed):
    """Uniform from -1 to 1; each diagonal entry is larger by 1 than the sum of the others' sizes."""

    def _fill(self, lo, values):
        values[...] = self._bits(lo, lo + len(values)).view(np.int32)
        values *= 2.0**-31
        self._close(lo, values)

    def _diagonal(self, sums):
        return 1 + sums


class MMatrix(_Hashed):
    """Uniform from -1 to 0; each diagonal entry is 1.05 times the sum of the others' sizes."""

    def _fill(self, lo, values):
        values[...] = self._bits(lo, lo + len(values))
        values *= -2.0**-32
        self._close(lo, values)

    def _diagonal(self, sums):
        return _DOMINANCE * sums


class Gram(DenseGenerator):
    """exp(-|p_i - p_j|^2 / (2 * 0.1^2)) of random points in the unit square, plus the identity.

    The right-hand side is standard normal, drawn after the points.

    Parameters
    ----------
    n : int
    seed : int
    """

    def __init__(self, n, seed=0):
        super().__init__(n)
        self._seed = seed
        self._x, self._y = np.random.default_rng(seed).random((n, 2)).T.copy()

    def _fill(self, lo, values):
        row = np.arange(len(values))
        other = self._y[lo:lo + len(values), None] - self._y
        other *= other
        np.subtract(self._x[lo:lo + len(values), None], self._x, out=values)
        values *= values
        values += other
        values *= -0.5 / _WIDTH**2
        np.exp(values, out=values)
        values[row, lo + row] += 1

    def rhs(self):
        seed = self._seed
        rng = np.random.default_rng(seed)
        rng.random((self.n, 2))
        return rng.standard_normal(self.n)


def random_dense(n, seed=0):
    """A dense, symmetric, strictly diagonally dominant matrix with off-diagonal entries from -1 to 1.

    Parameters
    ----------
    n : int
        Rows.
    seed : int
        The same seed gives the same matrix.

    Returns
    -------
    (n, n) array
        As ``random-dense:N`` (seed 0) its right-hand side is standard normal.
    """
    return RandomDense(n, seed).rows(0, n).values


def m_matrix(n, seed=0):
    """A dense, symmetric M-matrix: off-diagonal entries from -1 to 0, a_ii = 1.05 times the sum of their sizes.

    It is positive definite too, so every schedule is proven to converge (rho(|J|) = 1 / 1.05).

    Parameters
    ----------
    n : int
        Rows, at least 2.
    seed : int
        The same seed gives the same matrix.

    Returns
    -------
    (n, n) array
        As ``m-matrix:N`` (seed 0) its right-hand side is standard normal.
    """
    return MMatrix(n, seed).rows(0, n).values


def gram(n, seed=0):
    """The Gram matrix of a Gaussian kernel, K = exp(-|p_i - p_j|^2 / (2 * 0.1^2)) + I; positive definite.

    Far from diagonally dominant: asynchronous iterations have no guarantee here.

    Parameters
    ----------
    n : int
        Points, uniform in the unit square.
    seed : int
        Of the points.

    Returns
    -------
    (n, n) array
        As ``gram:N`` (seed 0) its right-hand side is standard normal, drawn after the points.
    """
    return Gram(n, seed).rows(0, n).values


def _mixed(x):
    """Each of these uint32 numbers hashed, in place: lowbias32 of C. Wellons, github.com/skeeto/hash-prospector."""
    shifted = np.empty_like(x)
    for shift, factor in ((16, 0x7feb352d), (15, 0x846ca68b), (16, 1)):
        np.right_shift(x, np.uint32(shift), out=shifted)
        x ^= shifted
        if factor != 1:
            x *= np.uint32(factor)
    return x
