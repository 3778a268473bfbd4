"""Whole solves on the simulator: the answer is right, its residual is true, and each ends as it should."""
import math

import numpy as np
import pytest

from campaign import EXCHANGES, World, assert_honest, dense, each_step, residual_norm, solve, sparse
from coro_sor.block import _HANDLERS, BlockOwner
from coro_sor.holding import Holding
from coro_sor.incoming import Incoming
from coro_sor.kernels import DenseKernel
from coro_sor.messages import Collect
from coro_sor.problem import Problem
from coro_sor.problems import poisson2d, random_dense
from coro_sor.simulation import Network
from coro_sor.simulation.pool import Pool
from coro_sor.solution import Status
from coro_sor.sweeping import Sweeper

SCHEDULES = ('async', 'sync', 'ordered')


def right_hand_side(A, seed=0):
    return np.random.default_rng(seed).standard_normal(len(dense(A)))


def nonsymmetric(n, seed, share=1.0):
    """Strictly diagonally dominant by rows; a `share` of the entries is not zero."""
    draw = np.random.default_rng(seed)
    A = draw.uniform(-1, 1, (n, n)) * (draw.random((n, n)) < share)
    np.fill_diagonal(A, 0)
    np.fill_diagonal(A, 1.2 * np.abs(A).sum(axis=1) + 0.1)
    return A


def neumann(n):
    """The singular Laplacian of a path; A @ ones is 0."""
    A = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    A[0, 0] = A[-1, -1] = 1
    return A


ONE_WAY = np.array([[2.0, 0, 0, 0], [1, 2, 0, 0], [1, 0, 3, 0], [0, 1, 1, 4]])
MATRICES = {
    'dense': random_dense(60, 1), 'sparse': poisson2d(9), 'nonsymmetric': nonsymmetric(50, 2),
    'sparse and nonsymmetric': sparse(nonsymmetric(40, 3, 0.1)),
    'one row': np.array([[4.0]]), 'two rows': np.array([[2.0, 1.0], [1.0, 3.0]]), 'diagonal': np.diag([1.0, 2.0, 5.0]),
    'one block needs nothing of the other': ONE_WAY, 'sparse, one block needs nothing of the other': sparse(ONE_WAY),
    'no block needs another': sparse(np.diag([1.0, 2.0, 5.0])),
}


# ---- the answer

@pytest.mark.parametrize('exchange', EXCHANGES)
@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('blocks, workers', [(1, 1), (3, 3), (7, 3), (2, 4)])
@pytest.mark.parametrize('name', MATRICES)
def test_the_answer_is_that_of_a_direct_solver(name, blocks, workers, schedule, exchange):
    A = MATRICES[name]
    b = right_hand_side(A)
    record = solve(Problem(A, b), workers=workers, cost=each_step(1e-3), schedule=schedule, blocks=blocks, rtol=1e-11,
                   panel_nonzeros=300, exchange=exchange)
    assert record.status is Status.CONVERGED
    assert_honest(A, b, record, rtol=1e-11)
    expected = np.linalg.solve(dense(A), b)
    assert np.abs(record.x - expected).max() <= 1e-8 * np.abs(expected).max()


@pytest.mark.parametrize('nodes, exchange', [(1, 'messages'), (1, 'shared'), (2, 'shared')])
@pytest.mark.parametrize('bound', [1, 2, 3])
def test_no_value_that_a_sweep_begins_with_is_older_than_the_bound(bound, nodes, exchange, monkeypatch):
    """A sweep adds 1 to every entry of x that it passes, so that x itself tells how old it is."""
    frozen, worst = {}, []
    residual, before = Holding.residual, Sweeper.before

    def note_frozen(self):
        frozen[self] = self.x.copy()
        return residual(self)

    def note_before(self, block, panel, turn):
        before(self, block, panel, turn)
        if panel == 0:
            holding = self._holding
            passes = np.delete(holding.x - frozen[holding], np.s_[holding.start:holding.stop])
            worst.append(turn - self._turn - passes.min())

    def count(self, x, panel, *args):
        lo, hi = self._panels[panel]
        x[self._start + lo:self._start + hi] += 1
        return 1e8

    monkeypatch.setattr(Holding, 'residual', note_frozen)
    monkeypatch.setattr(Sweeper, 'before', note_before)
    monkeypatch.setattr(DenseKernel, 'sweep', count)
    network = Network(delay=1e-3, jitter=3.0, lost=0.05, reply_lost=0.05, stall=0.2)
    A = random_dense(400, 3)        # blocks of three panels
    record = solve(Problem(A, np.full(400, 1e6)), 5, workers=3, faults=network, nodes=nodes, piecemeal=True,
                   max_staleness=bound, panel_nonzeros=400, patience=100.0, lease=300.0, chunk_bytes=4096,
                   exchange=exchange, plain_omega=True, max_sweeps=100)
    assert record.status is Status.MAX_SWEEPS and len(worst) > 250
    assert max(worst) == bound


