"""Rows of A as they travel and as their owner holds them: dense or CSR, and the digest both sides compare."""
import hashlib

import numpy as np

__all__ = ['DenseRows', 'RowsDigest', 'SparseRows', 'digest_rows', 'digest_vector', 'index_dtype']


def index_dtype(largest):
    """The narrowest index type of scipy that holds `largest`: int32 or int64."""
    return np.dtype(np.int32 if largest <= np.iinfo(np.int32).max else np.int64)


class _Rows:
    __slots__ = ()

    def oriented(self, start):
        """These rows with a positive diagonal.

        Parameters
        ----------
        start : int
            The first of these rows is row `start` of A.

        Returns
        -------
        rows : DenseRows or SparseRows
            Themselves, or a copy where rows had to be negated.
        diagonal : (m,) array
            The diagonal entries before that.
        """
        diagonal = self.diagonal(start)
        if not (diagonal < 0).any():
            return self, diagonal
        return self.negated(np.where(diagonal < 0, -1.0, 1.0)), diagonal


class DenseRows(_Rows):
    """Contiguous dense rows of A.

    Parameters
    ----------
    values : (m, n) array
        float64, C-contiguous; kept by reference.
    """

    __slots__ = ('values',)

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return self.values.shape[0]

    def __getitem__(self, part):
        """Rows `part` (a slice of step 1) as views."""
        return DenseRows(self.values[part])

    n = property(lambda self: self.values.shape[1], doc='Number of columns.')
    nonzeros = property(lambda self: self.values.size, doc='Number of stored entries.')
    nbytes = property(lambda self: self.values.nbytes, doc='Bytes of memory.')

    def matvec(self, x):
        """These rows times x (n,): a new array (m,)."""
        return self.values @ x

    def diagonal(self, start):
        """The diagonal entries (m,), where the first of these rows is row `start` of A."""
        return self.values[:, start:].diagonal().copy()

    def first_nonfinite(self):
        """(local row, column, value) of the first NaN or infinity; None where there is none."""
        for row in np.flatnonzero(~np.isfinite(self.values).all(axis=1))[:1]:
            column = int(np.argmin(np.isfinite(self.values[row])))
            return int(row), column, float(self.values[row, column])
        return None

    def negated(self, signs):
        """A copy whose rows are multiplied by `signs` (m,), each 1 or -1."""
        return DenseRows(self.values * signs[:, None])


class SparseRows(_Rows):
    """Contiguous rows of A, or all of A, in compressed sparse row form.

    Parameters
    ----------
    indptr : (m + 1,) int array
        Entries ``indptr[k] .. indptr[k + 1]`` of the other two are row k; counted from 0.
    indices : (nonzeros,) int array
        Columns, counted over all of A.
    data : (nonzeros,) array
        Values.
    n : int
        Number of columns.

    Notes
    -----
    All arrays are kept by reference. What `Problem.rows` gives is canonical: float64 values other than zero, columns
    ascending and unique within a row, int32 numbers where they suffice. A `Problem` may be made of rows that are not.
    """

    __slots__ = ('indptr', 'indices', 'data', 'n')

    def __init__(self, indptr, indices, data, n):
        self.indptr, self.indices, self.data, self.n = indptr, indices, data, n

    def __len__(self):
        return len(self.indptr) - 1

    def __getitem__(self, part):
        """Rows `part` (a slice of step 1); columns and values are views."""
        start, stop, _ = part.indices(len(self))
        first, last = int(self.indptr[start]), int(self.indptr[max(start, stop)])
        indptr = (self.indptr[start:max(start, stop) + 1] - first).astype(index_dtype(last - first))
        return SparseRows(indptr, self.indices[first:last], self.data[first:last], self.n)

    nonzeros = property(lambda self: len(self.data), doc='Number of stored entries.')
    nbytes = property(lambda self: self.indptr.nbytes + self.indices.nbytes + self.data.nbytes, doc='Bytes of memory.')

    def copy(self):
        """The same rows in arrays of their own."""
        return SparseRows(self.indptr.copy(), self.indices.copy(), self.data.copy(), self.n)

    def row_numbers(self):
        """The local row of each entry (nonzeros,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def matvec(self, x):
        """These rows times x (n,): a new array (m,)."""
        try:
            from scipy.sparse import csr_matrix
        except ImportError:
            return np.bincount(self.row_numbers(), weights=self.data * x[self.indices], minlength=len(self))
        return csr_matrix((self.data, self.indices, self.indptr), shape=(len(self), self.n)) @ x

    def diagonal(self, start):
        """The diagonal entries (m,), zero where missing; the first of these rows is row `start` of A."""
        rows = self.row_numbers()
        hit = self.indices == rows + start
        diagonal = np.zeros(len(self))
        diagonal[rows[hit]] = self.data[hit]
        return diagonal

    def first_nonfinite(self):
        """(local row, column, value) of the first NaN or infinity; None where there is none."""
        for entry in np.flatnonzero(~np.isfinite(self.data))[:1]:
            row = int(np.searchsorted(self.indptr, entry, side='right')) - 1
            return row, int(self.indices[entry]), float(self.data[entry])
        return None

    def negated(self, signs):
        """A copy whose rows are multiplied by `signs` (m,), each 1 or -1."""
        return SparseRows(self.indptr.copy(), self.indices.copy(), self.data * np.repeat(signs, np.diff(self.indptr)),
                          self.n)


class RowsDigest:
    """SHA-256 of rows that arrive in pieces, from the first row to the last; how they were cut does not matter."""

    def __init__(self):
        # CSR has three streams, and one hash each keeps the cuts between pieces out of the result.
        self._streams = [hashlib.sha256() for _ in range(3)]

    def update(self, rows):
        """Add the next rows, a `DenseRows` or `SparseRows`."""
        if isinstance(rows, DenseRows):
            self._streams[0].update(rows.values.astype('<f8', order='C', copy=False))
            return
        lengths, columns, values = self._streams
        lengths.update(np.diff(rows.indptr).astype('<i8', copy=False))
        columns.update(rows.indices.astype('<i8', order='C', copy=False))
        values.update(rows.data.astype('<f8', order='C', copy=False))

    def hexdigest(self):
        """The digest of all rows so far, 64 hexadecimal digits."""
        return hashlib.sha256(b''.join(stream.digest() for stream in self._streams)).hexdigest()


def digest_rows(pieces):
    """The digest of a block of rows.

    Parameters
    ----------
    pieces : DenseRows, SparseRows or iterable of these
        The rows, in one piece or in several in ascending order.

    Returns
    -------
    str
        64 hexadecimal digits; equal to ``Scan.digests`` of the same rows.
    """
    digest = RowsDigest()
    for rows in [pieces] if isinstance(pieces, (DenseRows, SparseRows)) else pieces:
        digest.update(rows)
    return digest.hexdigest()


def digest_vector(values):
    """Digest of a float64 vector, to compare what was verified with what arrived."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype='<f8')).hexdigest()
