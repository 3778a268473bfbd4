"""What comes from a peer that knows the secret: frames of the codec, valid but for what was changed in them."""
from __future__ import annotations

import dataclasses
import json
import struct

import numpy as np

from coro_sor.messages import MESSAGES
from coro_sor.runtime import codec
from coro_sor.runtime.compat import Coro, Location, Request

from . import mutation

__all__ = ['TARGETS', 'framed', 'head_of']

_DTYPES = ('<f8', '<f4', '<f2', '<i8', '<i4', '<i2', '|i1', '<u8', '<u4', '<u2', '|u1', '|b1')
_STRANGE = ('|O', '<c16', '>f8', '<U4', '|S1', '<M8[s]', '', 'f8', 'object', '<f16', '|V0')
_TAGS = ('l', 't', 'd', 'b', 'a', 'm', 'L', 'C', 'E', 'N', 'z', '', '__reduce__')
_REQUESTS = ('signature', 'peer', 'run_rci', 'send', 'deliver', 'send_file', 'del_file', 'terminate_coro', 'monitor',
             'subscribe', 'rci', '')


class _Blobs(list):
    """Bytes that follow the head; each padded to a multiple of 8 when framed."""


def _array(draw, blobs, dtype=None, dimensions=None):
    dtype = dtype or draw.choice(_DTYPES)
    shape = [draw.choice((0, 1, 2, 3, 5)) for _ in range(draw.choice((0, 1, 1, 1, 2)) if dimensions is None
                                                         else dimensions)]
    size = int(np.prod(shape, dtype=int)) * np.dtype(dtype).itemsize
    blobs.append(bytes(size) if dtype == '|b1' else bytes(draw.getrandbits(8) for _ in range(size)))
    return ['a', dtype, *shape]


def _location(draw):
    return ['L', draw.choice(('127.0.0.1', '10.0.0.2', '::1')), draw.choice((0, 1, 51347, 65535))]


def _reference(draw):
    return ['C', draw.choice(('~owner', '~a')), draw.choice(('1', '123456789')), *_location(draw)[1:]]


def _plain(draw, blobs, depth=0):
    """The head of any value that may be sent."""
    kind = draw.randrange(12 if depth < 3 else 5)
    if kind < 2:
        return draw.choice((None, True, False, 0, 1, -1, 1 << 70, 0.5, float('nan'), float('inf'), 1e-320))
    if kind < 4:
        return draw.choice(('', 'solve-1', 'async', 'ä\ud800', 'x' * 50))
    if kind == 4:
        blobs.append(mutation.bytes_of(draw, 20))
        return ['b', len(blobs[-1])]
    if kind == 5:
        return [draw.choice('lt'), *[_plain(draw, blobs, depth + 1) for _ in range(draw.randrange(4))]]
    if kind == 6:
        return ['d', *[part for _ in range(draw.randrange(3)) for part in (
            draw.choice(('a', 1, None, ['t', 1, 2])), _plain(draw, blobs, depth + 1))]]
    if kind < 9:
        return _array(draw, blobs)
    if kind == 9:
        return draw.choice((_location, _reference))(draw)
    if kind == 10:
        return ['E', 'lost']
    return _message(draw, blobs, depth + 1)


def _field(draw, blobs, kind, depth):
    """The head of a value for a field with this annotation."""
    if draw.random() < 0.03:
        return _plain(draw, blobs, depth + 1)
    kind = kind.split(' |')[0].split('[')[0].strip()
    if kind == 'int':
        return draw.choice((0, 0, 1, 2, 3, 5, 100))
    if kind == 'float':
        return draw.choice((0.0, 0.5, 1.5, 1e-8))
    if kind == 'bool':
        return draw.random() < 0.5
    if kind == 'str':
        return draw.choice(('', 'solve-1', 'async', 'sync', 'ordered', '0' * 64, '/etc/passwd', 'poisson2d:3'))
    if kind in ('tuple', 'list'):
        return [kind[0], *[_array(draw, blobs) if draw.random() < 0.5 else draw.choice((0, 1, 2))
                           for _ in range(draw.randrange(4))]]
    if kind == 'dict':
        return ['d', *[part for number in range(draw.randrange(3)) for part in (number, draw.choice((
            1, _reference(draw), _array(draw, blobs))))]]
    if kind.endswith('ndarray'):
        if draw.random() < 0.4:     # bounds of something
            ends = np.cumsum([0] + [draw.randint(1, 4) for _ in range(draw.randint(1, 3))])
            blobs.append(ends.astype('<i8').tobytes())
            return ['a', '<i8', len(ends)]
        return _array(draw, blobs, draw.choice(('<f8', '<f8', '<i8', '<i4')), 1)
    if kind == 'Coro' or kind == 'object':
        return _reference(draw)
    return _plain(draw, blobs, depth + 1)


def _message(draw, blobs, depth=0):
    kind = draw.choice(_CLASSES)
    return ['m', kind.__name__, *[_field(draw, blobs, str(field.type), depth) for field in dataclasses.fields(kind)]]


