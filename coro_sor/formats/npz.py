"""The arrays of a .npz file: never pickles, and never more memory than the file can hold, whatever it promises.

numpy's own reader asks for the memory that a member's header promises before it has read a byte of its content.
"""
import struct
import zipfile
import zlib

import numpy as np

from coro_sor.formats.npy import parse_header
from coro_sor.formats.opening import DEFLATION, brief
from coro_sor.solution import InputError

__all__ = ['read_arrays']

_MOST = 12              # arrays: scipy writes up to seven
_PIECE = 1 << 20        # bytes read together


def read_arrays(path):
    """Read all arrays.

    Parameters
    ----------
    path : str

    Returns
    -------
    dict of str to array
        By name, of any dtype but Python objects.

    Raises
    ------
    InputError
        Where the file is damaged, holds Python objects, or promises more than it can hold.
    """
    try:
        with open(path, 'rb') as stream, zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if not 0 < len(members) <= _MOST:
                raise InputError('%s: holds %d arrays (%s); it must hold one, or be written by scipy.sparse.save_npz'
                                 % (path, len(members), ', '.join(_name(member) for member in members[:4])[:60]))
            _check_sizes(path, members, stream.seek(0, 2))
            return {_name(member): _read(path, archive, member) for member in members}
    except InputError:
        raise
    except MemoryError:
        raise InputError('%s: not enough memory for what it holds' % path) from None
    except (OSError, EOFError, ValueError, NotImplementedError, RuntimeError, OverflowError, zipfile.BadZipFile,
            zlib.error, struct.error) as error:
        raise InputError('%s: is damaged or truncated: %s' % (path, brief(error))) from None


def _name(member):
    """As numpy gives it; on one line, because errors quote it."""
    name = ' '.join(member.filename.split())
    return name[:-4] if name.endswith('.npy') else name


def _check_sizes(path, members, size):
    """Refuse what one after the other cannot fill a file of `size` bytes, before anything is unpacked."""
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
            raise InputError('%s: is compressed or encrypted in a way that numpy does not use' % path)
        # Deflation needs some bytes even for nothing.
        if member.file_size > DEFLATION * member.compress_size:
            raise InputError('%s: is damaged: %s promises to unpack %d bytes to %d'
                             % (path, _name(member)[:60], member.compress_size, member.file_size))
    if sum(member.compress_size for member in members) > size:
        raise InputError('%s: is damaged or truncated: its parts are larger than it' % path)


def _read(path, archive, member):
    """One array; the memory that it takes grows with what has been read."""
    name = '%s: %s' % (path, _name(member)[:60])
    with archive.open(member) as stream:
        header = parse_header(stream, name)
        if header.nbytes != member.file_size:
            raise InputError('%s is %d bytes long, but its header (%s, shape %s) says %d'
                             % (name, member.file_size, header.dtype, header.shape, header.nbytes))
        content = bytearray()
        for piece in iter(lambda: stream.read(_PIECE), b''):
            content += piece
    if len(content) != header.nbytes - header.offset:
        raise InputError('%s: is truncated' % name)
    return np.frombuffer(content, header.dtype).reshape(header.shape, order='F' if header.fortran_order else 'C')
