"""Slices in shared memory: which version is complete, and that none is overwritten while it may be read."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coro_sor.sharing import SharedSlices

same_every_time = settings(derandomize=True, deadline=None, max_examples=100)


def both(blocks=2, entries=5, lock=None):
    """The writer's and the reader's view of one piece of memory, and that memory."""
    memory = np.zeros(SharedSlices.size(blocks, entries))
    only_read = memory.view()
    only_read.flags.writeable = False
    return SharedSlices(memory, blocks, entries, lock), SharedSlices(only_read, blocks, entries), memory


def test_memory_of_zeros_is_of_an_epoch_that_never_is():
    _, reader, _ = both()
    assert reader.version(0, 1) == reader.version(1, 1) == -1


def test_a_version_is_seen_once_it_is_marked_and_block_by_block():
    writer, reader, _ = both()
    writer.put(1, 0, 5, np.arange(5.0))
    assert reader.version(0, 3) == -1
    writer.mark(0, 3, 1)
    assert reader.version(0, 3) == 1 and reader.version(1, 3) == -1
    assert reader.get(1, 1, 4).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize('epoch', [1, 2, 1000, 2 ** 31 - 1])
@pytest.mark.parametrize('sweep', [0, 1, 2 ** 32 - 1])
def test_epoch_and_sweep_are_kept_apart_however_large(epoch, sweep):
    writer, reader, _ = both()
    writer.mark(1, epoch, sweep)
    assert reader.version(1, epoch) == sweep
    assert reader.version(1, epoch + 1) == reader.version(1, epoch - 1) == -1


def test_a_version_of_an_older_epoch_is_none_of_the_new_one():
    writer, reader, _ = both()
    writer.mark(0, 4, 17)
    assert reader.version(0, 5) == -1
    writer.mark(0, 5, 0)
    assert reader.version(0, 5) == 0 and reader.version(0, 4) == -1


def test_a_reader_that_is_a_version_behind_still_finds_it_while_the_next_but_one_is_written():
    writer, reader, _ = both()
    for sweep in range(50):
        writer.put(sweep, 0, 5, np.full(5, float(sweep)))
        for behind in range(min(sweep, 2) + 1):
            assert (reader.get(sweep - behind, 0, 5) == sweep - behind).all()


def test_the_reader_can_write_nothing():
    writer, reader, _ = both()
    writer.put(0, 0, 5, np.ones(5))
    with pytest.raises(ValueError):
        reader.put(0, 0, 1, [2.0])
    with pytest.raises(ValueError):
        reader.mark(0, 1, 1)
    with pytest.raises(ValueError):
        reader.get(0, 0, 5)[:] = 2.0


def test_what_is_got_is_a_view():
    writer, reader, memory = both()
    assert np.shares_memory(reader.get(2, 1, 3), memory)


@same_every_time
@given(st.integers(1, 40), st.integers(0, 20), st.randoms(use_true_random=False))
def test_counters_and_entries_of_all_blocks_and_versions_lie_apart(blocks, entries, draw):
    writer, reader, memory = both(blocks, entries)
    assert len(memory) == SharedSlices.size(blocks, entries)
    pieces = [('mark', block) for block in range(blocks)] + [('put', slot, u) for slot in range(3)
                                                             for u in range(entries)]
    draw.shuffle(pieces)
    for number, (kind, *where) in enumerate(pieces, 1):
        if kind == 'mark':
            writer.mark(where[0], 7, number)
        else:
            writer.put(where[0], where[1], where[1] + 1, [number])
    for number, (kind, *where) in enumerate(pieces, 1):
        if kind == 'mark':
            assert reader.version(where[0], 7) == number
        else:
            assert reader.get(where[0], where[1], where[1] + 1).tolist() == [number]


def test_a_counter_is_raised_after_the_lock_was_taken_and_let_go():
    steps = []

    class Lock:
        def __enter__(self):
            steps.append(('taken', reader.version(0, 1)))

        def __exit__(self, *unused):
            steps.append(('let go', reader.version(0, 1)))
    writer, reader, _ = both(lock=Lock())
    writer.mark(0, 1, 5)
    assert steps == [('taken', -1), ('let go', -1)] and reader.version(0, 1) == 5


def test_a_neighbour_that_reads_nothing_still_sees_how_far_the_writer_is():
    writer, reader, _ = both(3, 0)
    writer.mark(2, 1, 8)
    assert [reader.version(block, 1) for block in range(3)] == [-1, -1, 8]
    assert len(reader.get(5, 0, 0)) == 0
