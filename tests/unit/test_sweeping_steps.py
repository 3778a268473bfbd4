"""The sweeper step by step: what is handed to the pool thread together, and what is made of what was met."""
import numpy as np

from owners import World

BOUNDS = [0, 11, 19, 30, 40]


def matrix(n):
    """A strictly diagonally dominant matrix in which every row reads every other."""
    return 2.0 * n * np.eye(n) + np.random.default_rng(0).uniform(0.1, 1, (n, n))


def alone(schedule='async', n=130, bounds=(0, 64, 130), until=100, **settings):
    world = World(matrix(n), np.ones(n), list(bounds), [0, n], whole_blocks=False, **settings)
    world.freeze(schedule)
    world.resume(until)
    return world, world.owners[0].sweeper


def test_steps_are_panels_of_blocks_and_carry_the_sweep_of_the_run():
    world = World(matrix(200), np.ones(200), [0, 100, 200], [0, 200], whole_blocks=False, exchange_every=50,
                  order='symmetric')
    world.freeze('async')
    world.resume(2, turn=6)
    sweeper = world.owners[0].sweeper
    assert sweeper.next_step() == [(0, 0, 7), (0, 1, 7), (1, 0, 7), (1, 1, 7)]
    assert world.step(0) == 4
    assert sweeper.next_step() == [(1, 1, 8), (1, 0, 8), (0, 1, 8), (0, 0, 8)]
    assert world.step(0) == 4 and sweeper.next_step() is None and sweeper.done


def test_what_takes_little_time_is_handed_over_in_several_sweeps():
    world, sweeper = alone()
    assert len(sweeper.next_step()) == 2
    world.step(0, seconds=0.001)
    assert len(sweeper.next_step()) == 2 * 20
    world.step(0, seconds=20 * 0.015)
    assert len(sweeper.next_step()) == 2 * 2
    world.step(0, seconds=2 * 0.5)
    assert len(sweeper.next_step()) == 2


def test_a_clock_that_stood_still_gives_no_endless_batch():
    world, sweeper = alone(until=5000)
    world.step(0, seconds=0.0)
    assert len(sweeper.next_step()) == 2 * 1000


def test_no_more_sweeps_are_handed_over_than_are_wanted():
    world, sweeper = alone(until=3)
    world.step(0, seconds=1e-6)
    assert len(sweeper.next_step()) == 2 * 2
    world.step(0)
    assert sweeper.done and sweeper.next_step() is None
    sweeper.begin('async', 0, 0)
    assert sweeper.done and sweeper.next_step() is None


def test_a_call_that_ended_early_is_taken_up_where_it_ended():
    world, sweeper = alone()
    world.step(0, seconds=0.001)
    assert world.step(0, most=3) == 3
    assert sweeper.next_step()[:2] == [(1, 0, 3), (0, 0, 4)]
    assert sweeper.sweeps == {0: 3, 1: 2} and sweeper.finished == 2 and sweeper.updates == 130 * 2 + 64


def test_squares_are_known_when_every_block_has_swept_and_are_those_of_the_last_sweeps():
    world, sweeper = alone('sync')
    assert sweeper.squares() == -1.0
    tasks = sweeper.next_step()
    assert sweeper.finish_step([3.0], 1.0) == [] and sweeper.squares() == -1.0
    assert sweeper.finish_step([4.0], 1.0) == [(1, 7.0)] and sweeper.squares() == 7.0
    assert tasks == [(0, 0, 1), (1, 0, 1)]
    sweeper.next_step()
    assert sweeper.finish_step([0.5], 1.0) == [] and sweeper.squares() == 4.5
    sweeper.begin('sync', 5, 0)
    assert sweeper.squares() == -1.0


def test_sweeps_that_were_not_measured_leave_the_squares_as_they_were():
    world, sweeper = alone('sync')
    sweeper.next_step()
    sweeper.finish_step([3.0, 4.0], 1.0)
    sweeper.next_step()
    assert sweeper.finish_step([None, None], 1.0) == [] and sweeper.squares() == 7.0
    assert sweeper.finished == 2


def test_steps_of_an_epoch_that_is_over_count_as_updates_only():
    world, sweeper = alone()
    tasks = sweeper.next_step()
    sweeper.begin('async', 10, 1)
    sweeper.count(tasks)
    assert sweeper.updates == 130 and sweeper.finished == 0 and sweeper.sweeps == {0: 0, 1: 0}


def test_dense_rows_in_ordered_take_a_step_for_every_block_of_the_system():
    world = World(matrix(40), np.ones(40), BOUNDS, [0, 19, 40])
    world.freeze('ordered')
    world.resume(3)
    first, second = (owner.sweeper for owner in world.owners)
    assert first.next_step() == [(0, 0, 1), (1, 0, 1), (2, 0, 1), (3, 0, 1)]
    assert second.next_step() is None       # it must hear of block 0 first
    assert world.step(0) == 2
    world.deliver_all()
    assert world.step(1) == 4 and second.updates == 21 and second.finished == 1
    assert first.updates == 19 and first.finished == 1      # the others' blocks are not counted


def test_for_shared_memory_the_pool_thread_waits_and_for_messages_the_actor():
    for shared in (False, True):
        world = World(matrix(40), np.ones(40), BOUNDS, [0, 19, 40], shared=shared)
        world.freeze('ordered')
        world.resume(3)
        tasks = world.owners[1].sweeper.next_step()
        assert (tasks is not None) == shared
        assert world.owners[1].sweeper.lacking(0, 0, 1) == 0
