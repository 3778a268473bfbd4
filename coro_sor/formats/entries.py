"""Lines of numbers, parsed strictly and in blocks; what is wrong is found again line by line."""
import io

import numpy as np

from coro_sor.formats.opening import brief, quoted
from coro_sor.solution import InputError

__all__ = ['ENTRY', 'POSITION', 'VALUE', 'Sink', 'blocks', 'check_range']

ENTRY = np.dtype([('i', np.int64), ('j', np.int64), ('value', np.float64)])
POSITION = np.dtype([('i', np.int64), ('j', np.int64)])
VALUE = np.dtype([('value', np.float64)])

_BLOCK = 8 << 20    # bytes parsed together
_LINE = 1000        # bytes of one entry, on average over a file, beyond which it is no file of numbers
_SLACK = 1 << 20    # bytes a file may have beyond that, blank lines at its end for example
_ALPHABET = b'0123456789+-.eE \t\r\nnaNAinfINFtyTY'     # of numbers, nan and infinity


class Block:
    """Whole lines of a file and the entries on them.

    Parameters
    ----------
    name : str
        The file.
    text : bytes
        The lines.
    line : int
        Number of the first of them in the file, counted from 1.
    dtype : numpy.dtype
        What stands on one line: ENTRY, POSITION or VALUE.
    """

    def __init__(self, name, text, line, dtype):
        self.name, self._text, self._line = name, text, line
        # numpy takes more for a space than ASCII does, and would count lines differently.
        if text.translate(None, _ALPHABET):
            raise self._garbled(dtype, 'there is something that is in no number')
        try:
            self.entries = np.loadtxt(io.BytesIO(text), dtype, comments=None, ndmin=1)
        except ValueError as error:
            raise self._garbled(dtype, error) from None

    def fault(self, number, what):
        """An InputError about entry `number` of this block, with its line."""
        filled = [line for line, text in enumerate(self._text.split(b'\n'), self._line) if text.strip()]
        return InputError('%s: line %d: %s' % (self.name, filled[number], what))

    def _garbled(self, dtype, error):
        kinds = [int if dtype[name].kind == 'i' else float for name in dtype.names]
        lines = self._text.split(b'\n')
        for number, text in enumerate(lines):
            words = text.split()
            if words and not (len(words) == len(kinds) and all(map(_is_number, words, kinds))):
                end = ' (the file ends here: is it truncated?)' if number == len(lines) - 1 else ''
                return InputError('%s: line %d: %s is not "%s"%s'
                                  % (self.name, self._line + number, quoted(text), ' '.join(dtype.names), end))
        return InputError('%s: after line %d: %s' % (self.name, self._line, brief(error)))


def _is_number(word, kind):
    try:
        value = kind(word)
    except ValueError:
        return False
    # Python reads 1_0 as 10, files of numbers do not.
    return b'_' not in word and (kind is float or -2**63 <= value < 2**63)


def blocks(stream, name, line, dtype, count=None, size=_BLOCK):
    """Parse the rest of a stream.

    Parameters
    ----------
    stream : binary file
        Read to its end.
    name : str
        What errors call the file.
    line : int
        Number of the next line.
    dtype : numpy.dtype
        ENTRY, POSITION or VALUE: what stands on one line.
    count : int, optional
        Entries announced: text that goes on far beyond what they can take is refused, however well it was compressed.
    size : int
        Bytes to read at once.

    Yields
    ------
    Block
        At least one entry each; blank lines do not count.

    Raises
    ------
    InputError
        With the line that holds something else.
    """
    rest, more, left = b'', True, None if count is None else _SLACK + _LINE * count
    while more:
        data = stream.read(size)
        more = bool(data)
        if left is not None:
            left -= len(data)
            if left < 0:
                raise InputError('%s: after line %d: is longer than %d entries can be' % (name, line, count))
        text = rest + data
        cut = text.rfind(b'\n') + 1 if more else len(text)
        text, rest = text[:cut], text[cut:]
        if len(rest) > size:
            raise InputError('%s: line %d is too long: is it text?' % (name, line + text.count(b'\n')))
        if text and not text.isspace():
            yield Block(name, text, line, dtype)
        line += text.count(b'\n')


def check_range(block, entries, shape):
    """Refuse the first of these entries (those that open `block`) whose numbers are not 1 .. rows, 1 .. columns."""
    i, j = entries['i'], entries['j']
    outside = (i < 1) | (i > shape[0]) | (j < 1) | (j > shape[1])
    if outside.any():
        first = int(np.argmax(outside))
        raise block.fault(first, 'entry (%d, %d) is outside the %d x %d matrix (counted from 1)'
                          % (i[first], j[first], shape[0], shape[1]))


class Sink:
    """Collects entries into a dense array, or into lists where that would be mostly zeros.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    count : int
        Entries to come, which the caller has held against the size of the file. Dense where they fill more than a
        third: CSR would need half as much again as the array.
    """

    def __init__(self, shape, count):
        self._shape = shape
        self._dense = None
        self._parts = []
        if 3 * count > shape[0] * shape[1] or 1 in shape:
            # Costs memory only where it is touched.
            self._dense = np.zeros(shape[0] * shape[1])

    def add(self, i, j, values):
        """Add entries, counted from 1, to what is there."""
        if self._dense is None:
            self._parts.append((i - 1, j - 1, np.array(values)))
            return
        place = (i - 1) * self._shape[1] + (j - 1)
        # What overflows is infinite, and refused with its row and column when the matrix is checked.
        with np.errstate(over='ignore', invalid='ignore'):
            if (np.diff(place) > 0).all():
                self._dense[place] += values
            else:
                np.add.at(self._dense, place, values)

    def finish(self):
        """The matrix: an (m, n) array, or rows, columns and values counted from 0."""
        if self._dense is not None:
            return self._dense.reshape(self._shape)
        parts, self._parts = self._parts, []
        return tuple(np.concatenate(part) for part in zip(*parts))
