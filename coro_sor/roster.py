"""Which worker processes a node has just now."""
from __future__ import annotations

import collections
import os
import threading

__all__ = ['Change', 'Roster', 'free_bytes', 'resident_bytes', 'usable_cores']

Change = collections.namedtuple('Change', 'address port pid reason')
Change.__doc__ = """Told to subscribers: a worker process got ready (`reason` is None) or ended for `reason`."""


def usable_cores():
    """Processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def resident_bytes(pid):
    """Memory that process `pid` holds, in bytes; None where the system doesn't tell."""
    try:
        with open(f'/proc/{pid}/statm', encoding='ascii') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
    except (OSError, IndexError):
        return None


def free_bytes():
    """Memory that this machine could give to processes, in bytes; None where the system doesn't tell."""
    try:
        with open('/proc/meminfo', encoding='ascii') as file:
            for line in file:
                if line.startswith('MemAvailable:'):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return None


class Roster:
    """The ready worker processes of a node, shared by its supervisor's thread and its directory's actors.

    Parameters
    ----------
    address : str
        Where the workers listen.
    """

    def __init__(self, address):
        self._address = address
        self._lock = threading.Lock()
        self._children = {}
        self._subscribers = []

    @property
    def children(self):
        """((port, process id), ...) by port."""
        with self._lock:
            return tuple(sorted(self._children.items()))

    def started(self, port, pid):
        """A worker process is ready: list it and tell the subscribers."""
        with self._lock:
            self._children[port] = pid
        self._tell(Change(self._address, port, pid, None))

    def lost(self, port, pid, reason):
        """A ready worker process ended: strike it off and tell the subscribers."""
        with self._lock:
            del self._children[port]
        self._tell(Change(self._address, port, pid, reason))

    def subscribe(self, coro):
        """Send the local coroutine `coro` every later `Change`."""
        with self._lock:
            self._subscribers.append(coro)

    def unsubscribe(self, coro):
        """Send `coro` nothing more."""
        with self._lock:
            self._subscribers.remove(coro)

    def _tell(self, change):
        with self._lock:
            subscribers = list(self._subscribers)
        for coro in subscribers:
            coro.send(change)
