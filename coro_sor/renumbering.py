"""Rows numbered anew where the order as it stands leaves exactly ordered sweeps serial."""
from typing import NamedTuple

import numpy as np

from coro_sor.rows import SparseRows, index_dtype
from coro_sor.solution import InputError

__all__ = ['ByColour', 'by_colour', 'permute', 'rcm', 'usable_workers']

_ENOUGH = 0.6      # of the number of workers: a smaller speed-up is not good enough
_CHUNK = 1 << 16   # entries moved together, so that no temporary grows with the rows


class ByColour(NamedTuple):
    """Rows in the order that `by_colour` finds, and its ordering blocks."""

    order: np.ndarray      # (n,) the old number of each new row, as `permute` takes it
    bounds: np.ndarray     # (B + 1,) block k has the new rows bounds[k] .. bounds[k + 1], of one chunk and one colour
    sequence: np.ndarray   # (B,) the blocks in the order of a sweep
    chunk_of: np.ndarray   # (B,) the chunk of each block, ascending; what workers are dealt


def rcm(rows):
    """Number rows by reverse Cuthill-McKee, which keeps neighbours near each other.

    Blocks then read only from the blocks beside them wherever the graph of A has small separators (grids, meshes,
    networks in the plane). Rows with more than 10 sqrt(n) entries, which nothing brings near their neighbours, are put
    in the middle: what lies on one side of them and what lies on the other do not wait for each other.

    Parameters
    ----------
    rows : SparseRows
        All rows of A; the pattern of A + A' counts.

    Returns
    -------
    (n,) array of int32
        The old number of each new row.

    Raises
    ------
    InputError
        Where scipy is missing.

    References
    ----------
    A. George and J. Liu, Computer Solution of Large Sparse Positive Definite Systems, 1981, chapter 4.
    """
    try:
        from scipy.sparse import csr_matrix
        from scipy.sparse.csgraph import reverse_cuthill_mckee
    except ImportError as error:
        raise InputError('renumbering by reverse Cuthill-McKee needs scipy: pip install coro_sor[sparse]') from error
    ones = np.ones(rows.nonzeros, dtype=np.int8)
    pattern = csr_matrix((ones, rows.indices, rows.indptr), shape=(rows.n, rows.n))
    transposed = pattern.T.tocsr()
    if not (np.array_equal(pattern.indptr, transposed.indptr) and np.array_equal(pattern.indices, transposed.indices)):
        pattern = pattern + transposed
    del transposed
    # scipy sorts the neighbours of each row by insertion, which takes minutes for a row of a million entries.
    long = np.diff(pattern.indptr) > max(16, 10 * rows.n ** 0.5)
    if not long.any():
        return reverse_cuthill_mckee(pattern, symmetric_mode=True)
    others = np.flatnonzero(~long).astype(np.int32)
    order = others
    if len(others):
        order = others[reverse_cuthill_mckee(pattern[others][:, others], symmetric_mode=True)]
    return np.insert(order, len(order) // 2, np.flatnonzero(long))


def permute(rows, order):
    """Number the rows and columns of A anew.

    Parameters
    ----------
    rows : SparseRows
        All rows of A; not changed.
    order : (n,) array of int
        The old number of each new row, a permutation.

    Returns
    -------
    SparseRows
        P A P' with ascending columns, int32 where that suffices: entry (i, j) is ``A[order[i], order[j]]``. Beside it
        and `rows` only a few numbers a row and small pieces are held.
    """
    n = rows.n
    new = np.empty(n, dtype=index_dtype(n))
    new[order] = np.arange(n, dtype=new.dtype)
    indptr = np.zeros(n + 1, dtype=index_dtype(rows.nonzeros))
    lengths = np.diff(rows.indptr)[order]
    np.cumsum(lengths, out=indptr[1:])
    indices, data = np.empty(rows.nonzeros, dtype=new.dtype), np.empty_like(rows.data)
    lo = 0
    while lo < n:
        first = int(indptr[lo])
        hi = max(lo + 1, int(np.searchsorted(indptr, first + _CHUNK, side='right')) - 1)
        count = int(indptr[hi]) - first
        # Where each entry of the new rows stands in the old ones.
        shifts = rows.indptr[order[lo:hi]].astype(np.int64) - indptr[lo:hi] + first
        source = np.repeat(shifts, lengths[lo:hi]) + np.arange(count)
        columns = new[rows.indices[source]]
        ascending = np.argsort(np.repeat(np.arange(hi - lo) * n, lengths[lo:hi]) + columns)
        indices[first:first + count] = columns[ascending]
        data[first:first + count] = rows.data[source[ascending]]
        lo = hi
    return SparseRows(indptr, indices, data, n)


def by_colour(rows, chunks, colours):
    """Order rows so that a sweep goes colour by colour across all workers.

    For matrices whose blocks all read from each other in every numbering (power-law graphs): blocks of one colour do
    not, so that all chunks pass over their rows of a colour at once. The rows of each colour are shared out to the
    chunks on their own: a greedy colouring by ascending rows gives low rows low colours, and contiguous chunks would
    wait for each other at every colour. Which chunk has a row does not change the values of a sweep.

    Parameters
    ----------
    rows : SparseRows
        All rows of A.
    chunks : int
        How many parts of about equal nonzeros the rows of each colour are cut into; one a worker is enough.
    colours : (n,) array of int
        Colour of each row, counted from 0; rows of one colour should not read from each other. Where they do, the
        block graph has it, and their blocks are passed one after the other in the order of the chunks: so
        ``numpy.minimum(colours, c)`` makes one serial tail of many small colours.

    Returns
    -------
    ByColour
        Rows by (chunk, colour, old number), one block for each chunk and colour that has rows, and a sweep that goes
        over the blocks by (colour, chunk).
    """
    colours, lengths = np.asarray(colours), np.diff(rows.indptr).astype(np.int64)
    chunk_of = _chunks_of_each_colour(lengths, chunks, colours)
    order = np.lexsort((colours, chunk_of)).astype(index_dtype(rows.n))
    colour, chunk = colours[order], chunk_of[order]
    starts = np.flatnonzero(np.concatenate(([True], (np.diff(colour) != 0) | (np.diff(chunk) != 0))))
    sequence = np.lexsort((chunk[starts], colour[starts]))
    return ByColour(order, np.append(starts, rows.n), sequence, chunk[starts])


def _chunks_of_each_colour(lengths, chunks, colours):
    """The chunk of each row, where the nonzeros of each colour are shared out in the order of the rows."""
    order = np.argsort(colours, kind='stable')
    colour, length = colours[order], lengths[order]
    starts = np.flatnonzero(np.concatenate(([True], np.diff(colour) != 0)))
    totals, counts = np.add.reduceat(length, starts), np.diff(np.append(starts, len(order)))
    before = np.cumsum(length) - length - np.repeat(np.cumsum(totals) - totals, counts)
    chunk_of = np.empty_like(before)
    # In whole numbers, so that every machine agrees.
    chunk_of[order] = before * chunks // np.repeat(totals, counts)
    return chunk_of


def usable_workers(speed_ups, workers):
    """Choose how many workers to use for an order of the rows.

    Parameters
    ----------
    speed_ups : dict of int to float
        Its speed-up on a number of workers, as from `wavefront.speed_up`; at least for `workers`. One counts as 1.
    workers : int
        How many there are.

    Returns
    -------
    int
        The largest number of workers, at most `workers`, that is at least 0.6 times as fast as their number.
    """
    return max([1] + [count for count, speed in speed_ups.items() if 1 < count <= workers and speed >= _ENOUGH * count])
