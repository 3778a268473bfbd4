"""asyncoro 4.5.6, unmodified, put right from outside for Python 3.9 to 3.13.

Importing this module imports asyncoro (which starts a thread) and corrects it:

- *Return values.* asyncoro's coroutines end with ``raise StopIteration(value)``, which Python turns into a
  RuntimeError (PEP 479). Its module gets a stand-in for ``sys`` that turns exactly those back.
- *Exceptions.* Thrown as one instance on Python 3.12 and later, which warn about the older form.
- *Identity.* Coroutine ids are never used twice, so that no stranger gets a message meant for one that has ended.
- *Answers.* The wake-up of a coroutine that waits for a peer's answer cannot be lost between two threads, and what
  nobody waits for any more is not carried to the peer.
- *Peers.* One lock for scheduler and peers; a peer that comes back with another signature replaces the old one; no
  peer is given up after failed connections, that is for the caller to judge; no discovery, and no UDP socket.
"""
from __future__ import annotations

import atexit
import itertools
import logging
import os
import secrets
import sys
import tempfile
import types
from heapq import heappush

import asyncoro

__all__ = ['NO_EFFECT', 'Coro', 'Location', 'Peer', 'RCI', 'Request', 'Scheduler', 'core', 'drop_peer', 'install',
           'log', 'start_network']

log = logging.getLogger('coro_sor')
_chatter = logging.getLogger('coro_sor.asyncoro')


class _ToLogging:
    """A text stream that hands asyncoro's log lines to Python's logging, as debugging records."""

    def write(self, text):
        _chatter.debug('%s', text.rstrip())

    def flush(self):
        return None


asyncoro.logger.stream = _ToLogging()
asyncoro.logger.setLevel(asyncoro.logger.WARNING)

import asyncoro.disasyncoro as distributed  # noqa: E402  (its import logs, so the stream comes first)

core = asyncoro
Coro, Location, RCI = asyncoro.Coro, asyncoro.Location, distributed.RCI
Peer, Request, Scheduler = distributed._Peer, distributed._NetRequest, distributed.AsynCoro
_Core = Scheduler.__mro__[1]
Coro._asyncoro = Scheduler._asyncoro        # so that references can be decoded before the network starts
_HOME = os.path.dirname(asyncoro.__file__) + os.sep
_ONE_INSTANCE = sys.version_info >= (3, 12)
# Fields of requests that are answered at once and do nothing; a request that nobody waits for any more becomes one.
NO_EFFECT = {'deliver': {'message': None, 'name': '~', 'coro': '0'},
             'run_rci': {'name': '', 'args': ((),), 'kwargs': {}}}


class _Sys(types.ModuleType):
    """Stands in for ``sys`` inside asyncoro, whose scheduler looks every exception up with ``sys.exc_info()``."""

    def __getattr__(self, name):
        return getattr(sys, name)

    @staticmethod
    def exc_info():
        kind, error, trace = sys.exc_info()
        if kind is RuntimeError and trace.tb_next is None and _ends_coroutine(error.__cause__):
            return StopIteration, error.__cause__, trace
        if _ONE_INSTANCE and kind is not StopIteration:
            return (error,)
        return kind, error, trace


def _ends_coroutine(cause):
    """Whether `cause` is a StopIteration that asyncoro's own code raised; ours would end a coroutine silently."""
    if not isinstance(cause, StopIteration) or cause.__traceback__ is None:
        return False
    trace = cause.__traceback__
    return trace.tb_next is None and trace.tb_frame.f_code.co_filename.startswith(_HOME)


class _Dropped(GeneratorExit):
    """Ends a peer's sender wherever it waits; a plain GeneratorExit would close only the innermost generator."""


class _Answer(asyncoro.Event):
    """The event on which one coroutine waits for the answer to a request that another thread carries."""

    def __init__(self):
        super().__init__()
        self._waiter = None

    def set(self):
        with self._asyncoro._lock:
            self._flag = True
            if self._waiter is not None:
                self._waiter._proceed_(True)
                self._waiter = None

    def wait(self, timeout=None):
        """True once set, False after `timeout` seconds; used with ``yield from`` or ``yield``."""
        with self._asyncoro._lock:
            if self._flag:
                return True
            self._waiter = _Core.cur_coro(self._asyncoro)
            self._waiter._await_(timeout)
        yield
        with self._asyncoro._lock:
            self._waiter = None
            return self._flag