@pytest.mark.parametrize('exchange', EXCHANGES)
@pytest.mark.parametrize('schedule', SCHEDULES)
def test_a_consistent_singular_system_is_solved(schedule, exchange):
    A = neumann(12)
    b = A @ np.arange(12.0)
    record = solve(Problem(A, b), workers=2, schedule=schedule, exchange=exchange)
    assert record.status is Status.CONVERGED
    assert_honest(A, b, record)


def test_a_right_hand_side_of_zeros_gives_zeros_without_any_owner():
    record = solve(Problem(np.eye(3), np.zeros(3)))
    assert record.status is Status.CONVERGED and not record.x.any() and not record.owners


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_a_start_that_is_the_solution_needs_no_sweep(schedule):
    A = random_dense(20, 1)
    x = np.arange(20.0)
    record = solve(Problem(A, A @ x, x0=x), schedule=schedule)
    assert record.status is Status.CONVERGED and record.sweeps == 0 and len(record.looks) == 1
    assert np.array_equal(record.x, x)


def test_an_x_that_is_not_the_verified_one_is_not_returned(monkeypatch):
    collect = BlockOwner._collect

    def garbled(self, request, before):
        values = collect(self, request, before)
        values.values[-1] += 1e-9
        return values

    monkeypatch.setitem(_HANDLERS, Collect, garbled)
    record = solve(Problem(random_dense(20, 1), np.ones(20)))
    assert record.status is Status.WORKERS_LOST
    assert 'rows 0 to 9 of x that arrived are not those that were verified' in str(record.failure)


# ---- how it ends

def indefinite(n=24):
    A = np.random.default_rng(3).standard_normal((n, n))
    A = A + A.T
    np.fill_diagonal(A, 1.0)
    return A


def strongly_nonsymmetric(n=24):
    A = np.triu(np.full((n, n), 3.0)) - np.tril(np.full((n, n), 3.0))
    np.fill_diagonal(A, 1.0)
    return A


@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('A', [indefinite(), strongly_nonsymmetric()], ids=['indefinite', 'strongly nonsymmetric'])
@pytest.mark.parametrize('omega', [0.5, 1.0, 1.9])
@pytest.mark.parametrize('exchange', EXCHANGES)
def test_where_sor_diverges_the_end_is_honest_and_finite(exchange, omega, A, schedule):
    b = right_hand_side(A)
    record = solve(Problem(A, b), workers=3, schedule=schedule, omega=omega, max_sweeps=3000, exchange=exchange)
    assert_honest(A, b, record)
    assert record.status is Status.DIVERGED
    assert math.isfinite(record.residual_norm) and record.residual_norm <= 1e4 * np.linalg.norm(b)


@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('most', [1, 7, 40])
@pytest.mark.parametrize('exchange', EXCHANGES)
def test_no_more_sweeps_are_done_than_allowed(exchange, most, schedule, monkeypatch):
    updates = [0]
    count = Sweeper.count

    def note(self, tasks):
        before = self.updates
        count(self, tasks)
        updates[0] += self.updates - before

    monkeypatch.setattr(Sweeper, 'count', note)
    A = poisson2d(12)
    b = right_hand_side(A)
    record = solve(Problem(A, b), workers=3, schedule=schedule, max_sweeps=most, panel_nonzeros=500,
                   exchange=exchange)
    assert record.status is Status.MAX_SWEEPS
    assert_honest(A, b, record)
    assert most - 1 < record.sweeps <= most and updates[0] == record.sweeps * 144


@pytest.mark.parametrize('exchange', EXCHANGES)
@pytest.mark.parametrize('schedule', SCHEDULES)
def test_the_time_limit_ends_it_with_the_best_x(schedule, exchange):
    A = poisson2d(20)
    b = right_hand_side(A)
    world = World(1, 2, cost=each_step(5e-3))
    record = world.solve(Problem(A, b), schedule=schedule, time_limit=1.0, rtol=1e-12, exchange=exchange)
    assert record.status is Status.TIME_LIMIT and 1.0 <= world.simulation.now < 2.0
    assert_honest(A, b, record, rtol=1e-12)
    assert record.residual_norm < np.linalg.norm(b)


