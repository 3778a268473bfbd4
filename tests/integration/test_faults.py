"""Real worker processes are killed, stopped, and come late: the run goes on to the right answer, and leaves nothing."""
import contextlib
import os
import pathlib
import random
import signal
import sys
import threading
import time

import numpy as np
import pytest

from coro_sor.addresses import free_port
from coro_sor.problem import load_problem
from coro_sor.problems import poisson2d
from coro_sor.solution import Status
from processes import children_of, is_alive, node_pids, wait_until
from runs import local_cluster, memfds_of, node, outcome, secret_file, solve_command, tidy  # noqa: F401  (fixtures)

sys.path.append(str(pathlib.Path(__file__).parents[2] / 'scripts'))

import kill_workers  # noqa: E402

SCHEDULES = ('async', 'sync', 'ordered')
SYSTEM = load_problem(problem='poisson2d:128')


class Once:
    """An observer that does something as soon as a phase begins, once.

    Attributes
    ----------
    phases : list of str
        Those that have begun.
    """

    def __init__(self, phase, action):
        self._phase, self._action = phase, action
        self.phases = []

    def __call__(self, record):
        if self.phases[-1:] != [record.phase]:
            self.phases.append(record.phase)
            if record.phase == self._phase and self._action is not None:
                action, self._action = self._action, None
                action()


def workers_of(cluster):
    return children_of(cluster._local.pid)


def send(number, *pids):
    for pid in pids:
        os.kill(pid, number)


def assert_right(solution, problem=SYSTEM, rtol=1e-8):
    assert solution.converged, solution.report['failure']
    r = problem.b - problem.all_rows().matvec(solution.x)
    assert np.linalg.norm(r) <= 1.001 * rtol * np.linalg.norm(problem.b)


# ---- killed

@pytest.mark.timeout(240)
def test_thirty_workers_that_are_killed_at_any_moment_do_no_harm(tidy):  # noqa: F811
    draw, kills, landed = random.Random(4), 0, set()
    while kills < 30 or landed < set(kill_workers.PHASES):
        kind, size, options, workers, moments = kill_workers.draw_run(
            draw, [phase for phase in kill_workers.PHASES if phase not in landed] or kill_workers.PHASES)
        with local_cluster(tidy, workers) as cluster:
            # It raises where the answer is not right.
            _, killer, _ = kill_workers.solve(cluster, kill_workers.system(kind, size, kills), options, moments, draw)
        kills += len(killer.kills)
        landed |= {phase for _, phase, _ in killer.kills}


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_a_killed_worker_comes_back_and_gets_its_rows_again(tidy, schedule):  # noqa: F811
    with local_cluster(tidy) as cluster:
        before = set(workers_of(cluster))
        observe = Once('iterate', lambda: send(signal.SIGKILL, min(before)))
        solution = cluster.solve(SYSTEM, blocks=2, omega=1.5, schedule=schedule, observe=observe)
        assert_right(solution)
        loss, = solution.report['recoveries']
        assert 'signal SIGKILL' in loss['reason'] and 'rows ' in loss['reason'] and loss['phase'] == 'iterate'
        # As many are at work as before, one of them new.
        at_work = {worker['pid'] for worker in solution.report['workers']}
        assert len(at_work) == 2 and len(at_work - before) == 1 and at_work <= set(workers_of(cluster))


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_all_workers_killed_at_once_come_back_and_the_run_goes_on(tidy, schedule):  # noqa: F811
    with local_cluster(tidy) as cluster:
        observe = Once('iterate', lambda: send(signal.SIGKILL, *workers_of(cluster)))
        solution = cluster.solve(SYSTEM, blocks=2, omega=1.5, schedule=schedule, observe=observe)
        assert_right(solution)
        assert len(solution.report['recoveries']) == 2
        assert_right(cluster.solve(SYSTEM, omega=1.8))      # and the cluster is as good as before


