"""Where entries of x are in an owner's memory, and how its rows are cut into panels."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coro_sor.kernels import panel_step
from coro_sor.layout import DenseLayout, SparseLayout, cut_panels
from coro_sor.partition import Reads, halo
from coro_sor.rows import DenseRows
from owners import assignment, sparse_of

same_every_time = settings(derandomize=True, deadline=None, max_examples=100)


def matrix(n, density=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return np.where(rng.random((n, n)) < density, rng.uniform(-1, 1, (n, n)), 0.0) + 10 * np.eye(n)


# ---- panels

def cut(sparse=False, n=640, bounds=(0, 320, 640), first=0, last=None, **settings):
    """Panels of an owner of the blocks from `first` to `last`, and its local blocks."""
    A = np.eye(n) if sparse else np.ones((n, n))
    if sparse:
        A[:, 0] = A[0] = 1.0
    last = len(bounds) - 1 if last is None else last
    made = assignment(A, 0, list(bounds), sorted({0, bounds[first], bounds[last], n}), sparse, whole_blocks=False)
    made.settings.update(settings)
    start, stop = bounds[first], bounds[last]
    rows = sparse_of(A)[start:stop] if sparse else DenseRows(A[start:stop])
    blocks = [(block, bounds[block] - start, bounds[block + 1] - start) for block in range(first, last)]
    return cut_panels(rows, made, blocks), blocks, rows


@same_every_time
@given(st.booleans(), st.lists(st.integers(1, 300), min_size=1, max_size=5), st.integers(1, 20),
       st.integers(1, 200_000), st.one_of(st.none(), st.integers(1, 700)),
       st.sampled_from(['auto', 'messages', 'shared']), st.booleans())
def test_panels_cover_every_block_in_order_and_start_where_the_kernel_can(sparse, sizes, most, grain, every, exchange,
                                                                          whole):
    bounds = np.concatenate(([0], np.cumsum(sizes))).tolist()
    panels, blocks, rows = cut(sparse, bounds[-1], bounds, exchanges=most, panel_nonzeros=grain, exchange=exchange,
                               exchange_every=every, whole_blocks=whole)
    assert sorted(panels) == [block for block, _, _ in blocks]
    for block, lo, hi in blocks:
        edges = [first for first, _ in panels[block]] + [hi - lo]
        assert edges[0] == 0 and all(first < last for first, last in panels[block])
        assert [last for _, last in panels[block]] == edges[1:]
        assert all(edge % panel_step(rows) == 0 for edge in edges[:-1])


def count(**settings):
    return sum(len(panels) for panels in cut(**settings)[0].values())


@pytest.mark.parametrize('sparse', [False, True])
def test_there_are_no_more_panels_than_exchanges_are_allowed_nor_than_pay(sparse):
    entries = 16 if sparse else 1
    options = dict(sparse=sparse, exchange='messages', panel_nonzeros=entries)
    assert count(exchanges=4, **options) == 4
    assert count(exchanges=1, **options) == 2      # a block has one at least
    assert count(exchanges=10, sparse=sparse, exchange='messages', panel_nonzeros=10 ** 9) == 2


def test_a_panel_of_dense_rows_has_the_least_number_of_nonzeros():
    for exchange, grain in (('messages', 64 * 640), ('shared', 3 * 64 * 640), ('auto', 3 * 64 * 640)):
        assert count(exchanges=100, panel_nonzeros=grain, exchange=exchange) == 10
        assert count(exchanges=100, panel_nonzeros=2 * grain, exchange=exchange) == 4


def test_a_nonzero_of_sparse_rows_takes_as_long_as_sixteen_dense_ones():
    rows = cut(True)[2]
    panels = cut(True, exchanges=100, exchange='messages', panel_nonzeros=16 * (rows.nonzeros // 8))[0]
    assert 7 <= sum(map(len, panels.values())) <= 8


def test_through_shared_memory_there_are_more_exchanges():
    by_message = count(exchanges=2, exchange='messages', panel_nonzeros=1)
    assert by_message == 2
    assert count(exchanges=2, exchange='shared', panel_nonzeros=1) == 6 == count(exchanges=2, panel_nonzeros=1)


@pytest.mark.parametrize('exchange', ['messages', 'shared'])
def test_the_user_may_say_how_many_rows_lie_between_two_exchanges(exchange):
    panels = cut(True, exchange_every=40, exchange=exchange)[0]
    assert all(len(found) == 8 and max(last - first for first, last in found) <= 80 for found in panels.values())
    assert count(exchange_every=10_000, exchange=exchange) == 2
    assert count(exchange_every=1, exchange=exchange) == 10     # of dense rows the kernel takes 64 at once


@pytest.mark.parametrize('exchange', ['messages', 'shared'])
@pytest.mark.parametrize('every', [None, 1, 100])
@pytest.mark.parametrize('sparse', [False, True], ids=['dense', 'sparse'])
def test_blocks_stay_whole_where_the_order_must_not_depend_on_the_exchange(exchange, every, sparse):
    panels = cut(sparse, exchange=exchange, exchange_every=every, panel_nonzeros=1, whole_blocks=True)[0]
    assert panels == {0: [(0, 320)], 1: [(0, 320)]}


# ---- dense rows

def test_dense_rows_have_all_of_x_in_the_order_of_rows():
    A = matrix(12)
    reads = {0: Reads((0, 4)), 2: Reads((9, 12))}
    made = DenseLayout(DenseRows(A[4:9]), 4, reads, [(0, 5)])
    x = np.arange(12.0)
    assert made.size == 12 and x[made.own].tolist() == [4.0, 5.0, 6.0, 7.0, 8.0]
    assert x[made.keys[0]].tolist() == [0.0, 1.0, 2.0, 3.0] and x[made.keys[2]].tolist() == [9.0, 10.0, 11.0]
    assert (made.diagonal == np.diag(A)[4:9]).all()
    assert x[made.own_key(Reads(np.array([5, 8])))].tolist() == [5.0, 8.0]
    assert x[made.own_key(Reads((5, 7)))].tolist() == [5.0, 6.0]


def test_vectors_of_dense_rows_are_copied_when_they_are_brought_into_order():
    made = DenseLayout(DenseRows(matrix(12)[4:9]), 4, {}, [(0, 5)])
    values = np.arange(5.0)
    found = made.arranged(values)
    assert (found == values).all() and not np.shares_memory(found, values)
    assert (made.natural(found) == values).all()
    assert found[made.spots(slice(1, 3))].tolist() == [1.0, 2.0]


# ---- sparse rows

def sparse_layout(A, bounds, owner, panels=None):
    """The layout of one owner, what it reads, and the global number of every place in its x."""
    start, stop = bounds[owner:owner + 2]
    rows = sparse_of(A)[start:stop].copy()
    reads = halo(rows, bounds, start, stop)
    flat = panels or [(0, stop - start)]
    made = SparseLayout(rows, start, reads, flat)
    numbers = np.full(made.size, -1)
    numbers[made.own] = made.arranged(np.arange(start, stop))
    for other, read in reads.items():
        numbers[made.keys[other]] = read.indices()
    return made, reads, numbers


@pytest.mark.parametrize('owner', [0, 1, 2])
def test_sparse_rows_have_their_own_entries_and_then_those_that_they_read_owner_by_owner(owner):
    A, bounds = matrix(30, 0.15), [0, 8, 21, 30]
    made, reads, numbers = sparse_layout(A, bounds, owner)
    start, stop = bounds[owner:owner + 2]
    assert sorted(numbers[made.own]) == list(range(start, stop))
    outside = [j for j in range(30) if not start <= j < stop and A[start:stop, j].any()]
    assert numbers[stop - start:].tolist() == outside and made.size == stop - start + len(outside)
    assert set(made.keys) == set(reads)


def grid(side):
    line = 2 * np.eye(side) - np.eye(side, k=1) - np.eye(side, k=-1)
    return np.kron(line, np.eye(side)) + np.kron(np.eye(side), line)


@pytest.mark.parametrize('A, bounds', [(grid(20), [0, 150, 400]), (matrix(30, 0.15), [0, 12, 30])],
                         ids=['grid', 'random'])
@pytest.mark.parametrize('owner', [0, 1])
@pytest.mark.parametrize('parts', [1, 2])
def test_sparse_rows_say_the_same_in_their_new_places(A, bounds, owner, parts):
    start, stop = bounds[owner:owner + 2]
    edges = np.linspace(0, stop - start, parts + 1).astype(int).tolist()
    made, _, numbers = sparse_layout(A, bounds, owner, list(zip(edges[:-1], edges[1:])))
    found = np.zeros((stop - start, made.size))
    found[made.rows.row_numbers(), made.rows.indices] = made.rows.data
    expected = A[np.ix_(numbers[made.own], numbers)]
    assert (made.diagonal == np.diag(A)[numbers[made.own]]).all()
    assert (np.diag(made.diagonal) - found[:, :stop - start] == expected[:, :stop - start]).all()
    assert (-found[:, stop - start:] == expected[:, stop - start:]).all()


def test_vectors_of_sparse_rows_find_their_places_and_back():
    made, _, numbers = sparse_layout(grid(20), [0, 150, 400], 1)
    values = np.arange(150.0, 400.0)
    arranged = made.arranged(values)
    assert (arranged == numbers[made.own]).all() and not (arranged == values).all()
    assert (made.natural(arranged) == values).all()
    assert (arranged[made.spots(slice(10, 20))] == values[10:20]).all()


@pytest.mark.parametrize('entries', [(160, 170), np.array([150, 173, 399])], ids=['range', 'apart'])
def test_a_neighbour_gets_the_entries_that_it_reads_in_the_order_of_rows(entries):
    made, _, numbers = sparse_layout(grid(20), [0, 150, 400], 1)
    reads = Reads(entries)
    assert numbers[made.own][made.own_key(reads)].tolist() == reads.indices().tolist()


def test_sparse_rows_that_read_nobody_hold_their_own_entries_only():
    made, reads, _ = sparse_layout(np.eye(6) * 3, [0, 2, 6], 1)
    assert reads == {} and made.keys == {} and made.size == 4 and made.diagonal.tolist() == [3.0] * 4
    assert made.rows.nonzeros == 0
