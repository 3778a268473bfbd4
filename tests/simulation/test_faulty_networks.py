"""Slow, lossy and dying machines cost time, never the answer; and nothing is left behind."""
import random

import numpy as np
import pytest

from campaign import EXCHANGES, World, assert_honest, dense, each_step, replayed
from coro_sor.holding import Holding
from coro_sor.links import Link
from coro_sor.problem import Problem
from coro_sor.problems import poisson2d, random_dense
from coro_sor.simulation import Network
from coro_sor.solution import Status

SCHEDULES = ('async', 'sync', 'ordered')
LONG = {'patience': 300.0, 'lease': 900.0}      # longer than the worst of these networks keeps anyone silent
SHORT = {'patience': 4.0, 'lease': 8.0, 'delivery_timeout': 3.0, 'retry': 0.5}


def drawn(draw, seed):
    """A matrix, a right-hand side, options, and how many workers on how many nodes."""
    A = draw.choice([lambda: poisson2d(draw.randint(2, 8)), lambda: random_dense(draw.randint(1, 60), seed),
                     lambda: random_dense(120, seed)])()
    workers = draw.randint(1, 4)
    options = {'schedule': draw.choice(SCHEDULES), 'omega': draw.choice([1.0, 1.3]),
               'blocks': draw.choice([workers, workers, 3, 7]), 'panel_nonzeros': draw.choice([100, 1000, 1_500_000]),
               'chunk_bytes': draw.choice([4096, 1 << 20]), 'exchange': draw.choice(EXCHANGES),
               'order': draw.choice(['auto', 'cyclic', 'symmetric', 'shuffled']),
               'exchange_every': draw.choice([None, None, 10])}
    if options['schedule'] == 'async':
        options['max_staleness'] = draw.choice([None, 1, 2, 3])
    nodes = draw.randint(1, min(2, workers))
    return A, np.random.default_rng(seed).standard_normal(len(dense(A))), options, workers, nodes


def chunks(count, size):
    return [range(first, first + size) for first in range(0, count, size)]


@pytest.mark.parametrize('seeds', chunks(240, 20), ids=str)
@replayed
def test_any_network_that_only_delays_and_loses_gives_the_answer(seed):
    draw = random.Random(seed)
    A, b, options, workers, nodes = drawn(draw, seed)
    world = World(seed, workers, None, each_step(lambda: draw.uniform(5e-3, 3e-2)), Network.faulty(seed), nodes,
                  draw.random() < 0.5)
    for number in range(workers):
        if draw.random() < 0.3:
            world.at(draw.uniform(0.2, 1.0), world.stall, number, draw.uniform(0.1, 5.0))
    record = world.solve(Problem(A, b), until=7200.0, max_sweeps=20_000, rtol=1e-7, **LONG, **options)
    assert record.status is Status.CONVERGED, record.failure
    assert_honest(A, b, record, rtol=1e-7)


@pytest.mark.parametrize('seeds', chunks(100, 20), ids=str)
@replayed
def test_whatever_happens_the_end_is_honest_and_nothing_is_left(seed):
    """Crashes, stalls, cancelling and limits, at any moment, on any network, with everyday patience."""
    draw = random.Random('happenings %d' % seed)
    A, b, options, workers, nodes = drawn(draw, seed)
    world = World(seed, workers, None, each_step(lambda: draw.uniform(1e-3, 1e-2)), Network.faulty(seed), nodes,
                  draw.random() < 0.5)
    for number in range(workers):
        moment, fate = draw.choice([draw.uniform(0.0, 0.1), draw.uniform(0.0, 3.0)]), draw.random()
        if fate < 0.2:
            world.at(moment, world.crash, number, draw.random() < 0.5)
        elif fate < 0.4:
            world.at(moment, world.stall, number, draw.uniform(0.1, 20.0))
    if draw.random() < 0.3:
        world.at(draw.uniform(0.0, 3.0), world.cancel)
    limits = draw.choice([{'max_sweeps': 30}, {'time_limit': 2.0}, {}])
    record = world.solve(Problem(A, b), until=3600.0, **{'max_sweeps': 20_000, **limits}, **SHORT, **options)
    assert_honest(A, b, record)
    assert record.sweeps <= limits.get('max_sweeps', 20_000)
    world.wait(60.0)
    assert world.left() == []


# ---- workers

@pytest.mark.parametrize('exchange', EXCHANGES)
def test_async_goes_on_while_a_worker_stalls_and_the_answer_is_right(exchange):
    """The look's deadline: the others sweep on without the one that does not freeze."""
    A = random_dense(60, 1)
    world = World(3, 3, cost=each_step(5e-3))
    world.at(0.1, world.stall, 1, 8.0)
    record = world.solve(Problem(A, np.ones(60)), rtol=1e-11, panel_nonzeros=300, patience=30.0, lease=60.0,
                         exchange=exchange)
    assert record.status is Status.CONVERGED and world.simulation.now > 8.0
    assert 'not all owners answered' in [look['found'] for look in record.looks]
    assert_honest(A, np.ones(60), record, rtol=1e-11)


