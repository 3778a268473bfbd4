"""Which kind of file this is, by its first bytes, and a stream of its text; every failure names the file."""
import contextlib
import gzip
import os
import stat
import zlib

from coro_sor.solution import InputError

__all__ = ['DEFLATION', 'are_counts', 'brief', 'check_room', 'kind_of', 'open_text', 'quoted']

DEFLATION = 1032
"""Bytes that one byte of a compressed file can become at most (RFC 1951; zlib's technical details)."""

_BINARY = ((b'\x93NUMPY', '.npy'), (b'PK\x03\x04', '.npz'), (b'PK\x05\x06', '.npz'), (b'\x1f\x8b', '.gz'))


def kind_of(path):
    """Tell the kind of an input file and refuse one that cannot be read or is named as another kind.

    Parameters
    ----------
    path : str
        Its name.

    Returns
    -------
    str
        ``'.npy'``, ``'.npz'``, ``'.gz'`` (compressed text) or ``''`` (text).

    Raises
    ------
    InputError
        Where the file is missing, unreadable, empty, not a regular file, or its suffix promises another kind.
    """
    head = _head(path)
    kind = next((kind for magic, kind in _BINARY if head.startswith(magic)), '')
    promised = os.path.splitext(path)[1].lower()
    if kind == promised or (not kind and promised not in ('.npy', '.npz', '.gz')):
        return kind
    if not kind:
        raise InputError('%s: is named %s, but its content is not: it starts with %s; give it its own suffix, or '
                         'write it again' % (path, promised, quoted(head[:20])))
    raise InputError('%s: its content is that of a %s file; rename it so that it ends in %s' % (path, kind, kind))


def _head(path):
    try:
        # Asked before opening, because opening a pipe would wait for its writer.
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise InputError('%s: is a folder; name a file' % path)
        if not stat.S_ISREG(mode):
            raise InputError('%s: is not a regular file' % path)
        with open(path, 'rb') as stream:
            head = stream.read(64)
    except FileNotFoundError:
        raise InputError('%s: there is no such file' % path) from None
    except OSError as error:
        raise InputError('%s: cannot be read: %s' % (path, error.strerror or error)) from None
    if not head:
        raise InputError('%s: is empty' % path)
    return head


@contextlib.contextmanager
def open_text(path, kind):
    """Open a text file, compressed or not, as a stream of bytes; what fails while it is read is an `InputError`."""
    try:
        with (gzip.open if kind == '.gz' else open)(path, 'rb') as stream:
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError('%s: its compressed content is damaged or truncated: %s' % (path, brief(error))) from None
    except InputError:
        raise
    except OSError as error:
        raise InputError('%s: cannot be read: %s' % (path, error.strerror or error)) from None
    except (MemoryError, OverflowError):
        raise InputError('%s: not enough memory for what it announces' % path) from None


def check_room(stream, name, count, least):
    """Refuse a file that announces more than it can hold, before memory is asked for.

    Parameters
    ----------
    stream : binary file
        As `open_text` gives it.
    name : str
        What errors call the file.
    count : int
        Entries announced.
    least : int
        Bytes that the shortest entry takes with its line end.

    Raises
    ------
    InputError
    """
    size = os.fstat(stream.fileno()).st_size
    room = size * (DEFLATION if isinstance(stream, gzip.GzipFile) else 1)
    # The last line may do without its end.
    if count * least > room + 1:
        raise InputError('%s: announces %d entries, more than a file of %d bytes can hold: is it truncated?'
                         % (name, count, size))


def are_counts(words):
    """Whether these (bytes) are whole numbers, none negative and none beyond what any file holds."""
    return all(word.isdigit() and len(word) < 19 for word in words)


def brief(error):
    """What an exception of some library says, as a message shows it: one short line."""
    return ' '.join(str(error).split())[:200] or type(error).__name__


def quoted(text):
    """Bytes of a file as a message shows them: one short line."""
    return repr(text.strip().decode('latin-1')[:40])
