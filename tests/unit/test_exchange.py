"""Entries of x between owners: what comes in is put where it belongs and no older, what goes out is the newest."""
import types

import numpy as np
import pytest

from coro_sor.exchange import Early, Incoming, Outgoing
from coro_sor.messages import Slices
from coro_sor.partition import Reads

BOUNDS = [0, 4, 8, 12]          # three blocks; owner 0 has the first, owner 1 the other two
OWNERS = [0, 1, 1]


def slices(parts, values, epoch=1, owner=1):
    return Slices('s', epoch, owner, np.array(parts, dtype=np.int64), np.array(values, dtype=np.float64))


def incoming(schedule='async', entries=(4, 12), watched=()):
    """What owner 0 receives, and its x."""
    x = np.full(12, -1.0)
    made = Incoming(x, {1: Reads(entries)}, BOUNDS, OWNERS)
    made.begin(schedule, watched)
    return made, x


# ---- incoming: the frozen x

def test_an_epoch_is_complete_when_every_frozen_entry_is_here():
    made, x = incoming()
    made.take(slices([(1, 0, 0, 4)], range(4)))
    assert not made.complete()
    made.take(slices([(1, 0, 0, 4)], range(4)))       # again
    assert not made.complete()
    made.take(slices([(2, 0, 4, 6), (2, 0, 6, 8)], range(4, 8)))
    assert made.complete() and x[4:].tolist() == list(range(8)) and (x[:4] == -1).all()
    made.begin('async', ())
    assert not made.complete()


def test_a_late_frozen_slice_does_not_undo_what_came_after_it():
    made, x = incoming()
    made.take(slices([(1, 0, 0, 4)], [1.0] * 4))
    made.take(slices([(1, 3, 0, 4)], [3.0] * 4))
    made.take(slices([(1, 0, 0, 4)], [1.0] * 4))
    assert (x[4:8] == 3.0).all()


def test_entries_that_lie_apart_are_put_where_they_belong():
    made, x = incoming(entries=np.array([4, 7, 9]))
    made.take(slices([(1, 0, 0, 2), (2, 0, 2, 3)], [40.0, 70.0, 90.0]))
    assert made.complete()
    assert x[[4, 7, 9]].tolist() == [40.0, 70.0, 90.0] and (np.delete(x, [4, 7, 9]) == -1).all()


# ---- incoming: async

def test_async_takes_the_newest_at_once_and_drops_what_is_older():
    made, x = incoming()
    made.take(slices([(1, 5, 0, 4)], [5.0] * 4))
    made.take(slices([(1, 4, 0, 4)], [4.0] * 4))
    assert (x[4:8] == 5.0).all() and made.superseded == 1 and made.applied == 1
    assert made.versions == {1: 5, 2: 0}


def test_a_block_is_as_old_as_its_oldest_panel():
    made, _ = incoming()
    made.take(slices([(1, 3, 0, 2)], [0.0] * 2))
    assert made.versions[1] == 0                      # the other panel is still the frozen one
    made.take(slices([(1, 2, 2, 4)], [0.0] * 2))
    assert made.versions[1] == 2
    made.take(slices([(1, 4, 0, 2)], [0.0] * 2))
    assert made.versions[1] == 2
    made.take(slices([(1, 4, 2, 4)], [0.0] * 2))
    assert made.versions[1] == 4


@pytest.mark.parametrize('bound', [1, 2, 3])
def test_bounded_async_waits_for_all_panels_of_a_version_that_is_new_enough(bound):
    made, _ = incoming(entries=(4, 8))
    assert made.ready(0, bound, {1}, bound) and not made.ready(0, bound + 1, {1}, bound)
    made.take(slices([(1, 1, 0, 2)], [0.0] * 2))
    assert not made.ready(0, bound + 1, {1}, bound)
    made.take(slices([(1, 1, 2, 4)], [0.0] * 2))
    assert made.ready(0, bound + 1, {1}, bound) and not made.ready(0, bound + 2, {1}, bound)


def test_unbounded_async_never_waits():
    made, _ = incoming()
    assert made.ready(0, 1000, {1, 2})


# ---- incoming: sync and ordered

def test_exact_versions_are_staged_until_the_sweep_that_may_use_them():
    made, x = incoming('sync', entries=(4, 8))
    made.take(slices([(1, 0, 0, 4)], [0.5] * 4))
    made.take(slices([(1, 1, 0, 4)], [1.0] * 4))
    assert (x[4:8] == 0.5).all() and made.ready(0, 2, {1}) and not made.ready(0, 3, {1})
    made.use(0, 1, {1})
    assert (x[4:8] == 0.5).all()
    made.use(0, 2, {1})
    assert (x[4:8] == 1.0).all()


