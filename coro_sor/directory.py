"""The directory of a node: tells every client which worker processes there are, and what becomes of them."""
from __future__ import annotations

import math
import socket

from . import __version__
from .node_messages import ChildLost, ChildStarted, Goodbye, NodeInfo
from .refusals import Refusals
from .roster import Change, resident_bytes, usable_cores

__all__ = ['LEASE', 'make_directory']

LEASE = 60.0
"""Seconds after which a client that can't be reached is given up."""

BEATS = 6
"""Heartbeats a lease, so that several may be lost before either side gives the other up."""

RETRY = 0.5
"""Longest pause in seconds before a message that did not arrive is sent again."""

_LEASES = 0.1, 86400.0      # seconds of the shortest and of the longest lease, whatever the client asks for
_REQUESTS = 1 << 62     # numbers that a message may hold
_ABOUT = 0.999          # of a beat: a pause may end a little early


def make_directory(roster):
    """The actor 'directory' of the node whose worker processes `roster` lists."""
    serving = {}        # by client; one that asks anew has not heard the one before

    def directory(engine, client, request=0, lease=LEASE, coro=None):
        """Tell `client` what the node is, at once and then as a heartbeat, and every loss and return of a child.

        Parameters
        ----------
        engine
            The engine it runs on.
        client : reference
            Receives `NodeInfo`, `ChildLost` and `ChildStarted`; sends `Goodbye` when it's done.
        request : int
            Returned in every `NodeInfo`.
        lease : float
            Seconds without a delivery after which the client is forgotten.

        Returns
        -------
        bool
            True after a `Goodbye`, False after the lease; False at once where an argument is of the wrong kind.
        """
        refusals = Refusals('directory')
        if not _is_client(client, request, lease):
            refusals.note(client, 'no client, number and lease')
            return False
        lease = min(max(lease, _LEASES[0]), _LEASES[1])
        if client in serving:
            serving[client].send(Goodbye())
        serving[client] = coro
        roster.subscribe(coro)
        engine.hold(client.location)
        try:
            # Until it was held, the end of an earlier solve may have disconnected the client.
            yield engine.connect(client.location, lease / BEATS)
            return (yield from _serve(engine, roster, client, request, lease, coro, refusals))
        finally:
            if serving.get(client) is coro:
                del serving[client]
            roster.unsubscribe(coro)
            engine.release(client.location)

    return directory


def _is_client(client, request, lease):
    return (hasattr(client, 'location') and hasattr(client, 'deliver') and type(request) is int
            and 0 <= request < _REQUESTS and isinstance(lease, (int, float)) and 0 < lease < math.inf)


def _serve(engine, roster, client, request, lease, coro, refusals):
    beat = lease / BEATS
    waiting = [_node_info(engine, roster, request)]
    heard = told = engine.now()
    while True:
        arrived = bool(waiting) and (yield client.deliver(waiting[0], timeout=beat)) == 1
        if arrived:
            del waiting[0]
            heard = told = engine.now()
        elif waiting and engine.now() - heard > lease:
            return False
        # Whatever else comes in meanwhile, the next heartbeat is due a beat after the last word.
        pause = max(0.0, told + beat - engine.now()) if not waiting else 0 if arrived else min(beat, RETRY)
        message = yield coro.receive(timeout=pause, alarm_value=None)
        if isinstance(message, Goodbye):
            return True
        if isinstance(message, Change):
            waiting.append(_news(request, message))
        elif message is not None:
            refusals.note(message, 'it is for no directory')
        if not waiting and engine.now() - told >= beat * _ABOUT:
            waiting.append(_node_info(engine, roster, request))


def _news(request, change):
    if change.reason is None:
        return ChildStarted(request, change.address, change.port, change.pid)
    return ChildLost(request, *change)


def _node_info(engine, roster, request):
    address, port = engine.location
    children = tuple((child, pid, resident_bytes(pid)) for child, pid in roster.children)
    return NodeInfo(request, address, port, children, usable_cores(), __version__, socket.gethostname())
