"""The guarded socket: what asyncoro's peers talk through instead of its own socket.

Every TCP connection begins with TLS (if so configured) and a challenge both ways: each side sends 32 random bytes and
proves that it knows the secret (see `sealing`), the one that dialled first, so that nobody is given a proof to guess
the secret by. Until then a connection holds 64 bytes, may last `greeting` seconds, and is one of at most
`most_greetings`, and of `most_of_one` from its address; the oldest makes room, so that a crowd of silent ones keeps
nobody out.

Then come frames: length (4 bytes, big-endian), bytes, and a seal, unless TLS protects them, both sides are on loopback
or `insecure` is set. A frame has at most `FRAME_LIMIT` bytes, checked before memory is taken. A transfer fails when the
other side takes nothing for `stall` seconds, however long the whole takes; asyncoro's own time-outs, which limit a
whole transfer, are ignored. An accepted connection may be idle between frames for as long as it likes.
"""
from __future__ import annotations

import errno
import hmac
import os
import socket
import ssl
import struct
import time

from .codec import RequestFrame
from .compat import Scheduler, log
from .sealing import CHALLENGE, CLEAR, PROOF, SEALED, TLS, Agreement
from .waiting import WaitingSocket

__all__ = ['FRAME_LIMIT', 'GuardedSocket', 'Refused']

FRAME_LIMIT = 1 << 26
_JOINED = 1 << 16           # frames up to this size are sent from one buffer
_LENGTH = struct.Struct('>L')
_QUIET = 1.0                # least seconds between two refusals that are logged
_REMEMBERED = 4096          # peers that dialled us


class Refused(OSError):
    """The other side did not prove that it knows the secret, or sent what no node sends."""


