#!/usr/bin/env python3
"""Measures coro_sor against its rivals; every ratio is of things measured in turn in the same run.

    python scripts/benchmark.py dense         sweeps against A @ x; solves against threads in C, numpy and scipy
    python scripts/benchmark.py sparse        ns a nonzero a sweep, against scipy's A @ x, pyamg and PETSc
    python scripts/benchmark.py schedules     sweeps and seconds of each schedule, also with one slow worker
    python scripts/benchmark.py solves        Poisson's equation, against PETSc's SOR and multigrid
    python scripts/benchmark.py wire          a whole solve in clear, with a keyed hash on each frame, and with TLS
    python scripts/benchmark.py dense --json FILE           and everything that was measured
    python scripts/benchmark.py dense --sizes 8000 --exchanges 4,8,16 --only sweeps

Each takes about six minutes; --runs 1 --tries 1 is fast. Seconds are those of iterating, the verification of x
included; to start processes and to distribute a system is left out on all sides.

What was measured while other programs took more than --others of a core is measured again, up to --tries times; the
least disturbed one counts, and the table says how disturbed it was. Where there is no PETSc, it says how to get it and
goes on without.
"""
import os

os.environ.update(OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')   # read when numpy is imported

import argparse  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks import dense, schedules, solves, sparse, wire  # noqa: E402
from benchmarks.bench import measured  # noqa: E402

COMMANDS = (('dense', dense, 'a dense sweep against A @ x, and whole dense solves'),
            ('sparse', sparse, 'a sparse sweep against A @ x, pyamg and PETSc'),
            ('schedules', schedules, 'sweeps and seconds of each schedule, also with one slow worker'),
            ('solves', solves, "Poisson's equation against PETSc"),
            ('wire', wire, 'a solve in clear, with a keyed hash on each frame, and with TLS'))


def main():
    parser = argparse.ArgumentParser(description='Measure coro_sor against its rivals.')
    commands = parser.add_subparsers(required=True, metavar='WHAT')
    for name, module, told in COMMANDS:
        command = commands.add_parser(name, help=told)
        command.set_defaults(measure=module.measure)
        module.add_arguments(command)
        command.add_argument('--runs', type=int, default=5, metavar='N', help='interleaved runs')
        command.add_argument('--others', type=float, default=0.05, metavar='CORES', help='that other programs may take')
        command.add_argument('--tries', type=int, default=4, metavar='N', help='of each measurement, at most')
        command.add_argument('--json', metavar='FILE', help='where to put all that was measured')
    chosen = parser.parse_args()
    result = measured(chosen.measure, chosen)
    if chosen.json:
        with open(chosen.json, 'w') as file:
            json.dump(result, file, indent=1)


if __name__ == '__main__':
    main()