def test_a_node_that_is_killed_with_its_supervisor_ends_the_run_with_the_best_x(tidy):  # noqa: F811
    with local_cluster(tidy) as cluster:
        pids = node_pids(cluster._local.pid)
        observe = Once('iterate', lambda: send(signal.SIGKILL, *pids))
        solution = cluster.solve(SYSTEM, blocks=2, omega=1.5, observe=observe, patience=1.5, lease=3.0)
        assert solution.status is Status.WORKERS_LOST
        assert 'no worker is left' in solution.report['failure']['text']
        r = SYSTEM.b - SYSTEM.all_rows().matvec(solution.x)
        assert np.linalg.norm(r) == pytest.approx(solution.residual_norm)
        assert not any(map(is_alive, pids))


# ---- stopped

def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat') as file:
        fields = file.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_a_worker_that_is_stopped_for_five_seconds_is_not_thrown_out(tidy, schedule):  # noqa: F811
    with local_cluster(tidy) as cluster, contextlib.ExitStack() as stack:
        stopped, other = workers_of(cluster)

        def stall():
            send(signal.SIGSTOP, stopped)
            stack.callback(wait_and_go_on, cpu_seconds(other))

        def wait_and_go_on(spent):
            if schedule == 'async':
                wait_until(lambda: cpu_seconds(other) > spent + 0.2, 'the other worker goes on meanwhile')
            time.sleep(5.0)     # the event itself
            send(signal.SIGCONT, stopped)

        observe, found = Once('iterate', stall), []
        thread = threading.Thread(target=lambda: found.append(cluster.solve(
            SYSTEM, blocks=2, omega=1.5, schedule=schedule, observe=observe)))
        thread.start()
        wait_until(lambda: 'iterate' in observe.phases, 'it iterates')
        stack.close()
        thread.join(40.0)
        solution, = found
        assert_right(solution)
        assert solution.report['recoveries'] == []
        assert {worker['pid'] for worker in solution.report['workers']} == {stopped, other}


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_a_worker_that_is_stopped_for_longer_than_the_patience_is_thrown_out_and_does_no_harm(
        tidy, schedule):  # noqa: F811
    with local_cluster(tidy) as cluster:
        pid = workers_of(cluster)[0]

        def observe(record):
            stop(record)
            if 'recover' in stop.phases:
                go_on(record)       # as the run does, with the rows that it had
        stop = Once('iterate', lambda: send(signal.SIGSTOP, pid))
        go_on = Once('iterate', lambda: send(signal.SIGCONT, pid))
        solution = cluster.solve(SYSTEM, blocks=2, omega=1.5, schedule=schedule, observe=observe, patience=1.5,
                                 lease=3.0)
        assert_right(solution)
        loss = solution.report['recoveries'][0]
        assert 'silent' in loss['reason']
        assert is_alive(pid) and pid in workers_of(cluster)
        wait_until(lambda: not memfds_of(pid), 'what was thrown out frees its memory')
        assert_right(cluster.solve(SYSTEM, blocks=2, omega=1.8))


# ---- late

@pytest.mark.timeout(120)
@pytest.mark.parametrize('schedule', SCHEDULES)
def test_a_node_that_starts_while_a_run_is_on_takes_part(tidy, secret_file, tmp_path, schedule):  # noqa: F811
    port, report, checkpoint = free_port('127.0.0.1'), tmp_path / 'r.json', tmp_path / 'c'
    with node(tidy, secret_file) as (first, _):
        late = '127.0.0.1:%d' % port
        process = solve_command(
            '--problem', 'poisson2d:200', '--omega', 1.6, '--blocks', 8, '--schedule', schedule, '--nodes',
            '%s,%s' % (first, late), '--secret-file', secret_file, '--connect-timeout', 1, '--patience', 3, '--report',
            report, '--output', tmp_path / 'x.npy', '--checkpoint', checkpoint, '--checkpoint-every', 0.2)
        try:
            wait_until(checkpoint.exists, 'it iterates')
            with node(tidy, secret_file, port=port):
                status, errors, told = outcome(process, report)
        finally:
            process.kill()
    assert (status, errors) == (0, '')
    assert {worker['node'] for worker in told['workers']} == {first, late}
    assert any('shared out anew' in note for note in told['notes']) and told['recoveries'] == []
    r = 1 - poisson2d(200).matvec(np.load(tmp_path / 'x.npy'))
    assert np.linalg.norm(r) <= 1.001e-8 * 200
