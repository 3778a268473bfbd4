"""Colours are right for every pattern, few, and the same whatever else is different."""
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from coro_sor import colouring
from coro_sor.colouring import colour
from coro_sor.kernels.reference import sor_sweep


def pattern(A):
    """CSR indptr and indices of an array's nonzeros."""
    row, column = np.nonzero(A)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=len(A)))))
    return indptr.astype(np.int32), column.astype(np.int32)


def coloured(A):
    return colour(*pattern(A), len(A))


def is_proper(A, colours):
    """No two different rows of one colour read one from the other."""
    alike = colours[:, None] == colours[None, :]
    np.fill_diagonal(alike, False)
    return not (alike & (A != 0)).any()


def grid(m, reach):
    """Pattern of an m x m grid: neighbours are those within `reach` (1: five points, sqrt(2): nine)."""
    y, x = np.divmod(np.arange(m * m), m)
    return np.hypot(y[:, None] - y, x[:, None] - x) <= reach + 1e-9


def band(n, width):
    """CSR of a full band."""
    row = np.repeat(np.arange(n), 2 * width + 1)
    column = row + np.tile(np.arange(-width, width + 1), n)
    inside = (column >= 0) & (column < n)
    counts = np.bincount(row[inside], minlength=n)
    return np.concatenate(([0], np.cumsum(counts))), column[inside]


def sides(A):
    """Two colours by going from neighbour to neighbour, the smallest row of each part 0; None if there are not two."""
    found = np.full(len(A), -1)
    linked = (A != 0) | (A != 0).T
    for first in range(len(A)):
        if found[first] >= 0:
            continue
        found[first], todo = 0, [first]
        while todo:
            row = todo.pop()
            for other in np.flatnonzero(linked[row]):
                if other != row and found[other] == found[row]:
                    return None
                if found[other] < 0:
                    found[other] = 1 - found[row]
                    todo.append(other)
    return found


def first_fit(A):
    """Welsh and Powell's colouring, one row after another."""
    linked = (A != 0) | (A != 0).T
    np.fill_diagonal(linked, False)
    colours = np.full(len(A), -1)
    for row in np.lexsort((np.arange(len(A)), -np.count_nonzero(A, axis=1))):
        used = set(colours[linked[row]])
        colours[row] = next(k for k in range(len(A)) if k not in used)
    return colours


@st.composite
def patterns(draw, symmetric):
    n, seed = draw(st.integers(1, 40)), draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    A = generator.random((n, n)) < draw(st.floats(0.0, 3.0)) / n
    if symmetric:
        A |= A.T
    if draw(st.booleans()):
        np.fill_diagonal(A, True)
    return A


@settings(deadline=None)
@given(patterns(symmetric=False))
def test_no_two_rows_of_a_colour_read_one_from_the_other(A):
    colours = coloured(A)
    assert is_proper(A, colours)
    assert set(colours) == set(range(colours.max() + 1))


@settings(deadline=None)
@given(patterns(symmetric=False))
def test_a_graph_without_odd_cycles_gets_its_two_sides(A):
    expected = sides(A)
    if expected is None:
        assert coloured(A).max() >= 2
    else:
        np.testing.assert_array_equal(coloured(A), expected)


@settings(deadline=None)
@given(patterns(symmetric=True))
def test_other_graphs_are_coloured_as_one_row_after_another_would_be(A):
    np.fill_diagonal(A, True)
    if sides(A) is None:
        np.testing.assert_array_equal(coloured(A), first_fit(A))


@settings(deadline=None)
@given(patterns(symmetric=True), st.integers(0, 2**32 - 1))
def test_the_order_of_entries_within_a_row_does_not_matter(A, seed):
    indptr, indices = pattern(A)
    generator = np.random.default_rng(seed)
    mixed = np.concatenate([generator.permutation(indices[first:last]) for first, last in zip(indptr, indptr[1:])])
    np.testing.assert_array_equal(colour(indptr, mixed.astype(np.int64), len(A)), colour(indptr, indices, len(A)))


@settings(deadline=None)
@given(patterns(symmetric=True), st.integers(1, 40))
def test_pieces_of_any_size_give_the_same_colours(A, size):
    whole = coloured(A)
    before = colouring._PIECE
    try:
        colouring._PIECE = size
        np.testing.assert_array_equal(coloured(A), whole)
    finally:
        colouring._PIECE = before


