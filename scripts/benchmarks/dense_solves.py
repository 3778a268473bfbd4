"""Whole solves of dense systems: ours, the C program on threads, and libraries."""
import json
import math
import os
import re
import subprocess
import sys
import time

import numpy as np

import coro_sor
from benchmarks.bench import PEERS, iterating, median_of
from coro_sor.problem import load_problem

__all__ = ['report_solves']

RTOL = 1e-8
SWEEPS = 3000       # at which the C program gives up: nothing makes it converge where A is not dominant
LIBRARIES = (('numpy solve, 2 threads', 'solve', 2), ('numpy solve, 1 thread', 'solve', 1),
             ('scipy Cholesky, 2 threads', 'cholesky', 2), ('scipy cg, 2 threads', 'cg', 2))
PHASES = ('start', 'load', 'distribute', 'iterate', 'verify', 'collect', 'rest', 'stop')


def report_solves(bench, spec):
    """Measure and print whole solves of one system by all rivals."""
    problem = load_problem(problem=spec)
    A, b, path = problem.all_rows(), problem.b, os.path.join(bench.folder, 'system')
    with open(path, 'wb') as file:
        A.tofile(file)
        b.tofile(file)
    threshold = RTOL * float(np.linalg.norm(b))
    programs, rounds = build_peers(bench.folder), []
    for _ in range(bench.chosen.runs):
        ours = bench.value(solve_ours, A, b, threshold)
        rivals = {name: bench.value(solve_in_c, program, path, len(b), threshold) for name, program in programs}
        for name, method, threads in LIBRARIES:
            rivals[name] = bench.value(solve_by_library, path, len(b), method, threads, threshold)
        rounds.append({'ours': ours, 'rivals': rivals})
    return _show(spec, rounds)


def build_peers(folder):
    """Compile the C programs; returns their names and paths."""
    subprocess.run(['make', '-s', '-C', PEERS, 'BUILD=' + folder], check=True)
    return [('C, 2 threads, -O2', os.path.join(folder, 'async_sor')),
            ('C, 2 threads, best flags', os.path.join(folder, 'async_sor_best'))]


def solve_ours(A, b, threshold):
    """Seconds of a solve by workers that run, and of all that is not sweeping."""
    began = time.perf_counter()
    with coro_sor.Cluster(workers=2) as cluster:
        started = time.perf_counter()
        solution = cluster.solve(A, b, rtol=RTOL)
        solved = time.perf_counter()
    ended = time.perf_counter()
    if not (solution.converged and np.linalg.norm(b - A @ solution.x) <= 1.01 * threshold):
        sys.exit('ours ended with %s: %s' % (solution.status, solution.report['failure']))
    phases = dict(solution.report['seconds'], start=started - began, stop=ended - solved)
    phases['rest'] = solved - started - sum(solution.report['seconds'].values())
    return {'solve': solved - started, 'wall': ended - began, 'phases': phases, 'sweeps': solution.sweeps,
            'iterate and verify': iterating(solution), 'all but sweeps': ended - began - phases['iterate'],
            'method': '%(schedule)s, %(order)s order' % solution.report}


def solve_in_c(program, path, n, threshold):
    """Seconds of the C program's solve; infinity where it did not converge."""
    command = [program, path, str(n), '2', repr(RTOL), str(SWEEPS)]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    answer = json.loads(re.sub(r'-?\b(nan|inf)\b', 'null', text))
    norm = answer['residual_norm']
    return answer['seconds'] if norm is not None and norm <= threshold else math.inf


def solve_by_library(path, n, method, threads, threshold):
    """Seconds of a library's solve by so many threads."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith('_NUM_THREADS')}
    environment['OPENBLAS_NUM_THREADS'] = environment['MKL_NUM_THREADS'] = str(threads)
    command = [sys.executable, os.path.join(PEERS, 'library_solve.py'), path, str(n), method, repr(RTOL)]
    text = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout
    seconds, norm = map(float, text.split())
    # cg stops on a residual that it updates, which differs from the true one by rounding.
    if not norm <= 1.01 * threshold:
        sys.exit('%s left a residual of %g' % (method, norm))
    return seconds


def _show(spec, rounds):
    result = {'system': spec, 'rtol': RTOL, 'rounds': rounds, 'ours': {}, 'rivals': {}, 'phases': {}}
    print('\nWhole solves of %s, rtol %g, 2 workers or threads (medians of %d runs in turn); ours: %s\n'
          % (spec, RTOL, len(rounds), rounds[-1]['ours']['method']))
    for name in ('solve', 'iterate and verify', 'all but sweeps', 'wall', 'sweeps'):
        value = result['ours'][name] = median_of(rounds, lambda each: each['ours'][name])
        print('  ours, %-20s %10.3f%s' % (name, value, '' if name == 'sweeps' else ' s'))
    print('\n  %-26s %10s %25s %18s' % ('rival', 'seconds', 'iterate and verify/rival', 'whole solve/rival'))
    for name in rounds[0]['rivals']:
        seconds = median_of(rounds, lambda each: each['rivals'][name])
        ratios = [median_of(rounds, lambda each: each['ours'][part] / each['rivals'][name])
                  for part in ('iterate and verify', 'solve')]
        result['rivals'][name] = {'seconds': seconds, 'ratios': ratios}
        if math.isinf(seconds):
            print('  %-26s %10s in %d sweeps' % (name, 'diverges or does not converge', SWEEPS))
        else:
            print('  %-26s %10.3f %25.2f %18.2f' % (name, seconds, *ratios))
    for name in PHASES:
        result['phases'][name] = median_of(rounds, lambda each: each['ours']['phases'][name])
    print('\n  our seconds by phase: ' + ', '.join('%s %.3f' % item for item in result['phases'].items()))
    return result