def test_a_version_in_pieces_counts_when_all_are_here_in_whatever_order():
    made, x = incoming('sync', entries=(4, 8))
    made.take(slices([(1, 1, 2, 4)], [1.2] * 2))
    made.take(slices([(1, 1, 2, 4)], [1.2] * 2))      # again
    assert not made.ready(0, 2, {1})
    made.take(slices([(1, 1, 0, 2)], [1.0] * 2))
    assert made.ready(0, 2, {1})
    made.use(0, 2, {1})
    assert x[4:8].tolist() == [1.0, 1.0, 1.2, 1.2]


def test_a_late_duplicate_of_an_exact_version_changes_nothing_and_takes_no_memory():
    made, x = incoming('sync', entries=(4, 8))
    for sweep in (1, 2, 3):
        made.take(slices([(1, sweep, 0, 4)], [float(sweep)] * 4))
        made.use(0, sweep + 1, {1})
        made.drop_used(sweep + 1)
    for sweep in (1, 2, 3):
        made.take(slices([(1, sweep, 0, 4)], [99.0] * 4))
    made.use(0, 4, {1})
    assert (x[4:8] == 3.0).all() and not made._staged


def test_in_exact_schedules_a_reader_that_is_not_read_holds_its_source_back_by_two_sweeps():
    made, _ = incoming('ordered', entries=(4, 8), watched=(2,))
    made.take(slices([(1, 1, 0, 4), (1, 2, 0, 4), (1, 3, 0, 4)], [0.0] * 12))
    assert made.ready(0, 2, {1}) and not made.ready(0, 3, {1})
    made.take(slices([(2, 1, 0, 0)], []))
    assert made.ready(0, 3, {1})


# ---- early

def test_slices_of_a_later_epoch_are_kept_until_it_begins():
    early = Early()
    early.keep(slices([(1, 0, 0, 2), (1, 0, 2, 4)], [1.0, 2.0, 3.0, 4.0], epoch=3))
    early.keep(slices([(1, 2, 0, 2)], [5.0, 6.0], epoch=3))
    assert early.take(2) == []
    made, x = incoming(entries=(4, 8))
    for message in early.take(3):
        made.take(message)
    assert made.complete() and x[4:8].tolist() == [5.0, 6.0, 3.0, 4.0]
    assert early.take(3) == []


def test_of_each_sender_only_the_newest_epoch_is_kept():
    early = Early()
    early.keep(slices([(1, 0, 0, 1)], [4.0], epoch=4))
    early.keep(slices([(1, 0, 0, 1)], [3.0], epoch=3))
    early.keep(slices([(0, 0, 0, 1)], [2.0], epoch=3, owner=2))
    assert [message.owner for message in early.take(3)] == [2]
    assert [message.values.tolist() for message in early.take(4)] == [[4.0]]


def test_a_sender_that_runs_free_for_long_fills_no_memory_and_its_newest_is_kept():
    early = Early()
    early.keep(slices([(1, 0, 0, 2)], [0.0, 0.0], epoch=2))
    for sweep in range(1, 1000):
        early.keep(slices([(1, sweep, 0, 2)], [sweep, sweep], epoch=2))
    early.keep(slices([(1, 7, 0, 2)], [7.0, 7.0], epoch=2))     # late
    kept = early.take(2)
    assert [message.values[0] for message in kept] == [0.0, 999.0]


# ---- outgoing

def outgoing(entries=(0, 8), limit=100, panels=((0, 3), (3, 8))):
    """What owner 0, of one block of rows 0 .. 8, sends; and its x."""
    holding = types.SimpleNamespace(x=np.arange(12.0), start=0, stop=8, panels={0: list(panels)},
                                    local_blocks=lambda: [(0, 0, 8)])
    made = Outgoing('s', 0, holding, limit)
    total = len(range(*entries)) if isinstance(entries, tuple) else len(entries)
    assert made.subscribe(0, total, entries)
    made.begin(1)
    return made, holding.x


def sent(made, delivered=True):
    """All that it has to send: [(parts, values), ...]."""
    found = []
    while True:
        produced = made.produce()
        if produced is None:
            return found
        message, settle = produced
        settle(delivered)
        found.append((message.parts.tolist(), message.values.tolist()))
        if not delivered:
            return found


def test_the_frozen_x_goes_out_by_panels_whole_and_once():
    made, _ = outgoing()
    made.send_frozen()
    assert sent(made) == [([[0, 0, 0, 3], [0, 0, 3, 8]], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])]
    assert sent(made) == []


