"""Well-known systems of any size, for tests and first steps."""
import numpy as np

from coro_sor.csr import from_triplets

__all__ = ['poisson2d', 'random_dense']


def poisson2d(m):
    """The five-point Laplacian on an m x m grid (4 on the diagonal, -1 for each neighbour); positive definite.

    Parameters
    ----------
    m : int
        Points along one side.

    Returns
    -------
    SparseRows
        (m * m, m * m), numbered row by row.
    """
    grid = np.arange(m * m).reshape(m, m)
    one = np.concatenate([grid[:, :-1].ravel(), grid[:-1].ravel()])
    other = np.concatenate([grid[:, 1:].ravel(), grid[1:].ravel()])
    rows = np.concatenate([grid.ravel(), one, other])
    columns = np.concatenate([grid.ravel(), other, one])
    return from_triplets(m * m, rows, columns, np.repeat([4.0, -1.0], [m * m, 2 * len(one)]))


def random_dense(n, seed):
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
    """
    A = np.random.default_rng(seed).uniform(-1, 1, (n, n))
    A = (A + A.T) / 2
    np.fill_diagonal(A, 0)
    np.fill_diagonal(A, 1 + np.abs(A).sum(axis=1))
    return A
