#!/usr/bin/env python3
"""Predicts on the simulator how async, sync and ordered scale, and prints a table in Markdown.

    python scripts/predict_scaling.py --machines 2 10 50 200        the table of docs/simulation.md
    python scripts/predict_scaling.py --machines 2 10 --networks slow

The system is an implicit step of the heat equation: a five-point grid with 5 on the diagonal, b = 1. Its size and the
cost of an entry decide where more machines stop paying; both are options.
"""
import os

os.environ.update(OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')   # read when numpy is imported

import argparse  # noqa: E402
import dataclasses  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

NETWORKS = {'fast': (25e-6, 1.25e9, ''), 'slow': (1e-3, 1.25e8, ''),
            'stragglers': (25e-6, 1.25e9, 'straggler:0.05:0.2')}
"""Delay in seconds, bytes a second, faults."""

SCHEDULES = ('async', 'sync', 'ordered')


def heat(m):
    """The system of an m x m grid."""
    import numpy as np

    from coro_sor.problem import Problem
    from coro_sor.problems import poisson2d
    A = poisson2d(m)
    i = np.repeat(np.arange(A.n), np.diff(A.indptr))
    A.data[A.indices == i] += 1.0
    return Problem(A, np.ones(A.n))


def predicted(problem, schedule, machines, network, costs, rtol):
    """Virtual seconds of sweeping and looking, sweeps, and workers used."""
    from coro_sor.options import Options
    from coro_sor.simulation import Network
    from coro_sor.simulation.cli import simulate
    from coro_sor.simulation.faults import parse_faults
    delay, bandwidth, faults = NETWORKS[network]
    # Exact order needs several blocks a worker, or each would wait for the one before.
    blocks = machines * (4 if schedule == 'ordered' and machines > 1 else 1)
    options = Options(schedule=schedule, blocks=blocks, rtol=rtol, patience=100.0, lease=300.0, report_interval=0.01,
                      look_interval=0.05)
    _, record, _ = simulate(problem, options, machines, Network(delay=delay, jitter=0.5, bandwidth=bandwidth), 1,
                            parse_faults(faults), costs=costs)
    if not record.status.name == 'CONVERGED':
        raise SystemExit('%s on %d machines: %s' % (schedule, machines, record.status))
    return record.seconds['iterate'] + record.seconds['verify'], record.sweeps, len(record.owners)


def main():
    """Print a row for each number of machines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--machines', type=int, nargs='+', default=[2, 10, 50, 200, 1000],
                        help='default: 2 10 50 200 1000; of 1000 the start alone takes minutes')
    parser.add_argument('--networks', nargs='+', choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument('--schedules', nargs='+', choices=SCHEDULES, default=list(SCHEDULES))
    parser.add_argument('--grid', type=int, default=1000, help='points of a side (default: 1000)')
    parser.add_argument('--scale', type=float, default=10.0,
                        help='times the cost of an entry, for systems that are larger by as much (default: 10)')
    parser.add_argument('--rtol', type=float, default=1e-6)
    chosen = parser.parse_args()
    from coro_sor.simulation import Costs
    problem = heat(chosen.grid)
    costs = dataclasses.replace(Costs(), sparse=Costs().sparse * chosen.scale)
    alone, sweeps, _ = predicted(problem, 'ordered', 1, 'fast', costs, chosen.rtol)
    print('one machine: %.3f s, %.1f sweeps\n' % (alone, sweeps))
    print('| network | machines | %s |\n|---|---|%s' % (' | '.join(chosen.schedules), '---|' * len(chosen.schedules)))
    for network in chosen.networks:
        for machines in chosen.machines:
            cells = []
            for schedule in chosen.schedules:
                began = time.monotonic()
                seconds, sweeps, used = predicted(problem, schedule, machines, network, costs, chosen.rtol)
                cells.append('%.4f s, %.1f x, %.0f sweeps%s' % (seconds, alone / seconds, sweeps, '' if used == machines
                                                                else ', on %d' % used))
                print('%s %s %d: %.1f s' % (network, schedule, machines, time.monotonic() - began), file=sys.stderr)
            print('| %s | %d | %s |' % (network, machines, ' | '.join(cells)), flush=True)


if __name__ == '__main__':
    main()