class GuardedSocket(WaitingSocket):
    """A socket for asyncoro's coroutines. Its settings belong to the class, since asyncoro makes the instances.

    Attributes
    ----------
    secret : bytes
        What both sides must know.
    tls : tls.Contexts or None
        Without TLS where None.
    insecure : bool
        Whether frames have no seals even where connections leave the machine.
    dialled : dict of (str, int) to str
        The name by which a node at (address, port) is known; its certificate must carry it.
    introduced : dict of (str, int)
        Peers that dialled us before we dialled them: the word of the certificate authority is enough for them.
    greeting : float
        Seconds for the whole greeting, after which a connection is given up; without progress, see `WaitingSocket`.
    most_greetings, most_of_one : int
        Connections that may be in their greeting at a time, in all and from one address.
    """

    secret, tls, insecure, dialled, introduced = b'', None, False, {}, {}
    greeting, most_greetings, most_of_one = 10.0, 256, 128
    _greetings = []             # those accepted, the oldest first
    _tell_again, _untold = 0.0, 0

    def __init__(self, sock, blocking=False, keyfile=None, certfile=None, ssl_version=None):
        super().__init__(sock, blocking)
        self._accepted, self._greeted = None, False     # the address of who connected to us
        self._seal = self._their_seal = None
        if sock.type == socket.SOCK_STREAM:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    @classmethod
    def dial_as(cls, place, name):
        """The node at `place`, an (address, port), will be dialled as `name`."""
        if place not in cls.introduced:
            cls.dialled[place] = name

    @classmethod
    def introduce(cls, place):
        """The peer at `place` has dialled us and told its place."""
        if place not in cls.dialled:
            cls.introduced[place] = None
            while len(cls.introduced) > _REMEMBERED:
                cls.introduced.pop(next(iter(cls.introduced)), None)

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
            guarded = GuardedSocket(conn)
            guarded._accepted = address
            self._make_room(address[0])
            self._greetings.append(guarded)
            return guarded, address

    def _make_room(self, source):
        """End the oldest greeting of those from the address `source`, or of all, where there are too many."""
        same = [guarded for guarded in self._greetings if guarded._accepted[0] == source]
        for crowd, most in ((same, self.most_of_one), (self._greetings, self.most_greetings)):
            if len(crowd) >= most:
                oldest = crowd[0]
                self._greetings.remove(oldest)
                oldest.deadline = 0.0       # for one that is about to go on
                oldest._timed_out()
                return

    def _async_connect(self, address):
        def connect():
            code = self._rsock.connect_ex(address)
            if code not in (0, errno.EISCONN):
                raise OSError(code, os.strerror(code))

        yield from self._attempt(connect, False, self.greeting)
        yield from self._greet()
        return True

    def _let_in(self):
        """The greeting of a connection that came in; what was refused is logged, if not too often."""
        try:
            yield from self._greet()
        except (Refused, ssl.SSLError) as error:
            cls, now = GuardedSocket, time.monotonic()
            cls._untold += 1
            if now >= cls._tell_again:
                others = ' (%d more since the last such line)' % (cls._untold - 1) if cls._untold > 1 else ''
                log.warning('refused a connection from %s: %s%s', self._accepted[0], error, others)
                cls._tell_again, cls._untold = now + _QUIET, 0
            raise
        finally:
            if self in self._greetings:
                self._greetings.remove(self)

    def _greet(self):
        """TLS, then the challenge both ways.

        Raises
        ------
        Refused
            The other side has another secret, or protects frames in another way.
        OSError
            It is gone, too slow, or its certificate is not accepted.
        """
        outer, end = self.deadline, time.monotonic() + self.greeting
        self.deadline = end if outer is None else min(outer, end)
        if self.tls is not None:
            yield from self._start_tls()
        server, protection = self._circumstances()
        mine, fault = os.urandom(CHALLENGE), ''
        if self._accepted:
            theirs = yield from self._receive_into(bytearray(CHALLENGE), self.stall)
            yield from self._async_sendall(mine)
            agreement = Agreement(self.secret, protection, server, (theirs, mine))
            fault = yield from self._fault_of_the_other(agreement, 'client')
            yield from self._async_sendall(agreement.proof('server'))
        else:
            yield from self._async_sendall(mine)
            theirs = yield from self._expect(CHALLENGE, 'before the greeting: only one side uses TLS')
            agreement = Agreement(self.secret, protection, server, (mine, theirs))
            yield from self._async_sendall(agreement.proof('client'))
            fault = yield from self._fault_of_the_other(agreement, 'server')
        if fault:
            raise Refused(fault)
        ours, others = ('server', 'client') if self._accepted else ('client', 'server')
        self._seal, self._their_seal = agreement.seal(ours), agreement.seal(others)
        self.deadline, self._greeted = outer, True

    def _circumstances(self):
        """(address and port of the side that was dialled, how frames are protected)"""
        ends = [self._rsock.getsockname()[:2], self._rsock.getpeername()[:2]]
        server = ends[0] if self._accepted else ends[1]
        if self.tls is not None:
            return server, TLS
        inside = all(address.startswith('127.') for address, _ in ends)
        return server, CLEAR if inside or self.insecure else SEALED

    def _fault_of_the_other(self, agreement, role):
        """What is wrong with the other side's proof, although it knows the secret; '' if nothing is."""
        proof = yield from self._expect(PROOF, 'at the proof: it has another secret')
        fault = agreement.fault(role, proof)
        if fault == agreement.OTHER_SECRET:
            raise Refused(fault)        # without a proof of ours
        return fault

    def _expect(self, size, meaning):
        """So many bytes; where a node that we dialled closes the connection instead, this is the likely `meaning`."""
        try:
            return (yield from self._receive_into(bytearray(size), self.stall))
        except ConnectionError as error:
            if self._accepted:
                raise
            raise Refused('it closed the connection %s' % meaning) from error

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
            yield from self._let_in()
        head = yield from self._receive_into(bytearray(4), None if self._accepted else self.stall)
        size = _LENGTH.unpack(head)[0]
        if size > FRAME_LIMIT:
            raise Refused('a frame of %d bytes' % size)
        kind = RequestFrame if self._accepted else bytearray
        body = yield from self._receive_into(kind(size), self.stall)
        if self._their_seal is not None:
            seal = yield from self._receive_into(bytearray(self._their_seal.size), self.stall)
            if not hmac.compare_digest(seal, self._their_seal.of(head, body)):
                log.warning('a frame was changed on its way: the connection is closed')
                raise Refused('a frame with a wrong seal')
        return body

    def _async_send_msg(self, data):
        parts = [data] if isinstance(data, bytes) else data
        size = sum(len(part) for part in parts)
        if size > FRAME_LIMIT:
            log.error('a message of %d bytes is not sent: the limit is %d', size, FRAME_LIMIT)
            raise ValueError('message too long')
        head, self._unsent = _LENGTH.pack(size), size
        seal = [] if self._seal is None else [self._seal.of(head, *parts)]
        parts = [b''.join((head, *parts, *seal))] if size < _JOINED else [head + parts[0], *parts[1:], *seal]
        for part in parts:
            yield from self._async_sendall(part)
        return True
