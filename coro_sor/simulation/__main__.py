"""``python -m coro_sor.simulation``: a solve on machines that nobody has at hand."""
import os
import sys

from coro_sor.launch import BLAS_THREADS

if __name__ == '__main__':
    if any(os.environ.get(name) != value for name, value in BLAS_THREADS.items()):
        # In a process that has not imported NumPy yet: BLAS reads its number of threads then.
        os.environ.update(BLAS_THREADS)
        os.execv(sys.executable, [sys.executable, '-m', 'coro_sor.simulation', *sys.argv[1:]])
    from coro_sor.simulation.cli import main
    sys.exit(main())
