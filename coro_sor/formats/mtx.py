"""Matrix Market files: real, integer and pattern; coordinate and array; general and symmetric.

The format is that of https://math.nist.gov/MatrixMarket/formats.html. scipy's reader is not used: it takes ``1D5`` for
1 and ``2.5abc`` for 2.5, and some truncated files end the whole process.
"""
from typing import NamedTuple

import numpy as np

from coro_sor.formats.entries import ENTRY, POSITION, VALUE, Sink, blocks, check_range
from coro_sor.formats.opening import are_counts, check_room, quoted
from coro_sor.solution import InputError

__all__ = ['is_mtx', 'read_body', 'read_header']

_COMMENTS = 16 << 20    # bytes of them, beyond which it is no file that somebody wrote


class Header(NamedTuple):
    """The first lines of a file."""

    shape: tuple     # rows and columns
    count: int       # lines that follow
    layout: str      # 'coordinate' or 'array'
    pattern: bool    # positions only, each value is 1
    symmetric: bool  # only the lower triangle is stored
    line: int        # number of the next line


def is_mtx(first_line):
    """Whether a file that begins with this line is in this format."""
    return first_line.lower().startswith(b'%%matrixmarket')


def read_header(stream, name, first_line):
    """Read banner, comments and sizes.

    Parameters
    ----------
    stream : binary file
        Behind its first line; left where the entries begin.
    name : str
        What errors call the file.
    first_line : bytes
        The first line.

    Returns
    -------
    Header

    Raises
    ------
    InputError
        Where it is not a real matrix, or not in this format.
    """
    layout, field, symmetry = _banner(name, first_line)
    line, text = _skip_comments(stream, name)
    words = text.split()
    if len(words) != (3 if layout == 'coordinate' else 2) or not are_counts(words):
        raise InputError('%s: line %d: %s is not "%s"' % (name, line, quoted(text), 'rows columns entries'
                                                          if layout == 'coordinate' else 'rows columns'))
    rows, columns, *count = (int(word) for word in words)
    symmetric = symmetry == 'symmetric'
    if rows == 0 or columns == 0 or (symmetric and rows != columns):
        raise InputError('%s: line %d: %d x %d is no %s matrix' % (name, line, rows, columns, symmetry))
    stored = rows * (rows + 1) // 2 if symmetric else rows * columns
    return Header((rows, columns), count[0] if count else stored, layout, field == 'pattern', symmetric, line + 1)


def _skip_comments(stream, name):
    """(number, text) of the first line behind them."""
    line, left = 2, _COMMENTS
    for text in iter(lambda: stream.readline(4096), b''):
        if text.strip() and not text.startswith(b'%'):
            return line, text
        line += text.endswith(b'\n')
        left -= len(text)
        if left < 0:
            raise InputError('%s: has comments and blank lines only, up to line %d' % (name, line))
    raise InputError('%s: ends at line %d, before the line of sizes: is it truncated?' % (name, line))


def _banner(name, first_line):
    words = first_line.lower().decode('latin-1').split()
    if len(words) != 5 or words[0] != '%%matrixmarket' or words[1] != 'matrix' \
            or words[2] not in ('coordinate', 'array') or words[2:4] == ['array', 'pattern']:
        raise InputError('%s: line 1: %s is no Matrix Market banner; "%%%%MatrixMarket matrix coordinate real general" '
                         'is one' % (name, quoted(first_line)))
    if words[3] not in ('real', 'double', 'integer', 'unsigned-integer', 'pattern'):
        raise InputError('%s: line 1: the matrix is %s; only real ones are solved' % (name, words[3][:20]))
    if words[4] not in ('general', 'symmetric'):
        raise InputError('%s: line 1: the matrix is %s; only general and symmetric ones are solved'
                         % (name, words[4][:20]))
    return words[2:]


def read_body(stream, name, header):
    """Read the entries.

    Parameters
    ----------
    stream, name
        As `read_header` left and had them.
    header : Header
        What it returned.

    Returns
    -------
    (rows, columns) array, or tuple of three arrays
        Dense where more than a third of it is stored; rows, columns and values, counted from 0, where not.

    Raises
    ------
    InputError
        With the line, where the file is not what its header says.
    """
    least = 2 if header.layout == 'array' else 4 if header.pattern else 6     # '1\n', '1 1\n', '1 1 1\n'
    check_room(stream, name, header.count, least)
    return (_array if header.layout == 'array' else _coordinate)(stream, name, header)


def _counted(stream, name, header, dtype):
    """Yield (entries before, block), and refuse a file with more or fewer entries than it announced."""
    done = 0
    for block in blocks(stream, name, header.line, dtype, header.count):
        if done + len(block.entries) > header.count:
            raise block.fault(header.count - done, 'more than the %d entries announced' % header.count)
        yield done, block
        done += len(block.entries)
    if done < header.count:
        raise InputError('%s: ends after %d of %d entries: is it truncated?' % (name, done, header.count))


def _coordinate(stream, name, header):
    sink = Sink(header.shape, header.count * (2 if header.symmetric else 1))
    triangles = set()
    for _, block in _counted(stream, name, header, POSITION if header.pattern else ENTRY):
        entries = block.entries
        check_range(block, entries, header.shape)
        i, j = entries['i'], entries['j']
        values = np.ones(len(entries)) if header.pattern else entries['value']
        sink.add(i, j, values)
        if header.symmetric:
            _check_triangle(block, i, j, triangles)
            mirrored = i != j
            sink.add(j[mirrored], i[mirrored], values[mirrored])
    return sink.finish()


def _check_triangle(block, i, j, triangles):
    """Refuse a file that says symmetric and stores both triangles: its off-diagonal entries would count twice."""
    for triangle, inside in (('lower', i > j), ('upper', i < j)):
        if inside.any():
            triangles.add(triangle)
            if len(triangles) == 2:
                raise block.fault(int(inside.argmax()), 'the banner says symmetric, but both triangles are stored; '
                                                        'remove one, or write general')


def _array(stream, name, header):
    stored = np.empty(header.count)
    for done, block in _counted(stream, name, header, VALUE):
        stored[done:done + len(block.entries)] = block.entries['value']
    rows, columns = header.shape
    if not header.symmetric:
        return stored.reshape((rows, columns), order='F')
    full = np.empty((rows, rows))
    for k in range(rows):
        first = k * rows - k * (k - 1) // 2
        full[k, k:] = full[k:, k] = stored[first:first + rows - k]
    return full
