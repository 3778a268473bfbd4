"""The sparse kernel does what the row loop does, in the order of updates."""
import importlib.util
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from coro_sor.arrangement import arrange
from coro_sor.kernels import sparse
from coro_sor.kernels.reference import sor_sweep
from coro_sor.rows import SparseRows


def without_scipy():
    """The kernel's module as it is where there is no scipy."""
    spec = importlib.util.spec_from_file_location('sparse_without_scipy', sparse.__file__)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, 'scipy.sparse._sparsetools', None)
        spec.loader.exec_module(module)
    return module


NUMPY = without_scipy()
MODULES = {'scipy': sparse, 'numpy': NUMPY}


@pytest.fixture(params=['scipy', 'numpy'])
def module(request):
    """The kernel with scipy's product, and with the one for where there is no scipy."""
    if request.param == 'scipy':
        pytest.importorskip('scipy')
    return MODULES[request.param]


class Case:
    """Rows start .. stop of a random dominant system, its kernel, and the same in the row loop's terms.

    `A`, `b` and `x` are in the order of the kernel: own rows by position, then the halo. `A` has the own rows only.
    """

    def __init__(self, module, n=200, start=0, stop=None, cuts=(), degree=6.0, seed=0, dtype=np.float64, omega=1.3):
        generator = np.random.default_rng(seed)
        stop = n if stop is None else stop
        m = stop - start
        full = generator.standard_normal((n, n)) * (generator.random((n, n)) < degree / n)
        full[np.arange(n), np.arange(n)] = 1.2 * np.abs(full).sum(axis=1) + 0.1
        full = full.astype(dtype)
        own = full[start:stop]
        read = np.flatnonzero((own != 0).any(axis=0))
        halo = read[(read < start) | (read >= stop)]
        row, column = np.nonzero(own)
        indptr = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=m))))
        rows = SparseRows(indptr.astype(np.int32), column.astype(np.int32), own[row, column], n)
        edges = sorted({0, m} | {edge for edge in cuts if 0 < edge < m})
        self.panels = list(zip(edges[:-1], edges[1:]))
        self.arranged = arrange(rows, start, self.panels, halo)
        order = self.arranged.order
        self.A = own[order][:, np.concatenate((start + order, halo))].astype(np.float64)
        self.b = generator.standard_normal(m)
        self.x = generator.standard_normal(self.arranged.columns)
        self.omega = omega if np.ndim(omega) == 0 else np.asarray(omega)[:m]
        self.kernel = module.SparseKernel(self.arranged, self.b, self.omega, self.arranged.columns)

    def expected(self, x, panel, backward=False, omega=None):
        """The row loop's x and sum of squares."""
        x, squares = x.copy(), 0.0
        omega = np.broadcast_to(self.omega if omega is None else omega, self.b.shape)
        lo, hi = self.panels[panel]
        for p in range(hi - 1, lo - 1, -1) if backward else range(lo, hi):
            squares += (self.b[p] - self.A[p] @ x) ** 2
            extended = np.concatenate((omega, np.ones(len(x) - len(omega))))
            sor_sweep(self.A, self.b, x, extended, p, p + 1)
        return x, squares


def distance(x, y):
    return np.linalg.norm(x - y) / np.linalg.norm(y)


CASES = dict(
    n=st.integers(1, 260), degree=st.sampled_from([0.5, 2.0, 8.0, 40.0]), seed=st.integers(0, 2**32 - 1),
    first=st.floats(0.0, 0.9), size=st.floats(0.1, 1.0), cuts=st.lists(st.integers(0, 260), max_size=3),
    per_row=st.booleans(), backward=st.lists(st.booleans(), min_size=1, max_size=3),
    name=st.sampled_from(['scipy', 'numpy']), narrow=st.booleans(), entries=st.sampled_from([1, 200, 1 << 17]))


@settings(deadline=None, max_examples=60)
@given(**CASES)
def test_sweeps_are_those_of_the_row_loop_in_the_order_of_updates(
        n, degree, seed, first, size, cuts, per_row, backward, name, narrow, entries):
    start = int(first * n)
    stop = min(n, start + max(1, int(size * n)))
    omega = np.random.default_rng(seed).uniform(0.3, 1.7, n) if per_row else 1.4
    module = MODULES[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, '_ENTRIES', entries)
        case = Case(module, n, start, stop, cuts, degree, seed, np.float32 if narrow else np.float64, omega)
    x = case.x.copy()
    for reverse in backward:
        panels = range(len(case.panels))
        for panel in reversed(panels) if reverse else panels:
            expected, squares = case.expected(x, panel, reverse)
            met = case.kernel.sweep(x, panel, backward=reverse)
            assert distance(x, expected) < 1e-12
            assert met == pytest.approx(squares, rel=1e-10, abs=1e-20)


@pytest.mark.parametrize('backward', [False, True])
@pytest.mark.parametrize('degree', [2.0, 6.0, 60.0])
def test_what_is_not_measured_is_the_same_to_the_bit(module, degree, backward):
    case = Case(module, 300, 40, 280, [100], degree)
    measured, unmeasured = case.x.copy(), case.x.copy()
    for panel in (0, 1):
        assert np.isfinite(case.kernel.sweep(measured, panel, backward=backward))
        assert np.isnan(case.kernel.sweep(unmeasured, panel, backward=backward, measure=False))
    assert np.array_equal(measured, unmeasured)


