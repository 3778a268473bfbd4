"""What may cross the wire: a JSON head and the raw bytes of arrays, checked field by field; never a pickle.

A frame is ``length of the head (4 bytes, big-endian) | head (JSON) | blob | blob ...``; head and blobs are padded to
multiples of 8 bytes, so that received arrays are aligned. In the head, None, booleans, numbers and strings stand for
themselves (floats exactly, nan and infinities included); everything else is a list that begins with a tag:

====  ==========================================================================================
tag   what follows
====  ==========================================================================================
l, t  the items of a list, of a tuple
d     key, value, key, value, ... of a dict
b     length of a blob: bytes
a     dtype and shape; the blob holds the entries in C order: a plain numeric ndarray
m     name and fields of a registered message class
L     address and port: a location
C     name, id and location of a coroutine: a reference
E     the text of an exception
N     name, authentication, destination and fields of one of asyncoro's requests
====  ==========================================================================================

Arrays are received as read-only views of the buffer that the message came in: copy what is kept for long or changed.
They are sent as they are when the message's turn comes, which is later than `send`: send arrays that nobody changes.
"""
from __future__ import annotations

import dataclasses
import json
import re
import struct

import numpy as np

from .compat import Coro, Location, Request

__all__ = ['CodecError', 'HEAD_LIMIT', 'RequestFrame', 'decode', 'encode', 'register']

HEAD_LIMIT = 1 << 23
"""Bytes of a head: as objects they may take a hundred times as much."""

_MOST_DIMENSIONS = 32

_PLAIN = frozenset((type(None), bool, int, float, str))
_DTYPES = {text: np.dtype(text) for text in ('<f8', '<f4', '<f2', '<i8', '<i4', '<i2', '|i1',
                                             '<u8', '<u4', '<u2', '|u1', '|b1')}
_ADDRESS = re.compile(r'[0-9.]{7,15}|[0-9a-fA-F:]{2,39}')
_LENGTH = struct.Struct('>L')
_dumps = json.JSONEncoder(separators=(',', ':'), check_circular=False).encode
_messages = {}


class CodecError(ValueError):
    """The bytes are not a message; the text says what is wrong."""


class RequestFrame(bytearray):
    """The bytes of a frame that must hold a request, because they came from a connection that we accepted."""


def register(classes):
    """Let messages of these classes cross the wire.

    Parameters
    ----------
    classes : mapping of str to type, or iterable of type
        Dataclasses. A message is sent as the class's name and its fields in order, and made again by calling the
        class, whose own validation then runs on what was received.
    """
    for kind in (classes.values() if hasattr(classes, 'values') else classes):
        if not dataclasses.is_dataclass(kind):
            raise TypeError('%r is not a dataclass' % (kind,))
        if _messages.setdefault(kind.__name__, kind) is not kind:
            raise ValueError('two message classes are named %s' % kind.__name__)
        _PACK[kind] = _message_packer(kind)


# ---- encoding: one function a type; each returns JSON and appends its bytes to `blobs`

def _pack(value, blobs):
    kind = type(value)
    if kind in _PLAIN:
        return value
    pack = _PACK.get(kind)
    if pack is not None:
        return pack(value, blobs)
    if isinstance(value, np.generic) and type(value.item()) in _PLAIN:
        return value.item()
    if isinstance(value, Exception):
        return ['E', str(value)]
    raise TypeError('%s.%s cannot be sent' % (kind.__module__, kind.__qualname__))


def _pack_items(tag):
    return lambda value, blobs: [tag, *[_pack(item, blobs) for item in value]]


def _pack_dict(value, blobs):
    return ['d', *[_pack(part, blobs) for item in value.items() for part in item]]


def _pack_bytes(value, blobs):
    blobs.append(value)
    return ['b', len(value)]


