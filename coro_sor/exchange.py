"""The entries of x that owners send each other: what came in, and what has to go out."""
from __future__ import annotations

import collections

import numpy as np

from .messages import Slices
from .partition import Reads, subset
from .schedule import exact, needs

__all__ = ['Early', 'Incoming', 'Outgoing']


class Early:
    """Slices of epochs that have not begun here: of each sender only the newest epoch's.

    Of each entry the frozen and the newest value are kept, so that a sender that runs free fills no memory. In 'sync'
    and 'ordered' nothing is lost by that: nobody sweeps before all have frozen.
    """

    def __init__(self):
        self._kept = {}

    def keep(self, message):
        """Keep `Slices` for later."""
        epoch, kept = self._kept.get(message.owner, (0, {}))
        if message.epoch < epoch:
            return
        if message.epoch > epoch:
            kept = {}
            self._kept[message.owner] = message.epoch, kept
        at = 0
        for number, (block, sweep, u, v) in enumerate(message.parts.tolist()):
            key = block, u, sweep == 0
            if key not in kept or kept[key].parts[0, 1] <= sweep:
                kept[key] = Slices(message.solve, message.epoch, message.owner, message.parts[number:number + 1],
                                   message.values[at:at + v - u].copy())
            at += v - u

    def take(self, epoch):
        """What was kept for an epoch, which begins now; what was kept for older ones is forgotten."""
        found = [message for of, kept in self._kept.values() if of == epoch for message in kept.values()]
        self._kept = {owner: kept for owner, kept in self._kept.items() if kept[0] > epoch}
        return found