def test_two_colours_suffice_for_a_grid():
    y, x = np.divmod(np.arange(400), 20)
    np.testing.assert_array_equal(coloured(grid(20, 1)), (y + x) % 2)


def test_four_colours_suffice_for_a_grid_of_nine_points():
    assert coloured(grid(20, np.sqrt(2))).max() == 3


def test_every_row_of_a_full_matrix_has_a_colour_of_its_own():
    np.testing.assert_array_equal(coloured(np.ones((150, 150))), np.arange(150))


def test_rows_without_neighbours_have_colour_0():
    assert not coloured(np.eye(5)).any()
    assert not coloured(np.zeros((3, 3))).any()
    A = np.zeros((5, 5))
    A[:3, :3] = 1
    np.testing.assert_array_equal(coloured(A), [0, 1, 2, 0, 0])


def test_a_part_of_a_larger_matrix_may_be_given_with_its_own_indptr():
    indptr, indices = pattern(grid(6, 1))
    padded = np.concatenate((np.full(7, 35, dtype=np.int32), indices))
    np.testing.assert_array_equal(colour(indptr + 7, padded[7:], 36), colour(indptr, indices, 36))


def test_only_one_triangle_of_a_symmetric_pattern_is_enough():
    A = np.triu(grid(12, np.sqrt(2)))
    assert is_proper(A, coloured(A)) and coloured(A).max() <= 5


def rounds(monkeypatch):
    """Counts how often all paths are halved, and how many rounds of rows are coloured."""
    counted = {'halved': 0, 'coloured': 0}
    equal, fit = np.array_equal, colouring._first_fit

    def array_equal(*arrays):
        counted['halved'] += 1
        return equal(*arrays)

    def first_fit(*arrays):
        counted['coloured'] += 1
        return fit(*arrays)
    monkeypatch.setattr(colouring.np, 'array_equal', array_equal)
    monkeypatch.setattr(colouring, '_first_fit', first_fit)
    return counted


def test_a_long_path_takes_few_rounds(monkeypatch):
    counted, n = rounds(monkeypatch), 50_000
    np.testing.assert_array_equal(colour(*band(n, 1), n), np.arange(n) % 2)
    assert counted['halved'] < 20 and not counted['coloured']


def test_a_path_in_random_order_takes_few_rounds(monkeypatch):
    counted, n = rounds(monkeypatch), 20_000
    place = np.random.default_rng(3).permutation(n)
    row, column = np.concatenate((place[1:], place[:-1])), np.concatenate((place[:-1], place[1:]))
    order = np.argsort(row, kind='stable')
    colours = colour(np.concatenate(([0], np.cumsum(np.bincount(row)))), column[order], n)
    assert (colours[place[1:]] != colours[place[:-1]]).all() and colours.max() == 1
    assert counted['halved'] < 200


def test_a_long_band_with_odd_cycles_takes_few_rounds(monkeypatch):
    counted, n = rounds(monkeypatch), 50_000
    indptr, indices = band(n, 2)
    colours = colour(indptr, indices, n)
    row = np.repeat(np.arange(n), np.diff(indptr))
    assert ((colours[row] != colours[indices]) | (row == indices)).all() and colours.max() <= 4
    assert counted['coloured'] < 700


@pytest.mark.parametrize('omega', [1.0, 1.78])
def test_a_sweep_by_colours_is_worth_one_in_natural_order(omega):
    """On a grid of nine points, counted to a residual of 1e-6."""
    A = np.where(grid(12, np.sqrt(2)), -1.0, 0.0)
    np.fill_diagonal(A, 8.0)
    order = np.argsort(coloured(A), kind='stable')
    needed = []
    for B in (A, A[np.ix_(order, order)]):
        b, x, sweeps = B.sum(axis=1), np.zeros(len(B)), 0
        while np.linalg.norm(b - B @ x) > 1e-6 * np.linalg.norm(b):
            sor_sweep(B, b, x, omega)
            sweeps += 1
        needed.append(sweeps)
    assert needed[1] <= 1.1 * needed[0]