def _pack_array(value, blobs):
    if value.dtype.str not in _DTYPES:
        raise TypeError('an array of dtype %s cannot be sent' % value.dtype)
    blobs.append(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
    return ['a', value.dtype.str, *value.shape]


def _pack_location(value, blobs):
    return ['L', value.addr, value.port]


def _pack_coro(value, blobs):
    return ['C', value._name, str(value._id), value._location.addr, value._location.port]


def _pack_request(value, blobs):
    fields = _REQUESTS[value.name]
    if len(value.kwargs) != len(fields):
        raise TypeError('%s has other fields: %s' % (value.name, sorted(value.kwargs)))
    return ['N', value.name, value.auth, _pack(value.dst, blobs),
            *[_pack(value.kwargs[name], blobs) for name in fields]]


def _message_packer(kind):
    names = [field.name for field in dataclasses.fields(kind)]
    return lambda value, blobs: ['m', kind.__name__, *[_pack(getattr(value, name), blobs) for name in names]]


_PACK = {list: _pack_items('l'), tuple: _pack_items('t'), dict: _pack_dict, bytes: _pack_bytes,
         np.ndarray: _pack_array, Location: _pack_location, Coro: _pack_coro, Request: _pack_request}


def encode(value):
    """The frame of `value`, as a list of buffers to be sent one after the other.

    The buffers of large arrays are views of them: nothing is copied, unless an array is not C-contiguous.

    Raises
    ------
    TypeError
        `value` or something in it may not cross the wire.
    ValueError
        There is too much beside the entries of arrays.
    """
    blobs = []
    head = _dumps(_pack(value, blobs)).encode()
    if len(head) > HEAD_LIMIT - 8:
        raise ValueError('a message with %d bytes beside its arrays cannot be sent' % len(head))
    head += b' ' * (-(len(head) + 4) % 8)
    parts = [_LENGTH.pack(len(head)) + head]
    for blob in blobs:
        parts.append(blob)
        if len(blob) % 8:
            parts.append(bytes(-len(blob) % 8))
    return parts


# ---- decoding: one function a tag; each gets the items after the tag and checks them

class _Blobs:
    """The bytes after the head, taken in order."""

    def __init__(self, view):
        self.view, self.position = view, 0

    def take(self, size):
        start = self.position
        if not 0 <= size <= len(self.view) - start:
            raise CodecError('%d bytes announced, %d there' % (size, len(self.view) - start))
        self.position = min(start + size + -size % 8, len(self.view))
        return self.view[start:start + size]


def _need(condition, text):
    if not condition:
        raise CodecError(text)


def _unpack(value, blobs):
    if type(value) is not list:
        _need(type(value) is not dict, 'a JSON object')
        return value
    _need(value and type(value[0]) is str and value[0] in _UNPACK, 'unknown tag')
    return _UNPACK[value[0]](value, blobs)


def _unpack_all(value, blobs, start=1):
    return [_unpack(item, blobs) for item in value[start:]]


def _unpack_dict(value, blobs):
    items = _unpack_all(value, blobs)
    _need(len(items) % 2 == 0, 'a key without a value')
    return dict(zip(items[::2], items[1::2]))


def _unpack_bytes(value, blobs):
    _need(len(value) == 2 and type(value[1]) is int, 'bytes')
    return bytes(blobs.take(value[1]))


def _unpack_array(value, blobs):
    _need(len(value) >= 2 and type(value[1]) is str and value[1] in _DTYPES, 'dtype')
    dtype, shape = _DTYPES[value[1]], value[2:]
    size = dtype.itemsize
    _need(len(shape) <= _MOST_DIMENSIONS, 'dimensions')
    for length in shape:
        _need(type(length) is int and length >= 0, 'shape')
        size *= length
    array = np.frombuffer(blobs.take(size), dtype=dtype)
    _need(dtype.kind != 'b' or size == 0 or array.view(np.uint8).max() <= 1, 'booleans')
    return array if len(shape) == 1 else array.reshape(shape)


def _unpack_location(value, blobs):
    _need(len(value) == 3, 'location')
    return _location(*value[1:])


def _location(addr, port):
    _need(type(addr) is str and _ADDRESS.fullmatch(addr), 'address')
    _need(type(port) is int and 0 <= port < 65536, 'port')
    location = Location.__new__(Location)       # its constructor would look the name up
    location.addr, location.port = addr, port
    return location


def _is_id(text):
    return type(text) is str and len(text) < 21 and text.isascii() and text.isdecimal()


def _is_user_name(text):
    return type(text) is str and text[:1] == '~'


def _unpack_coro(value, blobs):
    _need(len(value) == 5 and _is_user_name(value[1]) and _is_id(value[2]), 'reference')
    coro = Coro.__new__(Coro)
    coro.__setstate__({'name': value[1], 'id': value[2], 'location': _location(*value[3:])})
    return coro


def _unpack_exception(value, blobs):
    _need(len(value) == 2 and type(value[1]) is str, 'exception')
    return Exception(value[1])


def _unpack_message(value, blobs):
    kind = _messages.get(value[1]) if len(value) > 1 and type(value[1]) is str else None
    _need(kind is not None, 'unknown message')
    fields = _unpack_all(value, blobs, 2)
    try:
        return kind(*fields)
    except Exception as error:      # the validation of a class may trip over anything in a field
        raise CodecError('%s: %s' % (value[1], error)) from error


def _is_text(value):
    return type(value) is str


def _is_only_a_tuple(value):
    return type(value) is tuple and len(value) == 1 and type(value[0]) is tuple


# The requests that may be made of a node, their fields and how each is checked; asyncoro knows many more.
_REQUESTS = {
    'signature': {'version': _is_text},
    'peer': {'signature': _is_text, 'name': _is_text, 'from': lambda value: type(value) is Location,
             'version': _is_text},
    'run_rci': {'name': _is_text, 'args': _is_only_a_tuple, 'kwargs': lambda value: value == {}},
    'send': {'message': lambda value: True, 'name': _is_user_name, 'coro': _is_id},
    'deliver': {'message': lambda value: True, 'name': _is_user_name, 'coro': _is_id},
}


def _unpack_request(value, blobs):
    _need(len(value) >= 4 and type(value[1]) is str and value[1] in _REQUESTS, 'unknown request')
    checks = _REQUESTS[value[1]]
    auth, dst = value[2], _unpack(value[3], blobs)
    _need(auth is None or type(auth) is str, 'authentication')
    _need(dst is None or type(dst) is Location, 'destination')
    fields = _unpack_all(value, blobs, 4)
    _need(len(fields) == len(checks), 'fields of %s' % value[1])
    for (name, check), field in zip(checks.items(), fields):
        _need(check(field), '%s of %s' % (name, value[1]))
    return Request(value[1], dict(zip(checks, fields)), dst, auth)


_UNPACK = {'l': _unpack_all, 't': lambda value, blobs: tuple(_unpack_all(value, blobs)), 'd': _unpack_dict,
           'b': _unpack_bytes, 'a': _unpack_array, 'm': _unpack_message, 'L': _unpack_location, 'C': _unpack_coro,
           'E': _unpack_exception, 'N': _unpack_request}


def decode(frame):
    """The value in `frame`, a bytes-like object.

    Arrays in it are read-only views of `frame`, which they keep in memory.

    Raises
    ------
    CodecError
        `frame` was not made by `encode`, or holds something that may not be asked of this process; a `RequestFrame`
        that holds no request is one such.
    """
    try:
        view = memoryview(frame).toreadonly()
        start = 4 + _LENGTH.unpack_from(view)[0]
        _need(start <= 4 + HEAD_LIMIT, 'the head is too long')
        _need(start <= len(view), 'the head is longer than the frame')
        blobs = _Blobs(view[start:])
        value = _unpack(json.loads(bytes(view[4:start])), blobs)
    except CodecError:
        raise
    except (ValueError, TypeError, struct.error, RecursionError) as error:
        raise CodecError(str(error)) from error
    _need(blobs.position == len(blobs.view), 'bytes left over')
    _need(type(frame) is not RequestFrame or type(value) is Request, 'not a request')
    return value
