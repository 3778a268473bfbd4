"""Entries of x that come in are put where they belong, no older than what is there, and no newer than may be used."""
import numpy as np
import pytest

from coro_sor.incoming import Incoming
from coro_sor.messages import Slices
from coro_sor.partition import Reads
from coro_sor.sharing import SharedSlices

BOUNDS = [0, 4, 8, 12]          # three blocks; owner 0 has the first, owner 1 the other two
OWNERS = [0, 1, 1]


def slices(parts, values, epoch=1, owner=1):
    return Slices('s', epoch, owner, np.array(parts, dtype=np.int64), np.array(values, dtype=np.float64))


def incoming(schedule='async', entries=(4, 12), watched=()):
    """What owner 0 receives, and its x: its own four entries and then those that it reads."""
    reads = Reads(entries)
    x = np.full(4 + reads.size, -1.0)
    made = Incoming(x, {1: reads}, {1: slice(4, 4 + reads.size)}, BOUNDS, OWNERS)
    made.begin(schedule, watched, 1)
    return made, x


def shared(schedule='async', entries=(4, 12), watched=()):
    """The same through shared memory, and the writer's view of that."""
    made, x = incoming(schedule, entries, watched)
    size = Reads(entries).size
    memory = np.zeros(SharedSlices.size(2, size))
    made.share(1, SharedSlices(memory, 2, size))
    made.begin(schedule, watched, 1)
    return made, x, SharedSlices(memory, 2, size)


# ---- the frozen x

def test_an_epoch_is_complete_when_every_frozen_entry_is_here():
    made, x = incoming()
    made.take(slices([(1, 0, 0, 4)], range(4)))
    assert not made.complete()
    made.take(slices([(1, 0, 0, 4)], range(4)))       # again
    assert not made.complete()
    made.take(slices([(2, 0, 4, 6), (2, 0, 6, 8)], range(4, 8)))
    assert made.complete() and x[4:].tolist() == list(range(8)) and (x[:4] == -1).all()
    made.begin('async', (), 2)
    assert not made.complete()


def test_a_late_frozen_slice_does_not_undo_what_came_after_it():
    made, x = incoming()
    made.take(slices([(1, 0, 0, 4)], [1.0] * 4))
    made.take(slices([(1, 3, 0, 4)], [3.0] * 4))
    made.take(slices([(1, 0, 0, 4)], [1.0] * 4))
    assert (x[4:8] == 3.0).all()


def test_entries_that_lie_apart_are_put_side_by_side():
    made, x = incoming(entries=np.array([4, 7, 9]))
    made.take(slices([(1, 0, 0, 2), (2, 0, 2, 3)], [40.0, 70.0, 90.0]))
    assert made.complete() and x.tolist() == [-1.0] * 4 + [40.0, 70.0, 90.0]


def test_entries_go_where_the_owner_of_the_x_wants_them():
    x = np.zeros(12)
    made = Incoming(x, {0: Reads((1, 3)), 2: Reads(np.array([9, 11]))}, {0: slice(6, 8), 2: slice(2, 4)},
                    [0, 4, 8, 12], [0, 1, 2])
    made.take(slices([(0, 0, 0, 2)], [1.0, 2.0], owner=0))
    assert not made.complete()
    made.take(slices([(2, 0, 1, 2)], [11.0], owner=2))
    made.take(slices([(2, 0, 0, 1)], [9.0], owner=2))
    assert made.complete() and x[[6, 7, 2, 3]].tolist() == [1.0, 2.0, 9.0, 11.0] and np.count_nonzero(x) == 4


def test_who_reads_nothing_is_complete_at_once():
    made = Incoming(np.zeros(4), {}, {}, [0, 4, 8], [0, 1])
    made.begin('sync', (1,), 1)
    assert made.complete()


def test_a_frozen_x_in_shared_memory_is_copied_when_it_is_told_of():
    made, x, writer = shared()
    writer.put(0, 0, 8, np.arange(8.0))
    assert not made.complete() and (x == -1).all()
    made.take_shown(1)
    assert made.complete() and x.tolist() == [-1.0] * 4 + list(range(8))
    writer.put(0, 0, 8, np.zeros(8))
    made.take_shown(1)      # again: what is there by now may be newer
    assert x[4:].tolist() == list(range(8))


# ---- async

