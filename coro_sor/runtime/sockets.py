"""The guarded socket: what asyncoro's peers talk through instead of its own socket.

Every TCP connection begins with TLS (if so configured) and a keyed-hash challenge both ways: each side sends 32 random
bytes and proves that it knows the secret by the HMAC-SHA256 of its role and both challenges. Until then a connection
holds 64 bytes, may last `greeting` seconds and is one of at most `most_greetings`. Without TLS this keeps strangers
out; it does not hide what is said nor stop somebody who can change it on the way.

Then come frames: length (4 bytes, big-endian) and bytes, at most `FRAME_LIMIT`, checked before memory is taken. A
transfer fails when the other side takes nothing for `stall` seconds, however long the whole takes; asyncoro's own
time-outs, which limit a whole transfer, are ignored. An accepted connection may be idle between frames for as long as
it likes.
"""
from __future__ import annotations

import errno
import fcntl
import hashlib
import hmac
import os
import socket
import ssl
import struct
import termios
import time
import weakref

from .codec import RequestFrame
from .compat import Scheduler, core, log

__all__ = ['FRAME_LIMIT', 'GuardedSocket', 'Refused']

FRAME_LIMIT = 1 << 26
_JOINED = 1 << 16           # frames up to this size are sent from one buffer
_LENGTH = struct.Struct('>L')


class Refused(OSError):
    """The other side did not prove that it knows the secret, or sent what no node sends."""


def _unacknowledged(sock):
    """Bytes that the kernel has taken and the other side has not."""
    return struct.unpack('i', fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0]


