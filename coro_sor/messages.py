"""Every message between coordinator and owners: who sends it to whom, and when.

Messages carry the id of their solve, so that one that reaches a stranger is dropped. A `Request` is repeated until the
`Answer` with its number arrives, so it is harmless when repeated. Arrays are never changed after sending.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .message_base import Answer, Message, Request, check_fields
from .node_messages import MESSAGES as NODE_MESSAGES
from .owner_messages import Share, Shown, Slices, Subscribe, Subscribed

__all__ = ['Answer', 'Assignment', 'Bind', 'Bound', 'Cancel', 'Collect', 'Failed', 'Freeze', 'Heartbeat', 'Looked',
           'MESSAGES', 'MakeRows', 'Message', 'Prepare', 'Prepared', 'ReadRows', 'Report', 'Request', 'Resume',
           'Resumed', 'Rows', 'RowsRead', 'Share', 'Shown', 'Slices', 'Stop', 'Stopped', 'Subscribe', 'Subscribed',
           'Taken', 'Values', 'Vectors']


@dataclass(frozen=True, eq=False)
class Assignment:
    """Coordinator -> owner, as the argument that it is started with: what it will own and how it works."""

    owner: int
    """Number of this owner."""
    incarnation: int
    """How many owners the coordinator has started before: an owner that was lost and its successor differ in it."""
    owner_bounds: np.ndarray
    """Owner k has rows owner_bounds[k] .. owner_bounds[k + 1]."""
    block_bounds: np.ndarray
    """The same for blocks; every owner's bound is one of these."""
    sparse: bool
    """Whether rows are CSR."""
    nonzeros: int
    """Stored entries of this owner's rows."""
    sequence: np.ndarray
    """The blocks in the base order of updates."""
    settings: dict
    """The fields of Options that an owner needs."""

    def __post_init__(self):
        check_fields(self)
        bounds, owners = self.block_bounds, self.owner_bounds
        if len(bounds) < 2 or bounds[0] != 0 or (bounds[1:] <= bounds[:-1]).any():
            raise ValueError('block bounds do not ascend from 0')
        if not 0 <= self.owner < len(owners) - 1 or not np.isin(owners, bounds).all() or (
                owners[0], owners[-1]) != (0, bounds[-1]) or (owners[1:] <= owners[:-1]).any():
            raise ValueError('owner bounds are no block bounds')
        if not np.array_equal(np.sort(self.sequence), np.arange(len(bounds) - 1)):
            raise ValueError('the sequence is none of all blocks')


@dataclass(frozen=True, eq=False)
class Rows(Request):
    """Coordinator -> owner: some of its rows, in ascending order without gaps."""

    start: int
    """Global number of the first row."""
    arrays: tuple
    """(values,) of dense rows, or (indptr, indices, data) of CSR rows."""


@dataclass(frozen=True, eq=False)
class ReadRows(Request):
    """Coordinator -> owner: try to read your rows from this file."""

    path: str
    """Absolute path of a .npy file."""


@dataclass(frozen=True, eq=False)
class MakeRows(Request):
    """Coordinator -> owner: try to make your rows; answered with `RowsRead`."""

    spec: str
    """What the system is, as `problems.make_generator` takes it."""


@dataclass(frozen=True, eq=False)
class RowsRead(Answer):
    """Owner -> coordinator."""

    digest: str
    """Digest of the rows that were read or made; empty where they could not be."""
    reason: str
    """Why they could not be."""


@dataclass(frozen=True, eq=False)
class Vectors(Request):
    """Coordinator -> owner: entries of b, and of x where it starts."""

    start: int
    """Global number of the first entry."""
    b: np.ndarray
    """Right-hand side."""
    x: np.ndarray
    """Start."""


@dataclass(frozen=True, eq=False)
class Taken(Answer):
    """Owner -> coordinator: `Rows` or `Vectors` are in place."""


@dataclass(frozen=True, eq=False)
class Prepare(Request):
    """Coordinator -> owner: everything has been sent; find out whose entries of x you read."""


@dataclass(frozen=True, eq=False)
class Prepared(Answer):
    """Owner -> coordinator."""

    reads: dict
    """Number of entries read, by owner."""


@dataclass(frozen=True, eq=False)
class Bind(Request):
    """Coordinator -> owner: these are your neighbours from now on; tell those you read from what you need.

    The first one ends loading. A later one replaces neighbours that were lost; what was agreed with any before is void,
    and so is the x that was kept.
    """

    epoch: int
    """The generation that begins, in which nothing is computed."""
    peers: dict
    """References of all owners that read from this one or that it reads from, by owner."""
    updates: int
    """Row updates of these rows so far, as far as the coordinator knows; counts where the owner has none."""