def test_async_takes_the_newest_at_once_and_drops_what_is_older():
    made, x = incoming()
    made.take(slices([(1, 5, 0, 4)], [5.0] * 4))
    made.take(slices([(1, 4, 0, 4)], [4.0] * 4))
    assert (x[4:8] == 5.0).all() and made.superseded == 1 and made.applied == 1
    assert made.versions == {1: 5, 2: 0}


def test_a_block_is_as_old_as_its_oldest_panel():
    made, _ = incoming()
    made.take(slices([(1, 3, 0, 2)], [0.0] * 2))
    assert made.version(1) == 0                      # the other panel is still the frozen one
    made.take(slices([(1, 2, 2, 4)], [0.0] * 2))
    assert made.version(1) == 2
    made.take(slices([(1, 4, 0, 2)], [0.0] * 2))
    assert made.version(1) == 2
    made.take(slices([(1, 4, 2, 4)], [0.0] * 2))
    assert made.version(1) == 4


@pytest.mark.parametrize('bound', [1, 2, 3])
def test_bounded_async_waits_for_all_panels_of_a_version_that_is_new_enough(bound):
    made, _ = incoming(entries=(4, 8))

    def lacking(sweep):
        return made.lacking(0, sweep, {1}, None, bound)
    assert lacking(bound) is None and lacking(bound + 1) == 1
    made.take(slices([(1, 1, 0, 2)], [0.0] * 2))
    assert lacking(bound + 1) == 1
    made.take(slices([(1, 1, 2, 4)], [0.0] * 2))
    assert lacking(bound + 1) is None and lacking(bound + 2) == 1


def test_bounded_async_waits_for_shared_memory_as_for_messages():
    made, _, writer = shared(entries=(4, 8))
    assert made.lacking(0, 2, {1}, None, 2) is None and made.lacking(0, 3, {1}, None, 2) == 1
    writer.mark(0, 1, 1)
    assert made.lacking(0, 3, {1}, None, 2) is None and made.lacking(0, 4, {1}, None, 2) == 1
    assert made.lacking(3, 4, set(), None, 2) is None       # another block of this owner, which reads nothing there


def test_unbounded_async_never_waits():
    made, _ = incoming()
    assert made.lacking(0, 1000, {1, 2}) is None


def test_async_sees_in_shared_memory_what_is_there_by_now():
    made, x, writer = shared()
    made.take_shown(1)
    writer.put(0, 2, 4, [2.0, 3.0])
    assert x[6:8].tolist() == [0.0, 0.0]
    made.use(0, 1, {1, 2})
    assert x[4:].tolist() == [0.0, 0.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0]
    writer.put(0, 0, 1, [1.0])
    made.refresh()
    assert x[4] == 1.0


def test_exact_versions_wait_until_the_sweep_that_may_use_them():
    made, x = incoming('sync', entries=(4, 8))
    made.take(slices([(1, 0, 0, 4)], [0.5] * 4))
    made.take(slices([(1, 1, 0, 4)], [1.0] * 4))
    assert (x[4:8] == 0.5).all() and made.lacking(0, 2, {1}) is None and made.lacking(0, 3, {1}) == 1
    made.use(0, 1, {1})
    assert (x[4:8] == 0.5).all()
    made.use(0, 2, {1})
    assert (x[4:8] == 1.0).all()


def test_exact_versions_in_shared_memory_wait_until_the_sweep_that_may_use_them():
    made, x, writer = shared('sync', entries=(4, 8))
    for sweep in (0, 1):
        writer.put(sweep, 0, 4, [sweep + 0.5] * 4)
        writer.mark(0, 1, sweep)
    made.take_shown(1)
    assert made.lacking(0, 2, {1}) is None and made.lacking(0, 3, {1}) == 1
    made.use(0, 1, {1})
    assert (x[4:8] == 0.5).all()
    made.use(0, 2, {1})
    assert (x[4:8] == 1.5).all()


def test_a_writer_in_another_epoch_has_no_version_for_the_reader():
    made, _, writer = shared('sync', entries=(4, 8))
    writer.mark(0, 2, 9)
    assert made.version(1) == -1 and made.lacking(0, 2, {1}) == 1
    made.begin('sync', (), 2)
    assert made.version(1) == 9 and made.lacking(0, 2, {1}) is None
    made.begin('sync', (), 3)
    assert made.version(1) == -1


