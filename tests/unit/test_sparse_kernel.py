"""The sparse kernel does what the row loop and the dense kernel do."""
import importlib.util
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from coro_sor.kernels import make_kernel, panel_step, sparse
from coro_sor.kernels.reference import sor_sweep


def sprinkled(n, seed=0):
    """A random nonsymmetric, diagonally dominant, sparse system (as an array) and a start."""
    generator = np.random.default_rng(seed)
    A = generator.standard_normal((n, n)) * (generator.random((n, n)) < 0.08)
    A[np.arange(n), np.arange(n)] = 1.2 * np.abs(A).sum(axis=1) + 0.1
    return A, generator.standard_normal(n), generator.standard_normal(n)


def csr(A, start=0, stop=None, indptr=np.int32, indices=np.int32):
    row, column = np.nonzero(A[start:stop])
    counts = np.bincount(row, minlength=len(A[start:stop]))
    return SimpleNamespace(indptr=np.concatenate(([0], np.cumsum(counts))).astype(indptr),
                           indices=column.astype(indices), data=A[start:stop][row, column])


def distance(x, y):
    return np.linalg.norm(x - y) / np.linalg.norm(y)


@pytest.fixture(params=['scipy', 'numpy'])
def make(request, monkeypatch):
    """make_kernel with scipy's product, and with the one for where there is no scipy."""
    if request.param == 'scipy':
        pytest.importorskip('scipy')
        return make_kernel
    monkeypatch.setitem(sys.modules, 'scipy.sparse._sparsetools', None)
    spec = importlib.util.spec_from_file_location('sparse_without_scipy', sparse.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.add_product is not sparse.add_product
    return module.SparseKernel


@pytest.mark.parametrize('n', [1, 2, 31, 32, 33, 200])
def test_a_sweep_is_the_sweep_of_the_row_loop(make, n):
    A, b, x = sprinkled(n)
    kernel = make(csr(A), b, 0, 1.3, [(0, n)])
    expected = x.copy()
    for _ in range(3):
        kernel.sweep(x, 0)
        sor_sweep(csr(A), b, expected, 1.3)
    assert distance(x, expected) < 1e-13


@pytest.mark.parametrize('indptr', [np.int32, np.int64])
@pytest.mark.parametrize('indices', [np.int32, np.int64])
def test_both_widths_of_indices_work(make, indptr, indices):
    A, b, x = sprinkled(150)
    kernel = make(csr(A, 30, 130, indptr, indices), b[30:130], 30, 1.3, [(0, 64), (64, 100)])
    expected = sor_sweep(A, b, x.copy(), 1.3, 30, 130)
    kernel.sweep(x, 0)
    kernel.sweep(x, 1)
    assert distance(x, expected) < 1e-13
    np.testing.assert_allclose(kernel.residual(x), (b - A @ x)[30:130], rtol=0, atol=1e-12)


@pytest.mark.parametrize('panels', [
    [(0, 150)], [(0, 64), (64, 128), (128, 150)], [(0, 1), (1, 70), (70, 149), (149, 150)],
    [(i, i + 1) for i in range(150)]])
def test_sparse_and_dense_rows_give_the_same_sweeps(make, panels):
    A, b, x = sprinkled(150)
    omega = np.random.default_rng(1).uniform(0.3, 1.7, 150)
    kernel = make(csr(A), b, 0, omega, panels)
    dense = make_kernel(SimpleNamespace(values=A), b, 0, omega, panels)
    expected = x.copy()
    for index in np.random.default_rng(5).integers(0, len(panels), 20):
        kernel.sweep(x, index)
        dense.sweep(expected, index)
    assert distance(x, expected) < 1e-13


def test_omega_can_be_changed_between_sweeps(make):
    A, b, x = sprinkled(130)
    kernel = make(csr(A), b, 0, 1.8, [(0, 64), (64, 130)])
    kernel.sweep(x, 0)
    kernel.set_omega(0.7)
    expected = sor_sweep(A, b, x.copy(), 0.7)
    kernel.sweep(x, 0)
    kernel.sweep(x, 1)
    assert distance(x, expected) < 1e-13


def test_a_sweep_answers_the_squares_of_the_residual_as_met(make):
    A, b, x = sprinkled(200)
    rows = csr(A)
    kernel = make(rows, b, 0, 1.2, [(0, 100), (100, 200)])
    expected, squares = x.copy(), 0.0
    for lo in range(100, 200, panel_step(rows)):
        hi = min(lo + panel_step(rows), 200)
        squares += np.sum((b - A @ expected)[lo:hi] ** 2)
        sor_sweep(A, b, expected, 1.2, lo, hi)
    assert kernel.sweep(x, 1) == pytest.approx(squares, rel=1e-12)


def test_a_block_changes_its_own_rows_only_and_reads_what_others_wrote(make):
    A, b, x = sprinkled(200)
    kernel = make(csr(A, 50, 170), b[50:170], 50, 1.2, [(0, 64), (64, 120)])
    kernel.sweep(x, 0)
    x[:50] += 1.0
    x[170:] -= 1.0
    before = x.copy()
    kernel.sweep(x, 1)
    assert distance(x, sor_sweep(A, b, before.copy(), 1.2, 114, 170)) < 1e-13
    assert np.array_equal(x[:114], before[:114]) and np.array_equal(x[170:], before[170:])


def test_the_residual_fills_the_vector_it_is_given(make):
    A, b, x = sprinkled(1100)
    kernel = make(csr(A), b, 0, 1.2, [(0, 1100)])
    out = np.full(1100, np.nan)
    assert kernel.residual(x, out) is out
    np.testing.assert_allclose(out, b - A @ x, rtol=0, atol=1e-12 * np.abs(A).max())


def test_work_counts_the_nonzeros_of_each_panel(make):
    A, b, _ = sprinkled(100)
    kernel = make(csr(A, 10, 60), b[10:60], 10, 1.0, [(0, 32), (32, 50)])
    assert kernel.work == [np.count_nonzero(A[10:42]), np.count_nonzero(A[42:60])]


def test_overflow_gives_numbers_that_are_not_finite_instead_of_a_warning(make):
    A = np.array([[1.0, 1e200], [1e200, 1.0]])
    kernel = make(csr(A), np.ones(2), 0, 1.9, [(0, 1), (1, 2)])
    x = np.ones(2)
    squares = [kernel.sweep(x, index) for _ in range(4) for index in (0, 1)]
    assert not np.isfinite(squares[-1]) and not np.isfinite(kernel.residual(x)).all()
