"""The dense kernel does what the row loop does."""
from types import SimpleNamespace

import numpy as np
import pytest

from coro_sor.kernels import dense as dense_module
from coro_sor.kernels.dense import DenseKernel
from coro_sor.kernels.reference import sor_sweep


def dominant(n, seed=0):
    """A random nonsymmetric, diagonally dominant system and a start."""
    generator = np.random.default_rng(seed)
    A = generator.standard_normal((n, n))
    A[np.arange(n), np.arange(n)] = 1.2 * np.abs(A).sum(axis=1) * generator.choice([-1, 1], n)
    return A, generator.standard_normal(n), generator.standard_normal(n)


def dense(A, start=0, stop=None):
    return SimpleNamespace(values=np.ascontiguousarray(A[start:stop]))


def sor_in_order(A, b, x, omega, order):
    """Pass over the rows of `order` with the row loop, each reading what those before it left in x."""
    order = list(order)
    every = order + sorted(set(range(len(x))).difference(order))
    y = sor_sweep(A[np.ix_(every, every)], b[every], x[every], np.broadcast_to(omega, len(x))[every], 0, len(order))
    x[every] = y
    return x


def rows_of(lo, hi, pieces=None, backward=False, size=64):
    """The rows lo .. hi in the order in which sub-blocks `pieces` of them are passed, each forward or backward."""
    count = -(-(hi - lo) // size)
    if pieces is None:
        pieces = range(count)[::-1] if backward else range(count)
    parts = [range(lo + size * piece, min(lo + size * (piece + 1), hi)) for piece in pieces]
    return [row for part in parts for row in (reversed(part) if backward else part)]


def distance(x, y):
    return np.linalg.norm(x - y) / np.linalg.norm(y)


@pytest.mark.parametrize('n', [1, 2, 63, 64, 65, 200])
def test_a_sweep_is_the_sweep_of_the_row_loop(n):
    A, b, x = dominant(n)
    kernel = DenseKernel(dense(A), b, 0, 1.3, [(0, n)])
    expected = x.copy()
    for _ in range(3):
        kernel.sweep(x, 0)
        sor_sweep(A, b, expected, 1.3)
    assert distance(x, expected) < 1e-13


@pytest.mark.parametrize('panels', [
    [(0, 150)], [(0, 64), (64, 128), (128, 150)], [(0, 128), (128, 150)], [(0, 1), (1, 70), (70, 149), (149, 150)],
    [(i, i + 1) for i in range(150)]])
def test_panels_of_any_kind_in_order_make_one_sweep(panels):
    A, b, x = dominant(150)
    kernel = DenseKernel(dense(A), b, 0, 1.1, panels)
    expected = sor_sweep(A, b, x.copy(), 1.1)
    for index in range(len(panels)):
        kernel.sweep(x, index)
    assert distance(x, expected) < 1e-13


def test_panels_may_come_in_any_order():
    A, b, x = dominant(300)
    panels = [(lo, min(lo + 64, 300)) for lo in range(0, 300, 64)]
    kernel = DenseKernel(dense(A), b, 0, 0.9, panels)
    expected = x.copy()
    for index in np.random.default_rng(5).integers(0, len(panels), 20):
        kernel.sweep(x, index)
        sor_sweep(A, b, expected, 0.9, *panels[index])
    assert distance(x, expected) < 1e-13


def test_every_row_can_have_its_own_omega():
    A, b, x = dominant(130)
    omega = np.random.default_rng(1).uniform(0.3, 1.9, 130)
    kernel = DenseKernel(dense(A), b, 0, omega, [(0, 130)])
    expected = sor_sweep(A, b, x.copy(), omega)
    kernel.sweep(x, 0)
    assert distance(x, expected) < 1e-13


def test_omega_can_be_changed_between_sweeps():
    A, b, x = dominant(130)
    kernel = DenseKernel(dense(A), b, 0, 1.8, [(0, 64), (64, 130)])
    kernel.sweep(x, 0)
    kernel.set_omega(0.7)
    expected = sor_sweep(A, b, x.copy(), 0.7)
    kernel.sweep(x, 0)
    kernel.sweep(x, 1)
    assert distance(x, expected) < 1e-13


def test_a_block_changes_its_own_rows_only():
    A, b, x = dominant(200)
    kernel = DenseKernel(dense(A, 50, 170), b[50:170], 50, 1.2, [(0, 64), (64, 120)])
    before = x.copy()
    kernel.sweep(x, 1)
    expected = sor_sweep(A, b, before.copy(), 1.2, 114, 170)
    assert distance(x, expected) < 1e-13
    assert np.array_equal(x[:114], before[:114]) and np.array_equal(x[170:], before[170:])


def test_entries_that_others_wrote_since_are_read():
    A, b, x = dominant(200)
    kernel = DenseKernel(dense(A, 0, 100), b[:100], 0, 1.2, [(0, 100)])
    kernel.sweep(x, 0)
    x[100:] += 1.0
    x[:3] = 0.0
    expected = sor_sweep(A, b, x.copy(), 1.2, 0, 100)
    kernel.sweep(x, 0)
    assert distance(x, expected) < 1e-13


def test_another_buffer_for_x_is_noticed():
    A, b, x = dominant(100)
    kernel = DenseKernel(dense(A), b, 0, 1.2, [(0, 100)])
    kernel.sweep(x, 0)
    other = x.copy()
    before = x.copy()
    kernel.sweep(other, 0)
    assert np.array_equal(x, before)
    assert distance(other, sor_sweep(A, b, before.copy(), 1.2)) < 1e-13


def test_a_sweep_answers_the_squares_of_the_residual_as_met():
    A, b, x = dominant(200)
    rows = dense(A)
    kernel = DenseKernel(rows, b, 0, 1.2, [(0, 100), (100, 200)])
    expected, squares = x.copy(), 0.0
    for lo in range(100, 200, DenseKernel.SIZE):
        hi = min(lo + DenseKernel.SIZE, 200)
        squares += np.sum((b - A @ expected)[lo:hi] ** 2)
        sor_sweep(A, b, expected, 1.2, lo, hi)
    assert kernel.sweep(x, 1) == pytest.approx(squares, rel=1e-12)


def test_the_residual_is_that_of_the_block():
    A, b, x = dominant(200)
    kernel = DenseKernel(dense(A, 50, 170), b[50:170], 50, 1.2, [(0, 120)])
    out = np.full(120, np.nan)
    kernel.sweep(x, 0)
    expected = (b - A @ x)[50:170]
    assert kernel.residual(x, out) is out
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-12 * np.abs(A).max())
    np.testing.assert_array_equal(kernel.residual(x), out)