def _sync_reply(request, alarm_value=None):
    """Send `request` to its peer and return the answer; -1 where there is none, `alarm_value` after its time-out."""
    answer = request.event = _Answer()
    if Peer.send_req(request) != 0:
        return -1
    if not (yield from answer.wait(request.timeout)):
        request.kwargs = NO_EFFECT[request.name]       # where still queued: frees the message
        return alarm_value
    return -1 if request.reply is None else request.reply


def drop_peer(location):
    """Forget the peer at `location`; what is queued for it is answered with "unknown"."""
    with Peer._lock:
        peer = Peer.peers.pop((location.addr, location.port), None)
        if peer is not None:
            # Its sender removes "the peer at my location" when it ends, which may by then be its successor.
            peer.location = Location(location.addr, 0)
            distributed.SysCoro(_end_sender, peer)


def _end_sender(peer, coro=None):
    yield coro.sleep(0)         # the sender, created earlier, has started by now
    if peer.req_coro is not None:
        peer.req_coro.throw(_Dropped())
    return True


def _correct_exceptions():
    asyncoro.sys = _Sys('sys')
    if _ONE_INSTANCE:
        throw = _Core._throw

        def throw_one(self, coro, *args):
            error = args[-1] if isinstance(args[-1], BaseException) else args[1]
            return throw(self, coro, error)

        _Core._throw = throw_one


def _correct_identity():
    add = _Core._add
    ids = itertools.count(secrets.randbelow(1 << 61) + 1)      # a restarted process does not repeat them either

    def add_unique(self, coro):
        coro._id = next(ids)
        return add(self, coro)

    _Core._add = add_unique


def _correct_peers():
    make = Peer.__init__

    def make_peer(self, name, location, auth, keyfile, certfile):
        known = Peer.get_peer(location)
        if known is not None and known.auth != auth:
            drop_peer(location)
        asyncoro.AsyncSocket.introduce((location.addr, location.port))
        make(self, name, location, auth, keyfile, certfile)
        self.stream = True      # one connection a peer, in either direction

    def no_discovery(self, discover_peers, coro=None):
        coro.set_daemon()
        yield coro.sleep(0)
        return True

    Peer.__init__ = make_peer
    Peer._sync_reply = staticmethod(_sync_reply)
    Scheduler._udp_proc = no_discovery
    distributed.MaxConnectionErrors = sys.maxsize


def install(socket_class, encode, decode):
    """Give asyncoro the guarded socket and the codec, before its network starts.

    Parameters
    ----------
    socket_class : type
        `sockets.GuardedSocket`.
    encode, decode : callable
        `codec.encode` and `codec.decode`; asyncoro's pickling is replaced by them.
    """
    def serialize(value):
        try:
            return encode(value)
        except Exception:       # the peer's sender swallows whatever is raised here
            log.exception('a message cannot be sent')
            raise

    for module in (asyncoro, distributed):
        module.AsyncSocket = module.AsynCoroSocket = socket_class
        module.serialize, module.deserialize, module.unserialize = serialize, decode, decode


def start_network(ip, port, secret):
    """Start asyncoro's network, to be ended at exit, and return its scheduler.

    Parameters
    ----------
    ip : str
        The IPv4 address to listen on.
    port : int
        0 for any free one.
    secret : str
        Authenticates asyncoro's requests.

    Raises
    ------
    OSError
        The port is in use, or the address is not this machine's; another may be tried.
    """
    try:
        # A folder that exists, since asyncoro would make one for the files that it never receives here.
        network = Scheduler(node=ip, tcp_port=port, secret=secret, discover_peers=False,
                            dest_path=tempfile.gettempdir())
    except OSError:
        _stop(Scheduler._instance)      # what was started before the port was found to be in use
        raise
    network._udp_sock.close()       # nobody reads from it
    Peer._lock = network._lock      # one lock for both: taken in two orders, two would block each other for ever
    # Called before asyncoro's own, which would wait for every coroutine and for peers, and then find nothing to do.
    atexit.register(_stop, Scheduler._asyncoro, network)
    return network


def _stop(*schedulers):
    """End schedulers and their coroutines, except one that keeps its thread busy for more than a second."""
    for scheduler in schedulers:
        with scheduler._lock:
            scheduler._quit = True
            heappush(scheduler._timeouts, (0.0, None, None))
        scheduler._notifier.interrupt()
        scheduler._scheduler.join(1.0)
    asyncoro.AsyncSocket.close_all()


_correct_exceptions()
_correct_identity()
_correct_peers()
