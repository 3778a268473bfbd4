"""The time of a library's solve, in a process of its own: BLAS reads its number of threads when it is loaded.

    python library_solve.py FILE N METHOD RTOL

FILE holds N * N float64 of A, row by row, then N of b. METHOD is ``solve`` (numpy.linalg.solve), ``cholesky`` (scipy's
cho_factor and cho_solve) or ``cg`` (scipy's, to ||b - A x|| <= RTOL ||b||). Prints ``seconds residual_norm``.
"""
import sys
import time

import numpy as np


def solve(A, b, rtol):
    return np.linalg.solve(A, b)


def cholesky(A, b, rtol):
    from scipy.linalg import cho_factor, cho_solve
    # LAPACK wants columns one after the other: of a symmetric A those are its rows, so that nothing is copied.
    return cho_solve(cho_factor(A.T, lower=True, overwrite_a=True, check_finite=False), b, check_finite=False)


def cg(A, b, rtol):
    from scipy.sparse.linalg import cg as scipy_cg
    try:
        x, failed = scipy_cg(A, b, rtol=rtol, atol=0.0)
    except TypeError:       # scipy before 1.12
        x, failed = scipy_cg(A, b, tol=rtol, atol=0.0)
    if failed:
        sys.exit('cg ended with %d' % failed)
    return x


def load(path, n):
    return np.fromfile(path, count=n * n).reshape(n, n)


def main(path, n, method, rtol):
    A, b = load(path, n), np.fromfile(path, count=n, offset=8 * n * n)
    method = {'solve': solve, 'cholesky': cholesky, 'cg': cg}[method]
    method(np.eye(2), np.ones(2), rtol)         # imports
    began = time.perf_counter()
    x = method(A, b, rtol)
    seconds = time.perf_counter() - began
    print(seconds, np.linalg.norm(b - load(path, n) @ x))


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
