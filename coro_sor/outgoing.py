"""What one neighbour must be told of the own entries of x, by messages or through shared memory."""
from __future__ import annotations

import collections

import numpy as np

from .messages import Shown, Slices
from .partition import Reads, subset

__all__ = ['Outgoing']


class _Outbox:
    """What waits to be sent in one epoch; the pool thread keeps the one that it began with."""

    def __init__(self, epoch):
        self.epoch = epoch
        self.newest = {}                        # 'async': newest sweep of what has changed, by block and range
        self.versions = collections.deque()     # else: (block, sweep, u, v, values), all of them
        self.shown = False                      # whether the frozen x is in shared memory, and not yet told


class Outgoing:
    """What one neighbour must be sent: only the newest in 'async', every version otherwise.

    Parameters
    ----------
    solve : str
    owner : int
        Who sends.
    holding : Holding
        Its x is read when a message is made.
    limit : int
        Largest number of entries in one message.

    Attributes
    ----------
    current : object
        What waits to be sent in this epoch.
    entries : int
        How many entries of x the neighbour reads.
    """

    def __init__(self, solve, owner, holding, limit):
        self.superseded = self.sent = self.bytes = self.entries = 0
        self._solve, self._owner, self._holding, self._limit = solve, owner, holding, limit
        self._pieces, self._by_block = {}, {}
        self._parts = []
        self._key = self._reads = self._shared = None
        self.begin(0)

    # ---- what the neighbour reads

    def fault(self, first, total, entries):
        """Why entries can't be part of what a neighbour reads here; empty where they can."""
        holding, read = self._holding, Reads(entries)
        if not 0 <= first <= first + read.size <= total <= holding.stop - holding.start or not read.size and total:
            return '%d entries from %d on are no part of %d' % (read.size, first, total)
        ends = (entries[0], entries[-1] - isinstance(entries, tuple)) if read.size else (holding.start, holding.start)
        if not holding.start <= ends[0] <= ends[1] < holding.stop:
            return 'rows %d to %d are of others' % ends
        return '' if isinstance(entries, tuple) or (entries[1:] > entries[:-1]).all() else 'rows do not ascend'

    def subscribe(self, first, total, entries):
        """Note entries without a `fault` that the neighbour wants; returns whether these were the last."""
        if self._reads is None and first == sum(len(piece) for piece in self._parts):
            piece = np.arange(*entries) if isinstance(entries, tuple) else entries
            if self._parts and len(piece) and piece[0] <= self._parts[-1][-1]:
                return False
            self._parts.append(piece)
            if sum(len(piece) for piece in self._parts) >= total:
                self._settle(np.concatenate(self._parts))
        return self._reads is not None

    def _settle(self, entries):
        self.entries = len(entries)
        first, last = (int(entries[0]), int(entries[-1]) + 1) if len(entries) else (0, 0)
        self._reads = Reads((first, last) if last - first == len(entries) else entries)
        self._key = self._holding.own_key(self._reads)
        self._parts = []
        for block, lo, _ in self._holding.local_blocks():
            for number, panel in enumerate(self._holding.panels[block]):
                rows = (lo + self._holding.start + row for row in panel)
                self._pieces[block, number] = self._cut(*subset(self._reads, *rows))

    def _cut(self, u, v):
        return [(at, min(at + self._limit, v)) for at in range(u, v, self._limit)]

    def _pieces_of(self, block):
        if block not in self._by_block:
            self._by_block[block] = [piece for panel in range(len(self._holding.panels[block]))
                                     for piece in self._pieces.get((block, panel), ())]
        return self._by_block[block]

    def _values(self, u, v):
        key = self._key
        return self._holding.x[slice(key.start + u, key.start + v) if isinstance(key, slice) else key[u:v]]

    def share(self, shared):
        """Use shared memory for all values from here on."""
        self._shared = shared

    @property
    def shares(self):
        """Whether values go through shared memory."""
        return self._shared is not None

    # ---- what there is to send

    def begin(self, epoch):
        """Begin an epoch: nothing of the older one is sent any more."""
        self.current = _Outbox(epoch)

    def send_frozen(self):
        """Send the x that the epoch begins with."""
        epoch = self.current.epoch
        if self.shares:
            for block in self._holding.blocks:
                self._write(block, 0, self._pieces_of(block))
                self._shared.mark(block - self._holding.blocks[0], epoch, 0)
            self.current.shown = True
            return
        for (block, _), pieces in self._pieces.items():
            self.current.versions.extend((block, 0, u, v, None) for u, v in pieces)

    def _write(self, block, sweep, pieces):
        for u, v in pieces:
            self._shared.put(sweep, u, v, self._values(u, v))
            self.bytes += 8 * (v - u)
        self.sent += bool(pieces)

    def send_newest(self, block, panel, sweep, current=None, last=False):
        """The panel has changed, the last one of its block, in the epoch of `current` (this one by default).

        Returns
        -------
        bool
            Whether a message must carry it.
        """
        current = current or self.current
        pieces = self._pieces.get((block, panel), ())
        if self.shares:
            self._write(block, 0, pieces)
            if last:
                self._shared.mark(block - self._holding.blocks[0], current.epoch, sweep)
            return False
        for u, v in pieces:
            self.superseded += (block, u, v) in current.newest
            current.newest[block, u, v] = sweep
        return bool(pieces)

    def send_version(self, block, sweep, current=None):
        """The block's sweep is done, and exactly these values are wanted; returns as `send_newest`."""
        current = current or self.current
        pieces = self._pieces_of(block)
        if self.shares:
            self._write(block, sweep, pieces)
            self._shared.mark(block - self._holding.blocks[0], current.epoch, sweep)
            return False
        # The neighbour waits to hear of every sweep, also of entries that it does not read.
        current.versions.extend((block, sweep, u, v, self._values(u, v).copy() if u < v else np.empty(0))
                                for u, v in pieces or [(0, 0)])
        return True

    def produce(self):
        """(message, settle) with as much as one message may hold, or None; see `links.Link`."""
        current = self.current
        if current.shown:
            return self._produce_shown(current)
        if current.versions:
            return self._produce_versions(current)
        return self._produce_newest(current) if current.newest else None

    def produce_fleeting(self, current):
        """Slices of what is newest in the epoch of `current`, as much as one message may hold; None if nothing is.

        They count as delivered: the panel's next sweep mends a loss.
        """
        made = self._produce_newest(current) if current.newest else None
        return made and made[0]

    def _produce_shown(self, current):
        current.shown = False

        def settle(delivered):
            current.shown = current.shown or not delivered
        return Shown(self._solve, current.epoch, self._owner), settle

    def _produce_versions(self, current):
        parts, size = [], 0
        for block, sweep, u, v, values in list(current.versions):
            if parts and size + v - u > self._limit:
                break
            parts.append((block, sweep, u, v, self._values(u, v).copy() if values is None else values))
            size += v - u

        def settle(delivered):
            for _ in parts if delivered else ():
                current.versions.popleft()
        return self._message(current, parts), settle

    def _produce_newest(self, current):
        parts, taken, size = [], {}, 0
        for block, u, v in list(current.newest):
            if taken and size + v - u > self._limit:
                break
            sweep = current.newest.pop((block, u, v), None)
            if sweep is None:       # the other thread was faster
                continue
            taken[block, u, v] = sweep
            parts.append((block, sweep, u, v, self._values(u, v).copy()))
            size += v - u

        def settle(delivered):
            for key, sweep in () if delivered else taken.items():
                current.newest.setdefault(key, sweep)
        return (self._message(current, parts), settle) if parts else None

    def _message(self, current, parts):
        numbers = np.array([part[:4] for part in parts], dtype=np.int64)
        values = np.concatenate([part[4] for part in parts])
        self.sent += 1
        self.bytes += values.nbytes
        return Slices(self._solve, current.epoch, self._owner, numbers, values)
