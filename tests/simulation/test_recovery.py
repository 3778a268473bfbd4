"""Workers are lost, come back and join while a run is on; it goes on, and ends with the same answer."""
import random

import numpy as np
import pytest

from campaign import EXCHANGES, World, assert_honest, dense, each_step, replayed
from coro_sor import block, loading_owner
from coro_sor.messages import Prepare
from coro_sor.problem import Problem
from coro_sor.problems import poisson2d, random_dense
from coro_sor.recovering import Recovering
from coro_sor.simulation import Network
from coro_sor.solution import Status

SCHEDULES = ('async', 'sync', 'ordered')
A, B = poisson2d(16), np.ones(256)
SHORT = {'patience': 4.0, 'lease': 8.0, 'delivery_timeout': 3.0, 'retry': 0.5, 'rtol': 1e-10}


def converged(world, record, matrix=A, b=B, rtol=1e-10):
    assert record.status is Status.CONVERGED, record.failure
    assert_honest(matrix, b, record, rtol)
    world.wait(700.0)
    assert world.left() == []


@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('moment', [0.004, 0.006, 0.02, 0.5, 2.2])
@pytest.mark.parametrize('told', [True, False], ids=['told', 'found by its silence'])
@pytest.mark.parametrize('exchange', EXCHANGES)
def test_a_lost_worker_is_replaced_and_the_run_goes_on(exchange, told, moment, schedule):
    world = World(3, 3, cost=each_step(5e-3))
    world.at(moment, world.crash, 1, told)
    record = world.solve(Problem(A, B), schedule=schedule, exchange=exchange, **SHORT)
    if moment > 0.01:       # before that no owner was there
        lost, = record.recoveries
        assert lost['worker'] == 1 and 'rows 86 to' in lost['reason']
        assert ('signal SIGKILL' if told else 'silent') in lost['reason']
    converged(world, record)


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_a_worker_process_that_came_back_gets_the_rows_again(schedule):
    world = World(3, 3, cost=each_step(5e-3))
    world.at(1.0, world.crash, 1)
    record = world.solve(Problem(A, B), schedule=schedule, **SHORT)
    assert record.recoveries[0]['found_after'] < 2.0
    assert len({(owner['node'], owner['address']) for owner in record.owners}) == 3
    converged(world, record)


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_where_a_machine_is_gone_another_has_its_rows_too(schedule):
    world = World(3, 2, cost=each_step(5e-3), nodes=2)
    world.at(1.0, world.crash_node, 'node1')
    record = world.solve(Problem(A, B), schedule=schedule, **SHORT)
    assert {owner['node'] for owner in record.owners} == {'node0'} and len(record.owners) == 2
    converged(world, record)


def test_a_worker_that_stands_idle_is_preferred_to_one_that_has_rows():
    world = World(3, 4, cost=each_step(5e-3), nodes=2)
    world.at(1.0, world.crash, 0, False)
    record = world.solve(Problem(A, B), schedule='ordered', blocks=3, **SHORT)
    assert len({owner['address'] for owner in record.owners}) == 3
    converged(world, record)


@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('exchange', EXCHANGES)
def test_a_worker_that_was_thrown_out_and_comes_back_does_no_harm(exchange, schedule):
    """A zombie: stopped for longer than the patience, then it goes on with an epoch that is over."""
    world = World(3, 3, cost=each_step(5e-3))
    world.at(1.0, world.stall, 1, 6.0)
    record = world.solve(Problem(A, B), schedule=schedule, exchange=exchange, **SHORT)
    assert 'silent' in record.recoveries[0]['reason']
    converged(world, record)


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_a_stall_or_partition_within_the_patience_costs_time_only(schedule):
    for befall in (lambda world: world.stall(1, 3.0), lambda world: world.part(['node1'], 3.0)):
        world = World(3, 3, cost=each_step(5e-3), nodes=3)
        world.at(1.0, befall, world)
        record = world.solve(Problem(A, B), schedule=schedule, **SHORT)
        assert record.recoveries == [] and world.simulation.now > 4.0
        converged(world, record)


def test_without_any_worker_the_run_ends_with_the_best_x_that_was_copied():
    world = World(3, 3, cost=each_step(5e-2), nodes=3)
    for node in range(3):
        world.at(20.0, world.crash_node, 'node%d' % node)
    record = world.solve(Problem(A, B), **SHORT)
    assert record.status is Status.WORKERS_LOST and 'no worker is left' in str(record.failure)
    residual = float(np.linalg.norm(B - dense(A) @ record.x))
    assert 0 < record.residual_norm < 16.0 and record.residual_norm == pytest.approx(residual)
    world.wait(60.0)
    assert world.left() == []


def test_all_workers_at_once_may_be_replaced():
    world = World(3, 3, cost=each_step(5e-3))
    for number in range(3):
        world.at(1.0, world.crash, number)
    record = world.solve(Problem(A, B), schedule='ordered', **SHORT)
    assert len(record.recoveries) == 3
    converged(world, record)


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_a_node_that_starts_while_the_run_is_on_takes_part_where_that_helps(schedule):
    world = World(3, 1, cost=each_step(2e-2))
    world.name_node('late', 1)
    world.at(15.0, world.start_node, 'late')
    record = world.solve(Problem(A, B), schedule=schedule, blocks=8, omega=1.2, connect_timeout=2.0, **SHORT)
    assert {owner['node'] for owner in record.owners} == {'node0', 'late'}
    assert any('shared out anew' in note for note in record.notes)
    converged(world, record)