class GuardedSocket(core._AsyncSocket):
    """A socket for asyncoro's coroutines. Its settings belong to the class, since asyncoro makes the instances.

    Attributes
    ----------
    secret : bytes
        What both sides must know.
    tls : tls.Contexts or None
        In clear where None.
    dialled : dict of (str, int) to str
        The name by which a node at (address, port) is known; its certificate must carry it. Others are accepted on
        the word of the certificate authority alone.
    stall, greeting : float
        Seconds without progress, and for the whole greeting, after which a connection is given up.
    most_greetings : int
        Connections that may be in their greeting at a time; what comes in beyond is closed.
    """

    secret, tls, dialled = b'', None, {}
    stall, greeting, most_greetings = 10.0, 10.0, 128
    _greetings = 0
    _instances = weakref.WeakSet()

    def __init__(self, sock, blocking=False, keyfile=None, certfile=None, ssl_version=None):
        super().__init__(sock, blocking)
        self._instances.add(self)
        self.deadline = None
        self._unsent = 0
        self._accepted, self._greeted = None, False     # the address of who connected to us
        if sock.type == socket.SOCK_STREAM:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    @classmethod
    def close_all(cls):
        """Close what is open once asyncoro's coroutines, which would have done it, have ended."""
        for guarded in list(cls._instances):
            guarded.close()

    # ---- asyncoro's habits, put right

    def bind(self, address):
        """UDP is never used: its socket takes any port, on loopback. TCP takes a port whose listener has just gone."""
        if self._rsock.type == socket.SOCK_DGRAM:
            address = '127.0.0.1', 0
        else:
            self._rsock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._rsock.bind(address)

    def setsockopt(self, level, option, value):
        """All but SO_REUSEPORT, with which two processes could listen on one port."""
        if option != getattr(socket, 'SO_REUSEPORT', None):
            self._rsock.setsockopt(level, option, value)

    def listen(self, backlog):
        self._rsock.listen(1024)

    def settimeout(self, timeout):
        """Ignored: it would limit a whole transfer, where `stall` limits the lack of progress."""

    def shutdown(self, how):
        """Never raises: after a reset by the peer, an exception here would end the peer's sender."""
        try:
            self._rsock.shutdown(how)
        except OSError:
            pass

    def _timed_out(self):
        coro = self._read_coro or self._write_coro
        self._unwatch()
        if coro is not None:
            coro.throw(socket.timeout('no progress'))

    def _eof(self):
        task = self._read_task or self._write_task
        if task is not None:
            task()

    # ---- waiting

    def _attempt(self, operation, read, limit):
        """Do `operation` as soon as the socket is ready, `limit` seconds (None: any time) from now at the latest."""
        while True:
            try:
                return operation()
            except BlockingIOError:
                wants_read = read
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wish:
                wants_read = isinstance(wish, ssl.SSLWantReadError)
            self._watch(wants_read, limit)
            try:
                yield
            except socket.timeout:
                if not self._drains():
                    raise

    def _drains(self):
        """Whether the other side took something since last asked: megabytes may wait in the kernel on a slow link."""
        before, self._unsent = self._unsent, _unacknowledged(self._rsock)
        return self._unsent < before

    def _watch(self, read, limit):
        if self.deadline is not None:
            limit = min(limit, self.deadline - time.monotonic())
            if limit <= 0:
                raise socket.timeout('no answer in time')
        if self._asyncoro is None:
            self._asyncoro = Scheduler.scheduler()
            self._notifier = self._asyncoro._notifier
        coro = Scheduler.cur_coro(self._asyncoro)
        coro._await_()

        def proceed():
            self._unwatch()
            coro._proceed_(None)

        self._timeout = limit
        if read:
            self._read_coro, self._read_task = coro, proceed
        else:
            self._write_coro, self._write_task = coro, proceed
        poller = core._AsyncPoller
        self._notifier.add(self, poller._Read if read else poller._Write)

    def _unwatch(self):
        """Leave the poller altogether: a reset on a connection that it knows but nobody waits for makes it spin."""
        if self._read_task or self._write_task:
            self._notifier.unregister(self)
        self._read_coro = self._read_task = self._write_coro = self._write_task = None

    def _receive_into(self, buffer, first_limit):
        """Fill `buffer`; `first_limit` is the patience for its first byte."""
        view, limit = memoryview(buffer), first_limit
        while len(view):
            count = yield from self._attempt(lambda: self._rsock.recv_into(view), True, limit)
            if not count:
                raise ConnectionResetError(errno.ECONNRESET, 'closed by the other side')
            view, limit = view[count:], self.stall
        return buffer

    def _async_sendall(self, data):
        view = memoryview(data)
        while len(view):
            count = yield from self._attempt(lambda: self._rsock.send(view), False, self.stall)
            view = view[count:]
        return True

    # ---- connections

    def _async_accept(self):
        failed = False
        while True:
            try:
                conn, address = yield from self._attempt(self._rsock.accept, True, None)
            except OSError as error:
                if not failed:
                    log.warning('no connection can be accepted for now: %s', error)
                failed = True
                yield Scheduler.cur_coro(self._asyncoro).sleep(0.05)    # out of descriptors it would spin
                continue
            if GuardedSocket._greetings >= self.most_greetings:
                conn.close()
                continue
            GuardedSocket._greetings += 1
            guarded = GuardedSocket(conn)
            guarded._accepted = address
            return guarded, address

    def _async_connect(self, address):
        def connect():
            code = self._rsock.connect_ex(address)
            if code not in (0, errno.EISCONN):
                raise OSError(code, os.strerror(code))

        yield from self._attempt(connect, False, self.greeting)
        yield from self._greet()
        return True

    def _greet(self):
        """TLS, then the challenge both ways.

        Raises
        ------
        Refused
            The other side has another secret.
        OSError
            It is gone, too slow, or its certificate is not accepted.
        """
        outer, end = self.deadline, time.monotonic() + self.greeting
        self.deadline = end if outer is None else min(outer, end)
        if self.tls is not None:
            yield from self._start_tls()
        mine = os.urandom(32)
        yield from self._async_sendall(mine)
        theirs = yield from self._receive_into(bytearray(32), self.stall)
        both = mine + theirs if self._accepted else theirs + mine
        my_role, their_role = (b'server', b'client') if self._accepted else (b'client', b'server')
        yield from self._async_sendall(self._proof(my_role + both))
        proof = yield from self._receive_into(bytearray(32), self.stall)
        if not hmac.compare_digest(proof, self._proof(their_role + both)):
            raise Refused('the other side has another secret')
        self.deadline, self._greeted = outer, True

    def _proof(self, text):
        return hmac.new(self.secret, text, hashlib.sha256).digest()

    def _start_tls(self):
        if self._accepted:
            context, name = self.tls.server, None
        else:
            address = self._rsock.getpeername()[:2]
            name = self.dialled.get(address)
            context = self.tls.back if name is None else self.tls.dial
        self._rsock = context.wrap_socket(self._rsock, server_side=bool(self._accepted), server_hostname=name,
                                          do_handshake_on_connect=False)
        yield from self._attempt(self._rsock.do_handshake, True, self.greeting)

    # ---- frames

    def _async_recv_msg(self):
        if self._accepted and not self._greeted:
            try:
                yield from self._greet()
            except Refused as error:
                log.warning('refused a connection from %s: %s', self._accepted[0], error)
                raise
            finally:
                GuardedSocket._greetings -= 1
        head = yield from self._receive_into(bytearray(4), None if self._accepted else self.stall)
        size = _LENGTH.unpack(head)[0]
        if size > FRAME_LIMIT:
            raise Refused('a frame of %d bytes' % size)
        kind = RequestFrame if self._accepted else bytearray
        return (yield from self._receive_into(kind(size), self.stall))

    def _async_send_msg(self, data):
        parts = [data] if isinstance(data, bytes) else data
        size = sum(len(part) for part in parts)
        if size > FRAME_LIMIT:
            log.error('a message of %d bytes is not sent: the limit is %d', size, FRAME_LIMIT)
            raise ValueError('message too long')
        head, self._unsent = _LENGTH.pack(size), size
        parts = [b''.join((head, *parts))] if size < _JOINED else [head + parts[0], *parts[1:]]
        for part in parts:
            yield from self._async_sendall(part)
        return True
