"""The well-known systems are what they say."""
import numpy as np

from coro_sor.problems import poisson2d, random_dense


def test_poisson_is_the_five_point_laplacian():
    m = 4
    one = 2 * np.eye(m) - np.eye(m, k=1) - np.eye(m, k=-1)
    A = poisson2d(m)
    columns = np.array([A.matvec(unit) for unit in np.eye(m * m)]).T
    np.testing.assert_array_equal(columns, np.kron(one, np.eye(m)) + np.kron(np.eye(m), one))


def test_random_dense_is_symmetric_dominant_and_repeatable():
    A = random_dense(30, 5)
    np.testing.assert_array_equal(A, A.T)
    np.testing.assert_array_equal(A, random_dense(30, 5))
    assert (2 * A.diagonal() > np.abs(A).sum(axis=1)).all() and (A != random_dense(30, 6)).any()