@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('seconds', [0.0005, 0.003, 0.01, 0.1, 0.5])
@pytest.mark.parametrize('exchange', EXCHANGES)
def test_cancelling_ends_it_soon_at_any_moment_with_what_was_verified(exchange, seconds, schedule):
    A = poisson2d(20)
    b = right_hand_side(A)
    world = World(1, 2, cost=each_step(5e-3))
    world.at(seconds, world.cancel)
    record = world.solve(Problem(A, b), schedule=schedule, rtol=1e-12, exchange=exchange)
    assert record.status is Status.CANCELLED and world.simulation.now < seconds + 1.0
    assert_honest(A, b, record, rtol=1e-12)


@pytest.mark.parametrize('exchange', EXCHANGES)
@pytest.mark.parametrize('schedule', SCHEDULES)
def test_a_threshold_below_rounding_ends_as_stagnated(schedule, exchange):
    A = poisson2d(8)
    b = right_hand_side(A)
    record = solve(Problem(A, b), workers=2, cost=each_step(1e-3), schedule=schedule, rtol=1e-17, max_sweeps=100_000,
                   exchange=exchange)
    assert record.status is Status.STAGNATED
    assert residual_norm(A, b, record.x) <= 1e-13 * np.linalg.norm(b)


# ---- long computations

@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('slow', ['make_plan', 'prepare', 'relax', 'sweep', 'residual'])
@pytest.mark.parametrize('exchange', EXCHANGES)
def test_a_computation_far_longer_than_the_patience_is_no_silence(exchange, slow, schedule):
    A = random_dense(20, 1)
    b = right_hand_side(A)
    world = World(1, 2, cost=each_step(0.1, **{slow: 30.0}))
    record = world.solve(Problem(A, b), until=5000.0, schedule=schedule, rtol=1e-3, patience=5.0, lease=15.0,
                         exchange=exchange)
    assert record.status is Status.CONVERGED, record.failure
    assert_honest(A, b, record, rtol=1e-3)
    assert world.simulation.now > 30.0


def test_a_coordinator_that_reads_slowly_keeps_its_owners():
    A = random_dense(20, 1)
    world = World(1, 2, cost=each_step(1e-3, rows=8.0))
    record = world.solve(Problem(A, right_hand_side(A)), patience=5.0, lease=12.0)
    assert record.status is Status.CONVERGED, record.failure


# ---- what it costs

def test_owners_that_run_flat_out_report_five_times_a_second_and_no_more(monkeypatch):
    from coro_sor.correspondence import Correspondence
    from coro_sor.messages import Report
    arrived = []
    take = Correspondence._take

    def note(self, message):
        if isinstance(message, Report):
            arrived.append((self.engine.now(), message.owner))
        take(self, message)

    monkeypatch.setattr(Correspondence, '_take', note)
    A = poisson2d(8)
    record = solve(Problem(A, right_hand_side(A)), workers=4, time_limit=4.0, rtol=1e-300, cost=each_step(1e-3))
    assert record.status in (Status.TIME_LIMIT, Status.STAGNATED)
    seconds = arrived[-1][0] - arrived[0][0]
    for owner in range(4):
        count = sum(1 for _, who in arrived if who == owner)
        assert count <= 6 * seconds + 10


def test_staged_versions_stay_few_where_one_side_never_reads(monkeypatch):
    """Rows of the first block read the second's and not the other way round; the first is ten times as slow."""
    most = [0]
    stage = Incoming._stage

    def note(self, *args):
        stage(self, *args)
        most[0] = max(most[0], len(self._staged))

    monkeypatch.setattr(Incoming, '_stage', note)
    def slowly(function, args):
        return 1e-2 if function.__name__ == 'sweep' and args[0][0][0] == 0 else 1e-4

    A = np.triu(nonsymmetric(40, 1))
    b = right_hand_side(A)
    for schedule in ('sync', 'ordered'):
        world = World(1, 2, cost=slowly)
        record = world.solve(Problem(sparse(A), b), schedule=schedule, rtol=1e-12, omega=0.5, exchange='messages')
        assert record.status is Status.CONVERGED
    assert 1 <= most[0] <= 8        # those of some sweeps that are handed to the pool thread together, and of two more


def test_computations_are_one_at_a_time_and_none_is_repeated_for_a_repeated_request(monkeypatch):
    """Requests that are repeated because answers were lost are carried out once."""
    names = []
    compute = Pool.compute

    def note(self, function, *args):
        names.append(function.__name__)
        return compute(self, function, *args)

    monkeypatch.setattr(Pool, 'compute', note)
    A = random_dense(30, 2)
    network = Network(reply_lost=0.4, late=0.2, stall=0.1, late_by=3.0)
    record = solve(Problem(A, right_hand_side(A)), 4, 3, faults=network, schedule='sync', patience=200.0, lease=500.0,
                   retry=0.2, delivery_timeout=0.5)
    assert record.status is Status.CONVERGED
    assert names.count('prepare') == 3
    assert names.count('residual') == 3 * len(record.looks)