def test_many_sweeps_reach_the_accuracy_of_the_row_loop_on_a_badly_scaled_matrix():
    generator = np.random.default_rng(3)
    factor = generator.standard_normal((100, 150))
    scale = 10.0 ** generator.uniform(-4, 4, 100)
    A = (factor @ factor.T) * np.outer(scale, scale)
    b = A @ np.ones(100)
    kernel = DenseKernel(dense(A), b, 0, 1.5, [(0, 100)])
    x, expected = np.zeros(100), np.zeros(100)
    for _ in range(600):
        kernel.sweep(x, 0)
        sor_sweep(A, b, expected, 1.5)
    reached = np.linalg.norm(b - A @ expected)
    assert reached < 1e-14 * np.linalg.norm(b)
    assert np.linalg.norm(kernel.residual(x)) < max(20 * reached, 1e-15 * np.linalg.norm(b))


def test_overflow_gives_numbers_that_are_not_finite_instead_of_a_warning():
    A = np.array([[1.0, 1e200], [1e200, 1.0]])
    kernel = DenseKernel(dense(A), np.ones(2), 0, 1.9, [(0, 1), (1, 2)])
    x = np.ones(2)
    squares = [kernel.sweep(x, index) for _ in range(4) for index in (0, 1)]
    assert not np.isfinite(squares[-1]) and not np.isfinite(kernel.residual(x)).all()


def test_the_rows_are_not_copied():
    A, b, x = dominant(128)
    rows = dense(A)
    kernel = DenseKernel(rows, b, 0, 1.0, [(0, 128)])
    rows.values[:, 0] *= 0.5
    np.testing.assert_allclose(kernel.residual(x), b - rows.values @ x, rtol=0, atol=1e-12 * np.abs(A).max())


@pytest.mark.parametrize('panels', [[(0, 50)], [(0, 60), (50, 100)], [(0, 40), (50, 100)], [(0, 0), (0, 100)], []])
def test_panels_that_do_not_cover_the_block_once_are_refused(panels):
    A, b, _ = dominant(100)
    with pytest.raises(ValueError, match='panel'):
        DenseKernel(dense(A), b, 0, 1.0, panels)


def test_a_buffer_that_would_have_to_be_copied_is_refused():
    A, b, _ = dominant(10)
    kernel = DenseKernel(dense(A), b, 0, 1.0, [(0, 10)])
    for x in (np.zeros(20)[::2], np.zeros(10, dtype=np.float32)):
        with pytest.raises(ValueError, match='contiguous'):
            kernel.sweep(x, 0)


