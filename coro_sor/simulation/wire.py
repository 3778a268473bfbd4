"""What a message becomes between two processes: a copy, of the kinds of values that the codec knows."""
from __future__ import annotations

import dataclasses
import re

import numpy as np

from ..messages import MESSAGES
from .coroutine import Reference

__all__ = ['check', 'encoded', 'label', 'size_of']

_PLAIN = frozenset((bool, int, float, str, bytes, type(None)))
_DTYPES = frozenset(('<f8', '<f4', '<f2', '<i8', '<i4', '<i2', '|i1', '<u8', '<u4', '<u2', '|u1', '|b1'))

_HEAD = 200         # bytes around a message: lengths, names of fields, address and authentication
_NUMBER = 8
_DRAWN = re.compile('solve-[0-9a-f]{32}$')      # an id that the operating system has drawn differs from run to run

_NAMES = {}         # of the fields of each class that was met


def encoded(value):
    """The receiver's copy of a message; arrays in it are read-only and contiguous.

    Raises
    ------
    TypeError
        For a value that no message may hold.
    """
    return _walk(value, _copied)


def check(value):
    """Raise TypeError for a message that could not be encoded; copies no array."""
    _walk(value, _same)


def size_of(value):
    """Bytes of an encoded message, about: those of its arrays and texts, and `_HEAD`."""
    return _HEAD + _content(value)


def _content(value):
    kind = type(value)
    if kind is np.ndarray:
        return value.nbytes
    if kind in (str, bytes):
        return len(value)
    if kind in (tuple, list):
        return sum(map(_content, value))
    if kind is dict:
        return sum(_content(item) for pair in value.items() for item in pair)
    if kind in _NAMES:
        return sum(_content(getattr(value, name)) for name in _NAMES[kind])
    return _NUMBER


def label(value):
    """One line that names a message by its type and its plain fields, the same in every run."""
    if dataclasses.is_dataclass(value):
        shown = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return '%s(%s)' % (type(value).__name__, ', '.join('%s=%s' % (name, label(field)) for name, field in shown))
    if isinstance(value, np.ndarray):
        return 'array%s' % (value.shape,)
    if isinstance(value, (tuple, list)):
        return '(%s)' % ', '.join(map(label, value[:4]))
    if isinstance(value, dict):
        return '{%d}' % len(value)
    if isinstance(value, (str, bytes)):
        return repr(value[:40]) if not _DRAWN.match(str(value)) else 'the solve'
    return repr(value)


def _copied(array):
    copy = np.array(array, order='C')
    copy.setflags(write=False)
    return copy


def _same(array):
    return array


def _walk(value, array):
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is np.ndarray and value.dtype.str in _DTYPES:
        return array(value)
    if kind in (tuple, list):
        return kind([_walk(item, array) for item in value])
    if MESSAGES.get(kind.__name__) is kind:
        return _message(value, kind, array)
    if kind is dict:
        return {_walk(key, array): _walk(item, array) for key, item in value.items()}
    if isinstance(value, Reference):
        return value.plain()
    if isinstance(value, np.generic):
        return _walk(value.item(), array)
    raise TypeError('a message cannot hold %s' % (kind.__name__ if kind is not np.ndarray else value.dtype.str))


def _message(value, kind, array):
    names = _NAMES.get(kind)
    if names is None:
        names = _NAMES[kind] = [field.name for field in dataclasses.fields(value)]
    # What the class demands of its fields was looked at when the sender made the message.
    copy = object.__new__(kind)
    copy.__dict__.update([(name, _walk(getattr(value, name), array)) for name in names])
    return copy
