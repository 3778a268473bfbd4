"""What owners tell each other: who reads what, and the values."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .message_base import Answer, Message, Request

__all__ = ['Share', 'Shown', 'Slices', 'Subscribe', 'Subscribed']


@dataclass(frozen=True, eq=False)
class Subscribe(Request):
    """Owner -> owner: send me these entries of your x from now on."""

    owner: int
    """Who asks."""
    epoch: int
    """Generation that `Bind` began."""
    first: int
    """Position of the first of these entries among all that it reads from there."""
    total: int
    """Number of all entries that it reads from there."""
    entries: tuple | np.ndarray
    """(first row, last row + 1), or row numbers, ascending."""


@dataclass(frozen=True, eq=False)
class Subscribed(Answer):
    """Owner -> owner: agreed."""

    first: int
    """As asked."""
    diagonal: np.ndarray
    """Diagonal entries of A in these rows."""
    segment: tuple
    """Name of the shared memory where the entries will be, once the last subscription is in; empty if there is none."""


@dataclass(frozen=True, eq=False)
class Share(Request):
    """Owner -> owner, answered with `Taken`: I see your shared memory; send me no values by message."""

    owner: int
    """Who asks."""
    epoch: int
    """Generation that `Bind` began."""


@dataclass(frozen=True, eq=False)
class Shown(Message):
    """Owner -> owner: my frozen x is in the shared memory, instead of `Slices` of sweep 0."""

    epoch: int
    """Generation that the values belong to."""
    owner: int
    """Who sends."""


@dataclass(frozen=True, eq=False)
class Slices(Message):
    """Owner -> owner: entries of x; sweep 0 of an epoch is the frozen x."""

    epoch: int
    """Generation that the values belong to."""
    owner: int
    """Who sends."""
    parts: np.ndarray
    """(k, 4): block, sweep, and the range of positions among the entries that the receiver reads from the sender."""
    values: np.ndarray
    """The entries of all parts, one after the other."""

    def __post_init__(self):
        super().__post_init__()
        parts = self.parts
        if parts.ndim != 2 or parts.shape[1] != 4 or parts.dtype != np.int64 or len(parts) and parts.min() < 0:
            raise ValueError('parts are no (k, 4) numbers')
        size = len(self.values)
        # Each for itself, so that their sum can't be right by wrapping around.
        sizes = [v - u if 0 <= v - u <= size else -1 for u, v in parts[:, 2:].tolist()]
        if -1 in sizes or sum(sizes) != size:
            raise ValueError('the values do not fit the parts')
