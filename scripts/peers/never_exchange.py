"""Sweeps some rows of a dense system alone: what a worker could do if exchanging cost nothing.

    python never_exchange.py FILE N FIRST STOP EXCHANGES PANEL_NONZEROS

FILE holds N * N float64 of A, row by row, then N of b. For each line ``seconds`` on standard input it sweeps for that
long and answers with a line ``sweeps seconds seconds_of_the_processor``.
"""
import os
import sys
import time

os.environ.update(OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))

import numpy as np  # noqa: E402

from coro_sor.kernels import make_kernel, panel_step  # noqa: E402
from coro_sor.partition import panels  # noqa: E402
from coro_sor.rows import DenseRows  # noqa: E402


def main(path, n, first, stop, exchanges, panel_nonzeros):
    values = np.fromfile(path, count=(stop - first) * n, offset=8 * first * n).reshape(stop - first, n)
    b = np.fromfile(path, count=stop - first, offset=8 * (n * n + first))
    rows = DenseRows(values)
    pieces = panels(n, 0, stop - first, panel_nonzeros, exchanges, panel_step(rows))
    kernel, x = make_kernel(rows, b, first, 1.0, pieces), np.zeros(n)
    kernel.sweep(x, 0)
    print('ready', flush=True)
    for line in sys.stdin:
        sweeps, began, spent = 0, time.perf_counter(), time.process_time()
        end = began + float(line)
        while time.perf_counter() < end:
            for panel, (lo, hi) in enumerate(pieces):
                kernel.sweep(x, panel)
            sweeps += 1
        print(sweeps, time.perf_counter() - began, time.process_time() - spent, flush=True)


if __name__ == '__main__':
    main(sys.argv[1], *map(int, sys.argv[2:]))
