"""Sparse rows (CSR): exact point SOR by sub-blocks, with scipy's product where there is scipy."""
import numpy as np

from coro_sor.kernels.triangles import TriangleKernel

try:
    # scipy has no public product that adds into an array: `@` costs 5 microseconds a call before it computes.
    from scipy.sparse._sparsetools import csr_matvec as add_product
except ImportError:
    def add_product(rows, columns, indptr, indices, data, x, y):
        """Add A x to y in place, for CSR rows none of which is empty."""
        y += np.add.reduceat(data * x[indices], indptr[:-1])

__all__ = ['SparseKernel']

_HEIGHT = 1024  # rows of one product where nothing changes in between


class SparseKernel(TriangleKernel):
    """SOR on rows in compressed sparse row form; see `TriangleKernel` for the parameters and what it computes.

    It holds 32 float64 values a row beside the rows themselves, which are not copied. Every row has its diagonal
    entry, so none is empty.
    """

    SIZE = 32

    def sweep(self, x, panel_index):
        if x is not self._x:
            self._bind(x)
        lo, hi = self._panels[panel_index]
        subtract = np.subtract
        residual = self._residual[lo:hi]
        # Filled with -b first, because the product adds; so it holds the negative residual.
        np.negative(self._b[lo:hi], out=residual)
        with np.errstate(over='ignore', invalid='ignore'):
            for matrix, residual_k, times_inverse, change, own in self._steps[panel_index]:
                add_product(*matrix, x, residual_k)
                times_inverse(residual_k, change)
                subtract(own, change, own)
            return float(residual.dot(residual))

    def residual(self, x, out=None):
        if out is None:
            out = np.empty(len(self._b))
        out.fill(0.0)
        with np.errstate(over='ignore', invalid='ignore'):
            for lo in range(0, len(out), _HEIGHT):
                hi = min(lo + _HEIGHT, len(out))
                add_product(*self._matrix(lo, hi, len(x)), x, out[lo:hi])
            return np.subtract(self._b, out, out=out)

    def _matrix(self, lo, hi, columns):
        """Rows lo .. hi as arguments of the product; `indptr` counts from their first entry, so any width will do."""
        indptr, indices = self._rows.indptr, self._rows.indices
        first, last = indptr[lo], indptr[hi]
        own = (indptr[lo:hi + 1] - first).astype(indices.dtype)
        return hi - lo, columns, own, indices[first:last], self._rows.data[first:last]

    def _put_triangles(self, triangles):
        numbers = np.arange(self.SIZE)
        for triangle, (lo, hi) in zip(triangles, self._pieces):
            _, _, indptr, indices, data = self._matrix(lo, hi, 0)
            row = np.repeat(numbers[:hi - lo], np.diff(indptr))
            column = indices - (self._start + lo)
            keep = (column >= 0) & (column <= row)
            triangle[row[keep], column[keep]] = data[keep]

    def _nonzeros(self, lo, hi):
        return int(self._rows.indptr[hi] - self._rows.indptr[lo])

    def _step(self, index, lo, hi, x):
        return (self._matrix(lo, hi, len(x)), self._residual[lo:hi], self._inverses[index, :hi - lo, :hi - lo].dot,
                self._change[:hi - lo], x[self._start + lo:self._start + hi])
