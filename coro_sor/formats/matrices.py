"""A file that holds a matrix, in any of the formats."""
import os
from typing import NamedTuple, Optional, Union

import numpy as np

from coro_sor.csr import canonical, from_scipy, from_triplets
from coro_sor.formats.mtx import is_mtx, read_body, read_header
from coro_sor.formats.npy import map_array, read_header as read_npy_header
from coro_sor.formats.npz import read_arrays
from coro_sor.formats.opening import brief, kind_of, open_text, quoted
from coro_sor.formats.triplets import is_triplets, read_triplets
from coro_sor.rows import SparseRows
from coro_sor.solution import InputError

__all__ = ['Matrix', 'load_matrix']

_FORMATS = 'expected .npy, .npz, Matrix Market (.mtx, .mtx.gz), or text that starts with "n n nonzeros"'


class Matrix(NamedTuple):
    """A matrix and where it came from."""

    values: Union[np.ndarray, SparseRows]  # as stored: any dtype and order, mapped where possible
    name: str                              # what errors and warnings call it
    path: Optional[str] = None             # file from which `formats.read_rows` can read rows, if any


def load_matrix(path):
    """Open a file that holds a square real matrix.

    Parameters
    ----------
    path : str or path-like
        ``.npy`` (mapped, not read), ``.npz`` (one dense array, or from scipy.sparse.save_npz), Matrix Market
        (``.mtx``, ``.mtx.gz``), or the text format of `formats.triplets`. Text is recognised by its first line. A text
        matrix of which more than a third is stored becomes a dense array.

    Returns
    -------
    Matrix

    Raises
    ------
    InputError
        With the file, and the line where there are lines, for whatever is wrong with it.
    """
    path = os.path.abspath(os.fspath(path))
    kind = kind_of(path)
    if kind == '.npy':
        values = _square(map_array(path), path)
        return Matrix(values, path, None if read_npy_header(path).fortran_order else path)
    if kind == '.npz':
        return Matrix(_load_npz(path), path)
    with open_text(path, kind) as stream:
        values = _read_text(stream, path)
    if isinstance(values, tuple):
        stored, values = values
        values = from_triplets(stored, *values)
    return Matrix(values, path)


def _square(values, path):
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise InputError('%s: its shape is %s; it must be square' % (path, values.shape))
    return values


def _read_text(stream, path):
    """A dense array, or n and the entries."""
    first_line = stream.readline(4096)
    if is_triplets(first_line):
        values = read_triplets(stream, path, first_line)
        n = int(first_line.split()[0])
    elif is_mtx(first_line):
        header = read_header(stream, path, first_line)
        n = header.shape[0]
        if header.shape != (n, n):
            raise InputError('%s: the matrix is %d x %d; it must be square' % (path, *header.shape))
        if header.count < n:
            raise InputError('%s: %d entries for %d rows: a diagonal entry is missing' % (path, header.count, n))
        values = read_body(stream, path, header)
    else:
        raise InputError('%s: line 1: %s begins no known format; %s' % (path, quoted(first_line), _FORMATS))
    return (n, values) if isinstance(values, tuple) else values


def _load_npz(path):
    arrays = read_arrays(path)
    if {'format', 'shape', 'data'} <= set(arrays):
        return _sparse_of(path, arrays)
    if len(arrays) != 1:
        raise InputError('%s: holds %d arrays (%s); it must hold one, or be written by scipy.sparse.save_npz'
                         % (path, len(arrays), ', '.join(arrays)[:60]))
    return _square(next(iter(arrays.values())), path)


def _sparse_of(path, arrays):
    """`SparseRows` of what scipy.sparse.save_npz has written; its own reader trusts numbers that it should not."""
    data, shape = arrays['data'], tuple(arrays['shape'].ravel()[:3].tolist())
    if not all(type(length) is int for length in shape):
        raise InputError('%s: is damaged: its shape is of type %s' % (path, arrays['shape'].dtype))
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InputError('%s: its shape is %s; it must be square' % (path, shape))
    if data.dtype.kind not in 'biuf':
        raise InputError('%s: holds %s; only real numbers are solved' % (path, data.dtype))
    # Before memory for the rows is asked for.
    if data.size < shape[0]:
        raise InputError('%s: %d entries for %d rows: a diagonal entry is missing' % (path, data.size, shape[0]))
    try:
        return _rows_of(path, arrays, shape[0])
    except InputError:
        raise
    except MemoryError:
        raise InputError('%s: not enough memory for what it holds' % path) from None
    except Exception as error:  # arrays that contradict each other raise whatever scipy or numpy stumble over
        raise InputError('%s: is damaged: %s' % (path, brief(error))) from None


def _rows_of(path, arrays, n):
    form = arrays['format'].item()
    form = form.decode('latin-1') if isinstance(form, bytes) else form
    # scipy's C code writes where indptr says, and no check of scipy's is complete.
    if form in ('csr', 'csc'):
        return _compressed(path, SparseRows(arrays['indptr'], arrays['indices'], arrays['data'], n), form)
    if form == 'bsr':
        indices, width = arrays['indices'], arrays['data'].shape[2]
        canonical(SparseRows(arrays['indptr'], indices, np.ones(len(indices)), n // width), path)
    try:
        from scipy.sparse import bsr_matrix, coo_matrix, dia_matrix
    except ImportError:
        raise InputError("%s: is written by scipy; to read it: pip install 'coro_sor[sparse]'" % path) from None
    if form == 'coo':
        matrix = coo_matrix((arrays['data'], (arrays['row'], arrays['col'])), (n, n))
    elif form == 'dia':
        matrix = dia_matrix((arrays['data'], arrays['offsets']), (n, n))
    elif form == 'bsr':
        matrix = bsr_matrix((arrays['data'], arrays['indices'], arrays['indptr']), (n, n))
    else:
        raise ValueError('%.20r is no format of scipy.sparse.save_npz' % (form,))
    return from_scipy(matrix, path)


def _compressed(path, lines, form):
    """`SparseRows` of rows (csr) or of columns (csc)."""
    if len(lines) != lines.n:
        raise InputError('%s: is damaged: it has %d lines and not %d' % (path, len(lines), lines.n))
    lines = canonical(lines, path)
    return lines if form == 'csr' else from_triplets(lines.n, lines.indices, lines.row_numbers(), lines.data)
