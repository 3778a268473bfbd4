"""Any sparse matrix as canonical CSR: columns ascending, duplicates summed, no zeros, float64 (numpy alone)."""
import numpy as np

from coro_sor.rows import SparseRows, index_dtype
from coro_sor.solution import InputError

__all__ = ['canonical', 'from_scipy', 'from_triplets']


def from_triplets(n, rows, columns, values):
    """CSR of an n x n matrix from its entries, in any order; what stands twice is summed, zeros are dropped.

    Parameters
    ----------
    n : int
        Number of rows and of columns.
    rows, columns : (entries,) int arrays
        Counted from 0 and below n, which the caller has checked.
    values : (entries,) array
        Any real dtype; added up in float64.

    Returns
    -------
    SparseRows
    """
    values = _float64(values)
    place = rows.astype(np.int64) * n + columns.astype(np.int64, copy=False)
    if len(place) and not (np.diff(place) > 0).all():
        order = np.argsort(place, kind='stable')
        place, values = place[order], values[order]
        first = np.flatnonzero(np.concatenate(([True], np.diff(place) > 0)))
        with np.errstate(over='ignore', invalid='ignore'):
            place, values = place[first], np.add.reduceat(values, first)
    keep = values != 0
    if not keep.all():
        place, values = place[keep], values[keep]
    indptr = np.zeros(n + 1, index_dtype(len(place)))
    np.cumsum(np.bincount(place // n, minlength=n), out=indptr[1:])
    return SparseRows(indptr, (place % n).astype(index_dtype(n)), values, n)


def canonical(rows, name):
    """Check rows given by a user and bring them into canonical form; they are not changed.

    Parameters
    ----------
    rows : SparseRows
        All rows of A.
    name : str
        What errors call A.

    Returns
    -------
    SparseRows
        Shares arrays with `rows` where these are canonical already.

    Raises
    ------
    InputError
        Where the three arrays contradict each other, or a column is out of range.
    """
    indptr, indices, data = (np.asarray(array) for array in (rows.indptr, rows.indices, rows.data))
    if any(array.ndim != 1 for array in (indptr, indices, data)) or indptr.dtype.kind not in 'iu' \
            or indices.dtype.kind not in 'iu':
        raise InputError('%s: indptr and indices must be one-dimensional integer arrays, data one-dimensional' % name)
    indptr = indptr.astype(np.int64, copy=False)
    if len(indptr) < 2 or indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any() \
            or indptr[-1] > min(len(indices), len(data)):
        raise InputError('%s: indptr must start at 0, never fall and end at the number of entries' % name)
    # scipy allows arrays longer than what indptr uses.
    indices, data = indices[:indptr[-1]], data[:indptr[-1]]
    rows = SparseRows(indptr, indices, data, rows.n)
    outside = np.flatnonzero((indices < 0) | (indices >= rows.n))
    if len(outside):
        row = int(np.searchsorted(indptr, outside[0], side='right')) - 1
        raise InputError('%s: row %d (counted from 0) has column %d, but there are only %d columns'
                         % (name, row, indices[outside[0]], rows.n))
    ascending = np.diff(indices.astype(np.int64, copy=False)) > 0
    starts = indptr[1:-1][(indptr[1:-1] > 0) & (indptr[1:-1] < len(indices))]
    ascending[starts - 1] = True
    if not ascending.all() or not data.all():
        return from_triplets(rows.n, rows.row_numbers(), indices, data)
    return SparseRows(indptr.astype(index_dtype(len(data)), copy=False),
                      indices.astype(index_dtype(rows.n), copy=False), _float64(data), rows.n)


def from_scipy(matrix, name):
    """A square scipy.sparse matrix or array of any format as canonical `SparseRows`; `matrix` is not changed."""
    n = matrix.shape[0]
    if matrix.format == 'csr':
        return canonical(SparseRows(matrix.indptr, matrix.indices, matrix.data, n), name)
    # Through coordinates, because scipy adds up duplicates in the matrix's own type: int8 would overflow.
    entries = matrix.tocoo()
    for index in (entries.row, entries.col):
        if len(index) and not 0 <= index.min() <= index.max() < n:
            raise InputError('%s: an index is outside 0 .. %d' % (name, n - 1))
    return from_triplets(n, entries.row, entries.col, entries.data)


def _float64(values):
    with np.errstate(over='ignore', invalid='ignore'):
        return np.ascontiguousarray(values, dtype=np.float64)
