"""What a system without a file is: rows that any process can make for itself, in any pieces."""
import numpy as np

from coro_sor.rows import DenseRows, SparseRows, index_dtype

__all__ = ['DenseGenerator', 'Generator', 'SparseGenerator']


class Generator:
    """A system whose rows are computed when they are asked for; the same rows, bit for bit, however they are cut.

    Every diagonal entry is positive.

    Parameters
    ----------
    n : int
        Number of unknowns, below 2**31.
    step : int
        Rows made together, so few that temporaries stay in cache.

    Attributes
    ----------
    n : int
    spec : str or None
        Text from which `make_generator` makes the same rows in any process; set there.
    sparse : bool
        Whether rows come as `SparseRows`.
    nonzeros : int
        Stored entries; n * n where A is dense.
    """

    def __init__(self, n, step):
        self.n, self.spec = n, None
        self._step = step

    def pieces(self, start, stop):
        """Cut rows start .. stop into pieces that are made together; at least one.

        Yields
        ------
        lo, hi : int
        """
        for lo in range(start, max(stop, start + 1), self._step):
            yield lo, min(lo + self._step, stop)

    def rows(self, start, stop):
        """Rows start .. stop in new arrays, canonical as `Problem.rows` gives them.

        Parameters
        ----------
        start, stop : int
            0 <= start <= stop <= n.

        Returns
        -------
        DenseRows or SparseRows
        """
        raise NotImplementedError

    def row_nonzeros(self, start=0, stop=None):
        """Stored entries of the rows start .. stop (all by default): an int32 array; n where A is dense."""
        raise NotImplementedError

    def rhs(self):
        """The system's own right-hand side (n,), a new array."""
        raise NotImplementedError


class SparseGenerator(Generator):
    """Rows in CSR."""

    sparse = True

    def _make(self, lo, hi):
        """Stored entries of each row, columns (int32) and values (float64) of the rows lo .. hi."""
        raise NotImplementedError

    def _count(self, lo, hi):
        """Stored entries of each of the rows lo .. hi."""
        return self._make(lo, hi)[0]

    def rows(self, start, stop):
        made = [self._make(lo, hi) for lo, hi in self.pieces(start, stop)]
        counts, columns, values = made[0] if len(made) == 1 else (np.concatenate(parts) for parts in zip(*made))
        indptr = np.zeros(len(counts) + 1, index_dtype(len(values)))
        np.cumsum(counts, out=indptr[1:])
        return SparseRows(indptr, columns, values, self.n)

    def row_nonzeros(self, start=0, stop=None):
        stop = self.n if stop is None else stop
        return np.concatenate([self._count(lo, hi) for lo, hi in self.pieces(start, stop)]).astype(np.int32, copy=False)


class DenseGenerator(Generator):
    """Rows as arrays."""

    sparse = False
    nonzeros = property(lambda self: self.n * self.n)

    def __init__(self, n):
        super().__init__(n, max(1, 32768 // n))     # 256 kB of values

    def _fill(self, lo, values):
        """Write the rows from `lo` on into `values` (rows, n)."""
        raise NotImplementedError

    def rows(self, start, stop):
        values = np.empty((stop - start, self.n))
        for lo, hi in self.pieces(start, stop):
            self._fill(lo, values[lo - start:hi - start])
        return DenseRows(values)

    def row_nonzeros(self, start=0, stop=None):
        return self.n
