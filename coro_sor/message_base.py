"""What all messages of a solve have in common, and what their fields must be like."""
from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass

import numpy as np

from .options import CHOICES
from .order import ORDERS

__all__ = ['Answer', 'Message', 'Request', 'check_fields']

_MOST = 1 << 62             # what any whole number stays below, so that sums of two fit into 64 bits
_EPOCHS = 1 << 31           # shared memory keeps an epoch in the upper half of 64 bits
_SWEEPS = 10_000            # sweeps that one report tells of, and that an epoch lasts where it does
_CHILDREN = 1 << 16         # worker processes of a node
_ADDRESS = re.compile(r'[\w.:-]{1,255}')


def _is_int(value):
    return isinstance(value, (int, np.integer)) and type(value) is not bool and -1 <= value < _MOST


def _is_count(value):
    return _is_int(value) and value >= 0


def _is_float(value):
    return isinstance(value, (float, np.floating)) or _is_int(value)


def _is_finite(value):
    return _is_float(value) and math.isfinite(value)


def _is_vector(value):
    return isinstance(value, np.ndarray) and value.dtype == np.float64 and value.ndim == 1


def _is_bounds(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == 'i' and value.ndim == 1


def _are_rows(value):
    if type(value) is not tuple or not all(isinstance(array, np.ndarray) for array in value):
        return False
    if len(value) == 1:
        return value[0].ndim == 2 and value[0].dtype.kind == 'f'
    return len(value) == 3 and all(array.ndim == 1 for array in value) and [
        array.dtype.kind for array in value] == ['i', 'i', 'f']


def _are_entries(value):
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind == 'i'
    return type(value) is tuple and len(value) == 2 and all(map(_is_count, value)) and value[0] <= value[1]


def _are_peers(value):
    return type(value) is dict and all(_is_count(owner) and hasattr(reference, 'location') and
                                       hasattr(reference, 'deliver') for owner, reference in value.items())


def _are_counts(value):
    return type(value) is dict and all(_is_count(number) for item in value.items() for number in item)


def _are_sweeps(value):
    return type(value) is tuple and len(value) > 0 and all(map(_is_count, value))


def _are_sums(value):
    return type(value) is tuple and len(value) <= _SWEEPS and all(
        type(pair) is tuple and len(pair) == 2 and _is_int(pair[0]) and 0 < pair[0] <= _SWEEPS and _is_float(pair[1])
        for pair in value)


def _are_statistics(value):
    return type(value) is dict and _is_count(value.get('row_updates')) and all(
        type(name) is str and (_is_finite(told) or told is None or type(told) is list and all(map(_is_count, told)))
        for name, told in value.items())


def _are_settings(value):
    """Positive numbers, None and words; a seed may be 0."""
    return type(value) is dict and all(
        type(name) is str and (told is None or type(told) in (str, bool) or type(told) is int and (
            told > 0 or name == 'seed' and told == 0) or type(told) is float and 0 < told < math.inf)
        for name, told in value.items())


def _is_segment(value):
    return type(value) is tuple and len(value) < 4 and all(
        type(part) in (str, bytes) or _is_count(part) for part in value)


def _are_children(value):
    return type(value) is tuple and len(value) < _CHILDREN and all(
        type(child) is tuple and len(child) == 3 and _is_port(child[0]) and _is_count(child[1]) and
        (child[2] is None or _is_count(child[2])) for child in value)


def _is_port(value):
    return _is_int(value) and 0 <= value < 65536


_BY_NAME = {
    'epoch': lambda value: _is_int(value) and value < _EPOCHS, 'arrays': _are_rows, 'entries': _are_entries,
    'b': _is_vector, 'x': _is_vector, 'values': _is_vector,
    'diagonal': lambda value: _is_vector(value) and bool((np.isfinite(value) & (value != 0)).all()),
    'owner_bounds': _is_bounds, 'block_bounds': _is_bounds, 'sequence': _is_bounds, 'settings': _are_settings,
    'reads': _are_counts, 'peers': _are_peers, 'sweeps': _are_sweeps, 'by_sweep': _are_sums, 'segment': _is_segment,
    'statistics': _are_statistics, 'children': _are_children, 'port': _is_port,
    'schedule': lambda value: type(value) is str and value in CHOICES['schedule'] and value != 'auto',
    'order': lambda value: type(value) is str and value in ORDERS,
    # The user may grant any number of sweeps.
    'until': lambda value: isinstance(value, (int, np.integer)) and type(value) is not bool,
    'omega': lambda value: _is_float(value) and 0 < value < 2,
    'address': lambda value: type(value) is str and _ADDRESS.fullmatch(value) is not None}

_BY_ANNOTATION = {'int': _is_int, 'float': _is_float, 'str': lambda value: type(value) is str,
                  'bool': lambda value: isinstance(value, (bool, np.bool_)),
                  'np.ndarray': lambda value: isinstance(value, np.ndarray)}

_checks = {}        # (field, check) of each class that was made


def check_fields(message):
    """Look at every field, by its name or else by its annotation.

    Raises
    ------
    ValueError
        One is not what its class says; where it fits into a whole is for the receiver to judge.
    """
    checks = _checks.get(type(message))
    if checks is None:
        checks = _checks[type(message)] = [
            (field.name, _BY_NAME.get(field.name) or _BY_ANNOTATION[field.type])
            for field in dataclasses.fields(message)]
    for name, check in checks:
        if not check(getattr(message, name)):
            raise ValueError('%s of %s is wrong' % (name, type(message).__name__))


@dataclass(frozen=True, eq=False)
class Message:
    """Any message of a solve."""

    solve: str
    """Id of the solve, unique among all coordinators."""

    def __post_init__(self):
        check_fields(self)


@dataclass(frozen=True, eq=False)
class Request(Message):
    """Asks for an `Answer`."""

    request: int
    """Number of the request, unique for its sender."""


@dataclass(frozen=True, eq=False)
class Answer(Message):
    """Ends a `Request`."""

    request: int
    """The request's number."""
    owner: int
    """Who answers."""
