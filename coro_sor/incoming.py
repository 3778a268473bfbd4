"""What comes in of the others' entries of x, by messages or through shared memory."""
from __future__ import annotations

import collections

import numpy as np

from .messages import Shown, Slices
from .partition import subset
from .schedule import exact, needs

__all__ = ['Early', 'Incoming']

_EPOCHS = 4         # kept of a sender, so that one that is wrong about the epoch can't drive out what is needed
_AHEAD = 16         # sweeps that a sender is ahead of what has come in at most; two of them if it keeps to the rules


class Early:
    """Slices of epochs that have not begun here: of each sender those of its newest epochs.

    Of each entry the frozen and the newest value are kept, so that a sender that runs free fills no memory. In 'sync'
    and 'ordered' nothing is lost by that: nobody sweeps before all have frozen.
    """

    def __init__(self):
        self._kept = {}         # by owner and epoch

    def keep(self, message, entries):
        """Keep `Slices` or `Shown` for later.

        Parameters
        ----------
        message : Slices or Shown
            Without a `Incoming.fault`.
        entries : int
            How many entries are read from the sender.
        """
        epochs = self._kept.setdefault(message.owner, {})
        if message.epoch not in epochs:
            if len(epochs) >= _EPOCHS:
                oldest = min(epochs)
                if message.epoch < oldest:
                    return
                del epochs[oldest]
            epochs[message.epoch] = {}
        kept = epochs[message.epoch]
        if isinstance(message, Shown):
            kept['shown'] = message
            return
        # Every entry twice, and two empty parts of each block; only parts that overlap could be more.
        room = 2 * entries - sum(len(other.values) for key, other in kept.items() if key != 'shown')
        at = 0
        for number, (block, sweep, u, v) in enumerate(message.parts.tolist()):
            key = block, u, sweep == 0
            before = kept.get(key)
            if before is None or before.parts[0, 1] <= sweep:
                room -= v - u - (len(before.values) if before else 0)
                if room < 0:
                    return
                kept[key] = Slices(message.solve, message.epoch, message.owner, message.parts[number:number + 1].copy(),
                                   message.values[at:at + v - u].copy())
            at += v - u

    def take(self, epoch):
        """What was kept for an epoch, which begins now; what was kept for older ones is forgotten."""
        found = [message for epochs in self._kept.values() for message in epochs.get(epoch, {}).values()]
        self._kept = {owner: {of: kept for of, kept in epochs.items() if of > epoch}
                      for owner, epochs in self._kept.items()}
        return found


