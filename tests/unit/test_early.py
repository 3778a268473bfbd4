"""Slices of epochs that have not begun here: kept, the newest only, until they begin."""
import numpy as np

from coro_sor.incoming import Early, Incoming
from coro_sor.messages import Shown, Slices
from coro_sor.partition import Reads


def slices(parts, values, epoch=1, owner=1):
    return Slices('s', epoch, owner, np.array(parts, dtype=np.int64), np.array(values, dtype=np.float64))


def test_slices_of_a_later_epoch_are_kept_until_it_begins():
    early = Early()
    early.keep(slices([(1, 0, 0, 2), (1, 0, 2, 4)], [1.0, 2.0, 3.0, 4.0], epoch=3), 4)
    early.keep(slices([(1, 2, 0, 2)], [5.0, 6.0], epoch=3), 4)
    assert early.take(2) == []
    x = np.full(8, -1.0)
    made = Incoming(x, {1: Reads((4, 8))}, {1: slice(4, 8)}, [0, 4, 8], [0, 1])
    made.begin('async', (), 3)
    for message in early.take(3):
        made.take(message)
    assert made.complete() and x[4:8].tolist() == [5.0, 6.0, 3.0, 4.0]
    assert early.take(3) == []


def test_of_each_sender_the_newest_epochs_are_kept_so_that_one_far_off_does_not_drive_out_the_next():
    early = Early()
    for epoch in (10**9, 4, 5, 6, 7, 3):
        early.keep(slices([(1, 0, 0, 1)], [epoch], epoch=epoch), 4)
    early.keep(slices([(0, 0, 0, 1)], [2.0], epoch=3, owner=2), 4)
    assert [message.owner for message in early.take(3)] == [2]
    assert early.take(4) == []
    assert [[message.values.tolist() for message in early.take(epoch)] for epoch in (5, 6, 7)] == [
        [[5.0]], [[6.0]], [[7.0]]]


def test_parts_that_overlap_take_no_more_memory_than_all_entries_twice():
    early = Early()
    for u in range(4):
        for sweep in (0, 1, 2):
            early.keep(slices([(1, sweep, u, 4)], np.zeros(4 - u), epoch=2), 4)
    assert sum(len(message.values) for message in early.take(2)) <= 8


def test_what_was_kept_for_an_epoch_that_is_over_is_forgotten():
    early = Early()
    early.keep(slices([(1, 0, 0, 1)], [3.0], epoch=3), 4)
    early.keep(Shown('s', 3, 2), 4)
    assert early.take(4) == early.take(3) == []


def test_a_sender_that_runs_free_for_long_fills_no_memory_and_its_newest_is_kept():
    early = Early()
    early.keep(slices([(1, 0, 0, 2)], [0.0, 0.0], epoch=2), 4)
    for sweep in range(1, 1000):
        early.keep(slices([(1, sweep, 0, 2)], [sweep, sweep], epoch=2), 4)
    early.keep(slices([(1, 7, 0, 2)], [7.0, 7.0], epoch=2), 4)     # late
    kept = early.take(2)
    assert [message.values[0] for message in kept] == [0.0, 999.0]


def test_that_a_frozen_x_of_a_later_epoch_is_in_shared_memory_is_kept_once():
    early = Early()
    early.keep(Shown('s', 3, 1), 4)
    early.keep(Shown('s', 4, 1), 4)
    early.keep(Shown('s', 4, 1), 4)
    early.keep(Shown('s', 3, 1), 4)
    early.keep(Shown('s', 4, 2), 4)
    assert [(message.owner, message.epoch) for message in early.take(3)] == [(1, 3)]
    assert sorted((message.owner, message.epoch) for message in early.take(4)) == [(1, 4), (2, 4)]
