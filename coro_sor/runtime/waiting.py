"""How a socket of asyncoro's coroutines waits, sends and receives: patient with slow links, and without spinning."""
from __future__ import annotations

import errno
import fcntl
import socket
import ssl
import struct
import termios
import time
import weakref

from .compat import Scheduler, core

__all__ = ['WaitingSocket']

_NOT_READY = BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError


def _unacknowledged(sock):
    """Bytes that the kernel has taken and the other side has not."""
    return struct.unpack('i', fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0]


class WaitingSocket(core._AsyncSocket):
    """A socket that is given up only when nothing moves.

    Attributes
    ----------
    stall : float
        Seconds without progress after which a transfer is given up.
    deadline : float or None
        Time, of `time.monotonic`, at which whatever it waits for is given up.
    """

    stall = 10.0
    _instances = weakref.WeakSet()

    def __init__(self, sock, blocking=False):
        super().__init__(sock, blocking)
        self._instances.add(self)
        self.deadline = None
        self._unsent = 0

    @classmethod
    def close_all(cls):
        """Close what is open once asyncoro's coroutines, which would have done it, have ended."""
        for guarded in list(cls._instances):
            guarded.close()

    # ---- asyncoro's habits, put right

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
            except _NOT_READY as wish:
                wants_read = read if isinstance(wish, BlockingIOError) else isinstance(wish, ssl.SSLWantReadError)
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
            try:        # TLS gives 16 KiB at a time, for which `_attempt` takes long
                count = self._rsock.recv_into(view)
            except _NOT_READY:
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
