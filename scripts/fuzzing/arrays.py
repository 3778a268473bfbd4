"""numpy's files: single arrays, and archives of them, scipy's too."""
from __future__ import annotations

import io
import zipfile

import numpy as np

from coro_sor.formats import read_rows
from coro_sor.solution import InputError

from . import mutation
from .files import ROWS, File

__all__ = ['TARGETS', 'npy_bytes']

_DESCRS = ('<f8',) * 6 + ('<f4', '>f8', '|b1', '<i8', '>i2', '|u1', '<f2', '<c16', '|O', '|S3', '<U2', '|V8', '<M8',
                          '<m8[ns]', '|S0', '<f16', '<q8', '', 'f8', '=f8', '<f99', "[('a', '<f8')]", '|O8', 'x' * 300)


def npy_bytes(draw, wrong, descr=None, shape=None):
    """A .npy file; where `wrong`, perhaps of a strange type, or one whose header lies."""
    lying = wrong and draw.random() < 0.7
    descr = descr or (draw.choice(_DESCRS) if wrong else draw.choice(('<f8', '<f4', '>i4', '|b1')))
    if shape is None:
        shape = (ROWS, ROWS) if not wrong or draw.random() < 0.6 else tuple(
            mutation.number(draw) for _ in range(draw.randrange(4)))
    try:
        count = max(0, int(np.prod(shape, dtype=object)))
        body = bytes(min(count, 64) * np.dtype(descr).itemsize)
    except (TypeError, ValueError):
        body = bytes(128)
    body = bytes(draw.getrandbits(8) for _ in range(min(len(body), 16))) + body[16:]
    if draw.random() < 0.7 and descr == '<f8' and shape == (ROWS, ROWS):
        body = (np.eye(ROWS) * draw.choice((1.0, -2.0, np.nan, 1e308))).tobytes()
    fields = ["'descr': %s" % (descr if descr[:1] == '[' else "'%s'" % descr),
              "'fortran_order': %s" % draw.choice(('False', 'True')),
              "'shape': (%s)" % ''.join('%d, ' % length for length in shape)]
    version, size = (1, 0), None
    if lying:
        version, size = _lie(draw, fields)
        body = draw.choice((body, body[:-1], body + b'x', b'', body * 2))
    text = ('{' + draw.choice((', ', ', ', ',')).join(fields) + ', }').encode('latin-1', 'replace')
    width = 4 if version[0] == 2 else 2
    text += b' ' * (-(len(text) + 9 + width) % 64) + b'\n'
    size = (len(text) if size is None else size) % (1 << 8 * width)
    return b'\x93NUMPY' + bytes(version) + size.to_bytes(width, 'little') + text + body


def _lie(draw, fields):
    """Change some fields; (version, length of the header or None)."""
    for _ in range(draw.randrange(3)):
        at = draw.randrange(len(fields))
        kind = draw.randrange(6)
        if kind == 0:
            fields[at] = fields[at].split(':')[0] + ': ' + draw.choice(
                ('None', '[]', '(4, 4', '4', '(4)', '(4L, 4L)', '(True, 4)', '-1', "'(4, 4)'", '(4, -4)', '(-4, -4)',
                 '((((4))))', '__import__("os")', '1' * 5000, '(' * 3000, '(%s)' % ('1, ' * 99), '(0, 9e9)'))
        elif kind == 1:
            fields.pop(at)
        elif kind == 2:
            fields.append(draw.choice(fields))
        elif kind == 3:
            fields[at] = mutation.changed_bytes(draw, fields[at].encode()).decode('latin-1')
        elif kind == 4:
            draw.shuffle(fields)
        if not fields:
            break
    version = draw.choice(((1, 0), (1, 0), (2, 0), (3, 0), (0, 9)))
    return version, mutation.number(draw) if draw.random() < 0.2 else None


class Npy(File):
    name = 'A.npy'

    def valid(self, draw):
        return npy_bytes(draw, False)

    def wrong(self, draw):
        return npy_bytes(draw, True)

    def read(self, path):
        try:
            list(read_rows(path, 0, ROWS, ROWS))
        except InputError:
            pass
        super().read(path)


# ---- .npz

