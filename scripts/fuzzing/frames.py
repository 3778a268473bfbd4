"""What comes out of a connection: greetings and frames, of somebody who knows the secret or does not."""
from __future__ import annotations

import hashlib
import hmac
import logging
import os
import socket
import struct
import types

from coro_sor.messages import MESSAGES
from coro_sor.runtime import codec, sockets
from coro_sor.runtime.sealing import CHALLENGE, CLEAR, PROOF, SEALED, Agreement

from . import mutation, wire

__all__ = ['TARGETS']

_SECRET = b'a secret of thirty-two bytes....'
_MINE = bytes(range(CHALLENGE))             # the challenge of the side that is tried
_SERVER = ('127.0.0.1', 51347), ('10.0.0.1', 51347)     # inside this machine, outside


class _Ended:
    """Stands in for a socket whose other side has sent all that it had and is gone."""

    type = socket.SOCK_STREAM

    def __init__(self, sent, server, client):
        self._sent, self._server, self._client = memoryview(sent), server, client

    def recv_into(self, view):
        # In pieces, as a network delivers.
        count = min(len(view), len(self._sent), 1460)
        view[:count], self._sent = self._sent[:count], self._sent[count:]
        return count

    def send(self, view):
        return len(view)

    def getsockname(self):
        return self._server

    def getpeername(self):
        return self._client

    def fileno(self):
        return -1

    def _nothing(self, *unused):
        """For what is done to a socket and does not matter here."""

    setsockopt = setblocking = settimeout = close = shutdown = _nothing


class Frames:
    """A target whose inputs are a byte (odd: inside the machine) and all that a client sends."""

    def __init__(self, folder):
        codec.register(MESSAGES)
        logging.getLogger('coro_sor').setLevel(logging.CRITICAL)
        sockets.log.setLevel(logging.CRITICAL)
        sockets.GuardedSocket.secret = _SECRET
        # The one random thing is known here, so that proofs can be made beforehand.
        sockets.os = types.SimpleNamespace(urandom=lambda size: _MINE[:size], strerror=os.strerror)

    @staticmethod
    def _agreement(inside, theirs):
        return Agreement(_SECRET, CLEAR if inside else SEALED, _SERVER[not inside], (theirs, _MINE))

    def make(self, draw):
        inside, kind = draw.random() < 0.5, draw.random()
        theirs = bytes(draw.getrandbits(8) for _ in range(CHALLENGE))
        agreement = self._agreement(inside, theirs)
        proof = agreement.proof('client')
        if kind < 0.1:      # somebody who does not know the secret
            proof = draw.choice((_MINE, theirs, agreement.proof('server'), mutation.changed_bytes(draw, proof, 1)))
        sent = theirs + proof + b''.join(self._frames(draw, agreement.seal('client'), kind))
        if 0.8 < kind < 0.9:
            sent = mutation.changed_bytes(draw, sent)
        return bytes([inside]) + sent

    def _frames(self, draw, seal, kind):
        made = []
        for _ in range(draw.randint(1, 3)):
            blobs = []
            body = wire.framed(wire.head_of(draw, blobs), blobs)
            if draw.random() < 0.3:
                body = mutation.changed_bytes(draw, body)
            length = len(body) if draw.random() < 0.9 else mutation.number(draw) % 2**32
            head = struct.pack('>L', length)
            made.append(head + body + (seal.of(head, body) if seal else b''))
        if kind > 0.95:     # repeated, left out, in another order
            made = draw.choice((made + made[:1], made[1:], made[::-1]))
        return made

    def from_bytes(self, data):
        return data or b'\0'

    def try_(self, made):
        inside, sent = bool(made[0] & 1), made[1:]
        server = _SERVER[not inside]
        client = ('127.0.0.1' if inside else '10.0.0.2', 40000)
        guarded = sockets.GuardedSocket(_Ended(sent, server, client))
        guarded._accepted = client
        accepted, at = False, CHALLENGE + PROOF
        count = 0
        while True:
            try:
                body = self._finished(guarded._async_recv_msg())
            except OSError:
                return accepted
            assert self._is_proven(inside, sent), 'a frame was taken from a stranger'
            at += 4 + len(body)
            assert bytes(body) == sent[at - len(body):at], 'a frame was changed'
            if not inside:
                at += 32
                assert sent[at - 32:at] == self._seal(sent, count, body), 'a seal was not looked at'
                count += 1
            try:
                codec.decode(body)
                accepted = True
            except codec.CodecError:
                pass

    def _is_proven(self, inside, sent):
        theirs, proof = sent[:CHALLENGE], sent[CHALLENGE:2 * CHALLENGE]
        return self._agreement(inside, theirs).proof('client') == proof

    @staticmethod
    def _seal(sent, count, body):
        """The seal that the frame must have, made without the code that is tried."""
        text = b'client frames|sealed|%s:%d|' % (_SERVER[1][0].encode(), _SERVER[1][1]) + sent[:CHALLENGE] + _MINE
        key = hmac.new(_SECRET, text, hashlib.sha256).digest()
        return hmac.new(key, struct.pack('>QL', count, len(body)) + body, hashlib.sha256).digest()

    @staticmethod
    def _finished(coroutine):
        """What a coroutine returns that never has to wait."""
        try:
            next(coroutine)
        except StopIteration as end:
            return end.value
        raise AssertionError('it waits for more, though the other side is gone')


TARGETS = {'frames': Frames}
