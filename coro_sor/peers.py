"""Which peers are still needed by some actor of this process; both engines have it."""
from __future__ import annotations

import collections

__all__ = ['PeerHolds', 'pair']


def pair(location):
    """(address, port) of such a pair or of an object with `addr` and `port`."""
    return (location.addr, location.port) if hasattr(location, 'addr') else tuple(location)


class PeerHolds:
    """Counts, for each peer, the actors that need it: several solves may share a process.

    An engine that inherits this has ``disconnect(location)``.
    """

    def hold(self, location):
        """An actor needs the peer from now on."""
        self._held()[pair(location)] += 1

    def release(self, location):
        """It needs the peer no more; the last one to say so disconnects it."""
        held = self._held()
        held[pair(location)] -= 1
        if held[pair(location)] <= 0:
            del held[pair(location)]
            self.disconnect(location)

    def _held(self):
        return self.__dict__.setdefault('_peers_held', collections.Counter())
