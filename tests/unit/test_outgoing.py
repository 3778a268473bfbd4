"""What goes out to a neighbour is what it reads: the newest in async, every version else, by message or in memory."""
import types

import numpy as np
import pytest

from coro_sor.messages import Shown
from coro_sor.outgoing import Outgoing
from coro_sor.sharing import SharedSlices


def holding(start=0, stop=8, panels=None, key=lambda reads: reads.key):
    """What an owner of rows start .. stop holds: one block, or as many as there are panels."""
    panels = panels or {0: [(0, 3), (3, 8)]}
    sizes = [panels[block][-1][1] for block in sorted(panels)]
    edges = np.concatenate(([0], np.cumsum(sizes))).tolist()
    return types.SimpleNamespace(
        x=np.arange(12.0), start=start, stop=stop, panels=panels, blocks=sorted(panels), own_key=key,
        local_blocks=lambda: list(zip(sorted(panels), edges[:-1], edges[1:])))


def outgoing(entries=(0, 8), limit=100, **held):
    """What owner 0 sends to a neighbour that reads these entries; and its x."""
    source = holding(**held)
    made = Outgoing('s', 0, source, limit)
    total = len(range(*entries)) if isinstance(entries, tuple) else len(entries)
    assert made.subscribe(0, total, entries)
    made.begin(1)
    return made, source.x


def shared(entries=(0, 8), **options):
    """The same through shared memory; and what the neighbour sees there."""
    made, x = outgoing(entries, **options)
    blocks = len(made._holding.blocks)
    memory = np.zeros(SharedSlices.size(blocks, made.entries))
    made.share(SharedSlices(memory, blocks, made.entries))
    return made, x, SharedSlices(memory, blocks, made.entries)


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


# ---- by messages

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
    assert made.entries == 3


def test_of_every_block_its_own_panels_go_out():
    panels = {4: [(0, 2), (2, 4)], 5: [(0, 4)]}
    made, _ = outgoing(entries=(1, 6), panels=panels)
    made.send_version(4, 1)
    made.send_version(5, 2)
    made.send_newest(4, 1, 3)
    assert sent(made) == [([[4, 1, 0, 1], [4, 1, 1, 3], [5, 2, 3, 5]], [1.0, 2.0, 3.0, 4.0, 5.0]),
                          ([[4, 3, 1, 3]], [2.0, 3.0])]


def test_entries_are_taken_from_where_the_owner_has_them():
    places = np.array([7, 6, 5, 4, 3, 2, 1, 0])
    made, _ = outgoing(entries=np.array([1, 2, 6]), key=lambda reads: places[reads.indices()])
    made.send_frozen()
    assert sent(made) == [([[0, 0, 0, 2], [0, 0, 2, 3]], [6.0, 5.0, 1.0])]


def test_a_range_of_entries_may_lie_apart_where_the_owner_has_them():
    places = np.array([7, 6, 5, 4, 3, 2, 1, 0])
    made, _ = outgoing(entries=(2, 5), key=lambda reads: places[reads.indices()])
    made.send_frozen()
    assert sent(made) == [([[0, 0, 0, 1], [0, 0, 1, 3]], [5.0, 4.0, 3.0])]


def test_a_panel_that_the_neighbour_does_not_read_is_not_sent_in_async_but_told_of_in_exact_schedules():
    made, _ = outgoing(entries=np.array([1]))
    assert not made.send_newest(0, 1, 1)
    assert sent(made) == []
    made, _ = outgoing(entries=(0, 0))
    assert made.send_version(0, 3)
    assert sent(made) == [([[0, 3, 0, 0]], [])]


def test_it_says_whether_a_message_is_needed():
    made, _ = outgoing()
    assert made.send_newest(0, 0, 1) is True and made.send_version(0, 1) is True


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


def test_what_came_meanwhile_stays_behind_what_was_delivered():
    made, _ = outgoing()
    made.send_version(0, 1)
    _, settle = made.produce()
    made.send_version(0, 2)
    settle(True)
    assert sent(made) == [([[0, 2, 0, 3], [0, 2, 3, 8]], [float(row) for row in range(8)])]


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


def test_a_pool_thread_that_is_late_writes_into_the_epoch_that_it_began_with():
    made, _ = outgoing()
    old = made.current
    made.begin(2)
    made.send_newest(0, 0, 7, old)
    made.send_version(0, 7, old)
    assert sent(made) == []
    assert made.produce_fleeting(old).epoch == 1


def test_messages_carry_the_epoch_that_they_were_made_in():
    made, _ = outgoing()
    made.begin(7)
    made.send_frozen()
    assert made.produce()[0].epoch == 7


def test_a_fleeting_message_is_not_sent_again():
    made, _ = outgoing(limit=4)
    made.send_newest(0, 0, 1)
    made.send_newest(0, 1, 1)
    messages = []
    while made.current.newest:
        messages.append(made.produce_fleeting(made.current))
    assert sorted(value for message in messages for value in message.values) == list(range(8))
    assert all(len(message.values) <= 4 for message in messages)
    assert made.produce_fleeting(made.current) is None and made.produce() is None


def test_what_was_sent_is_counted():
    made, _ = outgoing()
    made.send_frozen()
    made.send_newest(0, 0, 1)
    sent(made)
    assert (made.sent, made.bytes, made.superseded, made.shares) == (2, 8 * 11, 0, False)