def _array(draw, values, descr):
    """A member: an array as it should be, or one with strange values, type or length."""
    values = list(values)
    if draw.random() < 0.2:
        for _ in range(draw.randint(1, 2)):
            kind = draw.randrange(6)
            if kind < 2 and values:
                values[draw.randrange(len(values))] = mutation.number(draw)
            elif kind == 2 and values:
                # What counts entries may end well and be wrong in between.
                values[draw.randrange(len(values))], values[-1] = abs(mutation.number(draw)), draw.choice((0, 1, -1))
            elif kind == 3:
                draw.shuffle(values)
            elif kind == 4 and values:
                values.pop(draw.randrange(len(values)))
            else:
                values.append(mutation.number(draw))
        descr = draw.choice((descr, descr, descr, '<f8', '<i8', '|u1', '<c16'))
    with io.BytesIO() as stream:
        kind = np.dtype(descr).kind
        limit = 2 ** (8 * np.dtype(descr).itemsize - 1) - 1
        exact = [min(max(int(each), -limit if kind == 'i' else 0), limit) if kind in 'iu' else each for each in values]
        np.save(stream, np.array(exact, dtype=descr).reshape(draw.choice(((-1,),) * 20 + ((1, -1), (-1, 1)))))
        return stream.getvalue()


def _text_array(text):
    with io.BytesIO() as stream:
        np.save(stream, np.array(text))
        return stream.getvalue()


def _sparse_members(draw):
    form = draw.choice(('csr', 'csc', 'coo', 'dia', 'bsr'))
    n, dtype = ROWS, draw.choice(('<i4', '<i8'))
    promised = n if draw.random() < 0.95 else abs(mutation.number(draw))
    indices, indptr, data = [0, 1, 1, 2, 3], [0, 2, 3, 4, 5], [2.0, -1.0, 2.0, 2.0, 2.0]
    members = {'format': _text_array(form.encode()), 'shape': _array(draw, (promised, promised), '<i8')}
    if form == 'coo':
        members.update(row=_array(draw, [0, 0, 1, 2, 3], dtype), col=_array(draw, indices, dtype),
                       data=_array(draw, data, '<f8'))
    elif form == 'dia':
        with io.BytesIO() as stream:
            np.save(stream, np.ones((2, n)))
            members.update(data=stream.getvalue(), offsets=_array(draw, [0, draw.randrange(-5, 6)], dtype))
    else:
        members.update(indices=_array(draw, indices, dtype), indptr=_array(draw, indptr, dtype),
                       data=_array(draw, data, '<f8'))
        if form == 'bsr':
            side = draw.choice((1, 2, 2, 3, 4))
            with io.BytesIO() as stream:
                np.save(stream, np.ones((2, side, draw.choice((side, side, 1)))))
                members.update(data=stream.getvalue(), indices=_array(draw, [0, 1], dtype),
                               indptr=_array(draw, [0, 1, 2], dtype))
    if draw.random() < 0.1:
        members['format'] = _text_array(draw.choice((b'xyz', 'csr', b'', 3, [b'csr', b'csc'], b'spmatrix')))
    if draw.random() < 0.1:
        members.pop(draw.choice(list(members)))
    if draw.random() < 0.1:
        members[draw.choice(list(members))] = npy_bytes(draw, True)
    return members


def _zipped(draw, members, wrong):
    """A zip file of (name, bytes); where `wrong`, perhaps with sizes in its directories that lie."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w', draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)), compresslevel=1) as out:
        for name, content in members:
            out.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, compress_type=draw.choice((0, 8)))
    made = bytearray(stream.getvalue())
    if wrong and draw.random() < 0.4:
        for _ in range(draw.randint(1, 2)):
            begin = draw.choice((b'PK\x01\x02', b'PK\x03\x04', b'PK\x05\x06'))
            places = [k for k in range(len(made) - 4) if made[k:k + 4] == begin]
            # Flags, method, checksum, sizes, offset of one of the headers.
            at = draw.choice(places or [0]) + draw.randrange(4, 46)
            made[at:at + 4] = (mutation.number(draw) % 2**32).to_bytes(4, 'little')
    return bytes(made)


class Npz(File):
    name = 'A.npz'

    def valid(self, draw):
        return self._made(draw, False)

    def wrong(self, draw):
        return self._made(draw, True)

    def _made(self, draw, wrong):
        if draw.random() < 0.6:
            members = [(name + '.npy', content) for name, content in _sparse_members(draw).items()]
        else:
            content = npy_bytes(draw, wrong and draw.random() < 0.7)
            if wrong and draw.random() < 0.05:
                content += bytes(200000)    # what is highly compressed
            members = [('arr_0.npy', content)] * (1 if draw.random() < 0.9 else 2)
            members = [(name.replace('0', str(k)), content) for k, (name, content) in enumerate(members)]
        if wrong and draw.random() < 0.1:
            members[0] = (draw.choice(('data', '../data.npy', '', 'x' * 300 + '.npy', '/', 'ä.npy')), members[0][1])
        return _zipped(draw, members, wrong)


TARGETS = {'npy': Npy, 'npz': Npz}