def test_a_version_in_pieces_counts_when_all_are_here_in_whatever_order():
    made, x = incoming('sync', entries=(4, 8))
    made.take(slices([(1, 1, 2, 4)], [1.2] * 2))
    made.take(slices([(1, 1, 2, 4)], [1.2] * 2))      # again
    assert made.lacking(0, 2, {1}) == 1
    made.take(slices([(1, 1, 0, 2)], [1.0] * 2))
    assert made.lacking(0, 2, {1}) is None
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


def test_dropping_what_was_used_keeps_what_the_next_sweep_may_use():
    made, x = incoming('ordered', entries=(4, 8))
    made.take(slices([(1, 1, 0, 4), (1, 2, 0, 4)], [1.0] * 4 + [2.0] * 4))
    made.drop_used(1)
    made.use(0, 2, {1})             # block 1 comes after block 0: the last sweep's
    assert (x[4:8] == 1.0).all()
    made.drop_used(2)
    made.use(0, 3, {1})
    assert (x[4:8] == 2.0).all()


def test_ordered_uses_by_rank_this_sweep_or_the_last():
    made, x = incoming('ordered', entries=(4, 12))
    for sweep in (1, 2):
        made.take(slices([(1, sweep, 0, 4), (2, sweep, 4, 8)], [sweep + 0.1] * 4 + [sweep + 0.2] * 4))
    made.use(0, 2, {1, 2}, rank=[1, 0, 2])
    assert (x[4:8] == 2.1).all() and (x[8:] == 1.2).all()
    made.use(0, 2, {1, 2}, rank=[1, 2, 0])
    assert (x[4:8] == 1.1).all() and (x[8:] == 2.2).all()


def test_a_block_that_is_not_read_leaves_its_entries_as_they_are():
    made, x = incoming('ordered', entries=(4, 12))
    made.take(slices([(1, 1, 0, 4), (2, 1, 4, 8)], [1.0] * 4 + [2.0] * 4))
    made.use(0, 2, {2})
    assert (x[4:8] == -1.0).all() and (x[8:] == 2.0).all()


@pytest.mark.parametrize('make', [incoming, shared])
def test_one_version_can_be_taken_by_its_number(make):
    made, x, *writer = make('ordered', entries=(4, 12))
    for sweep in (1, 2):
        if writer:
            writer[0].put(sweep, 4, 8, [float(sweep)] * 4)
            writer[0].mark(1, 1, sweep)
        else:
            made.take(slices([(2, sweep, 4, 8)], [float(sweep)] * 4))
    for version in (2, 1):
        made.use_version(2, version)
        assert x[8:].tolist() == [float(version)] * 4
    made.use_version(2, 0)          # is there already
    made.use_version(0, 1)          # nobody else's
    assert x[8:].tolist() == [1.0] * 4 and (x[:8] == -1).all()


def test_in_exact_schedules_a_reader_that_is_not_read_holds_its_source_back_by_two_sweeps():
    made, _ = incoming('ordered', entries=(4, 8), watched=(2,))
    made.take(slices([(1, 1, 0, 4), (1, 2, 0, 4), (1, 3, 0, 4)], [0.0] * 12))
    assert made.lacking(0, 2, {1}) is None and made.lacking(0, 3, {1}) == 2
    made.take(slices([(2, 1, 0, 0)], []))
    assert made.lacking(0, 3, {1}) is None and made.lacking(0, 4, {1}) == 2


def test_a_reader_in_shared_memory_that_is_not_read_holds_its_source_back_by_two_sweeps():
    made, _, writer = shared('ordered', entries=(4, 8), watched=(2,))
    writer.mark(0, 1, 3)
    assert made.lacking(0, 2, {1}) is None and made.lacking(0, 3, {1}) == 2
    writer.mark(1, 1, 1)
    assert made.lacking(0, 3, {1}) is None and made.lacking(0, 4, {1}) == 2


# ---- the report

def test_the_report_counts_bytes_and_parts_of_both_ways():
    made, _ = incoming()
    made.take(slices([(1, 1, 0, 4), (2, 1, 4, 8)], [0.0] * 8))
    made.take(slices([(1, 1, 0, 4)], [0.0] * 4))
    assert made.statistics() == {'bytes_received': 96, 'slices_applied': 3, 'slices_superseded': 0,
                                 'neighbours_shared': 0}
    made, _, writer = shared()
    made.take_shown(1)
    made.refresh()
    assert made.statistics() == {'bytes_received': 128, 'slices_applied': 2, 'slices_superseded': 0,
                                 'neighbours_shared': 1}