@pytest.mark.parametrize('degree', [2.0, 60.0])
@pytest.mark.parametrize('backward', [False, True])
def test_omega_can_be_changed_between_sweeps(module, degree, backward):
    case = Case(module, 150, degree=degree, omega=1.8)
    x = case.x.copy()
    case.kernel.sweep(x, 0, backward=backward)
    omega = np.random.default_rng(1).uniform(0.2, 1.0, 150)
    for new in (0.7, omega):
        case.kernel.set_omega(new)
        expected, _ = case.expected(x, 0, backward, new)
        case.kernel.sweep(x, 0, backward=backward)
        assert distance(x, expected) < 1e-13


def test_a_panel_changes_its_own_positions_only_and_reads_what_others_wrote(module):
    case = Case(module, 200, 50, 170, [70])
    x = case.x.copy()
    case.kernel.sweep(x, 0)
    x[120:] += 1.0
    x[:70] -= 1.0
    before = x.copy()
    case.kernel.sweep(x, 1)
    assert distance(x, case.expected(before, 1)[0]) < 1e-13
    assert np.array_equal(x[:70], before[:70]) and np.array_equal(x[120:], before[120:])


def test_a_kernel_may_go_from_one_x_to_another(module):
    case = Case(module, 100)
    one, other = case.x.copy(), 2.0 * case.x
    for x in (one, other, one):
        expected = case.expected(x, 0)[0]
        case.kernel.sweep(x, 0)
        assert distance(x, expected) < 1e-13


def test_the_order_of_sub_blocks_counts_for_nothing(module):
    case = Case(module, 100)
    x, y = case.x.copy(), case.x.copy()
    assert case.kernel.pieces(0) == 1
    case.kernel.sweep(x, 0)
    case.kernel.sweep(y, 0, pieces=[0])
    assert np.array_equal(x, y)


@pytest.mark.parametrize('dtype', [np.float64, np.float32])
def test_residual_and_size_are_those_of_the_matrix(module, monkeypatch, dtype):
    monkeypatch.setattr(module, '_ENTRIES', 300)
    case = Case(module, 400, 30, 390, [50], dtype=dtype)
    out = np.full(360, np.nan)
    assert case.kernel.residual(case.x, out) is out
    np.testing.assert_allclose(out, case.b - case.A @ case.x, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(case.kernel.residual(case.x), out)
    np.testing.assert_allclose(case.kernel.size(case.x), np.abs(case.A) @ np.abs(case.x) + np.abs(case.b), rtol=1e-13)


def test_rows_without_other_entries_are_solved_at_once(module):
    case = Case(module, 150, degree=0.0, omega=1.0)
    x = case.x.copy()
    case.kernel.sweep(x, 0)
    np.testing.assert_allclose(x, case.b / np.diag(case.A), rtol=1e-14)


def test_wide_row_pointers_work(module):
    case = Case(module, 150, 20, 140)
    case.arranged.indptr = case.arranged.indptr.astype(np.int64)
    kernel = module.SparseKernel(case.arranged, case.b, 1.3, case.arranged.columns)
    x = case.x.copy()
    kernel.sweep(x, 0)
    assert distance(x, case.expected(case.x, 0)[0]) < 1e-13


@pytest.mark.parametrize('x', [np.ones(9), np.ones(10, dtype=np.float32), np.ones(20)[::2], np.ones((10, 1))])
def test_an_x_that_does_not_fit_is_refused(module, x):
    kernel = Case(module, 10).kernel
    for use in (lambda: kernel.sweep(x, 0), lambda: kernel.residual(x), lambda: kernel.size(x)):
        with pytest.raises(ValueError, match='contiguous vector of 10 float64'):
            use()


@pytest.mark.parametrize('n', [2, 300])
@pytest.mark.parametrize('backward', [False, True])
def test_overflow_gives_numbers_that_are_not_finite_instead_of_a_warning(module, n, backward):
    """In a triangle, and in colours of 150 rows."""
    row = np.arange(n)
    rows = SparseRows(2 * np.arange(n + 1, dtype=np.int32), np.sort(np.stack((row, row ^ 1)), axis=0).T.ravel().astype(
        np.int32), np.where(np.sort(np.stack((row, row ^ 1)), axis=0) == row, 1.0, 1e200).T.ravel(), n)
    arranged = arrange(rows, 0, [(0, n)], np.empty(0, dtype=np.int64))
    kernel = module.SparseKernel(arranged, np.ones(n), 1.9, n)
    x = np.ones(n)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        squares = [kernel.sweep(x, 0, backward=backward) for _ in range(4)]
        assert not np.isfinite(squares[-1])
        assert not np.isfinite(kernel.residual(x)).all() and not np.isfinite(kernel.size(x)).all()


def test_both_products_add_the_same(module):
    case = Case(module, 200)
    rows, x = case.arranged, case.x
    y = np.ones(50)
    module.add_product(50, 200, rows.indptr[100:151], rows.indices, rows.data, x, y)
    off = case.A - np.diag(np.diag(case.A))
    np.testing.assert_allclose(y, 1.0 - off[100:150] @ x, rtol=0, atol=1e-12)
    assert module is sparse or module.add_product is not sparse.add_product
