"""Dense rows are transposed in place, and back."""
import numpy as np
import pytest

from coro_sor.kernels.transposition import Transposed


@pytest.mark.parametrize('shape', [(1, 1), (3, 5), (7, 7), (8, 3), (8, 8), (9, 20), (31, 64), (64, 31), (300, 200)])
@pytest.mark.parametrize('dtype', [np.float64, np.float32])
def test_rows_are_transposed_in_place_and_restored(shape, dtype):
    values = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    before, (m, n) = values.copy(), shape
    store = Transposed(values)
    for lo in range(0, m, 5):
        for hi in range(lo + 1, m + 1, 7):
            found = [array[:, rows][:, part] for array, rows, part in store.windows(lo, hi)]
            np.testing.assert_array_equal(np.concatenate(found, axis=1), before[lo:hi].T)
            if hi <= n:
                np.testing.assert_array_equal(store.square(lo, hi, n - hi), before[lo:hi, n - hi + lo:])
    for array, rows, _ in store.windows(0, m):
        assert (rows.stop - rows.start) % 8 == 0
    assert m < 8 or np.shares_memory(store.main, values)
    store.restore()
    np.testing.assert_array_equal(values, before)
    store.restore()
    np.testing.assert_array_equal(values, before)