class Incoming:
    """What an owner has received of the others' entries.

    In 'async' every value goes into x at once. Otherwise it is staged until the sweep that may use it.

    Parameters
    ----------
    x : (n,) array
        Written in place.
    reads : dict of int to Reads
        What is read, by owner.
    bounds : list of int
        Of all blocks.
    owner_of : sequence of int
        Owner of each block.

    Attributes
    ----------
    versions : dict of int to int
        Of each block that is read, or that must be waited for: the sweep that every entry is from, or a later one.
    applied, superseded, bytes : int
        Parts written into x; parts that were older than what was there; bytes of all values received.
    """

    def __init__(self, x, reads, bounds, owner_of):
        self.applied = self.superseded = self.bytes = 0
        self._x, self._reads = x, reads
        self._ranges = {}
        for owner, read in reads.items():
            for block in range(len(bounds) - 1):
                u, v = subset(read, bounds[block], bounds[block + 1])
                if owner_of[block] == owner and u < v:
                    self._ranges[block] = owner, u, v
        self.begin('async', ())

    def begin(self, schedule, watched):
        """Begin an epoch.

        Parameters
        ----------
        schedule : str
        watched : iterable of int
            Blocks that are not read but must be heard of, because they read from here.
        """
        self._schedule = schedule
        self.versions = {block: 0 for block in self._ranges}
        self.versions.update((block, 0) for block in watched if block not in self.versions)
        self._newest = {}
        self._staged = collections.defaultdict(dict)
        self._missing = {owner: read.size for owner, read in self._reads.items()}
        self._begun = set()

    def complete(self):
        """Whether the frozen x of this epoch is here."""
        return not any(self._missing.values())

    def take(self, message):
        """Take in `Slices` of this epoch."""
        self.bytes += message.values.nbytes
        at = 0
        for block, sweep, u, v in message.parts.tolist():
            values = message.values[at:at + v - u]
            at += v - u
            if sweep == 0:
                self._take_frozen(message.owner, u, v, values)
            elif exact(self._schedule):
                self._stage(message.owner, block, sweep, u, v, values)
            else:
                self._write_newest(message.owner, block, sweep, u, v, values)

    def _place(self, owner, u, v):
        key = self._reads[owner].key
        return slice(key.start + u, key.start + v) if isinstance(key, slice) else key[u:v]

    def _take_frozen(self, owner, u, v, values):
        if u < v and (owner, u) not in self._begun:
            self._begun.add((owner, u))
            self._missing[owner] -= v - u
            self._x[self._place(owner, u, v)] = values

    def _write_newest(self, owner, block, sweep, u, v, values):
        pieces = self._newest.setdefault(block, {})
        if sweep < pieces.get(u, (v, 0))[1]:
            self.superseded += 1
            return
        pieces[u] = v, sweep
        self._x[self._place(owner, u, v)] = values
        self.applied += 1
        _, first, last = self._ranges[block]
        # A block is as old as its oldest panel: one panel of a new sweep says nothing of the others.
        if sum(stop - start for start, (stop, _) in pieces.items()) == last - first:
            self.versions[block] = min(sweep for _, sweep in pieces.values())

    def _stage(self, owner, block, sweep, u, v, values):
        if sweep <= self.versions.get(block, 0):
            return
        parts = self._staged[block, sweep]
        parts[u] = owner, v, values
        _, first, last = self._ranges.get(block, (owner, 0, 0))
        if sum(stop - start for start, (_, stop, _) in parts.items()) == last - first:
            self.versions[block] = sweep

    def ready(self, block, sweep, read, max_staleness=None):
        """Whether `block` may begin its `sweep`; `read` are the blocks that it reads."""
        for other, version in self.versions.items():
            # Whoever reads from here without being read may fall behind by a sweep: staging stays bounded.
            wanted = needs(self._schedule, block, other, sweep, max_staleness) if other in read else \
                sweep - 2 if exact(self._schedule) else 0
            if version < wanted:
                return False
        return True

    def use(self, block, sweep, read):
        """Write what `block` may use in its `sweep` into x; once `ready` said so."""
        if not exact(self._schedule):
            return
        for other in sorted(read.intersection(self._ranges)):
            version = needs(self._schedule, block, other, sweep)
            for u, (owner, v, values) in self._staged.get((other, version), {}).items():
                self._x[self._place(owner, u, v)] = values
                self.applied += 1

    def drop_used(self, sweep):
        """Forget what no sweep from `sweep` + 1 on can use."""
        for key in [key for key in self._staged if key[1] < sweep]:
            del self._staged[key]

    def statistics(self):
        """What came in, as the report has it."""
        return {'bytes_received': self.bytes, 'slices_applied': self.applied, 'slices_superseded': self.superseded}

    def staleness(self, sweep):
        """How many sweeps the oldest slice in use is behind, in 'async'."""
        return sweep - 1 - min((self.versions[block] for block in self._ranges), default=sweep - 1)


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
    """

    def __init__(self, solve, owner, holding, limit):
        self.superseded = self.sent = self.bytes = 0
        self._solve, self._owner, self._holding, self._limit = solve, owner, holding, limit
        self._pieces = {}
        self._entries = []
        self._reads = None
        self.begin(0)

    def subscribe(self, first, total, entries):
        """Note entries that the neighbour wants; returns whether these were the last."""
        if self._reads is None and first == sum(len(piece) for piece in self._entries):
            piece = np.arange(*entries) if isinstance(entries, tuple) else entries
            if len(piece) and not self._holding.start <= piece[0] <= piece[-1] < self._holding.stop:
                raise ValueError('owner %d was asked for rows that it does not own' % self._owner)
            self._entries.append(piece)
            if sum(len(piece) for piece in self._entries) == total:
                self._settle(np.concatenate(self._entries))
        return self._reads is not None

    def _settle(self, entries):
        first, last = int(entries[0]), int(entries[-1]) + 1
        self._reads = Reads((first, last) if last - first == len(entries) else entries)
        self._entries = []
        for block, lo, _ in self._holding.local_blocks():
            for number, panel in enumerate(self._holding.panels[block]):
                rows = (lo + self._holding.start + row for row in panel)
                self._pieces[block, number] = self._cut(*subset(self._reads, *rows))

    def _cut(self, u, v):
        return [(at, min(at + self._limit, v)) for at in range(u, v, self._limit)]

    def _values(self, u, v):
        key = self._reads.key
        return self._holding.x[slice(key.start + u, key.start + v) if isinstance(key, slice) else key[u:v]].copy()

    # ---- what there is to send

    def begin(self, epoch):
        """Begin an epoch: nothing of the older one is sent any more."""
        self.current = epoch, {}        # and the newest sweep of what has changed, by block and range
        self._versions = collections.deque()

    def send_frozen(self):
        """Send the x that the epoch begins with."""
        for (block, _), pieces in self._pieces.items():
            self._versions.extend((block, 0, u, v, None) for u, v in pieces)

    def send_newest(self, block, panel, sweep, current=None):
        """The panel has changed, in the epoch of `current` (this one by default)."""
        _, newest = current or self.current
        for u, v in self._pieces.get((block, panel), ()):
            self.superseded += (block, u, v) in newest
            newest[block, u, v] = sweep

    def send_version(self, block, sweep):
        """The block's sweep is done, and exactly these values are wanted."""
        pieces = [piece for panel in range(len(self._holding.panels[block]))
                  for piece in self._pieces.get((block, panel), ())]
        # The neighbour waits to hear of every sweep, also of entries that it does not read.
        self._versions.extend((block, sweep, u, v, self._values(u, v) if u < v else np.empty(0))
                              for u, v in pieces or [(0, 0)])

    def produce(self):
        """(Slices, settle) with as much as one message may hold, or None; see `links.Link`."""
        if self._versions:
            return self._produce_versions()
        current = self.current
        return self._produce_newest(current) if current[1] else None

    def produce_fleeting(self, current):
        """Slices of what is newest in the epoch of `current`, as much as one message may hold; None if nothing is.

        They count as delivered: the panel's next sweep mends a loss.
        """
        made = self._produce_newest(current) if current[1] else None
        return made and made[0]

    # The queues are bound when a message is made: by the time it is settled another epoch may have begun.

    def _produce_versions(self):
        versions, (epoch, _) = self._versions, self.current
        parts, taken = self._gather_versions()
        return self._message(epoch, parts), lambda delivered: self._settle_versions(versions, taken, delivered)

    def _produce_newest(self, current):
        epoch, newest = current
        parts, taken = self._gather_newest(newest)
        if not parts:
            return None
        return self._message(epoch, parts), lambda delivered: self._settle_newest(current, taken, delivered)

    def _gather_versions(self):
        parts, size = [], 0
        for block, sweep, u, v, values in self._versions:
            if parts and size + v - u > self._limit:
                break
            parts.append((block, sweep, u, v, self._values(u, v) if values is None else values))
            size += v - u
        return parts, len(parts)

    def _settle_versions(self, versions, taken, delivered):
        if delivered and versions is self._versions:
            for _ in range(taken):
                versions.popleft()

    def _gather_newest(self, newest):
        parts, taken, size = [], {}, 0
        for block, u, v in list(newest):
            if taken and size + v - u > self._limit:
                break
            sweep = newest.pop((block, u, v), None)
            if sweep is None:       # the other thread was faster
                continue
            taken[block, u, v] = sweep
            parts.append((block, sweep, u, v, self._values(u, v)))
            size += v - u
        return parts, taken

    def _settle_newest(self, current, taken, delivered):
        if not delivered and current is self.current:
            for key, sweep in taken.items():
                current[1].setdefault(key, sweep)

    def _message(self, epoch, parts):
        numbers = np.array([part[:4] for part in parts], dtype=np.int64)
        values = np.concatenate([part[4] for part in parts])
        self.sent += 1
        self.bytes += values.nbytes
        return Slices(self._solve, epoch, self._owner, numbers, values)
