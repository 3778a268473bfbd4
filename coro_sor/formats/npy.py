"""numpy's .npy files: mapped by the coordinator, read piece by piece by a worker that sees the same file."""
import os
from typing import NamedTuple

import numpy as np

from coro_sor.rows import DenseRows
from coro_sor.solution import InputError

__all__ = ['map_array', 'read_header', 'read_rows']


class Header(NamedTuple):
    """What a .npy file says of itself."""

    shape: tuple
    fortran_order: bool
    dtype: np.dtype
    offset: int  # bytes before the first value


def read_header(path):
    """Read the header of a .npy file and hold it against the file's size.

    Parameters
    ----------
    path : str
        A file.

    Returns
    -------
    Header

    Raises
    ------
    InputError
        Where it is damaged, holds Python objects, or has not the size its header says.
    """
    try:
        with open(path, 'rb') as stream:
            version = np.lib.format.read_magic(stream)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            header = Header(*read(stream), stream.tell())
            size = os.fstat(stream.fileno()).st_size
    except KeyError:
        raise InputError('%s: is of .npy version %d.%d; write it again with numpy.save' % (path, *version)) from None
    except ValueError as error:
        raise InputError('%s: its .npy header is damaged: %s' % (path, str(error).splitlines()[0])) from None
    except OSError as error:
        raise InputError('%s: cannot be read: %s' % (path, error.strerror or error)) from None
    if header.dtype.hasobject:
        raise InputError('%s: holds Python objects; save an array of numbers' % path)
    told = header.offset + header.dtype.itemsize * int(np.prod(header.shape, dtype=object))
    if size != told:
        raise InputError('%s: is %d bytes long, but its header (%s, shape %s) says %d: %s'
                         % (path, size, header.dtype, header.shape, told, 'is it truncated?' if size < told else
                            'something was added to it'))
    return header


def map_array(path):
    """Map the array of a .npy file into memory, read-only; errors as in `read_header`.

    Returns
    -------
    numpy.memmap
        An ordinary empty array where there is nothing to map.
    """
    header = read_header(path)
    if 0 in header.shape:
        return np.empty(header.shape, header.dtype)
    return np.memmap(path, header.dtype, 'r', header.offset, header.shape, 'F' if header.fortran_order else 'C')


def read_rows(path, start, stop, expected_n, chunk_bytes=4 << 20):
    """Read rows of a .npy matrix, in pieces; plain reads, because mapped pages would count as the worker's memory.

    Parameters
    ----------
    path : str
        The file (``Problem.path``): C order, any real dtype.
    start, stop : int
        The rows.
    expected_n : int
        Rows and columns the file must have.
    chunk_bytes : int
        About the size of a piece.

    Yields
    ------
    DenseRows
        The next rows as `Problem.rows` gives them: float64, a row with a negative diagonal entry negated.

    Raises
    ------
    InputError
        Where the file is damaged or holds another matrix.
    OSError
        Where it is not there, or not for this user.
    """
    with open(path, 'rb') as stream:
        header = read_header(path)
        if header.shape != (expected_n, expected_n) or header.fortran_order or header.dtype.kind not in 'biuf':
            raise InputError('%s: is not the %d x %d matrix it was: it holds %s, shape %s%s'
                             % (path, expected_n, expected_n, header.dtype, header.shape,
                                ', Fortran order' if header.fortran_order else ''))
        stream.seek(header.offset + start * expected_n * header.dtype.itemsize)
        step = max(1, chunk_bytes // (8 * expected_n))
        for lo in range(start, stop, step):
            piece = np.empty((min(step, stop - lo), expected_n), header.dtype)
            if stream.readinto(piece) != piece.nbytes:
                raise InputError('%s: became shorter while it was read' % path)
            yield DenseRows(_float64(piece)).oriented(lo)[0]


def _float64(piece):
    with np.errstate(over='ignore', invalid='ignore'):
        return piece.astype(np.float64, copy=False)
