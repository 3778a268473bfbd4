"""Dense rows: exact point SOR at about the cost of one matrix-vector product."""
import numpy as np

from coro_sor.kernels.triangles import TriangleKernel

__all__ = ['DenseKernel']


class DenseKernel(TriangleKernel):
    """SOR on an (m, n) row-major array; see `TriangleKernel` for the parameters and what it computes.

    It holds 64 float64 values a row beside the rows themselves, which are not copied. With inv = inv(D / omega + L)_kk
    a sub-block becomes (x_k + inv b_k) - inv (A_k x): the first bracket is one vector operation for a whole panel,
    and one call fewer a sub-block matters where a sub-block takes 10 microseconds.
    """

    SIZE = 64

    def __init__(self, rows, b, start, omega, panels):
        self._values = np.asarray(rows.values)
        self._gain = np.empty(len(b))
        self._target = np.empty(len(b))
        super().__init__(rows, b, start, omega, panels)

    def set_omega(self, omega):
        super().set_omega(omega)
        with np.errstate(over='ignore', invalid='ignore'):
            for inverse, (lo, hi) in zip(self._inverses, self._pieces):
                np.dot(inverse[:hi - lo, :hi - lo], self._b[lo:hi], out=self._gain[lo:hi])

    def sweep(self, x, panel_index):
        if x is not self._x:
            self._bind(x)
        lo, hi = self._panels[panel_index]
        subtract = np.subtract
        residual = self._residual[lo:hi]
        with np.errstate(over='ignore', invalid='ignore'):
            np.add(x[self._start + lo:self._start + hi], self._gain[lo:hi], out=self._target[lo:hi])
            for times_rows, product, times_inverse, change, target, own in self._steps[panel_index]:
                times_rows(x, product)
                times_inverse(product, change)
                subtract(target, change, own)
            subtract(self._b[lo:hi], residual, residual)
            return float(residual.dot(residual))

    def residual(self, x, out=None):
        if out is None:
            out = np.empty(len(self._b))
        with np.errstate(over='ignore', invalid='ignore'):
            np.dot(self._values, x, out=out)
            return np.subtract(self._b, out, out=out)

    def _put_triangles(self, triangles):
        for triangle, (lo, hi) in zip(triangles, self._pieces):
            first = self._start + lo
            triangle[:hi - lo, :hi - lo] = np.tril(self._values[lo:hi, first:first + hi - lo])

    def _nonzeros(self, lo, hi):
        return (hi - lo) * self._values.shape[1]

    def _step(self, index, lo, hi, x):
        # Bound methods: np.dot itself spends half a microsecond on choosing an implementation.
        return (self._values[lo:hi].dot, self._residual[lo:hi], self._inverses[index, :hi - lo, :hi - lo].dot,
                self._change[:hi - lo], self._target[lo:hi], x[self._start + lo:self._start + hi])
