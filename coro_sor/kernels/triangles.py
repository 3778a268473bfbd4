"""Sub-blocks of a block of rows and the inverses of their lower triangles: what both kernels share."""
import abc

import numpy as np

__all__ = ['TriangleKernel', 'invert_lower']


class TriangleKernel(abc.ABC):
    """Exact point SOR by sub-blocks: with r = b_k - A_k x, x_k += inv(D / omega + L)_kk r.

    D / omega + L is the lower triangle of A with its diagonal divided by omega, row by row. Solving with its
    k-th diagonal sub-block is what passing over those rows one by one does (forward substitution), so the result is
    that of the row loop, up to rounding.

    Parameters
    ----------
    rows, b, start, omega, panels
        See `coro_sor.kernels.make_kernel`.

    Attributes
    ----------
    work : list of int
        Nonzeros of each panel.

    Raises
    ------
    ValueError
        If the panels don't ascend from 0 to m without gaps.
    """

    SIZE = 64

    def __init__(self, rows, b, start, omega, panels):
        self._rows = rows
        self._b = np.ascontiguousarray(b, dtype=np.float64)
        self._start = start
        self._panels = [(int(lo), int(hi)) for lo, hi in panels]
        self._check_panels()
        self._pieces = [(lo, min(lo + self.SIZE, stop)) for first, stop in self._panels
                        for lo in range(first, stop, self.SIZE)]
        width = max(hi - lo for lo, hi in self._pieces)
        self._inverses = np.empty((len(self._pieces), width, width))
        self._residual = np.zeros(len(self._b))
        self._change = np.empty(width)
        self._x = None
        self.set_omega(omega)
        self.work = [self._nonzeros(lo, hi) for lo, hi in self._panels]

    def _check_panels(self):
        met = 0
        for lo, hi in self._panels:
            if lo != met or hi <= lo:
                raise ValueError('panel (%d, %d) does not continue at row %d of the block' % (lo, hi, met))
            met = hi
        if met != len(self._b):
            raise ValueError('the panels end at row %d of a block of %d rows' % (met, len(self._b)))

    def set_omega(self, omega):
        """Use another relaxation factor from the next sweep on.

        Parameters
        ----------
        omega : float or (m,) array
            One factor for all rows or one for each.
        """
        omega = np.broadcast_to(np.asarray(omega, dtype=np.float64), self._b.shape)
        self._inverses.fill(0.0)
        self._put_triangles(self._inverses)
        diagonals = np.einsum('kii->ki', self._inverses)
        for (lo, hi), diagonal in zip(self._pieces, diagonals):
            diagonal[:hi - lo] /= omega[lo:hi]
            diagonal[hi - lo:] = 1.0
        invert_lower(self._inverses)

    def _bind(self, x):
        """Make the views of x once for each buffer: slicing costs as much as the small products."""
        if x.dtype != np.float64 or x.ndim != 1 or not x.flags.c_contiguous:
            raise ValueError('x must be a contiguous vector of float64')
        steps = iter([self._step(index, lo, hi, x) for index, (lo, hi) in enumerate(self._pieces)])
        self._steps = [[next(steps) for _ in range(lo, hi, self.SIZE)] for lo, hi in self._panels]
        self._x = x

    @abc.abstractmethod
    def _put_triangles(self, triangles):
        """Write the lower triangle of every sub-block into (pieces, width, width) zeros."""

    @abc.abstractmethod
    def _nonzeros(self, lo, hi):
        """Count the nonzeros of local rows lo .. hi."""

    @abc.abstractmethod
    def _step(self, index, lo, hi, x):
        """Collect the views that a sweep needs for one sub-block."""

    @abc.abstractmethod
    def sweep(self, x, panel_index):
        """Pass once over a panel, row by row in natural order.

        Parameters
        ----------
        x : (n,) float64 array, contiguous
            Changed in place in this panel's rows only. The rest is read live, sub-block by sub-block, so another
            thread or process may be writing it.
        panel_index : int
            Which panel of the list the kernel was made with.

        Returns
        -------
        float
            Sum of squares of the residual's entries, each as met before its sub-block changed. Not finite where the
            iteration overflowed.
        """

    @abc.abstractmethod
    def residual(self, x, out=None):
        """Compute b - A x for all rows of the block.

        Parameters
        ----------
        x : (n,) float64 array, contiguous
            Only read.
        out : (m,) float64 array, optional
            Where to put the result.

        Returns
        -------
        (m,) array
            The residual, ``out`` itself where given.
        """


def invert_lower(triangles):
    """Replace lower triangular matrices by their inverses, by forward substitution.

    Parameters
    ----------
    triangles : (k, s, s) array
        Changed in place; zero above the diagonals, not zero on them.
    """
    with np.errstate(over='ignore', invalid='ignore'):
        for row in range(triangles.shape[1]):
            pivot = 1.0 / triangles[:, row, row]
            before = triangles[:, row:row + 1, :row] @ triangles[:, :row, :row]
            triangles[:, row, :row] = -pivot[:, np.newaxis] * before[:, 0]
            triangles[:, row, row] = pivot
