"""Numbering rows anew: reverse Cuthill-McKee, permuted rows, colour by colour, and which to choose."""
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coro_sor.csr import from_triplets
from coro_sor.partition import deal, split_rows
from coro_sor.renumbering import by_colour, permute, rcm, usable_workers
from coro_sor.solution import InputError
from coro_sor.wavefront import block_graph, speed_up

same_every_time = settings(derandomize=True, deadline=None, max_examples=100)


def symmetric(n, one, other):
    """SparseRows with -1 at every pair, both ways, and 100 on the diagonal."""
    pairs = np.unique(np.concatenate([one * n + other, other * n + one]))
    pairs = pairs[pairs // n != pairs % n]
    rows, columns = np.concatenate([pairs // n, np.arange(n)]), np.concatenate([pairs % n, np.arange(n)])
    return from_triplets(n, rows, columns, np.repeat([-1.0, 100.0], [len(pairs), n]))


def geometric(n, seed):
    """Points of the unit square in random order, joined up to a distance that gives 8 neighbours in the mean."""
    points = np.random.default_rng(seed).random((n, 2))
    radius = (8 / (np.pi * n)) ** 0.5
    distances = np.hypot(*(np.subtract.outer(points[:, axis], points[:, axis]) for axis in (0, 1)))
    return symmetric(n, *np.nonzero(distances < radius))


def power_law(n, links, seed):
    """Barabasi and Albert's graph in random order: each vertex is joined to `links` ends of the edges before it."""
    rng = np.random.default_rng(seed)
    ends = [0, 1]
    for vertex in range(2, n):
        for end in [ends[place] for place in rng.integers(0, len(ends), links)]:
            ends += [vertex, end]
    ends = rng.permutation(n)[np.array(ends)]
    return symmetric(n, ends[::2], ends[1::2])


def greedy(rows):
    """The smallest colour that no row before it reads, row by row."""
    colours = np.full(rows.n, -1)
    for row in range(rows.n):
        used = set(colours[rows.indices[rows.indptr[row]:rows.indptr[row + 1]]].tolist())
        colours[row] = next(colour for colour in range(rows.n) if colour not in used)
    return colours


def dense(rows):
    values = np.zeros((rows.n, rows.n))
    values[rows.row_numbers(), rows.indices] = rows.data
    return values


def speed(rows, workers, blocks=16):
    """Speed-up of the rows as they are numbered, the delay left out."""
    bounds = split_rows(np.diff(rows.indptr), blocks)
    return speed_up(block_graph([(0, rows)], bounds), np.diff(rows.indptr[bounds]), deal(blocks, workers))


def speed_by_colour(rows, workers):
    found = by_colour(rows, workers, greedy(rows))
    renumbered = permute(rows, found.order)
    graph = block_graph([(0, renumbered)], found.bounds)
    return speed_up(graph, np.diff(renumbered.indptr[found.bounds]), found.chunk_of, found.sequence)


def without_scipy(monkeypatch):
    for name in [name for name in sys.modules if name.split('.')[0] == 'scipy']:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, 'scipy', None)
    monkeypatch.setitem(sys.modules, 'scipy.sparse', None)


@same_every_time
@given(st.integers(1, 20), st.floats(0, 1), st.sampled_from([np.float64, np.float32]), st.integers(0, 2**32 - 1))
def test_permuted_rows_are_what_numpy_makes_of_them(n, density, dtype, seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((n, n)) < density, rng.standard_normal((n, n)), 0)
    rows = from_triplets(n, *np.nonzero(values), values[values != 0])
    rows.data = rows.data.astype(dtype)
    order = rng.permutation(n)
    found = permute(rows, order)
    values = values[order][:, order]
    expected = from_triplets(n, *np.nonzero(values), values[values != 0])
    assert found.indptr.tolist() == expected.indptr.tolist() and found.indices.tolist() == expected.indices.tolist()
    assert np.array_equal(found.data, expected.data.astype(dtype)) and found.data.dtype == dtype
    assert found.indptr.dtype == found.indices.dtype == np.int32


def test_permuted_rows_are_what_scipy_makes_of_them_where_they_take_several_chunks():
    sparse = pytest.importorskip('scipy.sparse')
    rng = np.random.default_rng(0)
    n = 30_000
    rows = symmetric(n, rng.integers(0, n, 4 * n), rng.integers(0, n, 4 * n))
    before = rows.copy()
    order = rng.permutation(n).astype(np.int32)
    found = permute(rows, order)
    expected = sparse.csr_matrix((rows.data, rows.indices, rows.indptr), shape=(n, n))[order][:, order]
    expected.sort_indices()
    assert len(found.data) > 3 * (1 << 16)
    for name, array in (('indptr', expected.indptr), ('indices', expected.indices), ('data', expected.data)):
        assert np.array_equal(getattr(found, name), array)
        assert np.array_equal(getattr(rows, name), getattr(before, name))


def test_a_row_longer_than_a_chunk_is_permuted_too():
    n = 70_000
    rows = symmetric(n, np.zeros(n - 1, dtype=np.int64), np.arange(1, n))
    order = np.random.default_rng(0).permutation(n)
    found = permute(rows, order)
    hub = int(np.argmax(np.diff(found.indptr)))
    assert order[hub] == 0 and found.indptr[hub + 1] - found.indptr[hub] == n
    assert found.indices[found.indptr[hub]:found.indptr[hub + 1]].tolist() == list(range(n))
    assert np.array_equal(found.diagonal(0), rows.diagonal(0)) and found.nonzeros == rows.nonzeros


@same_every_time
@given(st.integers(1, 40), st.floats(0, 0.3), st.integers(0, 2**32 - 1))
def test_rcm_is_a_permutation_of_any_pattern(n, density, seed):
    pytest.importorskip('scipy')
    pattern = np.random.default_rng(seed).random((n, n)) < density
    rows = from_triplets(n, *np.nonzero(pattern), np.ones(pattern.sum()))
    assert sorted(rcm(rows).tolist()) == list(range(n))


def test_rcm_finds_a_path_again_though_each_link_stands_on_one_side_only():
    pytest.importorskip('scipy')
    rng = np.random.default_rng(0)
    path = rng.permutation(200)
    one, other = path[:-1].copy(), path[1:].copy()
    turned = rng.random(199) < 0.5
    one[turned], other[turned] = other[turned], one[turned]
    # Values that cancel in A + A' must not hide a link.
    rows = from_triplets(200, np.concatenate([one, other[:50]]), np.concatenate([other, one[:50]]),
                         np.repeat([1.0, -1.0], [199, 50]))
    found = rcm(rows).tolist()
    assert found in (path.tolist(), path[::-1].tolist())


def test_rcm_makes_a_geometric_graph_parallel():
    pytest.importorskip('scipy')
    rows = geometric(2000, 0)
    assert speed(rows, 2) == pytest.approx(1, abs=0.02)
    renumbered = permute(rows, rcm(rows))
    assert speed(renumbered, 2) > 1.8 and speed(renumbered, 4) > 3


def test_rows_with_very_many_entries_come_into_the_middle():
    pytest.importorskip('scipy')
    n, hub = 2500, 321
    one = np.arange(n - 1)
    path = np.random.default_rng(0).permutation(n)
    rows = symmetric(n, np.concatenate([path[one], np.full(600, hub)]), np.concatenate([path[one + 1], path[:2400:4]]))
    order = rcm(rows)
    assert sorted(order.tolist()) == list(range(n)) and order[(n - 1) // 2] == hub
    assert speed(rows, 2) < 1.1 and speed(permute(rows, order), 2) > 1.7


def test_rcm_without_scipy_says_what_to_install(monkeypatch):
    rows = symmetric(3, np.array([0]), np.array([2]))
    without_scipy(monkeypatch)
    with pytest.raises(InputError, match=r'coro_sor\[sparse\]'):
        rcm(rows)
    assert permute(rows, np.array([2, 0, 1])).nonzeros == rows.nonzeros


def test_a_power_law_graph_stays_serial_but_colour_by_colour_helps():
    pytest.importorskip('scipy')
    rows = power_law(3000, 5, 0)
    assert speed(rows, 4) == pytest.approx(1, abs=0.05)
    assert speed(permute(rows, rcm(rows)), 4) < 0.5 * 4
    for workers in (2, 4):
        assert speed_by_colour(rows, workers) > 0.9 * workers


@same_every_time
@given(st.integers(1, 60), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_rows_by_colour_have_a_block_for_each_chunk_and_colour(n, chunks, limit, seed):
    rng = np.random.default_rng(seed)
    rows = symmetric(n, rng.integers(0, n, n), rng.integers(0, n, n))
    colours = rng.integers(0, limit, n)
    found = by_colour(rows, chunks, colours)
    chunk, entries = [], np.diff(rows.indptr)
    for row in range(n):
        alike = colours == colours[row]
        chunk.append(int(entries[:row][alike[:row]].sum()) * chunks // int(entries[alike].sum()))
    assert found.order.tolist() == sorted(range(n), key=lambda row: (chunk[row], colours[row], row))
    keys = []
    for block, (lo, hi) in enumerate(zip(found.bounds[:-1], found.bounds[1:])):
        inside = {(chunk[row], int(colours[row])) for row in found.order[lo:hi].tolist()}
        assert len(inside) == 1 and found.chunk_of[block] == next(iter(inside))[0]
        keys += inside
    assert len(set(keys)) == len(keys) and found.bounds[0] == 0 and found.bounds[-1] == n
    assert found.sequence.tolist() == sorted(range(len(keys)), key=lambda block: keys[block][::-1])


@same_every_time
@given(st.integers(1, 60), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_chunks_share_each_colour_evenly_and_leave_the_order_within_a_colour(n, chunks, limit, seed):
    rng = np.random.default_rng(seed)
    rows = symmetric(n, rng.integers(0, n, n), rng.integers(0, n, n))
    colours, lengths = rng.integers(0, limit, n), np.diff(rows.indptr)
    found = by_colour(rows, chunks, colours)
    swept = np.concatenate([found.order[found.bounds[block]:found.bounds[block + 1]] for block in found.sequence])
    assert swept.tolist() == sorted(range(n), key=lambda row: (colours[row], row))
    assert (np.diff(found.chunk_of) >= 0).all() and 0 <= found.chunk_of[0] and found.chunk_of[-1] < chunks
    for colour in set(colours.tolist()):
        mine = colours[found.order[found.bounds[:-1]]] == colour
        work = np.add.reduceat(lengths[found.order], found.bounds[:-1])[mine]
        assert work.max() <= work.sum() / chunks + lengths[colours == colour].max()
        assert len(set(found.chunk_of[mine].tolist())) == mine.sum()


def test_blocks_of_one_colour_are_no_neighbours_and_a_serial_tail_shows_in_the_graph():
    rows = power_law(300, 3, 1)
    colours = greedy(rows)
    for limit in (colours.max(), 2):
        found = by_colour(rows, 4, np.minimum(colours, limit))
        renumbered = permute(rows, found.order)
        graph = block_graph([(0, renumbered)], found.bounds)
        block_colours = np.minimum(colours, limit)[found.order[found.bounds[:-1]]]
        alike = block_colours[:, None] == block_colours
        assert not graph[alike & (block_colours < limit)].any()
        assert graph[alike & (block_colours == limit)].any() == (limit == 2)
    assert np.array_equal(dense(renumbered), dense(rows)[found.order][:, found.order])


@pytest.mark.parametrize('speed_ups, workers, usable', [
    ({8: 4.8}, 8, 8), ({}, 1, 1), ({2: 1.3}, 2, 2), ({2: 1.19}, 2, 1), ({2: 1.8, 3: 2.0, 4: 2.0}, 4, 3),
    ({2: 0.9, 4: 1.0}, 4, 1)])
def test_so_many_workers_are_usable_as_are_fast_enough_for_their_number(speed_ups, workers, usable):
    assert usable_workers(speed_ups, workers) == usable


def test_more_workers_than_there_are_do_not_count():
    assert usable_workers({2: 1.0, 4: 3.9}, 2) == 1
