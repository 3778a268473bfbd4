"""Where the answer and the report are written: all of a file or nothing."""
import contextlib
import os

import numpy as np

from coro_sor.solution import InputError

__all__ = ['check_folder', 'check_output', 'save_vector', 'write_atomically']


def check_folder(path):
    """Refuse an output file whose folder does not exist or cannot be written.

    Parameters
    ----------
    path : str or path-like
        The file to be written later; it may exist.

    Raises
    ------
    InputError
        So that nobody computes for hours towards a file that cannot be written.
    """
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise InputError('%s: the folder %s does not exist; create it first' % (path, folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError('%s: the folder %s cannot be written' % (path, folder))
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError('%s: is there and is not a regular file' % path)


def check_output(path):
    """`check_folder`, and refuse a suffix that `save_vector` does not know."""
    if os.path.splitext(path)[1].lower() not in _WRITERS:
        raise InputError('%s: must end in one of %s' % (os.fspath(path), ', '.join(_WRITERS)))
    check_folder(path)


def save_vector(path, x):
    """Write a vector.

    Parameters
    ----------
    path : str or path-like
        ``.npy``, ``.mtx`` (array format) or ``.txt`` (one number a line); text has 17 digits: x comes back exactly.
    x : (n,) array
        The numbers.

    Raises
    ------
    InputError
        As `check_output`.
    OSError
        Where writing fails; a file that was there before is then still there.
    """
    check_output(path)
    x = np.asarray(x, dtype=np.float64)
    with write_atomically(path) as stream:
        _WRITERS[os.path.splitext(path)[1].lower()](stream, x)


@contextlib.contextmanager
def write_atomically(path, mode=0o666):
    """Open a file for writing bytes that takes the place of `path` when all went well, and vanishes when not.

    Killed at any moment, even with the machine, `path` is what it was or all that was written. One writer a file, which
    others may use as far as `mode` and the umask let them.
    """
    path = os.path.realpath(path)
    # Always the same name, so that what a killed run has left is overwritten by the next one.
    temporary = path + '.coro_sor.tmp'
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    try:
        # Created anew: an existing file or link of that name, somebody else's perhaps, is never written through.
        with open(temporary, 'xb', opener=lambda name, flags: os.open(name, flags, mode)) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C too must not leave half a file behind
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _keep_name(os.path.dirname(path))


def _keep_name(folder):
    """Bring the new name to disk; where a file system cannot, the file is there all the same."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_text(stream, x):
    np.savetxt(stream, x, fmt='%.17g')


def _write_mtx(stream, x):
    stream.write(b'%%%%MatrixMarket matrix array real general\n%d 1\n' % len(x))
    _write_text(stream, x)


_WRITERS = {'.npy': np.save, '.mtx': _write_mtx, '.txt': _write_text}
