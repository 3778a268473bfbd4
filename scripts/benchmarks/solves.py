"""`solves`: Poisson's equation by SOR at its best omega, against PETSc's SOR, and against its multigrid."""
import math
import sys

from benchmarks.bench import Table, iterating, median_of
from benchmarks.petsc import Petsc, write_system
from coro_sor.problem import load_problem

__all__ = ['add_arguments', 'best_omega', 'measure']

RTOL = 1e-8
SEARCH_RTOL = 1e-4
LOWEST, HIGHEST = 1.9, 1.999       # omega that is searched
RANKS = (1, 2)
COLUMNS = [('what', 'what', '%-38s'), ('omega', 'omega', '%7.4f'), ('sweeps', 'sweeps', '%7d'),
           ('seconds', 'seconds', '%8.3f'), ('setup', 'set-up', '%7.3f'),
           ('ours_to', 'ours, 2 workers, to it', '%22.2f')]


def add_arguments(command):
    """Arguments of this command."""
    command.add_argument('--system', default='poisson2d:512', metavar='SPEC')
    command.add_argument('--evaluations', type=int, default=9, metavar='N', help='of the search for omega')
    command.add_argument('--limit', type=int, default=20000, metavar='SWEEPS', help='of one solve')


def measure(bench):
    """Search omega for each side, then solve in turn."""
    chosen, petsc = bench.chosen, Petsc()
    problem = load_problem(problem=chosen.system)
    write_system(problem, bench.folder)
    sides = {('ours', 2): Ours(bench, problem, 2), ('ours', 1): Ours(bench, problem, 1)}
    if petsc.version:
        sides.update({('PETSc', ranks): Rival(bench, petsc, ranks) for ranks in RANKS})
    print('\n%s: omega with the fewest sweeps to %g, by the same search for each\n' % (chosen.system, SEARCH_RTOL))
    found = {}
    for key, side in sides.items():
        # Ours is the same SOR on any number of workers.
        found[key] = found[('ours', 2)] if key == ('ours', 1) else best_omega(side.sweeps, chosen)
        print('  %s, %d: omega %.4f, %d sweeps' % (*key, *found[key][:2]), flush=True)
    omegas = {key: search[0] for key, search in found.items()}
    rounds = [_measure_round(sides, omegas) for _ in range(chosen.runs)]
    return {'system': chosen.system, 'petsc': petsc.version, 'rounds': [[[*key, run] for key, run in each.items()]
                                                                        for each in rounds],
            'search': [[*key, *search] for key, search in found.items()], 'lines': _show(chosen, rounds, omegas)}


def best_omega(sweeps_at, chosen):
    """Golden section search for the omega with the fewest sweeps, on a logarithmic scale of 2 - omega.

    Parameters
    ----------
    sweeps_at : callable
        ``sweeps_at(omega, limit)`` is the number of sweeps, infinity where it would be more than `limit`.
    chosen : argparse.Namespace
        Has ``evaluations`` and ``limit``.

    Returns
    -------
    omega : float
    sweeps : float
    tried : list of (float, float)
        All omega, and their sweeps.
    """
    golden = (math.sqrt(5) - 1) / 2
    low, high = math.log(2 - HIGHEST), math.log(2 - LOWEST)
    tried = []

    def look(point):
        omega = 2 - math.exp(point)
        # What is worse than the best so far need not be known any better.
        limit = min([chosen.limit] + [int(sweeps) for _, sweeps in tried if sweeps < math.inf])
        tried.append((omega, sweeps_at(omega, limit)))
        return tried[-1][1]

    left, right = high - golden * (high - low), low + golden * (high - low)
    at_right, at_left = look(right), look(left)     # too low an omega costs less than too high a one
    for _ in range(chosen.evaluations - 2):
        # Where neither ends, omega is too high.
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = look(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = look(right)
    omega, sweeps = min(tried, key=lambda each: each[1])
    if math.isinf(sweeps):
        sys.exit('no omega reached %g in %d sweeps' % (SEARCH_RTOL, chosen.limit))
    return omega, sweeps, tried


# ---- the two sides


class Ours:
    """coro_sor on some workers."""

    def __init__(self, bench, problem, workers):
        self._bench, self._problem = bench, problem
        self._cluster = bench.cluster(workers)

    def _solve(self, **options):
        solution = self._cluster.solve(self._problem, **options)
        if solution.report['failure']:
            sys.exit('ours: %s' % solution.report['failure']['text'])
        return solution

    def sweeps(self, omega, limit):
        """Sweeps to the rtol of the search; infinity if more than `limit`."""
        solution = self._solve(omega=omega, rtol=SEARCH_RTOL, max_sweeps=limit)
        return _needed(solution) if solution.converged else math.inf

    def runs(self, omega):
        """By name: one run of each way to solve it."""
        def run():
            solution = self._solve(omega=omega, rtol=RTOL, max_sweeps=self._bench.chosen.limit)
            return {'seconds': iterating(solution), 'sweeps': _needed(solution), 'converged': solution.converged,
                    'method': solution.report['schedule'], 'blocks': solution.report['blocks']}
        return {'': self._bench.value(run)}


class Rival:
    """PETSc on some ranks."""

    METHODS = (('richardson', ', Richardson + SOR'), ('batches', ', SOR, residual each 20th sweep'),
               ('multigrid', ', cg + multigrid (gamg)'))

    def __init__(self, bench, petsc, ranks):
        self._bench, self._petsc, self._ranks = bench, petsc, ranks

    def _run(self, method, omega, rtol, limit):
        return self._petsc.run(self._ranks, 'petsc_solve.py', self._bench.folder, method, omega, rtol, limit)

    def sweeps(self, omega, limit):
        """As of `Ours`."""
        answer = self._run('batches', omega, SEARCH_RTOL, limit)
        return answer['sweeps'] if answer['converged'] else math.inf

    def runs(self, omega):
        """As of `Ours`."""
        limit = self._bench.chosen.limit
        return {name: self._bench.value(self._run, method, omega, RTOL, limit) for method, name in self.METHODS}


def _needed(solution):
    return solution.report['sweeps_needed'] or solution.sweeps


# ---- rounds


def _measure_round(sides, omegas):
    """One run of everything: by (side, workers or ranks, way)."""
    return {(*key, name): run for key, side in sides.items() for name, run in side.runs(omegas[key]).items()}


def _show(chosen, rounds, omegas):
    """Print the table; returns its lines."""
    print('\nSolves to ||b - A x|| <= %g ||b|| (medians of %d runs in turn); seconds of iterating, the residual at'
          '\nthe end included, start-up and set-up apart.\n' % (RTOL, chosen.runs))
    table, lines = Table(COLUMNS), []
    for key in rounds[0]:
        side, count, way = key
        runs = [each[key] for each in rounds]
        line = {'what': '%s, %d%s' % key, 'sweeps': median_of(runs, lambda run: run['sweeps']),
                'omega': None if 'multigrid' in way else omegas[side, count]}
        if all(run['converged'] for run in runs):
            line['seconds'] = median_of(runs, lambda run: run['seconds'])
            line['setup'] = median_of(runs, lambda run: run.get('setup'))
            line['ours_to'] = median_of(rounds, lambda each: each['ours', 2, '']['seconds'] / each[key]['seconds'])
        else:
            line['what'] += ' did not converge'
        table.show(line)
        lines.append(line)
    return lines
