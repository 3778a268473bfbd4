"""Cutting rows into blocks and panels, dealing them, and who reads what."""
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coro_sor.partition import Reads, deal, halo, panels, split_rows, subset

same_every_time = settings(derandomize=True, deadline=None, max_examples=200)
weights = st.lists(st.integers(1, 50), min_size=1, max_size=60)


@same_every_time
@given(weights, st.integers(1, 70))
def test_blocks_are_not_empty_and_balanced_within_one_row(weights, blocks):
    bounds = split_rows(np.array(weights), blocks)
    assert len(bounds) == min(blocks, len(weights)) + 1
    assert bounds[0] == 0 and bounds[-1] == len(weights) and (np.diff(bounds) > 0).all()
    heaviest = max(sum(weights[lo:hi]) for lo, hi in zip(bounds[:-1], bounds[1:]))
    assert heaviest <= sum(weights) / (len(bounds) - 1) + max(weights)


@same_every_time
@given(st.integers(1, 10_000), st.integers(1, 100))
def test_equal_rows_make_blocks_that_differ_by_one_row(n, blocks):
    sizes = np.diff(split_rows(n, blocks))
    assert sizes.sum() == n and sizes.max() - sizes.min() <= 1


def test_one_heavy_row_gets_a_block_for_itself():
    assert split_rows(np.array([1, 1, 1000, 1, 1, 1]), 3).tolist() == [0, 2, 3, 6]


def test_fewer_rows_than_blocks_make_a_block_of_each_row():
    assert split_rows(3, 8).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize('rows, blocks', [(0, 1), (5, 0)])
def test_no_rows_or_no_blocks_are_refused(rows, blocks):
    with pytest.raises(ValueError, match='cannot cut'):
        split_rows(rows, blocks)


@same_every_time
@given(st.integers(1, 60), st.lists(st.floats(0.01, 100), min_size=1, max_size=20))
def test_every_worker_gets_a_run_of_blocks(blocks, speeds):
    owners = deal(blocks, len(speeds), speeds)
    assert len(owners) == blocks and (np.diff(owners) >= 0).all()
    assert len(set(owners.tolist())) == min(blocks, len(speeds)) and set(owners) <= set(range(len(speeds)))


def test_blocks_are_dealt_evenly():
    assert deal(8, 2).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert sorted(np.bincount(deal(7, 3))) == [2, 2, 3]
    assert deal(2, 5).tolist() == [0, 1]


def test_a_worker_three_times_as_fast_gets_three_times_the_blocks():
    assert deal(8, 2, [1.0, 3.0]).tolist() == [0, 0] + [1] * 6


def test_the_fastest_workers_get_the_few_blocks_there_are():
    assert deal(2, 4, [1.0, 5.0, 2.0, 7.0]).tolist() == [1, 3]


@same_every_time
@given(weights, st.integers(1, 100), st.integers(1, 12), st.integers(1, 9), st.data())
def test_panels_cover_the_block_and_start_at_whole_steps(weights, grain, limit, step, data):
    sums = np.concatenate(([0], np.cumsum(weights)))
    lo = data.draw(st.integers(0, len(weights) - 1))
    hi = data.draw(st.integers(lo + 1, len(weights)))
    found = panels(sums, lo, hi, grain, limit, step)
    assert found[0][0] == lo and found[-1][1] == hi and len(found) <= limit
    assert all(first < last for first, last in found)
    assert all(left[1] == right[0] and (right[0] - lo) % step == 0 for left, right in zip(found, found[1:]))
    assert len(found) == 1 or (sums[hi] - sums[lo]) / len(found) >= grain


def test_dense_panels_need_no_running_sum():
    assert panels(4000, 0, 2000, 1_000_000, 8, 64) == panels(np.arange(2001) * 4000, 0, 2000, 1_000_000, 8, 64)
    assert len(panels(4000, 0, 2000, 1_000_000, 8, 64)) == 8
    assert panels(4000, 0, 2000, 3_000_000, 8, 64) == [(0, 1024), (1024, 2000)]
    assert panels(10, 0, 10, 1_000_000, 8, 64) == [(0, 10)]


@same_every_time
@given(st.integers(2, 30), st.integers(2, 5), st.integers(0, 2**32 - 1), st.sampled_from([np.int32, np.int64]))
def test_the_halo_is_every_column_of_another_owner_that_is_read(n, owners, seed, dtype):
    pattern = np.random.default_rng(seed).random((n, n)) < 0.3
    bounds = split_rows(n, owners)
    mine = seed % (len(bounds) - 1)
    start, stop = bounds[mine], bounds[mine + 1]
    found = halo(SimpleNamespace(indices=np.nonzero(pattern[start:stop])[1].astype(dtype)), bounds, start, stop)
    assert mine not in found and list(found) == sorted(found)
    read = {j for j in range(n) if pattern[start:stop, j].any() and not start <= j < stop}
    assert sorted(j for reads in found.values() for j in reads.indices()) == sorted(read)
    for owner, reads in found.items():
        assert reads.size == len(reads.indices()) > 0
        assert bounds[owner] <= reads.indices()[0] and reads.indices()[-1] < bounds[owner + 1]
        assert np.array_equal(np.arange(n)[reads.key], reads.indices())


def test_dense_rows_read_ranges_and_hold_no_index_arrays():
    rows = SimpleNamespace(values=np.zeros((3, 10)))
    found = halo(rows, [0, 4, 7, 7, 10], 4, 7)
    assert {owner: reads.key for owner, reads in found.items()} == {0: slice(0, 4), 3: slice(7, 10)}
    assert found[0].size == 4 and found[3].indices().tolist() == [7, 8, 9]


def test_consecutive_columns_become_a_range():
    found = halo(SimpleNamespace(indices=np.array([0, 5, 3, 4, 6, 8])), [0, 3, 9], 0, 3)
    assert found[1].size == 5 and found[1].indices().tolist() == [3, 4, 5, 6, 8]
    found = halo(SimpleNamespace(indices=np.array([0, 5, 3, 4, 6])), [0, 3, 9], 0, 3)
    assert found[1].entries == (3, 7) and found[1].key == slice(3, 7)


def test_several_owners_of_mine_are_left_out_of_the_halo():
    rows = SimpleNamespace(values=np.zeros((6, 10)))
    assert list(halo(rows, [0, 2, 5, 8, 10], 2, 8)) == [0, 3]


def test_rows_that_cut_an_owner_in_two_are_refused():
    with pytest.raises(ValueError, match='whole owners'):
        halo(SimpleNamespace(values=np.zeros((3, 10))), [0, 5, 10], 0, 3)


def test_reads_are_made_again_from_what_a_message_carries():
    for reads in (Reads((3, 7)), Reads(np.array([1, 4, 9]))):
        again = Reads(reads.entries)
        assert again.size == reads.size and again.indices().tolist() == reads.indices().tolist()


@same_every_time
@given(st.one_of(st.tuples(st.integers(0, 20), st.integers(0, 10)).map(lambda pair: (pair[0], sum(pair))),
                 st.sets(st.integers(0, 30)).map(lambda rows: np.array(sorted(rows), dtype=np.int64))),
       st.integers(0, 31), st.integers(0, 31))
def test_a_subset_holds_exactly_the_entries_within_the_rows(entries, lo, hi):
    lo, hi = sorted((lo, hi))
    reads = Reads(entries)
    u, v = subset(reads, lo, hi)
    assert 0 <= u <= v <= reads.size
    assert reads.indices()[u:v].tolist() == [row for row in reads.indices() if lo <= row < hi]
