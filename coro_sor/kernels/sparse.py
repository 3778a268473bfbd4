"""Sparse rows: exact point SOR colour by colour, at about the cost of one matrix-vector product."""
import numpy as np

from coro_sor.kernels.triangles import invert_lower

try:
    # scipy has no public product that adds into an array: `@` costs 5 microseconds a call before it computes.
    from scipy.sparse._sparsetools import csr_matvec as add_product
except ImportError:
    def add_product(rows, columns, indptr, indices, data, x, y):
        """Add A x to y in place, for CSR rows; indptr may begin anywhere."""
        part = slice(indptr[0], indptr[-1])
        row = np.repeat(np.arange(rows), np.diff(indptr))
        y += np.bincount(row, weights=data[part] * x[indices[part]], minlength=rows)

__all__ = ['SparseKernel']

_ENTRIES = 1 << 17  # passed over together: vectors and widened float32 values stay in cache from step to step


class SparseKernel:
    """SOR in the order of updates of an `Arranged`, a colour or a small triangle at a time.

    The residual of a whole group of rows is computed before they change, r = b - D x + N x with N the negated entries
    beside the diagonal. Rows of one colour don't read from each other, so x += omega / D r is what passing over them
    one by one does. A triangle is solved with the inverse of D / omega + L (backward: of D / omega + U) of its rows,
    see `coro_sor.kernels.triangles`. The results don't depend on whether residuals are measured.

    Parameters
    ----------
    arranged : Arranged
        Kept by reference, never copied.
    b : (m,) array
        Right-hand side by positions.
    omega : float or (m,) array
        Relaxation factor, one for all rows or one for each position.
    columns : int
        m + h, the length of x.

    Notes
    -----
    x is float64, contiguous and as long as `columns`: own entries by position, then the halo. Everything is computed
    in float64; values held as float32 are widened piece by piece. Overflow gives infinities or NaN without a warning.
    """

    MEASURED = 4    # measure every fourth sweep: the norm of what is met costs up to a tenth of one

    def __init__(self, arranged, b, omega, columns):
        self._arranged = arranged
        self._b = np.ascontiguousarray(b, dtype=np.float64)
        self._columns = columns
        self._gain = np.empty(len(self._b))
        self._narrow = arranged.data.dtype != np.float64
        self._triangles = []
        self._panels = [self._batches(groups) for groups in arranged.groups]
        batches = [batch for panel in self._panels for batch in panel]
        steps = [(lo, hi) for batch in batches for lo, hi, _ in batch]
        self._residual = np.empty(max(batch[-1][1] - batch[0][0] for batch in batches))
        self._change = np.empty(max(hi - lo for lo, hi in steps))
        self._wide = np.empty(max(self._entries(lo, hi) for lo, hi in steps) if self._narrow else 0)
        self._x = None
        self.set_omega(omega)

    def set_omega(self, omega):
        """Use another relaxation factor from the next sweep on.

        Parameters
        ----------
        omega : float or (m,) array
            One factor for all rows or one for each position.
        """
        with np.errstate(over='ignore', invalid='ignore'):
            np.divide(omega, self._arranged.diagonal, out=self._gain)
        self._inverses = {}     # by direction: True is backward
        self._steps = {}        # by direction too, bound to one x

    def pieces(self, panel):
        """The number of parts of a panel that may be passed over in any order: only the panel itself."""
        return 1

    def sweep(self, x, panel, pieces=None, backward=False, measure=True):
        """Pass once over a panel, row by row in ascending or descending positions.

        Parameters
        ----------
        x : (m + h,) float64 array, contiguous
            Changed in place in this panel's positions only. The rest is read live, so another thread or process may
            be writing it.
        panel : int
        pieces : object
            Ignored; for the sake of dense rows.
        backward : bool
            In descending positions.
        measure : bool
            Whether to add up the squares.

        Returns
        -------
        float
            Sum of squares of the residual of each row as met just before that row changed; NaN unless `measure`. Not
            finite where the iteration overflowed.
        """
        if x is not self._x:
            self._check(x)
            self._steps, self._x = {}, x
        if backward not in self._steps:
            self._bind(backward)
        multiply, add = np.multiply, np.add
        squares = 0.0 if measure else float('nan')
        with np.errstate(over='ignore', invalid='ignore'):
            for all_residuals, diagonals, all_b, all_own, steps in self._steps[backward][panel]:
                # A row's own entry of x is as it was until its turn comes, whatever the others do.
                multiply(diagonals, all_own, all_residuals)
                np.subtract(all_b, all_residuals, all_residuals)
                for narrow, wide, matrix, residual, gain, change, own, solve in steps:
                    if narrow is not None:
                        np.copyto(wide, narrow)
                    add_product(*matrix, x, residual)
                    if solve is None:
                        multiply(residual, gain, change)
                    else:
                        solve(residual, change)
                        if measure:
                            # (D / omega + L) change = r, so D / omega change is what each row meets in its turn.
                            np.divide(change, gain, residual)
                    add(own, change, own)
                if measure:
                    squares += all_residuals.dot(all_residuals)
            return float(squares)

    def residual(self, x, out=None):
        """Compute b - A x.

        Parameters
        ----------
        x : (m + h,) float64 array, contiguous
            Only read.
        out : (m,) float64 array, optional
            Where to put the result.

        Returns
        -------
        (m,) array
            By position; `out` itself where given.
        """
        self._check(x)
        diagonal = self._arranged.diagonal
        if out is None:
            out = np.empty(len(diagonal))
        with np.errstate(over='ignore', invalid='ignore'):
            for lo, hi in self._cut(0, len(diagonal)):
                piece = out[lo:hi]
                np.multiply(diagonal[lo:hi], x[lo:hi], piece)
                np.subtract(self._b[lo:hi], piece, piece)
                add_product(*self._local(lo, hi, np.float64), x, piece)
        return out

    def size(self, x):
        """Compute |A| |x| + |b|, what the residual's terms add up to without cancelling.

        Parameters
        ----------
        x : (m + h,) float64 array, contiguous
            Only read.

        Returns
        -------
        (m,) array
            By position.
        """
        self._check(x)
        x, diagonal = np.abs(x), self._arranged.diagonal
        with np.errstate(over='ignore', invalid='ignore'):
            out = np.abs(diagonal) * x[:len(diagonal)]
            np.add(out, np.abs(self._b), out)
            for lo, hi in self._cut(0, len(diagonal)):
                *shape, data = self._local(lo, hi, np.float64)
                add_product(*shape, np.abs(data), x, out[lo:hi])
        return out

    def _check(self, x):
        if x.dtype != np.float64 or x.shape != (self._columns,) or not x.flags.c_contiguous:
            raise ValueError('x must be a contiguous vector of %d float64' % self._columns)

    def _entries(self, lo, hi):
        return int(self._arranged.indptr[hi] - self._arranged.indptr[lo])

    def _batches(self, groups):
        """Cut a panel's groups into steps, and put small steps together.

        Returns
        -------
        list of list of (int, int, int or None)
            The steps of each batch: positions lo .. hi, and the number of their triangle.
        """
        batches, room = [], 0
        for lo, hi, coloured in groups:
            if not coloured:
                self._triangles.append((lo, hi))
            for first, last in self._cut(lo, hi) if coloured else [(lo, hi)]:
                room -= self._entries(first, last)
                if room < 0 or not batches:
                    batches.append([])
                    room = _ENTRIES - self._entries(first, last)
                batches[-1].append((first, last, None if coloured else len(self._triangles) - 1))
        return batches

    def _cut(self, lo, hi):
        """Cut positions lo .. hi into ranges whose entries and vectors stay in cache."""
        indptr = self._arranged.indptr
        while lo < hi:
            stop = int(np.searchsorted(indptr, int(indptr[lo]) + _ENTRIES, side='right')) - 1
            stop = min(max(stop, lo + 1), hi)
            yield lo, stop
            lo = stop

    def _local(self, lo, hi, dtype):
        """Rows lo .. hi as arguments of the product, with an `indptr` that begins at 0."""
        rows = self._arranged
        part = slice(int(rows.indptr[lo]), int(rows.indptr[hi]))
        indptr = (rows.indptr[lo:hi + 1] - part.start).astype(np.int32)
        return hi - lo, self._columns, indptr, rows.indices[part], rows.data[part].astype(dtype, copy=False)

    def _bind(self, backward):
        """Make the views for one direction once for each x: slicing costs as much as a small product."""
        if backward not in self._inverses:
            self._inverses[backward] = self._invert(backward)
        turn = slice(None, None, -1 if backward else 1)
        self._steps[backward] = [[self._batch(batch, turn, backward) for batch in panel[turn]]
                                 for panel in self._panels]

    def _batch(self, batch, turn, backward):
        """Collect what a sweep needs for a batch."""
        lo, hi = batch[0][0], batch[-1][1]
        steps = [self._step(*step, lo, backward) for step in batch[turn]]
        return self._residual[:hi - lo], self._arranged.diagonal[lo:hi], self._b[lo:hi], self._x[lo:hi], steps

    def _step(self, lo, hi, triangle, first, backward):
        """Collect what a sweep needs for positions lo .. hi of the batch that begins at `first`."""
        rows, narrow, wide = self._arranged, None, None
        if self._narrow:
            *shape, narrow = self._local(lo, hi, rows.data.dtype)
            wide = self._wide[:len(narrow)]
            matrix = (*shape, wide)
        elif rows.indptr.dtype == rows.indices.dtype:
            matrix = hi - lo, self._columns, rows.indptr[lo:hi + 1], rows.indices, rows.data
        else:
            matrix = self._local(lo, hi, np.float64)
        solve = None if triangle is None else self._inverses[backward][triangle, :hi - lo, :hi - lo].dot
        return (narrow, wide, matrix, self._residual[lo - first:hi - first], self._gain[lo:hi],
                self._change[:hi - lo], self._x[lo:hi], solve)

    def _invert(self, backward):
        """The inverses of all triangles (k, s, s), of D / omega + L or, backward, of D / omega + U."""
        width = max((hi - lo for lo, hi in self._triangles), default=0)
        triangles = np.zeros((len(self._triangles), width, width))
        for triangle, (lo, hi) in zip(triangles, self._triangles):
            height = hi - lo
            _, _, indptr, indices, data = self._local(lo, hi, np.float64)
            row, column = np.repeat(np.arange(height), np.diff(indptr)), indices - lo
            keep = (column > row) & (column < height) if backward else (column >= 0) & (column < row)
            at = (column[keep], row[keep]) if backward else (row[keep], column[keep])
            triangle[at] = -data[keep]
            diagonal = np.einsum('ii->i', triangle)
            diagonal[:] = 1.0
            diagonal[:height] = 1.0 / self._gain[lo:hi]
        invert_lower(triangles)
        # An upper triangle was inverted as its transpose.
        return np.ascontiguousarray(triangles.transpose(0, 2, 1)) if backward else triangles
