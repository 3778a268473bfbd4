"""`dense`: a sweep against A @ x and against processes that never exchange, then whole solves (`dense_solves`)."""
import itertools
import os
import subprocess
import sys
import time

import numpy as np

from benchmarks.bench import PEERS, Table, median_of, numbers, time_sweep, words
from benchmarks.dense_solves import report_solves
from coro_sor.options import Options
from coro_sor.problem import load_problem
from coro_sor.wavefront import ordering_blocks

__all__ = ['add_arguments', 'measure']

COLUMNS = [
    ('n', 'n', '%5d'), ('workers', 'workers', '%7d'), ('schedule', 'schedule', '%-8s'),
    ('exchange', 'exchange', '%-8s'), ('exchanges', 'exchanges', '%9d'), ('panel_nonzeros', 'panel nz', '%8.2g'),
    ('product_ms', 'A @ x ms', '%8.3f'), ('ratio', 'sweep', '%6.3f'), ('ratio_spent', '(cores)', '%7.3f'),
    ('never_ratio', 'never', '%6.3f'), ('never_spent', '(cores)', '%7.3f'), ('to_never', 'sweep/never', '%11.3f'),
    ('speed_up', 'speed-up', '%8.2f'), ('applied', 'applied', '%7.1f'), ('others', 'others', '%6.2f')]


def add_arguments(command):
    """Arguments of this command."""
    command.add_argument('--sizes', type=numbers, default=[1000, 2000, 4000, 8000], metavar='N,N')
    command.add_argument('--workers', type=numbers, default=[1, 2], metavar='N,N')
    command.add_argument('--schedules', type=words, default=['async', 'ordered'], metavar='NAME,NAME')
    command.add_argument('--exchange', type=words, default=[Options.exchange], metavar='NAME,NAME')
    command.add_argument('--exchanges', type=numbers, default=[Options.exchanges], metavar='N,N')
    command.add_argument('--panel-nonzeros', type=numbers, default=[Options.panel_nonzeros], metavar='N,N')
    command.add_argument('--systems', type=words, default=['random-dense:5000', 'gram:4000'], metavar='SPEC,SPEC',
                         help='of the whole solves')
    command.add_argument('--seconds', type=float, default=0.8, help='that sweeps are measured in each run')
    command.add_argument('--only', choices=('sweeps', 'solves'))


def measure(bench):
    """Everything about dense systems."""
    result = {}
    if bench.chosen.only in (None, 'sweeps'):
        result['sweeps'] = report_sweeps(bench)
    if bench.chosen.only in (None, 'solves'):
        result['solves'] = [report_solves(bench, spec) for spec in bench.chosen.systems]
    return result


def report_sweeps(bench):
    """Measure and print the time of a sweep for all sizes and settings."""
    chosen = bench.chosen
    print('A sweep relative to one single-threaded A @ x (medians of %d runs in turn): ours, and that of processes that'
          '\nnever exchange; (cores): the same, by what the cores spent on it; speed-up: over one worker; applied:'
          '\nleast number of exchanges a sweep and neighbour; others: the cores that other programs took meanwhile.\n'
          % chosen.runs)
    table, results = Table(COLUMNS), []
    for n in chosen.sizes:
        for line in measure_sweeps(bench, n):
            table.show(line)
            results.append(line)
    return results


# ---- rounds


def measure_sweeps(bench, n):
    """Lines of the table for one size."""
    chosen, problem = bench.chosen, load_problem(problem='random-dense:%d' % n)
    A, path = problem.all_rows(), os.path.join(bench.folder, 'system')
    A.tofile(path)
    settings = [dict(zip(('schedule', 'exchange', 'exchanges', 'panel_nonzeros'), each)) for each in
                itertools.product(chosen.schedules, chosen.exchange, chosen.exchanges, chosen.panel_nonzeros)]
    never = {}
    try:
        for workers in chosen.workers:
            never[workers] = NeverExchanging(path, n, workers)
        rounds = [_measure_round(bench, A, problem, settings, never) for _ in range(chosen.runs)]
    finally:
        for each in never.values():
            each.close()
    return [_line(rounds, workers, index, n, each)
            for workers in chosen.workers for index, each in enumerate(settings)]


