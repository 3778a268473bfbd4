"""Dense rows: exact point SOR at about the cost of one matrix-vector product."""
import numpy as np

from coro_sor.kernels.triangles import inverse_triangles

__all__ = ['DenseKernel', 'add_sizes', 'times', 'widening_buffer']

_ENTRIES = 1 << 19  # of float32 widened at a time: 4 MB stay in cache, and fewer and larger pieces are faster


class DenseKernel:
    """Exact point SOR on an (m, n) row-major array, by sub-blocks of 64 rows.

    It holds 64 float64 values a row beside the rows themselves (128 once it has swept backward). With
    inv = inv(D / omega + L)_kk, see `coro_sor.kernels.triangles`, a sub-block becomes (x_k + inv b_k) - inv (A_k x):
    the first bracket is one vector operation for a whole panel, and one call fewer a sub-block matters where a
    sub-block takes 10 microseconds.

    Parameters
    ----------
    rows : object
        Has ``values``, an (m, n) C-contiguous array of float64 or float32. Kept by reference, never copied; float32
        is widened a sub-block at a time, so products and sums are float64.
    b : (m,) array
        Right-hand side of these rows.
    start : int
        Number of the first row in the whole matrix.
    omega : float or (m,) array
        Relaxation factor, one for all rows or one for each.
    panels : list of (int, int)
        Ranges of local rows that ascend and cover ``0 .. m``; cheapest in time and memory where they start at
        multiples of 64.

    Raises
    ------
    ValueError
        If the panels don't ascend from 0 to m without gaps.
    """

    SIZE = 64
    MEASURED = 1    # measure every sweep: the norm of what is met costs nearly nothing

    def __init__(self, rows, b, start, omega, panels):
        self._values = np.asarray(rows.values)
        self._b = np.ascontiguousarray(b, dtype=np.float64)
        self._start = start
        self._panels = [(int(lo), int(hi)) for lo, hi in panels]
        self._check_panels()
        self._pieces = [[(lo, min(lo + self.SIZE, stop)) for lo in range(first, stop, self.SIZE)]
                        for first, stop in self._panels]
        self._wide = widening_buffer(self._values.dtype, self.SIZE, self._values.shape[1])
        self._residual = np.zeros(len(self._b))
        self._target = np.empty(len(self._b))
        self._change = np.empty(self.SIZE)
        self._x = None
        self.set_omega(omega)

    def set_omega(self, omega):
        """Use another relaxation factor from the next sweep on.

        Parameters
        ----------
        omega : float or (m,) array
            One factor for all rows or one for each.
        """
        self._omega = np.array(np.broadcast_to(np.asarray(omega, dtype=np.float64), self._b.shape))
        self._inverses = {}     # by direction: True is backward
        self._passes = {}       # by direction too, bound to one x
        self._invert(False)

    def pieces(self, panel_index):
        """The number of sub-blocks of a panel."""
        return len(self._pieces[panel_index])

    def sweep(self, x, panel_index, pieces=None, backward=False, measure=True):
        """Pass once over a panel, row by row.

        Parameters
        ----------
        x : (n,) float64 array, contiguous
            Changed in place in this panel's rows only. The rest is read live, sub-block by sub-block, so another
            thread or process may be writing it.
        panel_index : int
            Which panel of the list the kernel was made with.
        pieces : sequence of int, optional
            The panel's sub-blocks of 64 rows, counted from 0 inside the panel, each once, in the order to pass them
            in; ascending by default, or descending if `backward`.
        backward : bool
            Pass over the rows of each sub-block in descending order.
        measure : bool
            Whether to compute the sum of squares.

        Returns
        -------
        float
            Sum of squares of the residual's entries, each as met before its sub-block changed. Not finite where the
            iteration overflowed; NaN without `measure`.
        """
        if x is not self._x:
            self._bind(x)
        gain, steps = self._passes.get(backward) or self._prepare(backward)
        steps = steps[panel_index]
        if pieces is not None:
            steps = [steps[piece] for piece in pieces]
        elif backward:
            steps = steps[::-1]
        lo, hi = self._panels[panel_index]
        subtract = np.subtract
        residual = self._residual[lo:hi]
        with np.errstate(over='ignore', invalid='ignore'):
            np.add(x[self._start + lo:self._start + hi], gain[lo:hi], out=self._target[lo:hi])
            for times_rows, product, times_inverse, change, target, own in steps:
                times_rows(x, product)
                times_inverse(product, change)
                subtract(target, change, own)
            if not measure:
                return float('nan')
            subtract(self._b[lo:hi], residual, residual)
            return float(residual.dot(residual))

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
        if out is None:
            out = np.empty(len(self._b))
        with np.errstate(over='ignore', invalid='ignore'):
            times(self._values, self._wide)(x, out)
            return np.subtract(self._b, out, out=out)

    def size(self, x):
        """Compute |A| |x| + |b| for all rows of the block: what rounding in their residual is measured by.

        Parameters
        ----------
        x : (n,) float64 array
            Only read.

        Returns
        -------
        (m,) array
        """
        sizes = np.abs(self._b)
        with np.errstate(over='ignore', invalid='ignore'):
            add_sizes(self._values, np.abs(x), sizes)
        return sizes

    def _check_panels(self):
        met = 0
        for lo, hi in self._panels:
            if lo != met or hi <= lo:
                raise ValueError('panel (%d, %d) does not continue at row %d of the block' % (lo, hi, met))
            met = hi
        if met != len(self._b):
            raise ValueError('the panels end at row %d of a block of %d rows' % (met, len(self._b)))

    def _invert(self, backward):
        """Invert the triangles of this direction, and multiply b by them."""
        pieces = [piece for panel in self._pieces for piece in panel]
        squares = [self._values[lo:hi, self._start + lo:self._start + hi] for lo, hi in pieces]
        inverses = inverse_triangles(squares, self._omega, upper=backward)
        gain = np.empty(len(self._b))
        with np.errstate(over='ignore', invalid='ignore'):
            for inverse, (lo, hi) in zip(inverses, pieces):
                np.dot(inverse[:hi - lo, :hi - lo], self._b[lo:hi], out=gain[lo:hi])
        self._inverses[backward] = inverses, gain

    def _bind(self, x):
        """Make the views of x once for each buffer: slicing costs as much as the small products."""
        if x.dtype != np.float64 or x.ndim != 1 or not x.flags.c_contiguous:
            raise ValueError('x must be a contiguous vector of float64')
        self._passes = {}
        self._x = x

    def _prepare(self, backward):
        """Collect the views that sweeps in this direction need: (gain, for each panel its steps)."""
        if backward not in self._inverses:
            self._invert(backward)
        inverses, gain = self._inverses[backward]
        inverses = iter(inverses)
        self._passes[backward] = gain, [[self._step(next(inverses), lo, hi) for lo, hi in panel]
                                        for panel in self._pieces]
        return self._passes[backward]

    def _step(self, inverse, lo, hi):
        # Bound methods: np.dot itself spends half a microsecond on choosing an implementation.
        return (times(self._values[lo:hi], self._wide), self._residual[lo:hi], inverse[:hi - lo, :hi - lo].dot,
                self._change[:hi - lo], self._target[lo:hi], self._x[self._start + lo:self._start + hi])


