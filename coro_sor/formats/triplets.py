"""The original project's text format: ``n n nonzeros``, then ``i j value`` counted from 1, closed by ``0 0 0``."""
from coro_sor.formats.entries import ENTRY, Sink, blocks, check_range
from coro_sor.formats.opening import are_counts, check_room
from coro_sor.solution import InputError

__all__ = ['is_triplets', 'read_triplets']


def is_triplets(first_line):
    """Whether a file that begins with this line is in this format."""
    words = first_line.split()
    return len(words) == 3 and are_counts(words)


def read_triplets(stream, name, first_line):
    """Read the rest of a matrix in this format.

    Parameters
    ----------
    stream : binary file
        Behind its first line.
    name : str
        What errors call the file.
    first_line : bytes
        The first line.

    Returns
    -------
    (n, n) array, or tuple of three arrays
        Dense where more than a third of it is stored; rows, columns and values, counted from 0, where not.

    Raises
    ------
    InputError
        With the line, where the file is not what its first line says.
    """
    rows, columns, count = (int(word) for word in first_line.split())
    if rows != columns or rows == 0:
        raise InputError('%s: line 1: the matrix is %d x %d; it must be square and not empty' % (name, rows, columns))
    if count < rows:
        raise InputError('%s: line 1: %d entries for %d rows: a diagonal entry is missing' % (name, count, rows))
    check_room(stream, name, count, len('1 1 1\n'))
    sink = Sink((rows, columns), count)
    done, closed = 0, False
    for block in blocks(stream, name, 2, ENTRY, count):
        if closed:
            raise block.fault(0, 'there is more after the closing 0 0 0')
        left = count - done
        entries, closing = block.entries[:left], block.entries[left:]
        _check_closing(block, left, closing, count)
        _check_entries(block, entries, rows, done, count)
        sink.add(entries['i'], entries['j'], entries['value'])
        done, closed = done + len(entries), len(closing) > 0
    if not closed:
        raise InputError('%s: ends after %d of %d entries and no closing 0 0 0: is it truncated?' % (name, done, count))
    return sink.finish()


def _check_closing(block, left, closing, count):
    if len(closing) and any(closing[0].tolist()):
        raise block.fault(left, 'more entries than the %d of the first line; 0 0 0 must stand here' % count)
    if len(closing) > 1:
        raise block.fault(left + 1, 'there is more after the closing 0 0 0')


def _check_entries(block, entries, n, done, count):
    ends = (entries['i'] == 0) & (entries['j'] == 0)
    if ends.any():
        first = int(ends.argmax())
        check_range(block, entries[:first], (n, n))
        raise block.fault(first, '0 0 0 after %d of the %d entries of the first line' % (done + first, count))
    check_range(block, entries, (n, n))
