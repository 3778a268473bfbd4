"""``python -m coro_sor``: the command line, as ``coro-sor`` and ``python -m coro_sor.coordinator`` are."""
import sys

from coro_sor.cli import main

if __name__ == '__main__':
    sys.exit(main())