def test_only_the_entries_that_the_neighbour_reads_go_out():
    made, _ = outgoing(entries=np.array([1, 2, 6]))
    made.send_newest(0, 0, 4)
    made.send_newest(0, 1, 4)
    assert sent(made) == [([[0, 4, 0, 2], [0, 4, 2, 3]], [1.0, 2.0, 6.0])]


def test_a_panel_that_the_neighbour_does_not_read_is_not_sent_in_async_but_told_of_in_exact_schedules():
    made, _ = outgoing(entries=np.array([1]))
    made.send_newest(0, 1, 1)
    assert sent(made) == []
    made, _ = outgoing()
    made._pieces.clear()
    made.send_version(0, 3)
    assert sent(made) == [([[0, 3, 0, 0]], [])]


def test_no_message_holds_more_than_the_limit():
    made, _ = outgoing(limit=2)
    made.send_frozen()
    found = sent(made)
    assert all(len(values) <= 2 for _, values in found)
    assert sum((values for _, values in found), []) == list(range(8))
    made.send_version(0, 1)
    assert all(len(values) <= 2 for _, values in sent(made))
    made.send_newest(0, 0, 1)
    made.send_newest(0, 1, 1)
    found = sent(made)
    assert all(len(values) <= 2 for _, values in found)
    assert sorted(sum((values for _, values in found), [])) == list(range(8))


def test_values_are_those_of_the_moment_of_sending_in_async():
    made, x = outgoing()
    made.send_newest(0, 0, 1)
    x[:] = 50.0
    made.send_newest(0, 0, 2)
    assert sent(made) == [([[0, 2, 0, 3]], [50.0] * 3)] and made.superseded == 1


def test_values_are_those_of_their_sweep_in_exact_schedules():
    made, x = outgoing()
    made.send_version(0, 1)
    x[:] = 50.0
    made.send_version(0, 2)
    assert [values[0] for _, values in sent(made)] == [0.0] and x[0] == 50.0
    made.send_version(0, 3)
    assert sent(made) == [([[0, 3, 0, 3], [0, 3, 3, 8]], [50.0] * 8)]


def test_what_failed_is_sent_again_and_newer_values_are_not_replaced_by_it():
    made, x = outgoing()
    made.send_newest(0, 0, 1)
    message, settle = made.produce()
    made.send_newest(0, 0, 2)
    settle(False)
    assert sent(made) == [([[0, 2, 0, 3]], [0.0, 1.0, 2.0])]
    made.send_version(0, 1)
    assert sent(made, delivered=False) == sent(made) != []


def test_what_was_in_flight_when_an_epoch_ended_neither_disturbs_nor_repeats_in_the_next():
    for delivered in (True, False):
        made, _ = outgoing()
        made.send_version(0, 1)
        _, settle_version = made.produce()
        made.begin(2)
        made.send_frozen()
        settle_version(delivered)
        assert sum(len(values) for _, values in sent(made)) == 8
        made.send_newest(0, 0, 5)
        _, settle_newest = made.produce()
        made.begin(3)
        settle_newest(delivered)
        assert sent(made) == []


def test_messages_carry_the_epoch_that_they_were_made_in():
    made, _ = outgoing()
    made.begin(7)
    made.send_frozen()
    assert made.produce()[0].epoch == 7


def test_a_subscription_in_pieces_is_taken_in_order_and_repeated_pieces_are_not_taken_twice():
    holding = types.SimpleNamespace(x=np.arange(8.0), start=0, stop=8, panels={0: [(0, 8)]},
                                    local_blocks=lambda: [(0, 0, 8)])
    made = Outgoing('s', 0, holding, 100)
    assert not made.subscribe(0, 3, np.array([1, 3]))
    assert not made.subscribe(0, 3, np.array([1, 3]))
    assert made.subscribe(2, 3, np.array([6]))
    assert made.subscribe(2, 3, np.array([6]))
    made.begin(1)
    made.send_frozen()
    assert sent(made) == [([[0, 0, 0, 3]], [1.0, 3.0, 6.0])]


def test_a_subscription_to_rows_of_others_is_refused():
    holding = types.SimpleNamespace(x=np.arange(12.0), start=4, stop=8, panels={1: [(0, 4)]},
                                    local_blocks=lambda: [(1, 0, 4)])
    with pytest.raises(ValueError, match='does not own'):
        Outgoing('s', 1, holding, 100).subscribe(0, 3, (6, 9))