@pytest.mark.parametrize('n', [1, 2, 63, 64, 65, 200])
def test_a_backward_sweep_is_that_of_the_row_loop_from_the_last_row_to_the_first(n):
    A, b, x = dominant(n)
    kernel = DenseKernel(dense(A), b, 0, 1.3, [(0, n)])
    expected = x.copy()
    for _ in range(3):
        kernel.sweep(x, 0, backward=True)
        sor_in_order(A, b, expected, 1.3, range(n)[::-1])
    assert distance(x, expected) < 1e-13


@pytest.mark.parametrize('backward', [False, True])
def test_sub_blocks_may_come_in_any_order(backward):
    A, b, x = dominant(410)
    omega = np.random.default_rng(1).uniform(0.3, 1.9, 410)
    panels = [(0, 130), (130, 410)]
    kernel = DenseKernel(dense(A), b, 0, omega, panels)
    expected, generator = x.copy(), np.random.default_rng(2)
    for panel in (0, 1, 1, 0):
        pieces = generator.permutation(kernel.pieces(panel))
        kernel.sweep(x, panel, pieces, backward)
        sor_in_order(A, b, expected, omega, rows_of(*panels[panel], pieces, backward))
    assert distance(x, expected) < 1e-13


def test_forward_and_backward_sweeps_may_alternate_and_omega_change_between_them():
    A, b, x = dominant(200)
    kernel = DenseKernel(dense(A, 50, 170), b[50:170], 50, 1.4, [(0, 64), (64, 120)])
    expected = x.copy()
    for omega in (1.4, 0.6, 1.1):
        kernel.set_omega(omega)
        for panels, order in (((0, 1), range(50, 170)), ((1, 0), range(50, 170)[::-1])):
            for panel in panels:
                kernel.sweep(x, panel, backward=panels == (1, 0))
            sor_in_order(A, b, expected, omega, order)
    assert distance(x, expected) < 1e-13


def test_a_backward_sweep_answers_the_squares_of_the_residual_as_met():
    A, b, x = dominant(200)
    kernel = DenseKernel(dense(A), b, 0, 1.2, [(0, 200)])
    expected, squares = x.copy(), 0.0
    for lo in range(192, -1, -64):
        rows = range(lo, min(lo + 64, 200))
        squares += np.sum((b - A @ expected)[lo:lo + 64] ** 2)
        sor_in_order(A, b, expected, 1.2, rows[::-1])
    assert kernel.sweep(x, 0, backward=True) == pytest.approx(squares, rel=1e-12)


def test_a_sweep_that_does_not_measure_changes_x_alike():
    A, b, x = dominant(200)
    kernel = DenseKernel(dense(A), b, 0, 1.2, [(0, 200)])
    other = x.copy()
    assert np.isfinite(kernel.sweep(x, 0)) and np.isnan(kernel.sweep(other, 0, measure=False))
    np.testing.assert_array_equal(other, x)


def test_the_size_is_what_the_terms_of_the_residual_add_up_to():
    A, b, x = dominant(200)
    kernel = DenseKernel(dense(A, 50, 170), b[50:170], 50, 1.2, [(0, 120)])
    np.testing.assert_allclose(kernel.size(x), (np.abs(A) @ np.abs(x) + np.abs(b))[50:170], rtol=1e-13)
    assert not np.isfinite(kernel.size(np.full(200, 1e308))).any()


@pytest.mark.parametrize('entries', [1 << 19, 1000, 1])
def test_rows_in_float32_are_computed_with_in_float64(monkeypatch, entries):
    monkeypatch.setattr(dense_module, '_ENTRIES', entries)
    A, b, x = dominant(200)
    narrow = A.astype(np.float32)
    A = narrow.astype(np.float64)
    kernel = DenseKernel(dense(narrow, 20, 190), b[20:190], 20, 1.2, [(0, 70), (70, 170)])
    expected = x.copy()
    for panel in (0, 1):
        kernel.sweep(x, panel)
    sor_in_order(A, b, expected, 1.2, range(20, 190))
    for panel in (1, 0):
        kernel.sweep(x, panel, backward=True)
    sor_in_order(A, b, expected, 1.2, range(20, 190)[::-1])
    assert distance(x, expected) < 1e-14
    np.testing.assert_allclose(kernel.residual(x), (b - A @ x)[20:190], rtol=0, atol=1e-13 * np.abs(A).max())
    np.testing.assert_allclose(kernel.size(x), (np.abs(A) @ np.abs(x) + np.abs(b))[20:190], rtol=1e-13)