def _request(draw, blobs):
    name = draw.choice(_REQUESTS[:5])
    auth = draw.choice((None, 'a' * 40))
    fields = {
        'signature': lambda: ['4.5.6'],
        'peer': lambda: ['s', 'n', _location(draw), '4.5.6'],
        'run_rci': lambda: [draw.choice(('owner', 'n')), ['t', ['t', _message(draw, blobs)], ['d']], ['d']],
        'send': lambda: [_message(draw, blobs), '~a', '5'],
        'deliver': lambda: [_message(draw, blobs), '~a', '5']}[name]()
    return ['N', name, auth, draw.choice((None, _location(draw))), *fields]


def head_of(draw, blobs):
    """A head, nearly always a valid one: a request, a message, or any value."""
    kind = draw.random()
    if kind < 0.03:     # of any kind, with any fields
        return ['N', draw.choice(_REQUESTS), None, None, *[_plain(draw, blobs) for _ in range(draw.randrange(4))]]
    return _request(draw, blobs) if kind < 0.5 else _message(draw, blobs) if kind < 0.8 else _plain(draw, blobs)


def framed(head, blobs, length=None):
    """The frame of a head (an object, or its bytes) and of blobs."""
    text = head if isinstance(head, bytes) else json.dumps(head, separators=(',', ':')).encode()
    text += b' ' * (-(len(text) + 4) % 8)
    parts = [struct.pack('>L', len(text) if length is None else length % 2**32), text]
    for blob in blobs:
        parts += [blob, bytes(-len(blob) % 8)]
    return bytearray(b''.join(parts))


def _lists(head):
    """All lists in a head."""
    if isinstance(head, list):
        yield head
        for item in head:
            yield from _lists(item)


def _wrong(draw, head, blobs):
    """Change fields of a head and blobs in place, so that the frame stays one; the head."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        lists = list(_lists(head))
        if not lists:
            return mutation.value(draw)
        chosen, kind = draw.choice(lists), draw.randrange(10)
        at = draw.randrange(len(chosen)) if chosen else 0
        if kind < 3 and chosen:
            chosen[at] = mutation.value(draw)
        elif kind == 3 and chosen:
            chosen[0] = draw.choice(_TAGS)
        elif kind == 4 and chosen:
            chosen.pop(at)
        elif kind == 5:
            chosen.insert(at, _plain(draw, blobs))
        elif kind == 6 and blobs:
            which = draw.randrange(len(blobs))
            blobs[which] = draw.choice((b'', blobs[which][:-1], blobs[which] + bytes(8), bytes(16)))
        elif kind == 7 and len(chosen) > 1 and chosen[0] == 'a':
            chosen[1] = draw.choice(_STRANGE + _DTYPES)
        elif kind == 8 and len(chosen) > 1 and chosen[0] in ('m', 'N'):
            chosen[1] = draw.choice(_REQUESTS + tuple(kind.__name__ for kind in _CLASSES) + ('Popen',))
        elif chosen:
            other = draw.choice(lists)
            chosen[at] = json.loads(json.dumps(other))
    return head


_CLASSES = list(MESSAGES.values()) if hasattr(MESSAGES, 'values') else list(MESSAGES)


class Codec:
    """A target whose inputs are frames as they come out of the socket."""

    def __init__(self, folder):
        codec.register(MESSAGES)

    def make(self, draw):
        blobs = _Blobs()
        head = head_of(draw, blobs)
        kind = draw.random()
        if kind < 0.7:
            head = _wrong(draw, head, blobs)
        if kind > 0.95:     # depth
            depth = draw.choice((10, 500, 5000, 100000))
            head = b'["l",' * depth + b'1' + b']' * draw.choice((depth, depth, 0))
        made = framed(head, blobs, mutation.number(draw) if draw.random() < 0.03 else None)
        return mutation.changed_bytes(draw, made) if 0.85 < kind < 0.95 else bytes(made)

    def from_bytes(self, data):
        return data

    def try_(self, made):
        accepted = False
        # A frame that we dialled for, and one that somebody brought.
        for kind in (bytearray, codec.RequestFrame):
            try:
                value = codec.decode(kind(made))
            except codec.CodecError as error:
                assert isinstance(str(error), str)
            else:
                accepted = True
                self._check(value)
        return accepted

    @staticmethod
    def _check_target(name, number):
        assert name.startswith('~') and number.isdecimal(), 'to %r, %r' % (name, number)

    def _check(self, value):
        """Nothing but the types that may cross the wire."""
        if isinstance(value, (list, tuple)):
            for item in value:
                self._check(item)
        elif isinstance(value, dict):
            for item in value.items():
                self._check(item)
        elif isinstance(value, Request):
            assert value.name in _REQUESTS[:5], value.name
            if value.name in ('send', 'deliver'):
                self._check_target(value.kwargs['name'], value.kwargs['coro'])
            self._check(value.kwargs)
        elif isinstance(value, np.ndarray):
            assert value.dtype.str in _DTYPES and not value.flags.writeable
        elif dataclasses.is_dataclass(value):
            assert type(value) in _CLASSES
            for field in dataclasses.fields(value):
                self._check(getattr(value, field.name))
        elif isinstance(value, Coro):
            self._check_target(value._name, str(value._id))
        else:
            assert value is None or type(value) in (bool, int, float, str, bytes, Exception, Location), value


TARGETS = {'codec': Codec}
