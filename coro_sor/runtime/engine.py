"""The interface that actors use, on asyncoro.

    engine = Engine.start_runtime('127.0.0.1', secret=b'...')
    value = engine.run(actor, 1, 2)         # from the main thread

An actor is a generator function ``def actor(engine, ..., coro=None)``. asyncoro runs all actors of a process in one
thread, its network in another, and `compute` in a third. What an actor may do:

    value = yield engine.compute(function, *args)
    ok = yield engine.connect(location, timeout)
    reference = yield engine.start(location, name, args, timeout)
    message = yield coro.receive(timeout=t, alarm_value=None)
    yield coro.sleep(t)
    reference.send(message)
    ok = yield reference.deliver(message, timeout=t)

`deliver` gives 1 once the message is in the mailbox, and 0 (after `timeout`) or a negative number when that is unknown.
Its time-out limits the whole: waiting for the messages queued before it, transfer and answer. The connection itself is
given up only after `stall` seconds without progress, so that a generous time-out carries a large message over a slow
link, and what is still queued when its time is over is not sent any more. A message is encoded when its turn comes:
what is sent must not be changed afterwards.
"""
from __future__ import annotations

import hashlib
import hmac
import re
import socket
import threading
import time

from ..peers import PeerHolds, pair
from ..solution import SolverError, Unreachable
from . import codec, compat, segments
from .compat import Coro, Location, Peer, RCI, Request, Scheduler, core, log
from .sockets import GuardedSocket
from .task import Task, run_actor
from .tls import make_contexts

__all__ = ['Engine']

_NOT_SERVED = 'is not registered'       # in asyncoro's answer to a request for a name that nobody serves


class _Pool:
    """One thread that computes for actors."""

    def __init__(self):
        self._pool = core.AsyncThreadPool(1)

    def compute(self, function, *args):
        """As `Engine.compute`."""
        return self._pool.async_task(_call, function, args)

    def close(self):
        """Let the thread end after what it was given."""
        self._pool._task_queue.put(None)        # its own `terminate` would wait for that