@dataclass(frozen=True, eq=False)
class Bound(Answer):
    """Owner -> coordinator: all subscriptions, own and others', are in place."""


@dataclass(frozen=True, eq=False)
class Freeze(Request):
    """Coordinator -> owner: stop writing, exchange what you have, compute the residual of that x."""

    epoch: int
    """The generation that begins with the frozen x."""
    schedule: str
    """'async', 'sync' or 'ordered': the epoch's."""
    restore: bool
    """Whether to go back to the x that was kept."""
    sizes: bool
    """Whether to compute `Looked.size` and `Looked.energy_size` too."""


@dataclass(frozen=True, eq=False)
class Looked(Answer):
    """Owner -> coordinator: the residual of the frozen x."""

    epoch: int
    """Generation of that x."""
    scale: float
    """Largest size of an entry of the residual; NaN where one is not finite."""
    squares: float
    """Sum of squares of the residual divided by scale."""
    energy: float
    """Sum of -x_i (b_i + r_i) / 2 in own rows; NaN where it is not finite."""
    size: float
    """Norm of |A| |x| + |b| in own rows, which rounding of the residual is a multiple of; NaN where not asked for."""
    energy_size: float
    """|x|' (|A| |x| + |b|) in own rows, which rounding of the energy is a multiple of; NaN where not asked for."""
    updates: int
    """Row updates so far, in all epochs."""
    digest: str
    """Of the own entries of x."""


@dataclass(frozen=True, eq=False)
class Resume(Request):
    """Coordinator -> owner: sweep on from the frozen x."""

    epoch: int
    """The generation that is frozen now."""
    omega: float
    """Relaxation factor."""
    capped: bool
    """Whether omega is lowered in rows that depend strongly on others."""
    until: int
    """Row updates in all epochs after which to wait, at the end of a sweep."""
    share: float
    """A sum of squares that is worth a report at once when first reached."""
    keep: bool
    """Whether the frozen x is the best so far."""
    order: str
    """'cyclic', 'symmetric' or 'shuffled': the order of updates."""
    turn: int
    """Sweeps that the order of updates has counted before."""


@dataclass(frozen=True, eq=False)
class Resumed(Answer):
    """Owner -> coordinator: sweeping."""

    lowered: int
    """Rows whose omega was lowered."""
    lowest: float
    """The smallest omega in use."""


@dataclass(frozen=True, eq=False)
class Report(Message):
    """Owner -> coordinator, at most a few times a second: how it stands. Says when to look, never the answer."""

    epoch: int
    """Generation."""
    owner: int
    """Who reports."""
    sweeps: tuple
    """Sweeps of this epoch, by own block."""
    squares: float
    """Sum of squares of the residual's entries as met in the last sweep of each block; -1 before all have swept."""
    by_sweep: tuple
    """In 'sync' and 'ordered', (sweep, sum of squares) of every sweep since the last report."""
    waiting: bool
    """Whether it has done the sweeps that it was resumed for."""


@dataclass(frozen=True, eq=False)
class Collect(Request):
    """Coordinator -> owner: send me these entries of the frozen x."""

    epoch: int
    """The frozen generation."""
    start: int
    """First row."""
    stop: int
    """Last row + 1."""


@dataclass(frozen=True, eq=False)
class Values(Answer):
    """Owner -> coordinator."""

    epoch: int
    """Generation of the values."""
    start: int
    """First row."""
    values: np.ndarray
    """Entries of x."""


@dataclass(frozen=True, eq=False)
class Stop(Request):
    """Coordinator -> owner: the solve is over."""


@dataclass(frozen=True, eq=False)
class Stopped(Answer):
    """Owner -> coordinator, its last message."""

    statistics: dict
    """What it did; see `coro_sor.report`."""


@dataclass(frozen=True, eq=False)
class Heartbeat(Message):
    """Either way, when nothing else was sent for a while."""

    owner: int
    """Who sends; -1 is the coordinator."""
    incarnation: int
    """Of the assignment; 0 where the coordinator sends."""


@dataclass(frozen=True, eq=False)
class Failed(Message):
    """Owner -> coordinator: an exception ended it."""

    owner: int
    """Which."""
    incarnation: int
    """Of the assignment."""
    text: str
    """The exception in a line."""
    traceback: str
    """All of it."""


@dataclass(frozen=True, eq=False)
class Cancel(Message):
    """Main thread -> coordinator: end with the best x."""


MESSAGES = {kind.__name__: kind for kind in (
    Assignment, Bind, Bound, Collect, Failed, Freeze, Heartbeat, Looked, MakeRows, Prepare, Prepared, ReadRows,
    Report, Resume, Resumed, Rows, RowsRead, Share, Shown, Slices, Stop, Stopped, Subscribe, Subscribed, Taken, Values,
    Vectors)}
MESSAGES.update(NODE_MESSAGES)