@pytest.mark.parametrize('most', [60, 200])
def test_looks_that_stall_grant_no_sweeps_anew(most):
    A = poisson2d(14)
    world = World(3, 3, cost=each_step(0.03))
    for second in range(1, 40, 6):
        world.at(0.1 + second, world.stall, 1, 5.0)
    record = world.solve(Problem(A, np.ones(196)), rtol=1e-13, omega=0.2, max_sweeps=most, panel_nonzeros=300,
                         patience=30.0, lease=60.0)
    assert 'not all owners answered' in [look['found'] for look in record.looks]
    assert record.status is Status.MAX_SWEEPS and most - 1 < record.sweeps <= most


@pytest.mark.parametrize('method', ['sweep', 'prepare', 'relax', 'residual', 'take_rows'])
def test_an_exception_in_a_worker_reaches_the_user_with_its_rows_and_traceback(method, monkeypatch):
    calls = []
    original = getattr(Holding, method)

    def failing(self, *args):
        calls.append(self.start)
        if self.start > 0 and calls.count(self.start) == (3 if method in ('sweep', 'residual') else 1):
            raise FloatingPointError('the sky fell in')
        return original(self, *args)

    monkeypatch.setattr(Holding, method, failing)
    world = World(3, 2)
    record = world.solve(Problem(poisson2d(8), np.ones(64)), rtol=1e-12, **SHORT)
    assert record.status is Status.WORKERS_LOST
    assert 'rows 32 to 63' in str(record.failure) and 'FloatingPointError: the sky fell in' in str(record.failure)
    assert 'in failing' in record.failure.traceback
    world.wait(3 * SHORT['lease'])
    assert world.left() == []


@pytest.mark.parametrize('seed', range(4))
def test_an_exception_while_a_panel_is_swept_does_not_keep_a_stopped_owner(seed, monkeypatch):
    """The kernel fails while the owner waits for it in order to stop."""
    sweep = Holding.sweep

    def failing(self, *args):
        if world.simulation.now > 1.0:
            raise FloatingPointError
        return sweep(self, *args)

    monkeypatch.setattr(Holding, 'sweep', failing)
    world = World(seed, 2, cost=lambda function, args: 2.0 if function.__name__ == 'failing' else 1e-3)
    world.at(0.9, world.crash, 0)
    record = world.solve(Problem(poisson2d(8), np.ones(64)), rtol=1e-12, **SHORT)
    assert record.status is Status.WORKERS_LOST
    world.wait(5 * SHORT['lease'])
    assert world.left() == []


# ---- the coordinator

@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('moment', [0.004, 0.006, 0.02, 0.5, 1.0])
@pytest.mark.parametrize('silent', [True, False])
@pytest.mark.parametrize('exchange', EXCHANGES)
def test_owners_whose_coordinator_died_pause_and_then_free_their_memory(exchange, silent, moment, schedule,
                                                                        monkeypatch):
    swept = []
    sweep = Holding.sweep

    def noted(self, *args):
        squares = sweep(self, *args)
        swept.extend(squares)
        return squares

    monkeypatch.setattr(Holding, 'sweep', noted)
    world = World(3, 3, cost=each_step(5e-3))
    world.at(moment, world.simulation.crash, world.me, silent)
    other = world.simulation.machine('other')
    with pytest.raises(AssertionError):     # the coordinator never returns
        world.solve(Problem(poisson2d(16), np.ones(256)), until=moment + 1e-6, schedule=schedule, rtol=1e-12,
                    exchange=exchange, **SHORT)
    world.simulation.run(other, _wait, SHORT['patience'] + 1.0)
    before = len(swept)
    world.simulation.run(other, _wait, 1.0)
    assert len(swept) == before
    world.simulation.run(other, _wait, 60.0)
    assert world.left() == []


def _wait(engine, seconds, coro=None):
    yield coro.sleep(seconds)
    return True


def test_an_owner_whose_start_was_not_answered_ends_by_its_lease():
    world = World(3, 1)
    world.at(1e-3, setattr, world.simulation, 'network', Network(reply_lost=1.0, stall=0.1))
    with pytest.raises(Exception):      # whatever could not be reached
        world.solve(Problem(np.eye(2), np.ones(2)), until=100.0, connect_timeout=1.0, **SHORT)
        raise Exception
    world.wait(3 * SHORT['lease'])
    assert world.left() == []


# ---- memory

def test_queues_stay_short_towards_a_neighbour_that_cannot_be_reached(monkeypatch):
    """Two of three go on while nothing reaches the third for some seconds."""
    longest = [0]
    look = Link._next

    def note(self, now):
        longest[0] = max(longest[0], len(self._queue) + len(self._asked) + len(self._newest))
        return look(self, now)

    monkeypatch.setattr(Link, '_next', note)
    A = random_dense(60, 1)
    world = World(3, 3, cost=each_step(1e-3))
    world.at(0.05, world.stall, 1, 4.0)
    record = world.solve(Problem(A, np.ones(60)), rtol=1e-11, panel_nonzeros=300, patience=30.0, lease=60.0,
                         exchange='messages')
    assert record.status is Status.CONVERGED and world.simulation.now > 4.0
    assert longest[0] <= 8
