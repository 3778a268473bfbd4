"""The strip kernel: exact SOR in a global order of blocks, whoever owns them."""
import numpy as np
import pytest
from hypothesis import given, settings, strategies
from test_dense_kernel import distance, dominant, rows_of, sor_in_order

from coro_sor.kernels.strips import StripKernel
from coro_sor.rows import DenseRows

TOLERANCE = 1e-12   # the residual that is kept up to date carries the rounding of the larger x that a run starts with


class Owners:
    """Several kernels that hold all blocks of a system between them, each with an x of its own."""

    def __init__(self, A, b, x, omega, bounds, cuts, dtype=np.float64):
        self.bounds, self.xs, self.kernels = bounds, [], []
        omega = np.broadcast_to(omega, b.shape)
        for first, stop in zip(cuts[:-1], cuts[1:]):
            lo, hi = bounds[first], bounds[stop]
            self.kernels.append(StripKernel(DenseRows(A[lo:hi].astype(dtype)), b[lo:hi], lo, omega[lo:hi], bounds))
            self.xs.append(x.copy())
        self.refresh()

    def refresh(self):
        for kernel, x in zip(self.kernels, self.xs):
            kernel.refresh(x)

    def sweep(self, sequence=None, pieces=None, backward=False, ahead=False):
        """Pass over the blocks of `sequence`; pieces by block. `ahead`: solve one block ahead of what was applied."""
        squares, late = 0.0, None
        blocks = range(len(self.bounds) - 1)
        sequence = list(blocks[::-1] if backward else blocks) if sequence is None else list(sequence)
        for block in sequence:
            rows = slice(*self.bounds[block:block + 2])
            owner = next(number for number, kernel in enumerate(self.kernels) if block in kernel.own)
            met, change = self.kernels[owner].solve(block, self.xs[owner], pieces and pieces[block], backward,
                                                    late and (late[0], late[1][owner]))
            squares += met
            changes = []
            for number, x in enumerate(self.xs):
                if number == owner:
                    changes.append(change)
                else:       # knows old and new x only
                    old = x[rows].copy()
                    x[rows] = self.xs[owner][rows]
                    changes.append(x[rows] - old)
            if late:
                self.apply(*late)
            late = block, changes
            if not ahead:
                self.apply(*late)
                late = None
        if late:
            self.apply(*late)
        return squares

    def apply(self, block, changes):
        for kernel, change in zip(self.kernels, changes):
            kernel.apply(block, change)

    def x(self):
        for x in self.xs[1:]:
            np.testing.assert_array_equal(x, self.xs[0])
        return self.xs[0]


def kernel_of(A, b, omega, bounds, lo=0, hi=None):
    return StripKernel(DenseRows(A[lo:hi].copy()), b[lo:hi], lo, omega, bounds)