class Engine(PeerHolds):
    """One process's runtime; made by `Engine.start_runtime`, once."""

    _running = None
    _lock = threading.Lock()

    def __init__(self, scheduler, settings):
        self._scheduler, self._settings = scheduler, settings
        self._addresses, self._names = {}, {}       # IPv4 address by host name, and back
        self._pool = self._resolver = None
        location = scheduler.location
        self.location = (location.addr, location.port)

    @classmethod
    def start_runtime(cls, address='127.0.0.1', port=0, *, secret, tls=None, insecure=False, stall=10.0,
                      greeting=10.0):
        """The process's engine, started if need be and ended at exit.

        Parameters
        ----------
        address : str
            The name or IPv4 address under which others reach this process; it listens there and nowhere else.
        port : int
            0 for any free one.
        secret : bytes
            What all processes of a solve share; at least one byte.
        tls : tls.TlsFiles or None
            Certificates; without TLS where None.
        insecure : bool
            Without TLS, frames that leave the machine carry a keyed hash, unless this is set; on both sides alike.
        stall, greeting : float
            Seconds without progress after which a transfer is given up; seconds for a connection to prove itself.

        Raises
        ------
        SolverError
            It runs already, with other settings: asyncoro knows one runtime a process and cannot be started twice.
        InputError
            For the files of `tls`; see `tls.make_contexts`.
        OSError
            The port is in use, or the address is not one of this machine.
        """
        if not secret:
            raise ValueError('the secret is empty')
        settings = (address, port, secret, tls, insecure, stall, greeting)
        with cls._lock:
            if cls._running is None:
                cls._running = cls(_start_network(*settings), settings)
            elif cls._running._settings != settings:
                raise SolverError('the runtime of this process already runs on %s:%d with other settings; '
                                  'another address, secret or certificate needs another process'
                                  % cls._running.location)
            return cls._running

    # ---- for the main thread

    def call_by_name(self, names):
        """Names of hosts by IPv4 address: what the certificate of a node that is dialled there must carry."""
        self._names.update(names)

    def launch(self, actor, *args):
        """Start an actor and return its `Task`; not for use in actors."""
        task = Task()
        task.reference = Coro(run_actor, self, actor, args, task)
        return task

    def run(self, actor, *args):
        """Start an actor, wait for its end and return its value; raises its exception."""
        return self.launch(actor, *args).wait()

    # ---- for actors

    def now(self):
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def spawn(self, actor, *args):
        """Start ``actor(engine, *args, coro=coro)`` here and return its reference."""
        return Coro(run_actor, self, actor, args, None)

    def compute(self, function, *args):
        """Run ``function(*args)`` in the one pool thread; use as ``value = yield engine.compute(...)``.

        Meanwhile other coroutines run. The value is True where the function returns None; its exception is raised in
        the actor, with its traceback (a StopIteration as a RuntimeError, as from any generator).
        """
        if self._pool is None:
            self._pool = self.make_pool()
        return self._pool.compute(function, *args)

    def make_pool(self):
        """Another pool thread, with ``compute`` as here, until its ``close``."""
        return _Pool()

    def publish(self, words):
        """Shared memory that other processes of this machine can `attach`; None where the system has none."""
        try:
            return segments.Segment(words)
        except (OSError, AttributeError) as error:
            log.info('no shared memory: %s', error)
            return None

    def attach(self, name, words):
        """What another process published by this name, read-only; None if it is out of reach."""
        return segments.attach(name, words)

    def until(self, condition, seconds):
        """For functions that `compute` runs: wait until ``condition()`` holds, `seconds` at most."""
        segments.await_true(condition, seconds)

    def serve(self, name, actor):
        """Let other processes start `actor` here as `name`; once a name."""
        def served(args, coro=None):
            return (yield from run_actor(self, actor, args, None, coro))

        if RCI(served, name).register() != 0:
            raise ValueError('%r is served already' % name)

    def connect(self, location, timeout):
        """Make the process at `location` known; ``ok = yield engine.connect(...)``.

        True when it answered just now. A process that took the place of a known one is made known instead of it. A
        host name is looked up once in the life of this process, which `timeout` does not limit.

        Raises
        ------
        Unreachable
            The host's name does not resolve.
        """
        try:
            yield from self._acquaint(location, self.now() + timeout)
        except Unreachable:
            raise
        except (OSError, codec.CodecError) as error:
            log.info('%s:%d: %s', *pair(location), error)
            return False
        return True

    def disconnect(self, location):
        """Forget the process at `location`; messages queued for it are dropped."""
        address, port = pair(location)
        ip = self._addresses.get(address, address)
        GuardedSocket.dialled.pop((ip, port), None)
        if _is_numeric(ip):     # else it was never looked up, hence never known
            compat.drop_peer(Location(ip, port))

    def idle(self, location):
        """Whether the process at `location` is this one, or known with nothing queued or in flight for it."""
        if pair(location) == self.location:
            return True
        peer = Peer.get_peer(location)
        return peer is not None and peer.waiting

    def start(self, location, name, args, timeout):
        """Start the actor that the process at `location` serves as `name`; ``reference = yield engine.start(...)``.

        It is called as ``actor(engine, *args, coro=coro)``. A name that is not served yet is asked for again until
        `timeout` seconds are over.

        Raises
        ------
        Unreachable
            No answer, or the name is not served; the actor may have been started nevertheless when an answer was lost.
        """
        end, place = self.now() + timeout, '%s:%d' % pair(location)
        try:
            peer = yield from self._acquaint(location, end)
        except Unreachable:
            raise
        except (OSError, codec.CodecError) as error:
            raise Unreachable('%s does not answer: %s' % (place, error)) from error
        refusal = None
        while True:
            fields = {'name': name, 'args': (tuple(args),), 'kwargs': {}}
            request = Request('run_rci', fields, dst=peer, timeout=max(end - self.now(), 0.001))
            reply = yield from Peer._sync_reply(request, alarm_value=-1)
            if isinstance(reply, Coro):
                return reply
            if isinstance(reply, Exception):
                refusal = reply
            elif refusal is None:
                raise Unreachable('%s did not answer the request to start %s within %g s' % (place, name, timeout))
            if _NOT_SERVED not in str(refusal) or self.now() + 0.05 > end:
                raise Unreachable('%s cannot start %s: %s' % (place, name, refusal))
            yield Scheduler.cur_coro().sleep(0.05)

    # ---- making a peer known

    def _acquaint(self, location, end):
        address, port = pair(location)
        ip = yield from self._resolve(address)
        place = Location(ip, port)
        GuardedSocket.dial_as((ip, port), self._names.get(ip, address))
        ask = Request('signature', {'version': core.__version__}, dst=place)
        signature = bytes((yield from _exchange(end, ask))).decode('ascii', 'replace')
        auth = hashlib.sha1((signature + self._scheduler._secret).encode()).hexdigest()
        fields = {'signature': self._scheduler._signature, 'name': self._scheduler._name,
                  'from': self._scheduler._location, 'version': core.__version__}
        # It answers before it knows us, but knows us before it looks at the next request.
        then = Request('deliver', compat.NO_EFFECT['deliver'], dst=place, auth=auth)
        reply = codec.decode((yield from _exchange(end, Request('peer', fields, dst=place, auth=auth), then)))
        if not isinstance(reply, dict):
            raise OSError('another version of asyncoro runs there')
        Peer(str(reply.get('name')), place, auth, None, None)   # no effect where it is known with this signature
        return place

    def _resolve(self, address):
        if _is_numeric(address):
            return address
        if address not in self._addresses:
            if self._resolver is None:
                self._resolver = core.AsyncThreadPool(1)    # not the pool of `compute`, which may be busy for long
            ip = yield self._resolver.async_task(_look_up, address)
            self._addresses[address] = ip
            self._names[ip] = address       # its certificate may carry only the name
        return self._addresses[address]


