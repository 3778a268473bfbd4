"""A file that holds a vector: b, x0 or a known solution."""
import os

import numpy as np

from coro_sor.formats.entries import VALUE, blocks
from coro_sor.formats.mtx import is_mtx, read_body, read_header
from coro_sor.formats.npy import map_array
from coro_sor.formats.opening import kind_of, open_text
from coro_sor.solution import InputError

__all__ = ['load_vector']


def load_vector(path, n):
    """Read n real numbers.

    Parameters
    ----------
    path : str or path-like
        ``.npy``, Matrix Market (``.mtx``, ``.mtx.gz``) or text with one number a line; one column or one row.
    n : int
        How many there must be.

    Returns
    -------
    (n,) array
        float64, in memory.

    Raises
    ------
    InputError
        With the file and the line or the entry (counted from 0) that is wrong.
    """
    path = os.path.abspath(os.fspath(path))
    kind = kind_of(path)
    if kind == '.npy':
        values = map_array(path)
        if values.dtype.kind not in 'biuf':
            raise InputError('%s: holds %s; it must hold real numbers' % (path, values.dtype))
    elif kind == '.npz':
        raise InputError('%s: a vector must be .npy, .mtx, .mtx.gz or text with one number a line' % path)
    else:
        with open_text(path, kind) as stream:
            values = _read_text(stream, path, n)
    if values.shape not in ((n,), (n, 1), (1, n)):
        raise InputError('%s: its shape is %s; %d numbers are needed' % (path, values.shape, n))
    with np.errstate(over='ignore', invalid='ignore'):
        values = np.array(values, dtype=np.float64).reshape(n)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise InputError('%s: entry %d (counted from 0) is %s' % (path, wrong[0], values[wrong[0]]))
    return values


def _read_text(stream, path, n):
    first_line = stream.readline(4096)
    if is_mtx(first_line):
        header = read_header(stream, path, first_line)
        if sorted(header.shape) != sorted((1, n)):
            raise InputError('%s: its shape is %s; %d numbers are needed' % (path, header.shape, n))
        return read_body(stream, path, header)
    stream.seek(0)
    parts, done = [], 0
    for block in blocks(stream, path, 1, VALUE, n):
        if done + len(block.entries) > n:
            raise block.fault(n - done, 'more than the %d numbers that are needed' % n)
        parts.append(block.entries['value'])
        done += len(block.entries)
    if done < n:
        raise InputError('%s: ends after %d of %d numbers' % (path, done, n))
    return np.concatenate(parts)
