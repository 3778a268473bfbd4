"""The time of numpy.linalg.solve, in a process of its own: BLAS reads its number of threads when it is loaded.

    python direct_solve.py FILE N

FILE holds N * N float64 of A, row by row, then N of b. Prints ``seconds residual_norm``.
"""
import sys
import time

import numpy as np

path, n = sys.argv[1], int(sys.argv[2])
A = np.fromfile(path, count=n * n).reshape(n, n)
b = np.fromfile(path, count=n, offset=8 * n * n)
began = time.perf_counter()
x = np.linalg.solve(A, b)
print(time.perf_counter() - began, np.linalg.norm(b - A @ x))
