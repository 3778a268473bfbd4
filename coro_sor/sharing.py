"""Slices in memory that two workers of one machine share: the owner of the rows writes, one neighbour reads."""
from __future__ import annotations

import numpy as np

__all__ = ['SharedSlices']

_SLOTS = 3      # in 'sync' and 'ordered': a reader may still need a version while the next but one is written
_LINE = 8       # words of a cache line
_SHIFT = 32     # a counter holds the epoch above these bits and the sweep below


class SharedSlices:
    """The layout of one segment: a counter for every block of the writer, and numbered copies of what is read.

    In 'async' slot 0 holds the newest values. In 'sync' and 'ordered' version v is in slot v modulo 3. A counter is
    raised after the values are in place. An x86-64 processor keeps the order of stores and that of loads, so that
    whoever sees the counter sees the values. On others a lock that is taken and let go of in between helps the writer,
    but nothing orders what the reader loads: there values are safe by message only.

    Parameters
    ----------
    array : (size(blocks, entries),) float64 array
        The memory; the reader's may be read-only.
    blocks, entries : int
        Blocks of the writer, and entries of x that the neighbour reads.
    lock : context manager, optional
        Taken and let go of between values and counters.
    """

    def __init__(self, array, blocks, entries, lock=None):
        words = _words(blocks)
        self._counters = array[:words].view(np.int64)
        self._slots = array[words:words + _SLOTS * entries].reshape(_SLOTS, entries)
        self._lock = lock

    @staticmethod
    def size(blocks, entries):
        """Number of float64 words that the segment needs."""
        return _words(blocks) + _SLOTS * entries

    def put(self, sweep, u, v, values):
        """Write entries u .. v of a version (0 in 'async')."""
        self._slots[sweep % _SLOTS, u:v] = values

    def mark(self, block, epoch, sweep):
        """Tell that a block's version is complete; `block` counts from the writer's first."""
        if self._lock is not None:
            with self._lock:
                pass
        self._counters[block] = epoch << _SHIFT | sweep

    def version(self, block, epoch):
        """The newest complete version of a block in an epoch; -1 where the writer is in another epoch."""
        counter = int(self._counters[block])
        return counter & (1 << _SHIFT) - 1 if counter >> _SHIFT == epoch else -1

    def get(self, sweep, u, v):
        """Entries u .. v of a version, as a view."""
        return self._slots[sweep % _SLOTS, u:v]


def _words(blocks):
    return -(-blocks // _LINE) * _LINE