class Incoming:
    """What an owner has received of the others' entries.

    In 'async' every value goes into x at once. Otherwise it waits until the sweep that may use it.

    Parameters
    ----------
    x : array
        Written in place.
    reads : dict of int to Reads
        What is read, by owner.
    keys : dict of int to slice
        Where in x it goes, by owner.
    bounds : list of int
        Of all blocks.
    owner_of : sequence of int
        Owner of each block.

    Attributes
    ----------
    versions : dict of int to int
        Of each block whose values come by message, and that is read or must be waited for: the sweep that every entry
        is from, or a later one.
    applied, superseded, bytes : int
        Parts written into x; parts that were older than what was there; bytes of all values received.
    """

    def __init__(self, x, reads, keys, bounds, owner_of):
        self.applied = self.superseded = self.bytes = 0
        self._x, self._keys = x, keys
        self._sizes = {owner: read.size for owner, read in reads.items()}
        self._owner_of = owner_of
        # Of each owner its first block, which is written last.
        self._first = {owner: block for block, owner in reversed(list(enumerate(owner_of)))}
        self._shared = {}
        self._ranges, self._reads_of = {}, {}
        for owner, read in reads.items():
            for block in range(len(bounds) - 1):
                u, v = subset(read, bounds[block], bounds[block + 1])
                if owner_of[block] == owner and u < v:
                    self._ranges[block] = owner, u, v
        self.begin('async', (), 0)

    def share(self, owner, shared):
        """Values of this owner come through shared memory from here on."""
        self._shared[owner] = shared

    def begin(self, schedule, watched, epoch):
        """Begin an epoch.

        Parameters
        ----------
        schedule : str
        watched : iterable of int
            Blocks that are not read but must be heard of, because they read from here.
        epoch : int
        """
        self._schedule, self._epoch = schedule, epoch
        self._one_way = sorted(set(watched) - set(self._ranges))
        self._credited = 2      # in the first two sweeps nobody can be behind
        self.versions = {block: 0 for block in (*self._ranges, *self._one_way)
                         if self._owner_of[block] not in self._shared}
        self._newest = {}
        self._staged = collections.defaultdict(dict)
        self._whole = set()         # (block, sweep) that are here, but an older one is not
        self._missing = dict(self._sizes)
        self._fresh = {owner: np.ones(size, dtype=bool) for owner, size in self._sizes.items()}

    def complete(self):
        """Whether the frozen x of this epoch is here."""
        return not any(self._missing.values())

    # ---- by messages

    def entries(self, owner):
        """How many entries are read from an owner."""
        return self._sizes.get(owner, 0)

    def fault(self, message):
        """Why `Slices` or `Shown` can't be meant for what is read here; empty where they can."""
        owner = message.owner
        if owner not in self._first:
            return 'there is no owner %d' % owner
        if isinstance(message, Shown):
            return '' if owner in self._shared else 'owner %d shares no memory' % owner
        if owner in self._shared:
            return 'owner %d shares memory' % owner
        for block, _, u, v in message.parts.tolist():
            if block >= len(self._owner_of) or self._owner_of[block] != owner:
                return 'block %d is not of owner %d' % (block, owner)
            _, first, last = self._ranges.get(block, (owner, 0, 0))
            if u < v and not first <= u < v <= last:
                return 'entries %d to %d are not read from block %d' % (u, v, block)
        return ''

    def take(self, message):
        """Take in `Slices` of this epoch, without a `fault`."""
        self.bytes += message.values.nbytes
        at = 0
        for block, sweep, u, v in message.parts.tolist():
            values = message.values[at:at + v - u]
            at += v - u
            if sweep == 0:
                if u < v:
                    self._take_frozen(message.owner, u, v, values)
            elif exact(self._schedule):
                self._stage(message.owner, block, sweep, u, v, values)
            elif u < v:
                self._write_newest(message.owner, block, sweep, u, v, values)

    def _place(self, owner, u, v):
        first = self._keys[owner].start
        return slice(first + u, first + v)

    def _take_frozen(self, owner, u, v, values):
        fresh = self._fresh[owner][u:v]
        if fresh.any():
            self._missing[owner] -= int(fresh.sum())
            self._x[self._place(owner, u, v)][fresh] = values[fresh]
            fresh[:] = False

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
        version = self.versions.get(block, sweep)
        if not version < sweep <= version + _AHEAD:
            return
        parts = self._staged[block, sweep]
        parts[u] = owner, v, values
        _, first, last = self._ranges.get(block, (owner, 0, 0))
        if sum(stop - start for start, (_, stop, _) in parts.items()) == last - first:
            self._whole.add((block, sweep))
            # One that overtook an older one counts when that is here too: somebody may still need the older.
            while (block, self.versions[block] + 1) in self._whole:
                self.versions[block] += 1
                self._whole.discard((block, self.versions[block]))

    # ---- through shared memory

    def take_shown(self, owner):
        """The frozen x of an owner is in shared memory."""
        if self._missing.get(owner) and owner in self._shared:
            self._missing[owner] = 0
            self._copy(owner, 0, 0, self._sizes[owner])

    def _copy(self, owner, sweep, u, v):
        self._x[self._place(owner, u, v)] = self._shared[owner].get(sweep, u, v)
        self.applied += 1
        self.bytes += 8 * (v - u)

    def refresh(self):
        """In 'async': see what the owners on this machine have written by now."""
        for owner in self._shared:
            if self._sizes.get(owner):
                self._copy(owner, 0, 0, self._sizes[owner])

    # ---- what a sweep may use

    def version(self, block):
        """The newest complete version of a block; below 0 where its owner is in another epoch."""
        owner = self._owner_of[block]
        if owner in self._shared:
            return self._shared[owner].version(block - self._first[owner], self._epoch)
        return self.versions[block]

    def lacking(self, block, sweep, read, rank=None, max_staleness=None):
        """The first block that `block` must wait for before its `sweep`; None where it may begin.

        Parameters
        ----------
        block, sweep : int
        read : set of int
            Blocks that it reads.
        rank : list of int, optional
            Place of every block in this sweep; ascending by default.
        max_staleness : int, optional
        """
        if self._schedule == 'async' and max_staleness is None:
            return None
        if sweep > self._credited and exact(self._schedule):
            # Whoever reads from here without being read may fall behind by a sweep: what is kept stays bounded.
            for other in self._one_way:
                if self.version(other) < sweep - 2:
                    return other
            self._credited = sweep
        for other in self._read_by(block, read):
            wanted = self._wanted(block, other, sweep, rank, max_staleness)
            if wanted > 0 and self.version(other) < wanted:
                return other
        return None

    def _read_by(self, block, read):
        if block not in self._reads_of:
            self._reads_of[block] = sorted(read.intersection(self._ranges))
        return self._reads_of[block]

    def _wanted(self, block, other, sweep, rank, max_staleness=None):
        before = other < block if rank is None else rank[other] < rank[block]
        return needs(self._schedule, before, sweep, max_staleness)

    def by_message(self, block):
        """Whether the values of a block come by message."""
        return self._owner_of[block] not in self._shared

    def use(self, block, sweep, read, rank=None):
        """Write what `block` may use in its `sweep` into x; once it lacks nothing."""
        if not exact(self._schedule):
            self.refresh()
            return
        for other in self._read_by(block, read):
            self.use_version(other, self._wanted(block, other, sweep, rank))

    def use_version(self, other, version):
        """In 'sync' and 'ordered': write one version of a block into x; version 0 is there already."""
        if version < 1 or other not in self._ranges:
            return
        owner, u, v = self._ranges[other]
        if owner in self._shared:
            self._copy(owner, version, u, v)
            return
        for first, (_, last, values) in self._staged.get((other, version), {}).items():
            self._x[self._place(owner, first, last)] = values
            self.applied += 1

    def drop_used(self, sweep):
        """Forget what no sweep from `sweep` + 1 on can use."""
        for key in [key for key in list(self._staged) if key[1] < sweep]:
            del self._staged[key]

    def statistics(self):
        """What came in, as the report has it."""
        return {'bytes_received': self.bytes, 'slices_applied': self.applied, 'slices_superseded': self.superseded,
                'neighbours_shared': len(self._shared)}
