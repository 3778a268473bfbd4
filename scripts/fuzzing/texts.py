"""Text: matrices, vectors and graphs, compressed or not."""
from __future__ import annotations

import gzip
import struct
import zlib

from coro_sor.formats import load_vector
from coro_sor.problems import make_generator

from . import mutation
from .arrays import npy_bytes
from .files import ROWS, File

__all__ = ['TARGETS']


def _entries(draw, n, pattern=False):
    cells = [(k, k) for k in range(1, n + 1)] + [(draw.randint(1, n), draw.randint(1, n))
                                                 for _ in range(draw.choice((0, 1, 3, 9)))]
    return [[str(i), str(j)] + ([] if pattern else [draw.choice(('2', '1.5', '-1e-3', '0'))]) for i, j in cells]


def _resized(draw, lines, place):
    """Now and then with sizes that agree with each other, and with nothing that follows."""
    if draw.random() < 0.05:
        n = draw.choice((20000, 10**5, 10**6, 10**8, abs(mutation.number(draw))))
        lines[place] = [str(n), str(n), str(draw.choice((n, 3 * n, n * n, n * n // 2, abs(mutation.number(draw)))))]
        lines[place] = lines[place][:3 if place == 0 or lines[0][2] == 'coordinate' else 2]
    return lines


def mtx_lines(draw, n=None):
    """Words of a Matrix Market file; a vector where `n` is given."""
    layout = draw.choice(('coordinate', 'array'))
    field = draw.choice(('real', 'integer', 'double') + (('pattern',) if layout == 'coordinate' else ()))
    rows, columns = (draw.choice((2, 3, 12)),) * 2 if n is None else draw.choice(((n, 1), (1, n)))
    symmetry = 'symmetric' if rows == columns and draw.random() < 0.4 else 'general'
    if layout == 'array':
        sizes = [str(rows), str(columns)]
        count = rows * (rows + 1) // 2 if symmetry == 'symmetric' else rows * columns
        body = [['1.5'] for _ in range(count)]
    else:
        body = _entries(draw, rows, field == 'pattern') if n is None else [
            [str(k + 1) if rows == n else '1', str(k + 1) if columns == n else '1'] + ['1'] * (field != 'pattern')
            for k in range(n)]
        if symmetry == 'symmetric':
            body = [[max(a, b, key=int), min(a, b, key=int), *rest] for a, b, *rest in body]
        sizes = [str(rows), str(columns), str(len(body))]
    return [['%%MatrixMarket', 'matrix', layout, field, symmetry], ['%', 'comment'], sizes, *body]


class Mtx(File):
    name = 'A.mtx'

    def valid(self, draw):
        return b'\n'.join(' '.join(words).encode() for words in mtx_lines(draw)) + b'\n'

    def wrong(self, draw):
        return mutation.changed_text(draw, _resized(draw, mtx_lines(draw), 2))


class Text(Mtx):
    name = 'A.txt'

    def _lines(self, draw):
        n = draw.choice((1, 2, 3, 12))
        body = _entries(draw, n)
        return [[str(n), str(n), str(len(body))], *body, ['0', '0', '0']]

    def valid(self, draw):
        return b'\n'.join(' '.join(words).encode() for words in self._lines(draw))

    def wrong(self, draw):
        return mutation.changed_text(draw, _resized(draw, self._lines(draw), 0))


class MtxGz(Mtx):
    name = 'A.mtx.gz'

    def valid(self, draw):
        return self._packed(draw, super().valid(draw) if draw.random() < 0.7 else Text('').valid(draw))

    def wrong(self, draw):
        text = super().wrong(draw) if draw.random() < 0.7 else Text('').wrong(draw)
        if draw.random() < 0.02:
            text += draw.choice((b'\n', b'%\n', b' ', b'1 1 1\n')) * 2000000
        made = bytearray(self._packed(draw, text))
        kind = draw.randrange(8)
        if kind == 0:
            made[-8:] = struct.pack('<LL', zlib.crc32(text), mutation.number(draw) % 2**32)
        elif kind == 1:
            made += draw.choice((bytes(made), bytes(20), b'x', made[:12]))
        elif kind == 2:
            del made[draw.randrange(len(made)):]
        elif kind == 3:
            made[draw.randrange(10)] = draw.randrange(256)
        return bytes(made)

    @staticmethod
    def _packed(draw, text):
        return gzip.compress(text, draw.choice((0, 1, 1, 6)), mtime=0)


class Vectors(File):
    """Text and Matrix Market; every tenth is a .npy file."""

    name = 'x'

    def valid(self, draw):
        return b'1\n2.5\n\n-3e5\n4' if draw.random() < 0.5 else b'\n'.join(
            ' '.join(words).encode() for words in mtx_lines(draw, ROWS))

    def wrong(self, draw):
        kind = draw.randrange(10)
        if kind == 0:
            return npy_bytes(draw, True, shape=draw.choice(((ROWS,), (1, ROWS), (ROWS, 1), None)))
        if kind == 1:
            return gzip.compress(self.wrong(draw), 1, mtime=0)
        lines = [['1'], ['2.5'], ['3'], ['-4e5']] if kind < 6 else mtx_lines(draw, ROWS)
        return mutation.changed_text(draw, lines)

    def read(self, path):
        assert load_vector(path, ROWS).shape == (ROWS,)


class Graph(File):
    """Arcs of a graph, perhaps compressed."""

    name = 'graph'

    def valid(self, draw):
        return b'# a graph\n0 1\n1 2 # comment\n7 0\n7 7\n'

    def wrong(self, draw):
        made = mutation.changed_text(draw, [['#', 'x'], ['0', '1'], ['1', '2', '#'], ['7', '0'], ['7', '7']])
        return gzip.compress(made, 1, mtime=0) if draw.random() < 0.1 else made

    def read(self, path):
        generator = make_generator('pagerank:' + path)
        for lo, hi in generator.pieces(0, generator.n):
            generator.rows(lo, hi)


TARGETS = {'mtx': Mtx, 'mtx.gz': MtxGz, 'text': Text, 'vectors': Vectors, 'graph': Graph}
