"""numpy's .npy files: mapped by the coordinator, read piece by piece by a worker that sees the same file."""
import os
import re
import stat
from typing import NamedTuple

import numpy as np

from coro_sor.rows import DenseRows
from coro_sor.solution import InputError

__all__ = ['Header', 'map_array', 'parse_header', 'read_header', 'read_rows']

_MAGIC = b'\x93NUMPY'
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}      # by version: of the field that says how long the header is
_HEADER_LIMIT = 10000                       # bytes, as in numpy; those of plain arrays have about 120
_LARGEST = 2**48                            # of a dimension: more than any file holds
_FIELD = re.compile(r"\s*'(descr|fortran_order|shape)'\s*:\s*('[^']*'|True|False|\([\d,\s]*\))\s*")
_DTYPE = re.compile(r'[<>|=]?[?biufcSUVOmM]\d{0,4}')


class Header(NamedTuple):
    """What a .npy file says of itself."""

    shape: tuple
    fortran_order: bool
    dtype: np.dtype
    offset: int  # bytes before the first value

    @property
    def nbytes(self):
        """Bytes of header and values together."""
        count = 1
        for length in self.shape:
            count *= length
        return self.offset + self.dtype.itemsize * count


def parse_header(stream, name):
    """Read the header of an array of plain values from the beginning of a stream.

    numpy's own reader is not used: it evaluates the header as Python, and believes how long it says it is.

    Parameters
    ----------
    stream : binary file
        Left at the first value.
    name : str
        What errors call the file.

    Returns
    -------
    Header

    Raises
    ------
    InputError
        Where it is damaged, of a version that is not known, or says that Python objects follow.
    """
    begin = stream.read(len(_MAGIC) + 2)
    if len(begin) < len(_MAGIC) + 2 or not begin.startswith(_MAGIC):
        raise InputError('%s: its .npy header is damaged' % name)
    version = begin[-2], begin[-1]
    if version not in _LENGTH_BYTES:
        raise InputError('%s: is of .npy version %d.%d; write it again with numpy.save' % (name, *version))
    length = stream.read(_LENGTH_BYTES[version])
    size = int.from_bytes(length, 'little')
    text = stream.read(size) if size <= _HEADER_LIMIT else b''
    if len(length) < _LENGTH_BYTES[version] or len(text) < size:
        raise InputError('%s: its .npy header is damaged: it is said to have %d bytes' % (name, size))
    return Header(*_fields(text.decode('latin-1'), name), len(begin) + len(length) + size)


def _fields(text, name):
    """Shape, order and dtype that a header's text says."""
    damaged = InputError('%s: its .npy header is damaged, or not that of an array of numbers: %r'
                         % (name, text.strip()[:60]))
    inside = text.strip()
    if not (inside.startswith('{') and inside.endswith('}')):
        raise damaged
    inside, found = inside[1:-1].strip().rstrip(','), {}
    while inside:
        field = _FIELD.match(inside)
        if not field or field.group(1) in found or inside[field.end():field.end() + 1] not in ('', ','):
            raise damaged
        found[field.group(1)] = field.group(2)
        inside = inside[field.end() + 1:]
    order = {'True': True, 'False': False}.get(found.get('fortran_order'))
    shape, dtype = _shape(found.get('shape', '')), _dtype(found.get('descr', ''))
    if len(found) < 3 or order is None or shape is None or dtype is None:
        raise damaged
    if dtype.hasobject:
        raise InputError('%s: holds Python objects; save an array of numbers' % name)
    return shape, order, dtype


def _shape(text):
    """(lengths, ...); None where the text is no tuple, or an impossible one."""
    inside = text[1:-1].strip()
    if text[:1] != '(' or (inside and ',' not in inside):
        return None
    parts = [part.strip() for part in inside.split(',')]
    if parts[-1] == '':
        parts.pop()
    if len(parts) > 32 or not all(part.isdigit() and len(part) < 16 for part in parts):
        return None
    shape = tuple(int(part) for part in parts)
    return shape if max(shape, default=0) < _LARGEST else None


def _dtype(text):
    """A dtype whose values take bytes; None where the text names none."""
    if not _DTYPE.fullmatch(text[1:-1]):
        return None
    try:
        dtype = np.dtype(text[1:-1])
    except TypeError:
        return None
    return dtype if dtype.itemsize else None


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
            header = parse_header(stream, path)
            size = os.fstat(stream.fileno()).st_size
    except OSError as error:
        raise InputError('%s: cannot be read: %s' % (path, error.strerror or error)) from None
    if size != header.nbytes:
        raise InputError('%s: is %d bytes long, but its header (%s, shape %s) says %d: %s'
                         % (path, size, header.dtype, header.shape, header.nbytes,
                            'is it truncated?' if size < header.nbytes else 'something was added to it'))
    return header


def map_array(path):
    """Map the array of a .npy file into memory, read-only; errors as in `read_header`.

    Returns
    -------
    numpy.memmap
        An ordinary empty array where there is nothing to map.
    """
    header = read_header(path)
    try:
        if 0 in header.shape:
            return np.empty(header.shape, header.dtype)
        return np.memmap(path, header.dtype, 'r', header.offset, header.shape, 'F' if header.fortran_order else 'C')
    except (OSError, ValueError, OverflowError) as error:
        raise InputError('%s: cannot be mapped into memory: %s' % (path, error)) from None


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
    # Asked before opening, because opening a pipe would wait for its writer.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise InputError('%s: is not a regular file' % path)
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
            yield _oriented(piece, lo)


def _oriented(piece, lo):
    # What is not finite is refused by the coordinator, who reads the same file.
    with np.errstate(over='ignore', invalid='ignore'):
        return DenseRows(piece.astype(np.float64, copy=False)).oriented(lo)[0]