@pytest.mark.parametrize('moment', [15.6, 15.9, 16.2, 16.5, 17.0])
def test_where_all_workers_die_while_the_rows_are_shared_out_anew_nothing_false_is_said(moment, monkeypatch):
    spread, world = Recovering._spread, World(3, 1, cost=each_step(2e-2))

    def killing(self, x):
        for number in range(2):
            world.at(world.simulation.now + moment - 15.6, world.crash, number)
        return (yield from spread(self, x))

    monkeypatch.setattr(Recovering, '_spread', killing)
    world.name_node('late', 1)
    world.at(15.0, world.start_node, 'late')
    record = world.solve(Problem(A, B), schedule='ordered', blocks=8, omega=1.2, connect_timeout=2.0, **SHORT)
    converged(world, record)


@pytest.mark.parametrize('options, status', [({'time_limit': 6.0}, Status.TIME_LIMIT), ({}, Status.CANCELLED)])
def test_the_user_is_heard_while_owners_are_missing(options, status):
    world = World(3, 2, cost=each_step(5e-2), nodes=2)
    for node in world.nodes:
        world.at(5.0, world.crash_node, node)
    if not options:
        world.at(6.0, world.cancel)
    record = world.solve(Problem(A, B), schedule='ordered', **{**SHORT, 'patience': 8.0, 'lease': 60.0}, **options)
    assert record.status is status and world.simulation.now < 5.0 + 8.0 + 5.0
    assert_honest(A, B, record, 1e-10)


def test_an_owner_that_finds_no_memory_is_tried_everywhere_once(monkeypatch):
    tried = []

    def full(assignment):
        tried.append(assignment.owner)
        raise MemoryError('no room')

    monkeypatch.setattr(loading_owner, '_check_memory', full)
    world = World(3, 3, cost=each_step(5e-3))
    record = world.solve(Problem(A, B), **SHORT)
    assert record.status is Status.WORKERS_LOST and 'no room' in str(record.failure) and len(tried) <= 9
    assert world.simulation.now < 5.0


def test_a_worker_that_is_lost_again_and_again_ends_the_run(monkeypatch):
    def deadly(self, request, before):
        world.at(world.simulation.now, world.crash, next(
            number for number, worker in enumerate(world.workers) if worker is self._engine))
        yield self._engine.compute(int)

    world = World(3, 1, cost=each_step(5e-3))
    monkeypatch.setitem(block._HANDLERS, Prepare, deadly)
    record = world.solve(Problem(A, B), until=3600.0, **{**SHORT, 'patience': 30.0, 'lease': 60.0})
    assert record.status is Status.WORKERS_LOST and 'time in a row' in str(record.failure)


def test_a_node_that_starts_near_the_end_is_left_alone():
    world = World(3, 1, cost=each_step(2e-3, make_plan=5.0))
    world.name_node('late', 1)
    world.at(8.5, world.start_node, 'late')
    record = world.solve(Problem(A, B), blocks=8, connect_timeout=2.0, **SHORT)
    assert {owner['node'] for owner in record.owners} == {'node0'}
    converged(world, record)


def test_the_sweeps_of_a_lost_worker_count():
    world = World(3, 2, cost=each_step(5e-3))
    world.at(1.0, world.crash, 1)
    record = world.solve(Problem(A, B), schedule='ordered', max_sweeps=300, **SHORT)
    assert record.status is Status.MAX_SWEEPS and 299 < record.sweeps <= 300


def test_float32_corrections_survive_a_loss():
    world = World(3, 3, cost=each_step(5e-3))
    world.at(2.5, world.crash, 1)
    record = world.solve(Problem(A, B), schedule='ordered', storage='float32', omega=1.5, **SHORT)
    assert record.recoveries and record.corrections >= 2
    converged(world, record)


def chunks(count, size):
    return [range(first, first + size) for first in range(0, count, size)]


@pytest.mark.parametrize('seeds', chunks(240, 20), ids=str)
@replayed
def test_whatever_is_killed_at_any_moment_the_answer_is_found(seed):
    """Every worker process that is killed is started again, so there is always an answer."""
    draw = random.Random('kills %d' % seed)
    matrix = draw.choice([poisson2d(draw.randint(3, 8)), random_dense(draw.randint(10, 80), seed)])
    b = np.random.default_rng(seed).standard_normal(len(dense(matrix)))
    workers = draw.randint(1, 4)
    world = World(seed, workers, None, each_step(lambda: draw.uniform(1e-3, 2e-2)), Network.faulty(seed),
                  draw.randint(1, min(2, workers)), draw.random() < 0.5)
    for _ in range(draw.randint(1, 4)):
        world.at(draw.uniform(0.0, 3.0), world.crash, draw.randrange(workers))
    if draw.random() < 0.5:
        world.at(draw.uniform(0.0, 3.0), world.stall, draw.randrange(workers), draw.uniform(0.1, 30.0))
    record = world.solve(Problem(matrix, b), until=7200.0, schedule=draw.choice(SCHEDULES), rtol=1e-7,
                         exchange=draw.choice(EXCHANGES), blocks=draw.choice([workers, 3, 7]), patience=60.0,
                         lease=200.0, storage=draw.choice(['float64', 'float64', 'float32']))
    converged(world, record, matrix, b, 1e-7)
