"""A file that holds a matrix, in any of the formats."""
import os
from typing import NamedTuple, Optional, Union

import numpy as np

from coro_sor.csr import from_scipy, from_triplets
from coro_sor.formats.mtx import is_mtx, read_body, read_header
from coro_sor.formats.npy import map_array, read_header as read_npy_header
from coro_sor.formats.opening import kind_of, open_text, quoted
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
        values = map_array(path)
        return Matrix(values, path, None if read_npy_header(path).fortran_order else path)
    if kind == '.npz':
        return Matrix(_load_npz(path), path)
    with open_text(path, kind) as stream:
        values = _read_text(stream, path)
    if isinstance(values, tuple):
        stored, values = values
        values = from_triplets(stored, *values)
    return Matrix(values, path)


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
    try:
        # Opened here, because numpy does not close what it opened and found damaged.
        with open(path, 'rb') as stream, np.load(stream, allow_pickle=False) as archive:
            if not {'format', 'shape', 'data'} <= set(archive.files):
                return _load_dense_npz(path, archive)
            stream.seek(0)
            return _load_sparse_npz(path, stream)
    except InputError:
        raise
    except MemoryError:
        raise InputError('%s: not enough memory for what it announces' % path) from None
    except Exception as error:  # a damaged archive raises whatever zipfile, zlib, numpy or scipy stumble over
        raise InputError('%s: is damaged or truncated: %s' % (path, str(error) or type(error).__name__)) from None


def _load_dense_npz(path, archive):
    if len(archive.files) != 1:
        raise InputError('%s: holds %d arrays (%s); it must hold one, or be written by scipy.sparse.save_npz'
                         % (path, len(archive.files), ', '.join(archive.files)[:60]))
    return archive[archive.files[0]]


def _load_sparse_npz(path, stream):
    try:
        from scipy.sparse import load_npz
    except ImportError:
        raise InputError("%s: is written by scipy; to read it: pip install 'coro_sor[sparse]'" % path) from None
    matrix = load_npz(stream)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError('%s: its shape is %s; it must be square' % (path, matrix.shape))
    if matrix.dtype.kind not in 'biuf':
        raise InputError('%s: holds %s; only real numbers are solved' % (path, matrix.dtype))
    return from_scipy(matrix, path)