def _measure_round(bench, A, problem, settings, never):
    """A @ x before and after each sweep of ours; processes that never exchange once for each number of workers."""
    seconds = bench.chosen.seconds
    before = bench.value(time_product, A, seconds / 4)
    found = {}
    for workers in never:
        passed, spent = bench.value(never[workers].time_sweep, seconds)
        found[workers] = {'never': passed, 'never_spent': spent, 'ours': []}
    for index, workers in itertools.product(range(len(settings)), never):
        cluster = bench.cluster(workers)
        ours, window = bench.undisturbed(
            lambda watch: time_sweep(cluster, problem, seconds, watch, blocks=_blocks(problem.n, workers),
                                     **settings[index]))
        after = bench.value(time_product, A, seconds / 4)
        found[workers]['ours'].append({
            **ours, 'product': (before + after)[0] / 2, 'product_spent': (before + after)[1] / 2,
            'spent': window.used / workers / ours['sweeps'], 'others': window.others})
        before = after
    return found


def _blocks(n, workers):
    """As many blocks as there would be by default, but no fewer than workers, so that all of them are used."""
    return max(workers, ordering_blocks(n, n * n, True))


def _line(rounds, workers, index, n, settings):
    """One line of the table."""
    def median(value):
        return median_of(rounds, lambda each: value(each[workers]['ours'][index], each[workers]))

    return {
        'n': n, 'workers': workers, **settings, 'rounds': [each[workers]['ours'][index] for each in rounds],
        'product_ms': 1e3 * median(lambda ours, _: ours['product_spent']),
        'ratio': median(lambda ours, _: ours['seconds'] / ours['product_spent']),
        'ratio_spent': median(lambda ours, _: ours['spent'] / ours['product_spent']),
        'never_ratio': median(lambda ours, all_: all_['never'] / ours['product_spent']),
        'never_spent': median(lambda ours, all_: all_['never_spent'] / ours['product_spent']),
        'to_never': median(lambda ours, all_: ours['seconds'] / all_['never']),
        'applied': median(lambda ours, _: ours['exchanges']),
        'others': median(lambda ours, _: ours['others']),
        'speed_up': median_of(rounds, lambda each: each[1]['ours'][index]['seconds'] /
                              each[workers]['ours'][index]['seconds'] if 1 in each else None)}


def time_product(A, seconds):
    """Seconds of one A @ x, passed and of the processor; the latter are free of other programs."""
    x, out = np.random.default_rng(2).normal(size=len(A)), np.empty(len(A))
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        began = time.perf_counter(), time.process_time()
        np.dot(A, x, out=out)
        times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return np.median(times, axis=0)


class NeverExchanging:
    """Processes that sweep a part of the rows each and know nothing of one another.

    Parameters
    ----------
    path : str
        File with A, row by row.
    n, workers : int
    """

    def __init__(self, path, n, workers):
        bounds = [n * k // workers for k in range(workers + 1)]
        self._processes = [
            subprocess.Popen([sys.executable, os.path.join(PEERS, 'never_exchange.py'), path, *map(str, (n, lo, hi))],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            for lo, hi in zip(bounds[:-1], bounds[1:])]
        for process in self._processes:
            if process.stdout.readline() != 'ready\n':
                self.close()
                sys.exit('never_exchange.py did not begin')

    def close(self):
        """End the processes."""
        for process in self._processes:
            process.communicate()

    def time_sweep(self, seconds):
        """Seconds of a sweep over all rows; seconds that passed, and seconds that one core spent."""
        for process in self._processes:
            process.stdin.write('%r\n' % seconds)
        answers = [list(map(float, process.stdout.readline().split())) for process in self._processes]
        return np.mean([(passed / sweeps, spent / sweeps) for sweeps, passed, spent in answers], axis=0)
