"""Whom a block must wait for before a sweep, against the definition: all schedules, ranks and ways of exchange."""
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from coro_sor.incoming import Incoming
from coro_sor.messages import Slices
from coro_sor.partition import Reads
from coro_sor.sharing import SharedSlices

same_every_time = settings(derandomize=True, deadline=None, max_examples=300)


def slices(parts, values, epoch, owner):
    return Slices('s', epoch, owner, np.array(parts, dtype=np.int64), np.array(values, dtype=np.float64))


@st.composite
def stands(draw):
    """Five blocks of owners 0, 1 and 2; owner 0 has block 2, reads some and watches the rest or not."""
    read = draw(st.sets(st.sampled_from([0, 1, 3, 4])))
    watched = draw(st.sets(st.sampled_from([0, 1, 3, 4])))
    versions = {block: draw(st.integers(-1, 6)) for block in (0, 1, 3, 4)}
    by_memory = draw(st.sets(st.sampled_from([1, 2])))
    rank = draw(st.one_of(st.none(), st.permutations(range(5))))
    return read, watched, versions, by_memory, rank, draw(st.integers(1, 6)), draw(st.sampled_from([None, 1, 2, 3]))


@same_every_time
@given(st.sampled_from(['async', 'sync', 'ordered']), stands())
def test_a_block_waits_for_exactly_those_that_are_behind(schedule, stand):
    read, watched, versions, by_memory, rank, sweep, bound = stand
    owners, bounds = [1, 1, 0, 2, 2], [0, 2, 4, 6, 8, 10]
    reads = {owner: np.array([entry for block in sorted(read) if owners[block] == owner
                              for entry in (2 * block, 2 * block + 1)]) for owner in (1, 2)}
    reads = {owner: Reads(entries) for owner, entries in reads.items() if len(entries)}
    made = Incoming(np.zeros(20), reads, {owner: slice(8 * owner - 6, 8 * owner - 6 + found.size)
                                          for owner, found in reads.items()}, bounds, owners)
    memories = {}
    for owner in by_memory:
        size = reads[owner].size if owner in reads else 0
        memory = np.zeros(SharedSlices.size(2, size))
        memories[owner] = SharedSlices(memory, 2, size)
        made.share(owner, SharedSlices(memory, 2, size))
    made.begin(schedule, watched if schedule != 'async' else (), 3)
    heard = read | (watched if schedule != 'async' else set())
    for block, version in versions.items():
        if owners[block] in by_memory:
            memories[owners[block]].mark(block - [0, 0, 3][owners[block]], 3 if version >= 0 else 2, abs(version))
            continue
        versions[block] = version = max(version, 0)
        for past in range(1, version + 1):
            if block in read:
                u, v = 2 * sorted(other for other in read if owners[other] == owners[block]).index(block), 2
                made.take(slices([(block, past, u, u + v)], [0.0] * 2, 3, owners[block]))
            elif block in heard:
                made.take(slices([(block, past, 0, 0)], [], 3, owners[block]))
    lacking = []
    for block in sorted(heard):
        if schedule == 'async':
            wanted = sweep - bound if bound and block in read else 0
        elif block not in read:
            wanted = sweep - 2
        elif schedule == 'sync':
            wanted = sweep - 1
        else:
            wanted = sweep if (block < 2 if rank is None else rank[block] < rank[2]) else sweep - 1
        if wanted > 0 and versions[block] < wanted:
            lacking.append(block)
    found = made.lacking(2, sweep, read, rank, bound if schedule == 'async' else None)
    assert found in lacking if lacking else found is None
    if found is not None:
        assert made.by_message(found) == (owners[found] not in by_memory)
