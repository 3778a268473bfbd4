"""Arranged rows are the same rows, in an order in which every group may be updated as it says."""
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from coro_sor import arrangement
from coro_sor.arrangement import TRIANGLE, arrange
from coro_sor.colouring import colour
from coro_sor.rows import SparseRows


def csr(A, start=0, stop=None, dtype=np.float64):
    """Rows start .. stop of an array, canonical."""
    row, column = np.nonzero(A[start:stop])
    counts = np.bincount(row, minlength=len(A[start:stop]))
    return SparseRows(np.concatenate(([0], np.cumsum(counts))).astype(np.int32), column.astype(np.int32),
                      A[start:stop][row, column].astype(dtype), A.shape[1])


def sprinkled(n, degree, seed, symmetric=False):
    generator = np.random.default_rng(seed)
    A = generator.standard_normal((n, n)) * (generator.random((n, n)) < degree / n)
    if symmetric:
        A += A.T
    A[np.arange(n), np.arange(n)] = 1.0 + generator.random(n)
    return A


def grid(m):
    """Five points on m x m, as an array."""
    T = 2 * np.eye(m) - np.eye(m, k=1) - np.eye(m, k=-1)
    return np.kron(T, np.eye(m)) + np.kron(np.eye(m), T)


def halo_of(A, start, stop):
    read = np.flatnonzero((A[start:stop] != 0).any(axis=0))
    return read[(read < start) | (read >= stop)]


def cut(m, cuts):
    edges = sorted({0, m} | {edge for edge in cuts if 0 < edge < m})
    return list(zip(edges[:-1], edges[1:]))


def arranged(A, start=0, stop=None, panels=None, dtype=np.float64):
    stop = len(A) if stop is None else stop
    halo = halo_of(A, start, stop)
    return arrange(csr(A, start, stop, dtype), start, panels or [(0, stop - start)], halo), halo


def as_array(made):
    """The arranged rows (m, m + h), with the diagonal and with the signs of A."""
    m = len(made.order)
    full = np.zeros((m, made.columns))
    full[np.repeat(np.arange(m), np.diff(made.indptr)), made.indices] = -made.data
    assert not full[np.arange(m), np.arange(m)].any()
    full[np.arange(m), np.arange(m)] = made.diagonal
    return full


@st.composite
def problems(draw):
    n, seed = draw(st.integers(1, 300)), draw(st.integers(0, 2**32 - 1))
    A = sprinkled(n, draw(st.sampled_from([0.5, 2.0, 8.0, 30.0])), seed, draw(st.booleans()))
    start = draw(st.integers(0, n - 1))
    stop = draw(st.integers(start + 1, n))
    return A, start, stop, cut(stop - start, draw(st.lists(st.integers(0, 300), max_size=4)))


@settings(deadline=None, max_examples=60)
@given(problems())
def test_the_rows_are_those_of_the_matrix(problem):
    A, start, stop, panels = problem
    made, halo = arranged(A, start, stop, panels)
    columns = np.concatenate((start + made.order, halo)).astype(int)
    np.testing.assert_array_equal(as_array(made), A[start + made.order][:, columns])
    assert made.columns == stop - start + len(halo)


@settings(deadline=None, max_examples=60)
@given(problems())
def test_rows_move_inside_their_panel_only(problem):
    A, start, stop, panels = problem
    made, _ = arranged(A, start, stop, panels)
    for lo, hi in panels:
        np.testing.assert_array_equal(np.sort(made.order[lo:hi]), np.arange(lo, hi))


@settings(deadline=None, max_examples=60)
@given(problems())
def test_groups_cover_the_panels_and_are_what_they_say(problem):
    A, start, stop, panels = problem
    made, _ = arranged(A, start, stop, panels)
    full = as_array(made)
    assert len(made.groups) == len(panels)
    for (lo, hi), groups in zip(panels, made.groups):
        assert [first for first, _, _ in groups] + [hi] == [lo] + [last for _, last, _ in groups]
        for first, last, coloured in groups:
            own = full[first:last, first:last]
            if coloured:
                np.testing.assert_array_equal(own, np.diag(np.diag(own)))
            else:
                assert last - first <= TRIANGLE


@settings(deadline=None, max_examples=30)
@given(problems())
def test_the_nonzeros_of_each_panel_are_counted_with_the_diagonal(problem):
    A, start, stop, panels = problem
    made, _ = arranged(A, start, stop, panels)
    assert made.nonzeros == [np.count_nonzero(A[start + lo:start + hi]) for lo, hi in panels]


