#!/usr/bin/env python3
"""Measures coro_sor against its rivals; every ratio is of things measured in turn in the same run.

    python scripts/benchmark.py dense                       a table
    python scripts/benchmark.py dense --json FILE           and everything that was measured
    python scripts/benchmark.py dense --sizes 8000 --exchanges 4,8,16 --only sweeps

What was measured while other programs took more than --others of a core is measured again, up to --tries times; the
least disturbed one counts, and the table says how disturbed it was. Beside the time that passed stands the time that
the cores spent on it, divided by the number of workers: what would have passed on a machine without other programs.
"""
import os

os.environ.update(OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')   # read when numpy is imported

import argparse  # noqa: E402
import contextlib  # noqa: E402
import itertools  # noqa: E402
import json  # noqa: E402
import platform  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = os.path.join(HERE, 'peers')
sys.path.insert(0, os.path.dirname(HERE))

import numpy as np  # noqa: E402

import coro_sor  # noqa: E402
from coro_sor.options import Options  # noqa: E402
from coro_sor.problems import random_dense  # noqa: E402
from measuring import Measurer  # noqa: E402

ENDLESS = dict(rtol=1e-300, look_interval=1e9)      # no residual passes, so that nothing but time ends the sweeps


class Bench:
    """What all measurements share: settings, the folder for systems on disk, a `Measurer`."""

    def __init__(self, chosen, folder):
        self.chosen, self.folder = chosen, folder
        measurer = Measurer(chosen.tries, chosen.others)
        self.undisturbed, self.others = measurer.undisturbed, measurer.others

    def system(self, n):
        """A, b, and the file that holds both."""
        A = random_dense(n, 0)
        b = A @ np.random.default_rng(1).normal(size=n)
        path = os.path.join(self.folder, 'system')
        with open(path, 'wb') as file:
            A.tofile(file)
            b.tofile(file)
        return A, b, path


# ---- one sweep


def time_product(A, seconds):
    """Seconds of one A @ x; as times of the processor they are free of other programs."""
    x, out = np.random.default_rng(2).normal(size=len(A)), np.empty(len(A))
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        began = time.perf_counter(), time.process_time()
        np.dot(A, x, out=out)
        times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return np.median(times, axis=0)


def time_sweep(cluster, A, b, seconds, settings, watch):
    """Seconds of a sweep of ours, and the exchanges that it takes."""
    phases = [None]

    def observe(record):
        if 'iterate' in (phases[-1], record.phase) and record.phase != phases[-1]:
            watch()
        phases.append(record.phase)

    report = cluster.solve(A, b, observe=observe, time_limit=seconds, **ENDLESS, **settings).report
    workers = report['workers']
    neighbours, sent = max(1, len(workers) - 1), sum(worker['slices_sent'] for worker in workers)
    return {
        'sweeps': report['sweeps'], 'seconds': report['seconds']['iterate'] / report['sweeps'],
        'computing': sum(worker['seconds_computing'] for worker in workers) / len(workers) / report['sweeps'],
        # The smaller of messages sent and panels applied: a message may bring several panels, or come to nothing.
        'exchanges': [min(worker['slices_applied'], sent - worker['slices_sent']) / worker['sweeps'] / neighbours
                      for worker in workers]}


class NeverExchanging:
    """Processes that sweep a part of the rows each and know nothing of one another."""

    def __init__(self, path, n, workers, settings):
        panels = [str(settings[name]) for name in ('exchanges', 'panel_nonzeros')]
        bounds = [n * k // workers for k in range(workers + 1)]
        self._processes = [
            subprocess.Popen([sys.executable, os.path.join(PEERS, 'never_exchange.py'), path, *map(str, (n, lo, hi)),
                              *panels], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            for lo, hi in zip(bounds[:-1], bounds[1:])]
        for process in self._processes:
            assert process.stdout.readline() == 'ready\n'

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for process in self._processes:
            process.communicate()

    def time_sweep(self, seconds):
        """Seconds of a sweep over all rows; seconds that passed, and seconds that one core spent."""
        for process in self._processes:
            process.stdin.write('%r\n' % seconds)
        answers = [list(map(float, process.stdout.readline().split())) for process in self._processes]
        return np.mean([(passed / sweeps, spent / sweeps) for sweeps, passed, spent in answers], axis=0)


def measure_sweeps(bench, n, settings, workers):
    """Rounds of A @ x, a sweep of ours, and a sweep of processes that never exchange, in turn."""
    A, b, path = bench.system(n)
    seconds, rounds = bench.chosen.seconds, []
    with coro_sor.Cluster(workers=workers) as cluster, NeverExchanging(path, n, workers, settings) as never:
        for _ in range(bench.chosen.runs):
            before, _ = bench.undisturbed(lambda watch: time_product(A, seconds / 4))
            ours, window = bench.undisturbed(lambda watch: time_sweep(cluster, A, b, seconds, settings, watch))
            after, _ = bench.undisturbed(lambda watch: time_product(A, seconds / 4))
            alone, _ = bench.undisturbed(lambda watch: never.time_sweep(seconds))
            product = (before + after) / 2
            rounds.append({'product': product[0], 'product_spent': product[1], 'never': alone[0],
                           'never_spent': alone[1], **ours, 'spent': window.used / workers / ours['sweeps'],
                           'others': window.others})
    return {
        'n': n, 'workers': workers, **settings, 'rounds': rounds,
        'product': _median(rounds, lambda each: each['product_spent']),
        'ratio': _median(rounds, lambda each: each['seconds'] / each['product_spent']),
        'ratio_spent': _median(rounds, lambda each: each['spent'] / each['product_spent']),
        'never_ratio': _median(rounds, lambda each: each['never'] / each['product_spent']),
        'never_spent': _median(rounds, lambda each: each['never_spent'] / each['product_spent']),
        'to_never': _median(rounds, lambda each: each['seconds'] / each['never']),
        'to_never_spent': _median(rounds, lambda each: each['spent'] / each['never_spent']),
        'exchanges_applied': _median(rounds, lambda each: min(each['exchanges'])),
        'others': _median(rounds, lambda each: each['others'])}


def _median(rounds, value):
    return statistics.median(map(value, rounds))


SWEEP_COLUMNS = [
    ('n', '%6d', 'n'), ('workers', '%8d', 'workers'), ('exchanges', '%10d', 'exchanges'),
    ('panel_nonzeros', '%9.2g', 'panel nz'), ('product', '%9.3f', 'A @ x ms'), ('ratio', '%7.3f', 'sweep'),
    ('ratio_spent', '%7.3f', '(cores)'), ('never_ratio', '%7.3f', 'never'), ('never_spent', '%7.3f', '(cores)'),
    ('to_never', '%11.3f', 'sweep/never'), ('to_never_spent', '%7.3f', '(cores)'),
    ('exchanges_applied', '%8.1f', 'applied'), ('others', '%7.2f', 'others')]


def report_sweeps(bench):
    """Measure and print the time of a sweep for all sizes and settings."""
    chosen = bench.chosen
    print('A sweep relative to one single-threaded A @ x (medians of %d): ours, and that of processes that never'
          '\nexchange; (cores): the same, by what the cores spent on it; `applied`: least number of exchanges a sweep'
          '\nand neighbour; `others`: the cores that other programs took meanwhile.\n' % chosen.runs)
    print(' '.join(title.rjust(int(float(form[1:-1].split('.')[0]))) for _, form, title in SWEEP_COLUMNS))
    results = []
    for n, workers, exchanges, nonzeros in itertools.product(chosen.sizes, chosen.workers, chosen.exchanges,
                                                             chosen.panel_nonzeros):
        result = measure_sweeps(bench, n, {'exchanges': exchanges, 'panel_nonzeros': nonzeros}, workers)
        shown = dict(result, product=1e3 * result['product'])
        print(' '.join(form % shown[name] for name, form, _ in SWEEP_COLUMNS), flush=True)
        results.append(result)
    return results


# ---- whole solves


def build_peers(folder):
    """Compile the C programs; returns their names and paths."""
    subprocess.run(['make', '-s', '-C', PEERS, 'BUILD=' + folder], check=True)
    return {'C, -O2': os.path.join(folder, 'async_sor'), 'C, best flags': os.path.join(folder, 'async_sor_best')}


def solve_ours(A, b, rtol, threshold):
    """Seconds of a solve by workers that run, and of all that is not sweeping."""
    began = time.perf_counter()
    with coro_sor.Cluster(workers=2) as cluster:
        started = time.perf_counter()
        solution = cluster.solve(A, b, rtol=rtol)
        solved = time.perf_counter()
    ended = time.perf_counter()
    assert solution.converged and np.linalg.norm(b - A @ solution.x) <= 1.01 * threshold
    phases = dict(solution.report['seconds'], start=started - began, stop=ended - solved)
    phases['rest'] = solved - started - sum(solution.report['seconds'].values())
    return {'solve': solved - started, 'wall': ended - began, 'phases': phases, 'sweeps': solution.sweeps,
            'iterate and verify': phases['iterate'] + phases['verify'],
            'all but sweeps': ended - began - phases['iterate']}


def solve_in_c(program, path, n, rtol, threshold):
    """Seconds of the C program's solve."""
    command = [program, path, str(n), '2', repr(rtol), '1000000']
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    assert answer['residual_norm'] <= threshold
    return answer['seconds']


def solve_directly(path, n, threads, threshold):
    """Seconds of numpy.linalg.solve; `threads` 0 for as many as it takes by itself."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith('_NUM_THREADS')}
    if threads:
        environment['OPENBLAS_NUM_THREADS'] = environment['MKL_NUM_THREADS'] = str(threads)
    text = subprocess.run([sys.executable, os.path.join(PEERS, 'direct_solve.py'), path, str(n)], check=True,
                          env=environment, stdout=subprocess.PIPE).stdout
    seconds, residual_norm = map(float, text.split())
    assert residual_norm <= threshold
    return seconds


def report_solves(bench):
    """Measure and print whole solves by all rivals."""
    n, rtol = bench.chosen.solve_size, 1e-8
    A, b, path = bench.system(n)
    threshold = rtol * float(np.linalg.norm(b))
    programs = build_peers(bench.folder)
    rounds = []
    for _ in range(bench.chosen.runs):
        ours, _ = bench.undisturbed(lambda watch: solve_ours(A, b, rtol, threshold))
        rivals = {name: bench.undisturbed(lambda watch: solve_in_c(program, path, n, rtol, threshold))[0]
                  for name, program in programs.items()}
        for threads, name in ((0, 'numpy, its threads'), (1, 'numpy, 1 thread')):
            rivals[name], _ = bench.undisturbed(lambda watch: solve_directly(path, n, threads, threshold))
        rounds.append({'ours': ours, 'rivals': rivals})
    return _show_solves(n, rtol, rounds)


def _show_solves(n, rtol, rounds):
    result = {'n': n, 'rtol': rtol, 'rounds': rounds, 'ours': {}, 'rivals': {}, 'phases': {}}
    print('\nWhole solves of a dominant dense system, n = %d, rtol %g, 2 workers or threads (medians of %d)\n'
          % (n, rtol, len(rounds)))
    for name in ('solve', 'iterate and verify', 'all but sweeps', 'wall', 'sweeps'):
        value = result['ours'][name] = _median(rounds, lambda each: each['ours'][name])
        print('  ours, %-24s %8.3f%s' % (name, value, '' if name == 'sweeps' else ' s'))
    print('\n  %-30s %10s %12s %28s' % ('rival', 'seconds', 'ours/rival', 'iterate and verify/rival'))
    for name in rounds[0]['rivals']:
        seconds = _median(rounds, lambda each: each['rivals'][name])
        ratios = [_median(rounds, lambda each: each['ours'][part] / each['rivals'][name])
                  for part in ('solve', 'iterate and verify')]
        result['rivals'][name] = {'seconds': seconds, 'ratios': ratios}
        print('  %-30s %10.3f %12.2f %28.2f' % (name, seconds, *ratios))
    print('\n  seconds by phase: ', end='')
    for name in ('start', 'load', 'distribute', 'iterate', 'verify', 'collect', 'rest', 'stop'):
        result['phases'][name] = _median(rounds, lambda each: each['ours']['phases'][name])
    print(', '.join('%s %.3f' % item for item in result['phases'].items()))
    return result


# ---- the command


def dense(chosen):
    """Everything about dense systems."""
    with contextlib.ExitStack() as stack:
        bench = Bench(chosen, stack.enter_context(tempfile.TemporaryDirectory()))
        result = {'python': platform.python_version(), 'numpy': np.__version__, 'machine': platform.processor()
                  or platform.machine(), 'cores': os.cpu_count(), 'load': os.getloadavg()}
        if chosen.only in (None, 'sweeps'):
            result['sweeps'] = report_sweeps(bench)
        if chosen.only in (None, 'solves'):
            result['solves'] = report_solves(bench)
    print('\nOther programs took %.2f cores meanwhile (median of all measurements; at most %.2f).'
          % (statistics.median(bench.others), max(bench.others)))
    return result


def _numbers(text):
    return [int(part) for part in text.split(',')]


def main():
    parser = argparse.ArgumentParser(description='Measure coro_sor against its rivals.')
    commands = parser.add_subparsers(required=True, metavar='WHAT')
    command = commands.add_parser('dense', help='a dense sweep against A @ x, and whole dense solves')
    command.set_defaults(measure=dense)
    command.add_argument('--sizes', type=_numbers, default=[1000, 2000, 4000, 8000], metavar='N,N')
    command.add_argument('--workers', type=_numbers, default=[1, 2], metavar='N,N')
    command.add_argument('--exchanges', type=_numbers, default=[Options.exchanges], metavar='N,N')
    command.add_argument('--panel-nonzeros', type=_numbers, default=[Options.panel_nonzeros], metavar='N,N')
    command.add_argument('--solve-size', type=int, default=5000, metavar='N', help='n of the whole solves')
    command.add_argument('--seconds', type=float, default=1.5, help='that sweeps are measured in each run')
    command.add_argument('--only', choices=('sweeps', 'solves'))
    for each in commands.choices.values():
        each.add_argument('--runs', type=int, default=5, metavar='N', help='interleaved runs')
        each.add_argument('--others', type=float, default=0.05, metavar='CORES', help='that other programs may take')
        each.add_argument('--tries', type=int, default=4, metavar='N', help='of each measurement, at most')
        each.add_argument('--json', metavar='FILE', help='where to put all that was measured')
    chosen = parser.parse_args()
    result = chosen.measure(chosen)
    if chosen.json:
        with open(chosen.json, 'w') as file:
            json.dump(result, file, indent=1)


if __name__ == '__main__':
    main()
