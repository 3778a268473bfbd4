"""Sweeps some rows of a dense system alone: what a worker could do if exchanging cost nothing.

    python never_exchange.py FILE N FIRST STOP

FILE holds N * N float64 of A, row by row. For each line ``seconds`` on standard input it sweeps for that long, b = 1,
and answers with a line ``sweeps seconds seconds_of_the_processor``.
"""
import os
import sys
import time

os.environ.update(OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))

import numpy as np  # noqa: E402

from coro_sor.kernels.dense import DenseKernel  # noqa: E402
from coro_sor.rows import DenseRows  # noqa: E402


def main(path, n, first, stop):
    values = np.fromfile(path, count=(stop - first) * n, offset=8 * first * n).reshape(stop - first, n)
    kernel, x = DenseKernel(DenseRows(values), np.ones(stop - first), first, 1.0, [(0, stop - first)]), np.zeros(n)
    kernel.sweep(x, 0)
    print('ready', flush=True)
    for line in sys.stdin:
        sweeps, began, spent = 0, time.perf_counter(), time.process_time()
        end = began + float(line)
        while time.perf_counter() < end:
            kernel.sweep(x, 0)
            sweeps += 1
        print(sweeps, time.perf_counter() - began, time.process_time() - spent, flush=True)


if __name__ == '__main__':
    main(sys.argv[1], *map(int, sys.argv[2:]))