def _is_numeric(address):
    return re.fullmatch('[0-9.]+', address) is not None


def _look_up(name):
    try:
        return socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
    except (OSError, UnicodeError) as error:
        raise Unreachable('the host name %r does not resolve to an IPv4 address: %s' % (name, error)) from error


def _call(function, args):
    try:
        value = function(*args)
    except StopIteration as stop:       # in the actor it would look like the end of one of its own generators
        raise RuntimeError('%r raised StopIteration' % (function,)) from stop
    return True if value is None else value


def _exchange(end, *requests):
    """Send requests over a connection of their own, one after the other; the bytes of the first answer."""
    guarded = GuardedSocket(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    guarded.deadline = end
    try:
        yield from guarded.connect((requests[0].dst.addr, requests[0].dst.port))
        answers = []
        for request in requests:
            yield from guarded.send_msg(codec.encode(request))
            answers.append((yield from guarded.recv_msg()))
        return answers[0]
    finally:
        guarded.close()


def _start_network(address, port, secret, tls, insecure, stall, greeting):
    ip = _look_up(address)
    GuardedSocket.secret = _derive(secret, b'greeting')
    GuardedSocket.tls = None if tls is None else make_contexts(tls)
    GuardedSocket.insecure, GuardedSocket.stall, GuardedSocket.greeting = insecure, stall, greeting
    compat.install(GuardedSocket, codec.encode, codec.decode)
    try:
        return compat.start_network(ip, port, _derive(secret, b'asyncoro').hex())
    except OSError as error:
        raise OSError(error.errno, '%s:%d: %s' % (address, port, error.strerror)) from error


def _derive(secret, purpose):
    return hmac.new(secret, b'coro_sor ' + purpose, hashlib.sha256).digest()