def widening_buffer(dtype, height, width):
    """Make what `times` needs for arrays up to (height, width) of this type; None where there is nothing to widen."""
    return None if dtype == np.float64 else np.empty(max(width, min(height * width, _ENTRIES)))


def times(values, wide):
    """Make a function ``f(x, out)`` that puts ``values @ x``, computed in float64, into `out`.

    Parameters
    ----------
    values : (m, n) array of float64 or float32
        Kept by reference.
    wide : array or None
        From `widening_buffer`, for at least n columns; float32 is widened there, in pieces that fit.

    Returns
    -------
    callable
        Takes x (n,) and out (m,), contiguous, both float64.
    """
    if wide is None:
        return values.dot
    m, n = values.shape
    height = min(m, len(wide) // n)
    buffer = wide[:height * n].reshape(height, n)
    pieces = [(lo, min(lo + height, m)) for lo in range(0, m, height)]
    pieces = [(values[lo:hi], buffer[:hi - lo], buffer[:hi - lo].dot, lo, hi) for lo, hi in pieces]

    def product(x, out):
        for narrow, widened, times_piece, lo, hi in pieces:
            np.copyto(widened, narrow)
            times_piece(x, out[lo:hi])
    return product


def add_sizes(values, magnitudes, out):
    """Add ``abs(values) @ magnitudes`` to `out`, in pieces, so that no temporary grows with the rows.

    Parameters
    ----------
    values : (m, n) array of float64 or float32
    magnitudes : (n,) float64 array
    out : (m,) float64 array
        Changed in place.
    """
    m, n = values.shape
    height = min(m, max(1, _ENTRIES // n))
    buffer = np.empty((height, n))
    for lo in range(0, m, height):
        part = buffer[:min(height, m - lo)]
        np.abs(values[lo:lo + height], out=part)
        out[lo:lo + height] += part.dot(magnitudes)
