"""`schedules`: sweeps and seconds to 1e-8 of each schedule and number of blocks, also with one slow worker."""
import contextlib
import math
import os
import subprocess
import sys

import numpy as np

from benchmarks.bench import PEERS, Table, iterating, median_of, numbers, words
from coro_sor.problem import load_problem

__all__ = ['add_arguments', 'measure']

SYSTEMS = ['poisson2d:128', 'random-dense:4000', 'm-matrix:4000']
SCHEDULES = (('async', 'messages'), ('async', 'shared'), ('sync', 'auto'), ('ordered', 'auto'))
SLOW_BLOCKS = {'async': 2, 'sync': 2, 'ordered': 8}     # with one block a worker `ordered` would be serial
RUNNING, STOPPED = 0.005, 0.02
RTOL = 1e-8

COLUMNS = [('system', 'system', '%-17s'), ('schedule', 'schedule', '%-8s'), ('exchange', 'exchange', '%-8s'),
           ('blocks', 'blocks', '%6d'), ('sweeps', 'sweeps', '%8.1f'), ('seconds', 'seconds', '%8.3f'),
           ('to_one', 'to 1 block', '%10.2f'), ('ended', '', '%-12s')]
SLOW_COLUMNS = COLUMNS[:-2] + [('to_full', 'to full speed', '%13.2f'), ('to_sync', 'to sync', '%7.2f'), COLUMNS[-1]]


def add_arguments(command):
    """Arguments of this command."""
    command.add_argument('--systems', type=words, default=SYSTEMS, metavar='SPEC,SPEC')
    command.add_argument('--blocks', type=numbers, default=[1, 2, 4, 8], metavar='N,N')
    command.add_argument('--workers', type=int, default=2, metavar='N')
    command.add_argument('--limit', type=float, default=30.0, metavar='SECONDS', help='of one solve')
    command.add_argument('--only', choices=('alike', 'slow'), help='workers of like speed, or one slow one')


def measure(bench):
    """Measure and print all systems."""
    only, problems = bench.chosen.only, [load_problem(problem=spec) for spec in bench.chosen.systems]
    return {**({'alike': report_alike(bench, problems)} if only in (None, 'alike') else {}),
            **({'slow': report_slow(bench, problems)} if only in (None, 'slow') else {})}


def best_omega(name):
    """The best omega of SOR on one machine for a square grid (D. M. Young, 1950), else 1."""
    kind, _, size = name.partition(':')
    return 2 / (1 + math.sin(math.pi / (int(size) + 1))) if kind == 'poisson2d' else 1.0


# ---- workers of like speed


def report_alike(bench, problems):
    """Every schedule with every number of blocks."""
    chosen = bench.chosen
    print('Sweeps and seconds of iterating to %g on %d workers (medians of %d runs in turn), and the seconds relative'
          '\nto those of one block on one worker.\n' % (RTOL, chosen.workers, chosen.runs))
    # With one block there is nothing to exchange, whatever the schedule.
    cases = [('ordered', 'auto', 1)] if 1 in chosen.blocks else []
    cases += [(*each, blocks) for each in SCHEDULES for blocks in chosen.blocks if blocks > 1]
    table, results = Table(COLUMNS), []
    for problem in problems:
        rounds = [{case: bench.value(solve, bench, problem, *case) for case in cases} for _ in range(chosen.runs)]
        for case in cases:
            line = _line(problem.name, case, rounds)
            if 1 in chosen.blocks:
                line['to_one'] = _ratio(rounds, case, cases[0])
            table.show(line)
            results.append(line)
    return results


def solve(bench, problem, schedule, exchange, blocks):
    """Sweeps, seconds and the end of one solve."""
    solution = bench.cluster(bench.chosen.workers).solve(
        problem, rtol=RTOL, schedule=schedule, exchange=exchange, blocks=blocks, omega=best_omega(problem.name),
        time_limit=bench.chosen.limit)
    report = solution.report
    if report['failure']:
        sys.exit('%s, %s: %s' % (problem.name, schedule, report['failure']['text']))
    return {'sweeps': report['sweeps_needed'] or report['sweeps'], 'seconds': iterating(solution),
            'ended': '' if solution.converged else str(solution.status), 'notes': report['notes'],
            'workers': len(report['workers'])}


def _line(name, case, rounds):
    """One line of a table."""
    schedule, exchange, blocks = case
    runs = [each[case] for each in rounds]
    seconds = median_of(runs, lambda run: run['seconds'])
    return {'system': name, 'schedule': schedule, 'exchange': exchange, 'blocks': blocks, 'rounds': runs,
            'sweeps': median_of(runs, lambda run: run['sweeps']), 'seconds': seconds if seconds < math.inf else None,
            'ended': next((run['ended'] for run in runs if run['ended']), '')}


def _ratio(rounds, case, other):
    """Median of the ratios of seconds; None where one of them did not converge."""
    pairs = [(each[case]['seconds'], each[other]['seconds']) for each in rounds]
    if any(math.isinf(seconds) for pair in pairs for seconds in pair):
        return None
    return median_of(pairs, lambda pair: pair[0] / pair[1])


# ---- one slow worker


def report_slow(bench, problems):
    """Every schedule, at full speed and with one worker at a fifth of it, in turn."""
    chosen = bench.chosen
    print('\nThe same with one worker at a fifth of its speed (stopped for %g of every %g ms).\n'
          % (1e3 * STOPPED, 1e3 * (RUNNING + STOPPED)))
    cases = [(*each, max(chosen.workers, SLOW_BLOCKS[each[0]])) for each in SCHEDULES]
    table, results = Table(SLOW_COLUMNS), []
    pid = worker_pid(bench)
    for problem in problems:
        full, slow = [], []
        for _ in range(chosen.runs):
            full.append({case: bench.value(solve, bench, problem, *case) for case in cases})
            slow.append({case: bench.value(solve_slowly, pid, bench, problem, *case) for case in cases})
        rounds = [{**one, **{('slow', case): run for case, run in other.items()}} for one, other in zip(full, slow)]
        for case in cases:
            line = {**_line(problem.name, case, slow), 'to_full': _ratio(rounds, ('slow', case), case),
                    'to_sync': _ratio(slow, case, cases[2])}
            line['full'] = [each[case] for each in full]
            table.show(line)
            results.append(line)
    return results


def worker_pid(bench):
    """Process id of the last worker, from a solve of next to nothing."""
    workers = bench.chosen.workers
    solution = bench.cluster(workers).solve(np.eye(workers), np.ones(workers), blocks=workers)
    return solution.report['workers'][-1]['pid']


def solve_slowly(pid, *arguments):
    """`solve` while the worker `pid` is slow."""
    with slowed_down(pid):
        return solve(*arguments)


@contextlib.contextmanager
def slowed_down(pid):
    """The process runs a fifth of the time."""
    command = [sys.executable, os.path.join(PEERS, 'slow_down.py'), str(pid), str(RUNNING), str(STOPPED)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            yield
        finally:
            process.stdin.close()
            process.wait()