# ---- subscribing

def test_a_subscription_in_pieces_is_taken_in_order_and_repeated_pieces_are_not_taken_twice():
    made = Outgoing('s', 0, holding(panels={0: [(0, 8)]}), 100)
    assert not made.subscribe(0, 3, np.array([1, 3]))
    assert not made.subscribe(0, 3, np.array([1, 3]))
    assert made.subscribe(2, 3, np.array([6]))
    assert made.subscribe(2, 3, np.array([6]))
    made.begin(1)
    made.send_frozen()
    assert sent(made) == [([[0, 0, 0, 3]], [1.0, 3.0, 6.0])]


def test_pieces_of_a_range_become_one_range():
    made = Outgoing('s', 0, holding(panels={0: [(0, 8)]}), 100)
    assert not made.subscribe(0, 5, (2, 4)) and made.subscribe(2, 5, (4, 7))
    made.begin(1)
    made.send_frozen()
    assert sent(made) == [([[0, 0, 0, 5]], [2.0, 3.0, 4.0, 5.0, 6.0])]


@pytest.mark.parametrize('first, total, entries', [
    (0, 3, (6, 9)), (0, 3, (3, 5)), (0, 3, np.array([4, 8])), (0, 3, np.array([-4, 5])), (0, 2, np.array([5, 4])),
    (0, 2, np.array([4, 4])), (0, 10**18, (0, 10**18)), (0, 10**18, (4, 5)), (2, 3, (4, 6)), (-1, 3, (4, 6)),
    (0, 3, (5, 5)), (0, 3, np.empty(0, dtype=int))], ids=str)
def test_a_subscription_that_does_not_lie_in_own_rows_is_faulty(first, total, entries):
    made = Outgoing('s', 1, holding(4, 8, {1: [(0, 4)]}), 100)
    assert made.fault(first, total, entries)
    assert not made.fault(0, 4, (4, 8)) and not made.fault(2, 4, np.array([5, 7])) and not made.fault(0, 0, (0, 0))


# ---- through shared memory

def test_the_frozen_x_is_written_and_one_message_tells_of_it():
    made, _, seen = shared()
    made.send_frozen()
    assert seen.version(0, 1) == 0 and seen.get(0, 0, 8).tolist() == list(range(8))
    message, settle = made.produce()
    assert isinstance(message, Shown) and (message.epoch, message.owner) == (1, 0)
    settle(True)
    assert made.produce() is None


def test_that_the_frozen_x_is_there_is_told_again_until_it_was_delivered():
    made, _, _ = shared()
    made.send_frozen()
    for _ in range(3):
        _, settle = made.produce()
        assert made.produce() is None
        settle(False)
    made.produce()[1](True)
    assert made.produce() is None


def test_a_failure_of_an_epoch_that_is_over_is_not_told_in_the_next():
    made, _, _ = shared()
    made.send_frozen()
    _, settle = made.produce()
    made.begin(2)
    settle(False)
    assert made.produce() is None


def test_in_async_each_panel_is_there_at_once_and_the_version_with_the_last():
    made, x, seen = shared()
    made.send_frozen()
    x[:] = 50.0
    assert not made.send_newest(0, 0, 1)
    assert seen.get(0, 0, 8).tolist() == [50.0] * 3 + [3.0, 4.0, 5.0, 6.0, 7.0] and seen.version(0, 1) == 0
    assert not made.send_newest(0, 1, 1, last=True)
    assert (seen.get(0, 0, 8) == 50.0).all() and seen.version(0, 1) == 1
    made.produce()[1](True)
    assert made.produce() is None


def test_exact_versions_stay_until_the_next_but_two():
    made, x, seen = shared()
    made.send_frozen()
    for sweep in range(1, 8):
        x[:] = sweep
        assert not made.send_version(0, sweep)
        assert seen.version(0, 1) == sweep
        for behind in range(min(3, sweep)):
            assert (seen.get(sweep - behind, 0, 8) == sweep - behind).all()


def test_versions_of_every_block_are_counted_apart_and_also_where_nothing_of_it_is_read():
    made, x, seen = shared(entries=(0, 4), panels={4: [(0, 4)], 5: [(0, 4)]})
    made.send_frozen()
    x[:4] = 50.0
    made.send_version(5, 1)
    assert [seen.version(block, 1) for block in (0, 1)] == [0, 1]
    assert seen.get(1, 0, 4).tolist() == [0.0] * 4
    made.send_version(4, 1)
    assert [seen.version(block, 1) for block in (0, 1)] == [1, 1] and (seen.get(1, 0, 4) == 50.0).all()


def test_versions_are_those_of_the_epoch_that_the_pool_thread_began_with():
    made, _, seen = shared()
    old = made.current
    made.begin(2)
    made.send_version(0, 5, old)
    assert seen.version(0, 1) == 5 and seen.version(0, 2) == -1
    made.send_newest(0, 1, 6, old, last=True)
    assert seen.version(0, 1) == 6 and seen.version(0, 2) == -1


def test_what_went_through_memory_is_counted_like_messages():
    made, _, _ = shared(entries=(0, 3))
    made.send_frozen()
    made.send_newest(0, 0, 1)
    made.send_newest(0, 1, 1, last=True)
    made.send_version(0, 1)
    assert (made.sent, made.bytes) == (3, 3 * 24) and made.shares