@settings(deadline=None, max_examples=30)
@given(problems(), st.integers(1, 200))
def test_pieces_of_any_size_give_the_same_result(problem, size):
    A, start, stop, panels = problem
    whole = as_array(arranged(A, start, stop, panels)[0])
    before = arrangement._PIECE
    try:
        arrangement._PIECE = size
        np.testing.assert_array_equal(as_array(arranged(A, start, stop, panels)[0]), whole)
    finally:
        arrangement._PIECE = before


def test_a_large_panel_is_ordered_by_the_colours_of_its_own_block_and_then_by_rows():
    A = sprinkled(1200, 2.0, 1)
    panels = [(0, 500), (500, 1200)]
    made, _ = arranged(A, panels=panels)
    for lo, hi in panels:
        rows = csr(A[lo:hi, lo:hi])
        colours = colour(rows.indptr, rows.indices, hi - lo)
        np.testing.assert_array_equal(made.order[lo:hi], lo + np.lexsort((np.arange(hi - lo), colours)))


def test_a_grid_has_two_groups_a_panel():
    made, _ = arranged(grid(20), panels=[(0, 200), (200, 400)])
    assert made.groups == [[(0, 100, True), (100, 200, True)], [(200, 300, True), (300, 400, True)]]


def test_small_colours_share_triangles_of_at_most_64_rows():
    sizes = [500, 31, 31, 31, 31, 32, 20, 100, 1, 1]
    assert arrangement._groups(sizes) == [
        (0, 500, True), (500, 564, False), (564, 624, False), (624, 656, True), (656, 676, True), (676, 776, True),
        (776, 778, False)]
    assert arrangement._groups([31, 31, 31]) == [(0, 64, False), (64, 93, True)]


def test_a_full_pattern_keeps_its_order_in_triangles():
    made, _ = arranged(np.ones((66, 66)) + 66 * np.eye(66))
    np.testing.assert_array_equal(made.order, np.arange(66))
    assert made.groups == [[(0, 64, False), (64, 66, False)]]


def test_a_panel_whose_colours_are_small_keeps_its_order():
    made, _ = arranged(grid(11))
    np.testing.assert_array_equal(made.order, np.arange(121))
    assert not any(coloured for _, _, coloured in made.groups[0])


def test_the_entries_of_a_row_stay_in_their_order():
    A = sprinkled(300, 4.0, 2)
    made, halo = arranged(A, 100, 260)
    columns = np.concatenate((100 + made.order, halo))
    for position, local in enumerate(made.order):
        expected = [column for column in np.flatnonzero(A[100 + local]) if column != 100 + local]
        assert columns[made.indices[made.indptr[position]:made.indptr[position + 1]]].tolist() == expected


def test_the_result_lies_in_the_memory_of_the_rows():
    rows = csr(grid(20))
    made = arrange(rows, 0, [(0, 150), (150, 400)], np.empty(0, dtype=np.int64))
    assert np.shares_memory(made.data, rows.data) and np.shares_memory(made.indices, rows.indices)


def test_wide_column_numbers_become_int32():
    rows = csr(grid(6))
    rows.indices, rows.indptr = rows.indices.astype(np.int64), rows.indptr.astype(np.int64)
    made = arrange(rows, 0, [(0, 36)], np.empty(0, dtype=np.int64))
    assert made.indices.dtype == np.int32
    np.testing.assert_array_equal(as_array(made), grid(6)[np.ix_(made.order, made.order)])


def test_float32_values_stay_float32_beside_a_float64_diagonal():
    A = sprinkled(100, 3.0, 3).astype(np.float32)
    made, _ = arranged(A, dtype=np.float32)
    assert made.data.dtype == np.float32 and made.diagonal.dtype == np.float64
    np.testing.assert_array_equal(as_array(made), A[np.ix_(made.order, made.order)])


def test_a_missing_diagonal_entry_is_refused():
    A = grid(4)
    A[5, 5] = 0
    with pytest.raises(ValueError, match='diagonal'):
        arranged(A)


@pytest.mark.parametrize('halo', [[], [9], [11, 12]])
def test_a_column_that_is_not_in_the_halo_is_refused(halo):
    with pytest.raises(ValueError, match='halo'):
        arrange(csr(grid(4), 0, 8), 0, [(0, 8)], np.array(halo, dtype=np.int64))


@pytest.mark.parametrize('panels', [[], [(0, 15)], [(1, 16)], [(0, 8), (9, 16)], [(0, 8), (8, 8), (8, 16)], [(0, 17)]])
def test_panels_that_do_not_cover_the_rows_are_refused(panels):
    with pytest.raises(ValueError, match='panel'):
        arrange(csr(grid(4)), 0, panels, np.empty(0, dtype=np.int64))
