#!/usr/bin/env python3
"""Kills worker processes with signal 9 while systems are solved, and checks every answer.

    python scripts/kill_workers.py --kills 100 --seed 1

Some are killed exactly when a phase of the run begins, the others a moment later. A kill is survived where the run
converges, NumPy finds the residual of its x below the threshold, x is right, and no process is left. The exit status is
1 where one is not. "Seconds lost" are those from the kill until all owners have their rows again, and those of the
sweeps that were done again: what the run took more than one that nobody disturbed, shared by the kills in it.
"""
import os

os.environ.update(OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')   # read when numpy is imported

import argparse  # noqa: E402
import contextlib  # noqa: E402
import random  # noqa: E402
import signal  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import numpy as np  # noqa: E402

PHASES = ('distribute', 'iterate', 'verify', 'collect', 'recover')
SCHEDULES = ('async', 'sync', 'ordered')
RTOL = 1e-9
_LIMIT = 120.0      # seconds that one solve may take


class NotSurvived(Exception):
    """A run did not end with the right answer, or left something behind."""


class Killer:
    """Kills worker processes of one node while a system is solved; is called as `observe`.

    Parameters
    ----------
    supervisor : int
        Process id.
    moments : list of (str, int, float)
        One kill after the other, each so many seconds after its phase begins, having begun so many times before since
        the last kill; with 0 seconds it happens in the coordinator's own thread, before the phase does anything.
    draw : random.Random
        Chooses the worker process.

    Attributes
    ----------
    kills : list of (float, str, int)
        When, in which phase, and the port of the process.
    phases : list of (float, str)
        When each phase began.
    """

    def __init__(self, supervisor, moments, draw):
        self.kills, self.phases = [], []
        self._supervisor, self._moments, self._draw = supervisor, list(moments), draw
        self._timer = None
        self._begun = 0

    def __call__(self, record):
        if self.phases and record.phase == self.phases[-1][1]:
            return
        self.phases.append((time.monotonic(), record.phase))
        if not self._moments or record.phase != self._moments[0][0]:
            return
        self._begun += 1
        _, before, delay = self._moments[0]
        if self._begun == before + 1:
            if delay:
                self._timer = threading.Timer(delay, self._kill)
                self._timer.start()
            else:
                self._kill()

    def stop(self):
        """Kill nobody more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    def _kill(self):
        children = {pid: port_of(pid) for pid in children_of(self._supervisor)}
        ready = [pid for pid, port in children.items() if port]
        if ready:
            pid = self._draw.choice(sorted(ready))
            self.kills.append((time.monotonic(), self.phases[-1][1], children[pid]))
            os.kill(pid, signal.SIGKILL)
        self._begun = 0
        del self._moments[0]


# ---- what there is to solve

def system(kind, size, seed):
    """(Problem, function that multiplies with A, x) of a grid or a dense system."""
    from coro_sor.problem import Problem, load_problem
    draw = np.random.default_rng(seed)
    if kind == 'dense':
        half = draw.standard_normal((size, size)) / np.sqrt(size)
        A = half @ half.T + np.eye(size)
        x = draw.standard_normal(size)
        return Problem(A, A @ x), A.__matmul__, x
    made = load_problem(problem='poisson2d:%d' % size)
    x = draw.standard_normal(made.n)

    def times(x):
        v = x.reshape(size, size)
        w = 4.0 * v
        w[1:] -= v[:-1]
        w[:-1] -= v[1:]
        w[:, 1:] -= v[:, :-1]
        w[:, :-1] -= v[:, 1:]
        return w.ravel()
    return Problem(made.all_rows(), times(x)), times, x


def draw_run(draw, phases=PHASES):
    """(kind, size, options, workers, moments) of one run with one to three kills."""
    kind = draw.choice(['poisson2d', 'poisson2d', 'poisson2d', 'dense'])
    size = draw.choice([128, 160, 200]) if kind == 'poisson2d' else draw.choice([1500, 2000])
    schedule, workers = draw.choice(SCHEDULES), draw.choice([2, 2, 3])
    options = {'schedule': schedule, 'blocks': workers if schedule == 'sync' else 2 * workers,
               'omega': {128: 1.9, 160: 1.92, 200: 1.94}.get(size, 1.0)}
    moments = [draw_moment(draw, phases) for _ in range(draw.randint(1, 2))]
    # There is no recovery before a loss.
    if moments[0][0] == 'recover':
        moments.insert(0, draw_moment(draw, ('iterate', 'verify')))
    order = {'distribute': 0, 'collect': 2}
    return kind, size, options, workers, sorted(moments, key=lambda moment: order.get(moment[0], 1))


def draw_moment(draw, phases=PHASES):
    """A phase, how many times it begins before, and seconds after it begins."""
    phase = draw.choice(phases)
    delay = {'iterate': draw.choice([0.0, draw.uniform(0.01, 0.6)]), 'distribute': draw.choice([0.0, 0.02]),
             'recover': draw.choice([0.0, draw.uniform(0.01, 0.3)])}
    return phase, draw.choice([0, 1, 2]) if phase in ('iterate', 'verify') else 0, delay.get(phase, 0.0)


def solve(cluster, made, options, moments, draw):
    """Solve while workers are killed; (solution, Killer, seconds).

    Raises
    ------
    NotSurvived
    """
    problem, times, x = made
    killer = Killer(cluster._local.pid, moments, draw)
    began = time.monotonic()
    try:
        solution = cluster.solve(problem, rtol=RTOL, time_limit=_LIMIT, observe=killer, **options)
    finally:
        killer.stop()
    took = time.monotonic() - began
    if not solution.converged:
        raise NotSurvived('ended with %s: %s' % (solution.status, solution.report['failure']))
    true = np.linalg.norm(problem.b - times(solution.x))
    if not true <= 1.001 * RTOL * np.linalg.norm(problem.b):
        raise NotSurvived('the residual is %g, not %g' % (true, solution.residual_norm))
    if not np.linalg.norm(solution.x - x) <= 1e-4 * np.linalg.norm(x):
        raise NotSurvived('x is wrong by %g' % np.linalg.norm(solution.x - x))
    return solution, killer, took


# ---- what came of it

def lost_to_each(killer, solution, calm):
    """Seconds lost to each kill of a run: [(phase, port, seconds until rows were there, seconds of sweeps)].

    Parameters
    ----------
    killer : Killer
    solution, calm : Solution
        Of this run, and of one that nobody disturbed.
    """
    pace = solution.report['seconds']['iterate'] / solution.sweeps
    again = max(0.0, solution.sweeps - calm.sweeps) * pace / max(1, len(killer.kills))
    told = []
    for at, phase, port in killer.kills:
        busy = 'distribute' if phase == 'distribute' else 'recover'
        ends = [moment for (_, before), (moment, _) in zip(killer.phases, killer.phases[1:])
                if before == busy and moment > at]
        told.append((phase, port, ends[0] - at if ends else 0.0, again))
    return told


def had_rows(solution, phase, port):
    """Whether a process that was killed was of use to the run: one that had just been started may not be."""
    return phase == 'distribute' or any(':%s on node' % port in one['reason'] for one in solution.report['recoveries'])


def children_of(pid):
    """Process ids of the living children of a process."""
    found = []
    for name in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError):
            with open('/proc/%s/stat' % name) as file:
                state, parent = file.read().rpartition(')')[2].split()[:2]
            if int(parent) == pid and state not in 'ZX':
                found.append(int(name))
    return found


def port_of(pid):
    """The port of a worker process; None where it is no worker process yet."""
    with contextlib.suppress(OSError), open('/proc/%d/cmdline' % pid) as file:
        words = file.read().split('\0')
        if '--child' in words:
            return words[words.index('--port') + 1]
    return None


def check_nothing_left(before):
    """Wait until this process has only the children that it had before."""
    end = time.monotonic() + 10.0
    while set(children_of(os.getpid())) - before:
        if time.monotonic() > end:
            raise NotSurvived('processes are left: %s' % (set(children_of(os.getpid())) - before))
        time.sleep(0.02)


def one_run(number, draw, phases, calm):
    """Start workers, solve while they are killed, end them; [(phase, had rows, until rows, sweeps again)]."""
    import coro_sor
    kind, size, options, workers, moments = draw_run(draw, phases)
    made, before = system(kind, size, number % 2), set(children_of(os.getpid()))
    key = (kind, size, number % 2, workers, options['schedule'])
    with coro_sor.Cluster(workers=workers) as cluster:
        if key not in calm:
            calm[key], _, _ = solve(cluster, made, options, [], draw)
        solution, killer, took = solve(cluster, made, options, moments, draw)
    check_nothing_left(before)
    told = [(phase, had_rows(solution, phase, port), until, again)
            for phase, port, until, again in lost_to_each(killer, solution, calm[key])]
    print('%4d  %-9s %5d  %-8s %d workers  %5.2f s  %5.0f sweeps (%5.0f)  %s' % (
        number, kind, size, options['schedule'], workers, took, solution.sweeps, calm[key].sweeps, ', '.join(
            '%s%s %.2f + %.2f s' % (phase, '' if rows else ' (idle)', until, again)
            for phase, rows, until, again in told)), flush=True)
    return told


def main():
    parser = argparse.ArgumentParser(description='Kill worker processes while systems are solved; check every answer.')
    parser.add_argument('--kills', type=int, default=100, metavar='N', help='of processes at work (default: 100)')
    parser.add_argument('--seed', type=int, default=0, metavar='S')
    chosen = parser.parse_args()
    draw, calm, kills, number, failed = random.Random(chosen.seed), {}, [], 0, 0
    print(' run  system           schedule              took          (undisturbed)  kills: until rows were there '
          '+ sweeps again')
    while sum(kill[1] for kill in kills) < chosen.kills and failed < 10:
        number += 1
        counts = {phase: sum(kill[0] == phase and kill[1] for kill in kills) for phase in PHASES}
        rare = sorted(PHASES, key=lambda phase: counts[phase])[:3]
        try:
            kills += one_run(number, draw, rare, calm)
        except NotSurvived as problem:
            failed += 1
            print('%4d  NOT SURVIVED: %s' % (number, problem), flush=True)
    print_table(kills, failed)
    return 1 if failed else 0


def print_table(kills, failed):
    """Kills by phase, and seconds lost to them."""
    print('\nphase        kills   median s   largest s')
    for phase in (*PHASES, 'all'):
        lost = [until + again for at, rows, until, again in kills if rows and phase in (at, 'all')]
        if lost:
            print('%-10s %7d %10.2f %11.2f' % (phase, len(lost), statistics.median(lost), max(lost)))
    idle = sum(not rows for _, rows, _, _ in kills)
    print('\n%d survived, %d more of processes that had no rows, %d runs not survived' % (
        len(kills) - idle, idle, failed))


if __name__ == '__main__':
    sys.exit(main())