def orders(bounds, sweeps, seed=0):
    """Random sequences of blocks, and of the sub-blocks in each."""
    generator = np.random.default_rng(seed)
    for _ in range(sweeps):
        sizes = [-(-(hi - lo) // 64) for lo, hi in zip(bounds[:-1], bounds[1:])]
        yield generator.permutation(len(sizes)).tolist(), [generator.permutation(size).tolist() for size in sizes]


CUTS = [([0, 300], [0, 1]), ([0, 128, 256, 300], [0, 3]), ([0, 1, 140, 141, 300], [0, 1, 4]),
        ([0, 64, 128, 192, 256, 300], [0, 2, 3, 5])]


@pytest.mark.parametrize('n', [1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize('backward', [False, True])
def test_a_pass_over_one_block_is_the_sweep_of_the_row_loop(n, backward):
    A, b, x = dominant(n)
    owners = Owners(A, b, x, 1.3, [0, n], [0, 1])
    for _ in range(3):
        owners.sweep(backward=backward)
        sor_in_order(A, b, x, 1.3, rows_of(0, n, backward=backward))
    assert distance(owners.x(), x) < TOLERANCE


@pytest.mark.parametrize('bounds, cuts', CUTS)
@pytest.mark.parametrize('ahead', [False, True])
def test_blocks_in_turn_make_one_sweep_of_the_row_loop(bounds, cuts, ahead):
    A, b, x = dominant(300)
    omega = np.random.default_rng(1).uniform(0.3, 1.9, 300)
    owners = Owners(A, b, x, omega, bounds, cuts)
    for _ in range(3):
        owners.sweep(ahead=ahead)
        sor_in_order(A, b, x, omega, range(300))
        owners.sweep(backward=True, ahead=ahead)
        sor_in_order(A, b, x, omega, range(300)[::-1])
    assert distance(owners.x(), x) < TOLERANCE


@pytest.mark.parametrize('bounds, cuts', CUTS)
@pytest.mark.parametrize('backward', [False, True])
def test_blocks_and_their_sub_blocks_may_come_in_any_order(bounds, cuts, backward):
    A, b, x = dominant(300)
    owners = Owners(A, b, x, 1.1, bounds, cuts)
    for sequence, pieces in orders(bounds, 3):
        owners.sweep(sequence, pieces, backward)
        for block in sequence:
            sor_in_order(A, b, x, 1.1, rows_of(*bounds[block:block + 2], pieces[block], backward))
    assert distance(owners.x(), x) < TOLERANCE


@settings(max_examples=30, deadline=None)
@given(strategies.data())
def test_any_bounds_any_owners_and_any_order_are_those_of_the_row_loop(data):
    n = data.draw(strategies.integers(1, 150), 'n')
    bounds = sorted({0, n} | data.draw(strategies.sets(strategies.integers(1, n), max_size=5), 'bounds'))
    blocks = len(bounds) - 1
    cuts = sorted({0, blocks} | data.draw(strategies.sets(strategies.integers(1, blocks), max_size=3), 'cuts'))
    A, b, x = dominant(n)
    owners = Owners(A, b, x, 1.2, bounds, cuts)
    for sequence, pieces in orders(bounds, 2, data.draw(strategies.integers(0, 100), 'seed')):
        backward = data.draw(strategies.booleans(), 'backward')
        owners.sweep(sequence, pieces, backward, ahead=True)
        for block in sequence:
            sor_in_order(A, b, x, 1.2, rows_of(*bounds[block:block + 2], pieces[block], backward))
    assert distance(owners.x(), x) < TOLERANCE


@pytest.mark.parametrize('dtype', [np.float64, np.float32])
def test_the_iterates_have_the_same_bits_whoever_owns_the_blocks(dtype):
    A, b, x = dominant(500)
    bounds = [0, 70, 140, 270, 399, 500]
    found = []
    for cuts in ([0, 5], [0, 2, 5], [0, 1, 4, 5], [0, 1, 2, 3, 4, 5]):
        for ahead in (False, True):
            owners = Owners(A, b, x, 1.3, bounds, cuts, dtype)
            owners.sweep(ahead=ahead)
            owners.sweep(backward=True, ahead=ahead)
            for sequence, pieces in orders(bounds, 3):
                owners.sweep(sequence, pieces, ahead=ahead)
            owners.refresh()
            found.append((owners.sweep(ahead=ahead), owners.x().tobytes()))
    assert len(set(found)) == 1


@pytest.mark.parametrize('backward', [False, True])
def test_a_pass_answers_the_squares_of_the_residual_as_met(backward):
    A, b, x = dominant(300)
    bounds = [0, 150, 300]
    owners = Owners(A, b, x, 1.2, bounds, [0, 2])
    squares = 0.0
    for block in (1, 0) if backward else (0, 1):
        lo, hi = bounds[block:block + 2]
        for piece in (2, 1, 0) if backward else (0, 1, 2):
            rows = rows_of(lo, hi, [piece], backward)
            squares += np.sum((b - A @ x)[rows] ** 2)
            sor_in_order(A, b, x, 1.2, rows)
    assert owners.sweep(backward=backward) == pytest.approx(squares, rel=1e-11)


def test_the_change_is_what_x_shows_and_nothing_else_of_x_changes():
    A, b, x = dominant(300)
    kernel = kernel_of(A, b, 1.2, [0, 100, 200, 300])
    kernel.refresh(x)
    before = x.copy()
    _, change = kernel.solve(1, x)
    np.testing.assert_array_equal(change, x[100:200] - before[100:200])
    assert np.array_equal(x[:100], before[:100]) and np.array_equal(x[200:], before[200:])
    kept = change.copy()
    kernel.solve(2, x)
    np.testing.assert_array_equal(change, kept)


def test_solving_leaves_the_residual_as_it_is_until_the_change_is_applied():
    A, b, x = dominant(200)
    kernel = kernel_of(A, b, 1.0, [0, 64, 200])
    kernel.refresh(x)
    first, change = kernel.solve(0, x)
    assert kernel.solve(0, x.copy())[0] == first
    kernel.apply(0, change)
    second = kernel.solve(0, x.copy())[0]
    kernel.refresh(x)
    assert second != first and second == pytest.approx(kernel.solve(0, x)[0], rel=1e-10)


def test_many_sweeps_keep_the_residual_up_to_date_on_a_badly_scaled_matrix():
    generator = np.random.default_rng(3)
    factor = generator.standard_normal((100, 150))
    scale = 10.0 ** generator.uniform(-4, 4, 100)
    A = (factor @ factor.T) * np.outer(scale, scale)
    b = A @ np.ones(100)
    owners = Owners(A, b, np.zeros(100), 1.5, [0, 30, 70, 100], [0, 1, 3])
    for sweep in range(600):
        if sweep % 50 == 0:
            owners.refresh()
        owners.sweep()
    assert np.linalg.norm(b - A @ owners.x()) < 1e-14 * np.linalg.norm(b)


def test_omega_can_be_changed_between_sweeps_in_both_directions():
    A, b, x = dominant(200)
    owners = Owners(A, b, x, 1.8, [0, 130, 200], [0, 1, 2])
    for omega in (1.8, 0.7, np.random.default_rng(1).uniform(0.3, 1.9, 200)):
        for kernel, rows in zip(owners.kernels, (slice(0, 130), slice(130, 200))):
            kernel.set_omega(omega if np.ndim(omega) == 0 else omega[rows])
        owners.sweep()
        sor_in_order(A, b, x, omega, range(200))
        owners.sweep(backward=True)
        sor_in_order(A, b, x, omega, range(200)[::-1])
        owners.sweep(None, [[2, 0, 1], [1, 0]])
        sor_in_order(A, b, x, omega, rows_of(0, 130, [2, 0, 1]) + rows_of(130, 200, [1, 0]))
    assert distance(owners.x(), x) < TOLERANCE


def test_values_that_others_wrote_count_after_a_refresh():
    A, b, x = dominant(200)
    kernel = kernel_of(A, b, 1.2, [0, 100, 200], 0, 100)
    kernel.refresh(x)
    kernel.solve(0, x)
    x += 1.0
    kernel.refresh(x)
    expected = sor_in_order(A, b, x.copy(), 1.2, range(100))
    kernel.solve(0, x)
    assert distance(x, expected) < TOLERANCE


@pytest.mark.parametrize('dtype', [np.float64, np.float32])
def test_the_residual_and_its_size_are_those_of_the_own_rows(dtype):
    A, b, x = dominant(300)
    rows = A[100:230].astype(dtype)
    A = A.astype(dtype).astype(np.float64)
    kernel = StripKernel(DenseRows(rows), b[100:230], 100, 1.0, [0, 100, 133, 230, 300])
    out = np.full(130, np.nan)
    assert kernel.residual(x, out) is out
    np.testing.assert_allclose(out, (b - A @ x)[100:230], rtol=0, atol=1e-12 * np.abs(A).max())
    np.testing.assert_array_equal(kernel.residual(x), out)
    np.testing.assert_allclose(kernel.size(x), (np.abs(A) @ np.abs(x) + np.abs(b))[100:230], rtol=1e-13)


def test_rows_in_float32_are_computed_with_in_float64():
    A, b, x = dominant(300)
    A = A.astype(np.float32).astype(np.float64)
    bounds = [0, 150, 290, 300]
    owners = Owners(A, b, x, 1.2, bounds, [0, 1, 3], np.float32)
    owners.sweep()
    sor_in_order(A, b, x, 1.2, range(300))
    owners.sweep(backward=True)
    sor_in_order(A, b, x, 1.2, range(300)[::-1])
    for sequence, pieces in orders(bounds, 1):
        owners.sweep(sequence, pieces)
        for block in sequence:
            sor_in_order(A, b, x, 1.2, rows_of(*bounds[block:block + 2], pieces[block]))
    assert distance(owners.x(), x) < TOLERANCE


@pytest.mark.parametrize('dtype', [np.float64, np.float32])
@pytest.mark.parametrize('first, last', [(0, 5), (0, 2), (1, 4), (4, 5)])
def test_the_rows_are_rearranged_in_place_and_restored(dtype, first, last):
    bounds = [0, 70, 71, 200, 264, 300]
    A, b, x = dominant(300)
    lo, hi = bounds[first], bounds[last]
    values = A.astype(dtype)[lo:hi].copy()
    before = values.copy()
    kernel = StripKernel(DenseRows(values), b[lo:hi], lo, 1.0, bounds)
    assert not np.array_equal(values, before)
    kernel.refresh(x)
    kernel.solve(first, x)
    kernel.restore()
    np.testing.assert_array_equal(values, before)
    kernel.restore()
    np.testing.assert_array_equal(values, before)


def test_a_kernel_tells_its_blocks_and_their_sub_blocks():
    A, b, _ = dominant(300)
    kernel = kernel_of(A, b, 1.0, np.array([0, 100, 164, 300]), 100, 300)
    assert kernel.own == range(1, 3)
    assert [kernel.pieces(block) for block in range(3)] == [2, 1, 3]


def test_a_block_of_somebody_else_is_refused():
    A, b, x = dominant(200)
    kernel = kernel_of(A, b, 1.0, [0, 50, 100, 200], 50, 100)
    kernel.refresh(x)
    for block in (0, 2):
        with pytest.raises(KeyError):
            kernel.solve(block, x)


def test_overflow_gives_numbers_that_are_not_finite_instead_of_a_warning():
    A = np.array([[1.0, 1e200], [1e200, 1.0]])
    owners = Owners(A, np.ones(2), np.ones(2), 1.9, [0, 1, 2], [0, 1, 2])
    with np.errstate(over='ignore', invalid='ignore'):
        for backward in (False, True, False):
            squares = owners.sweep(backward=backward)
        squares += owners.sweep([1, 0], [[0], [0]])
    kernel = owners.kernels[0]
    assert not np.isfinite(squares)
    assert not np.isfinite(kernel.residual(owners.xs[0])).any() and not np.isfinite(kernel.size(owners.xs[0])).any()


@pytest.mark.parametrize('bounds, lo, hi', [
    ([0, 50, 100], 10, 50), ([0, 50, 100], 50, 90), ([0, 50, 90], 0, 50), ([10, 50, 100], 50, 100),
    ([0, 50, 50, 100], 0, 50), ([0, 60, 50, 100], 0, 50), ([0, 50, 100], 50, 50)])
def test_rows_that_are_not_whole_blocks_are_refused(bounds, lo, hi):
    A, b, _ = dominant(100)
    with pytest.raises(ValueError, match='block'):
        kernel_of(A, b, 1.0, bounds, lo, hi)


def test_rows_that_cannot_be_rearranged_in_place_are_refused_untouched():
    A, b, _ = dominant(100)
    locked = A.copy()
    locked.flags.writeable = False
    for values in (locked, np.asfortranarray(A), np.zeros((100, 200))[:, :100], A.astype(np.int64)):
        before = values.copy()
        with pytest.raises(ValueError, match='rearrange'):
            StripKernel(DenseRows(values), b, 0, 1.0, [0, 50, 100])
        np.testing.assert_array_equal(values, before)


@settings(max_examples=40, deadline=None)
@given(strategies.data())
def test_any_owners_have_the_same_bits_as_one(data):
    n = data.draw(strategies.integers(1, 160), 'n')
    bounds = sorted({0, n} | data.draw(strategies.sets(strategies.integers(1, n), max_size=6), 'bounds'))
    blocks = len(bounds) - 1
    cuts = sorted({0, blocks} | data.draw(strategies.sets(strategies.integers(1, blocks), max_size=4), 'cuts'))
    A, b, x = dominant(n)
    found = []
    for owned in ([0, blocks], cuts):
        owners = Owners(A, b, x, 1.2, bounds, owned)
        squares = [owners.sweep(ahead=True), owners.sweep(backward=True)]
        squares += [owners.sweep(sequence, pieces, ahead=True) for sequence, pieces in orders(bounds, 2)]
        found.append((squares, owners.x().tobytes()))
    assert found[0] == found[1]
