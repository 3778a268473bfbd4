"""`sparse`: nanoseconds a nonzero a sweep, against scipy's A @ x, pyamg's SOR and PETSc's."""
import itertools
import time

import numpy as np

from benchmarks.bench import Table, median_of, numbers, time_sweep, words
from benchmarks.petsc import Petsc, write_system
from coro_sor.problem import load_problem

__all__ = ['add_arguments', 'measure']

SYSTEMS = ['poisson2d:512', 'poisson2d:1024', 'poisson3d:100', 'geometric:200000']
OMEGA = 1.5         # of the rivals; the time of a sweep does not depend on it
COLUMNS = [('system', 'system', '%-17s'), ('what', 'what', '%-25s'), ('ns', 'ns/nonzero', '%10.3f'),
           ('to_product', 'to A @ x', '%8.3f'), ('to_petsc', 'to PETSc', '%8.3f'), ('speed_up', 'speed-up', '%8.2f')]


def add_arguments(command):
    """Arguments of this command."""
    command.add_argument('--systems', type=words, default=SYSTEMS, metavar='SPEC,SPEC')
    command.add_argument('--workers', type=numbers, default=[1, 2], metavar='N,N', help='and ranks')
    command.add_argument('--schedules', type=words, default=['ordered', 'async'], metavar='NAME,NAME')
    command.add_argument('--exchange', type=words, default=['auto'], metavar='NAME,NAME')
    command.add_argument('--seconds', type=float, default=0.8, help='that sweeps are measured in each run')


def measure(bench):
    """Measure and print all systems."""
    petsc, sor = Petsc(), find_pyamg()
    print('\nNanoseconds a stored nonzero a sweep (medians of %d runs in turn), relative to one single-threaded A @ x'
          '\nof scipy, to PETSc on as many ranks as there are workers, and over one worker or rank.\n'
          % bench.chosen.runs)
    table, results = Table(COLUMNS), []
    for spec in bench.chosen.systems:
        problem = load_problem(problem=spec)
        rows = write_system(problem, bench.folder)
        rounds = [_measure_round(bench, problem, rows, petsc, sor) for _ in range(bench.chosen.runs)]
        lines = _lines(spec, problem.nonzeros, rounds)
        for line in lines:
            table.show(line)
        notes = [note for each in rounds[-1].values() for note in each.get('notes', ())]
        for note in dict.fromkeys(notes):
            print('  note: ' + note)
        results.append({'system': spec, 'n': problem.n, 'nonzeros': problem.nonzeros, 'lines': lines, 'rounds': [
            [{'key': key, **value} for key, value in each.items()] for each in rounds], 'notes': notes})
    return {'sparse': results, 'petsc': petsc.version}


def find_pyamg():
    """pyamg's SOR; None where there is none."""
    try:
        from pyamg.relaxation.relaxation import sor
    except ImportError:
        print('pyamg is not here and is left out; `pip install pyamg` brings it')
        return None
    return sor


# ---- rounds


def _measure_round(bench, problem, rows, petsc, sor):
    """What was measured, by (rival, workers or ranks); its ``seconds`` are those of one sweep."""
    from scipy.sparse import csr_matrix
    chosen = bench.chosen
    A = csr_matrix((rows.data, rows.indices, rows.indptr), shape=(rows.n, rows.n))
    found = {('A @ x', 1): {'seconds': bench.value(time_product, A, chosen.seconds / 2)}}
    if sor is not None:
        found['pyamg', 1] = {'seconds': bench.value(time_pyamg, sor, A, problem.b, chosen.seconds / 2)}
    # Enough for the time, at about two nanoseconds a nonzero.
    sweeps = max(5, int(chosen.seconds / (2e-9 * problem.nonzeros)))
    for ranks in chosen.workers if petsc.version else ():
        found['PETSc', ranks] = bench.value(petsc.run, ranks, 'petsc_sweep.py', bench.folder, sweeps, OMEGA)
    for schedule, exchange, workers in itertools.product(chosen.schedules, chosen.exchange, chosen.workers):
        name = 'ours, ' + schedule + ('' if exchange == 'auto' else ' ' + exchange)
        found[name, workers], window = bench.undisturbed(
            lambda watch: time_sweep(bench.cluster(workers), problem, chosen.seconds, watch, schedule=schedule,
                                     exchange=exchange))
        found[name, workers]['others'] = window.others
    return found


def time_product(A, seconds):
    """Seconds of scipy's A @ x."""
    x = np.random.default_rng(2).normal(size=A.shape[0])
    return _time(lambda: A @ x, seconds)


def time_pyamg(sor, A, b, seconds):
    """Seconds of a forward sweep of pyamg."""
    x = np.zeros(len(b))
    return _time(lambda: sor(A, x, b, OMEGA, iterations=1, sweep='forward'), seconds)


def _time(call, seconds):
    """Median of the seconds that a call takes, called for `seconds`."""
    call()
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def _lines(spec, nonzeros, rounds):
    """Lines of the table for one system."""
    lines = []
    for key in rounds[0]:
        name, workers = key
        used = max(each[key].get('workers', workers) for each in rounds)
        lines.append({
            'system': spec, 'what': '%s, %d' % key + ('' if used == workers else ' (%d used)' % used),
            'ns': 1e9 / nonzeros * median_of(rounds, lambda each: _of(each, key)),
            'to_product': _ratio(rounds, key, ('A @ x', 1)) if name != 'A @ x' else None,
            'to_petsc': _ratio(rounds, key, ('PETSc', workers)) if name.startswith('ours') else None,
            'speed_up': _ratio(rounds, (name, 1), key) if workers > 1 else None})
    return lines


def _of(found, key):
    return found[key]['seconds'] if key in found else None


def _ratio(rounds, key, other):
    """Median of the ratios of each round; None where one of them was not measured."""
    if key not in rounds[0] or other not in rounds[0]:
        return None
    return median_of(rounds, lambda each: _of(each, key) / _of(each, other))
