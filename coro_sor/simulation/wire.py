"""What a message becomes between two processes: a copy, of the kinds of values that the codec knows."""
from __future__ import annotations

import dataclasses

import numpy as np

from ..messages import MESSAGES
from .coroutine import Reference

__all__ = ['check', 'encoded', 'label']

_PLAIN = (bool, int, float, str, bytes, type(None))
_DTYPES = ('<f8', '<f4', '<f2', '<i8', '<i4', '<i2', '|i1', '<u8', '<u4', '<u2', '|u1', '|b1')


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
    _walk(value, lambda array: array)


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
        return repr(value[:40])
    return repr(value)


def _copied(array):
    copy = np.array(array, order='C')
    copy.setflags(write=False)
    return copy


def _walk(value, array):
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, Reference):
        return value.plain()
    if kind is np.ndarray and value.dtype.str in _DTYPES:
        return array(value)
    if kind in (tuple, list):
        return kind([_walk(item, array) for item in value])
    if kind is dict:
        return {_walk(key, array): _walk(item, array) for key, item in value.items()}
    if isinstance(value, np.generic):
        return _walk(value.item(), array)
    if MESSAGES.get(kind.__name__) is kind:
        return kind(**{field.name: _walk(getattr(value, field.name), array) for field in dataclasses.fields(value)})
    raise TypeError('a message cannot hold %s' % (kind.__name__ if kind is not np.ndarray else value.dtype.str))
