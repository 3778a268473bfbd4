"""Dense rows in strips of columns: exact SOR in a global order of blocks, the residual kept up to date."""
import numpy as np

from coro_sor.kernels.dense import DenseKernel
from coro_sor.kernels.transposition import LANE, Transposed
from coro_sor.kernels.triangles import inverse_triangles

__all__ = ['StripKernel']


class StripKernel:
    """One owner's part of a sweep that passes over the blocks of a dense system in a global order.

    It keeps r = b - A x of its own rows. Whoever owns the next block calls `solve`, which needs r of that block only;
    then everybody calls `apply` with the block and its change, which is most of the work and is done side by side:
    one product with the strip of A that is the block's columns and the own rows. `solve` may run one block ahead of
    `apply`, so the chain from block to block is a product with one small square and one small triangle.

    The rows are transposed in place, so that every strip is contiguous. r has the same bits however the blocks are
    shared out; see `coro_sor.kernels.transposition`. Beside the rows the kernel holds 64 float64 values a row, 128
    once it has passed backward.

    Parameters
    ----------
    rows : object
        Has ``values``, an (m, n) array of float64 or float32, C-contiguous and writable: all rows of one or more
        whole blocks. It is rearranged, so nobody else may use it until `restore` was called. float32 is widened 64
        columns at a time, so products and sums are float64.
    b : (m,) array
        Right-hand side of these rows.
    start : int
        Number of the first row in the whole matrix.
    omega : float or (m,) array
        Relaxation factor, one for all rows or one for each.
    bounds : (blocks + 1,) sequence of int
        Bounds of all blocks of the system, ascending from 0 to n; ``start`` and ``start + m`` are among them.

    Attributes
    ----------
    own : range
        Numbers of its own blocks.

    Raises
    ------
    ValueError
        If the array cannot be rearranged in place, or if the bounds don't fit it.

    Notes
    -----
    r is undefined until `refresh`. Calls must not overlap: they share buffers. Where values may overflow, the caller of
    `solve` and `apply` silences NumPy's warnings, once for many calls: it costs as much as a small product.
    """

    SIZE = DenseKernel.SIZE

    def __init__(self, rows, b, start, omega, bounds):
        self._b = np.ascontiguousarray(b, dtype=np.float64)
        bounds = [int(bound) for bound in bounds]
        _check(rows.values, len(self._b), start, bounds)
        self.own = range(bounds.index(start), bounds.index(start + len(self._b)))
        self._columns = [slice(lo, hi) for lo, hi in zip(bounds[:-1], bounds[1:])]
        self._start, self._n = start, bounds[-1]
        self._rows = {block: (bounds[block] - start, bounds[block + 1] - start) for block in self.own}
        height = max(hi - lo for lo, hi in self._rows.values())
        self._r = np.full(len(self._b), np.nan)
        self._left, self._change = np.empty((2, height))
        self._window = np.empty(height + LANE)
        self._store = Transposed(rows.values)
        self._wide = None
        if rows.values.dtype != np.float64:
            self._wide = np.empty(self.SIZE * max(self._store.height, LANE))
        self._halves = self._split()
        self.set_omega(omega)

    def set_omega(self, omega):
        """Use another relaxation factor from the next `solve` on.

        Parameters
        ----------
        omega : float or (m,) array
            One factor for all rows or one for each.
        """
        self._omega = np.array(np.broadcast_to(np.asarray(omega, dtype=np.float64), self._b.shape))
        self._inverses = {}     # by direction: True is backward
        self._passes = {}       # by (direction, whether the sub-blocks come in natural order)
        self._prepare(False, True)

    def pieces(self, block):
        """The number of sub-blocks of a block."""
        columns = self._columns[block]
        return -(-(columns.stop - columns.start) // self.SIZE)

    def refresh(self, x):
        """Compute r = b - A x anew for all own rows, which rids it of the rounding of many updates.

        Parameters
        ----------
        x : (n,) float64 array
            Only read.
        """
        self.residual(x, self._r)

    def solve(self, block, x, pieces=None, backward=False, before=None):
        """Pass once over the rows of an own block; r stays as it is until `apply`.

        Parameters
        ----------
        block : int
            One of `own`. All changes are in its r, but that of `before`.
        x : (n,) float64 array
            Changed in place in the rows of this block; nothing else of it is read.
        pieces : sequence of int, optional
            The block's sub-blocks of 64 rows, counted from 0 inside the block, each once, in the order to pass them
            in; ascending by default, or descending if `backward`.
        backward : bool
            Pass over the rows of each sub-block in descending order.
        before : (int, array), optional
            Another block and its change, which `apply` has not been called with yet.

        Returns
        -------
        squares : float
            Sum of squares of the residual's entries, each as met before its sub-block changed.
        change : (rows of the block,) array
            New minus old x as float64 subtracts them, so that who knows both has the same bits. A
            new array.
        """
        natural = pieces is None
        found = self._passes.get((backward, natural)) or self._prepare(backward, natural)
        residual, left, change, steps, beside = found[block]
        if not natural:
            steps = [steps[piece] for piece in pieces]
        subtract, squares = np.subtract, 0.0
        np.copyto(left, residual)
        if before is not None:
            columns, other = self._columns[before[0]], before[1]
            for array, rows, window, part, target in beside:
                self._times(other, array[columns, rows], window)
                subtract(target, part, target)
        for left_k, times_inverse, change_k, others in steps:
            times_inverse(left_k, change_k)
            squares += float(left_k.dot(left_k))
            for strip, window, part, target in others:
                self._times(change_k, strip, window)
                subtract(target, part, target)
        own = x[self._columns[block]]
        old = own.copy()
        np.add(old, change, own)
        return squares, subtract(own, old, old)

    def apply(self, block, change):
        """Bring r up to date: subtract A[own rows, columns of `block`] times `change`.

        Parameters
        ----------
        block : int
            Any block of the system, own ones included.
        change : (rows of that block,) float64 array, contiguous
            What `solve` returned for it.
        """
        columns, r, subtract = self._columns[block], self._r, np.subtract
        for array, window, part, rows in self._halves:
            self._times(change, array[columns], window)
            target = r[rows]
            subtract(target, part, target)

    def residual(self, x, out=None):
        """Compute b - A x for all own rows.

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
        np.copyto(out, self._b)
        with np.errstate(over='ignore', invalid='ignore'):
            for array, window, part, rows in self._halves:
                self._times(x, array, window)
                out[rows] -= part
        return out

    def size(self, x):
        """Compute |A| |x| + |b| for all own rows: what rounding in their residual is measured by.

        Parameters
        ----------
        x : (n,) float64 array
            Only read.

        Returns
        -------
        (m,) array
        """
        sizes, magnitudes = np.abs(self._b), np.abs(x)
        with np.errstate(over='ignore', invalid='ignore'):
            for lo in range(0, self._n, self.SIZE):
                for array, window, part, rows in self._halves:
                    np.matmul(magnitudes[lo:lo + self.SIZE], np.abs(array[lo:lo + self.SIZE]), out=window)
                    sizes[rows] += part
        return sizes

    def restore(self):
        """Restore the row-major array, bit for bit; nothing else of the kernel may be used after that."""
        self._store.restore()
        self._halves, self._inverses, self._passes = [], {}, {}

    def _split(self):
        """By array of the store, from its first row on: (array, buffer for a product, its part that is own rows, them).
        """
        height, m = self._store.height, len(self._b)
        halves = []
        for array, first, stop in ((self._store.main, 0, height), (self._store.rest, height, m)):
            if first < stop:
                window = np.empty(array.shape[1])
                halves.append((array, window, window[:stop - first], slice(first, stop)))
        return halves

    def _times(self, change, strip, out):
        """Put ``change @ strip``, computed in float64, into `out`."""
        if self._wide is None:
            np.matmul(change, strip, out=out)    # `dot` copies what is not contiguous
            return
        for lo in range(0, len(strip), self.SIZE):
            part = strip[lo:lo + self.SIZE]
            wide = self._wide[:part.size].reshape(part.shape)
            np.copyto(wide, part)
            if lo == 0:
                change[:self.SIZE].dot(wide, out)
            else:
                out += change[lo:lo + self.SIZE].dot(wide)

    def _prepare(self, backward, natural):
        """Collect the views that `solve` needs, by own block; the sub-blocks in the order of a pass if `natural`."""
        if backward not in self._inverses:
            self._inverses[backward] = self._invert(backward)
        inverses = iter(self._inverses[backward])
        passes = self._passes[backward, natural] = {}
        for block, (first, last) in self._rows.items():
            left, change = self._left[:last - first], self._change[:last - first]
            steps = []
            for lo, hi in self._pieces(first, last):
                changed = (first, last) if not natural else (first, lo) if backward else (hi, last)
                columns = slice(self._start + lo, self._start + hi)
                others = [(array[columns, rows], window, part, target)
                          for array, rows, window, part, target in self._beside(*changed, first)]
                steps.append((left[lo - first:hi - first], next(inverses)[:hi - lo, :hi - lo].dot,
                              change[lo - first:hi - first], others))
            passes[block] = (self._r[first:last], left, change, steps[::-1] if natural and backward else steps,
                             self._beside(first, last, first))
        return passes

    def _beside(self, lo, hi, first):
        """What takes a product out of rows lo .. hi of the block that begins at `first`: (array, its rows, buffer for
        the product, the part of it that is these rows, where they are in what is left of r)."""
        found = []
        for array, rows, part in self._store.windows(lo, hi):
            stop = lo + part.stop - part.start
            window = self._window[:rows.stop - rows.start]
            found.append((array, rows, window, window[part], self._left[lo - first:stop - first]))
            lo = stop
        return found

    def _invert(self, backward):
        """The inverse of the triangle of each sub-block of the own rows."""
        squares = [self._store.square(lo, hi, self._start) for first, last in self._rows.values()
                   for lo, hi in self._pieces(first, last)]
        return inverse_triangles(squares, self._omega, backward)

    def _pieces(self, first, last):
        return [(lo, min(lo + self.SIZE, last)) for lo in range(first, last, self.SIZE)]


def _check(values, m, start, bounds):
    if values.dtype not in (np.float64, np.float32) or not (values.flags.c_contiguous and values.flags.writeable):
        raise ValueError('rows to rearrange must be a contiguous, writable array of float64 or float32')
    if any(hi <= lo for lo, hi in zip(bounds[:-1], bounds[1:])) or values.shape != (m, bounds[-1]):
        raise ValueError('blocks with bounds %s do not fit %d values of b and rows of shape %s'
                         % (bounds, m, values.shape))
    if bounds[0] != 0 or start not in bounds or start + m not in bounds or not m:
        raise ValueError('rows %d to %d are not whole blocks of %s' % (start, start + m, bounds))
