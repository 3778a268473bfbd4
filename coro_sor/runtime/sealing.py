"""The keyed hashes of a connection: proofs that both sides know the secret, and seals on frames.

Both sides of a connection have sent 32 random bytes when the first proof is made. A proof is the HMAC-SHA256, with the
secret as key, of everything that the two sides must agree on, so that it's good for this connection, this direction,
this server and this way of protecting frames, and for nothing else:

    role of who proves | protection | address and port of the server | challenge of the client | of the server

The key of the seals of one direction is the same hash with another label. A seal is the HMAC-SHA256 of the number of
the frame in its direction and the frame, so that frames can't be changed, left out, repeated or turned round. Keyed
BLAKE2b is faster below 4 KiB and takes twice as long for long frames.
"""
from __future__ import annotations

import hashlib
import hmac
import struct

__all__ = ['CHALLENGE', 'CLEAR', 'PROOF', 'SEALED', 'Agreement', 'Seal', 'TLS']

CHALLENGE = PROOF = 32
"""Bytes."""

TLS, SEALED, CLEAR = 'TLS', 'sealed', 'clear'
"""How frames are protected: by TLS, by seals, or not at all."""

_ADVICE = {TLS: 'uses TLS', SEALED: 'wants a keyed hash on each frame',
           CLEAR: 'runs with --insecure, or took this connection for one inside its machine'}
_NUMBER = struct.Struct('>Q')


class Agreement:
    """What both sides of one connection must agree on.

    Parameters
    ----------
    secret : bytes
    protection : {TLS, SEALED, CLEAR}
    server : (str, int)
        Address and port of the side that was dialled, as this side sees them.
    challenges : (bytes, bytes)
        Of the client and of the server.
    """

    OTHER_SECRET = 'the other side has another secret'

    def __init__(self, secret, protection, server, challenges):
        self._secret, self._protection, self._server = secret, protection, server
        self._challenges = b''.join(challenges)

    def proof(self, role):
        """The proof of the side `role`, 'client' or 'server'; `PROOF` bytes."""
        return self._hash(role, self._protection)

    def fault(self, role, proof):
        """What is wrong with the proof that the side `role` gave: '', `OTHER_SECRET`, or how it protects frames."""
        if hmac.compare_digest(proof, self.proof(role)):
            return ''
        for other in {TLS, SEALED, CLEAR} - {self._protection}:
            if hmac.compare_digest(proof, self._hash(role, other)):
                return 'the other side %s, this one %s' % (_ADVICE[other], _ADVICE[self._protection])
        return self.OTHER_SECRET

    def seal(self, role):
        """A new `Seal` of the frames that the side `role` sends; None where frames carry none."""
        return Seal(self._hash(role + ' frames', SEALED)) if self._protection == SEALED else None

    def _hash(self, label, protection):
        text = '%s|%s|%s:%d|' % (label, protection, *self._server)
        return hmac.new(self._secret, text.encode() + self._challenges, hashlib.sha256).digest()


class Seal:
    """Makes the seals of the frames of one direction, in order.

    Attributes
    ----------
    size : int
        Bytes of a seal.
    """

    size = 32

    def __init__(self, key):
        self._keyed, self._count = hmac.new(key, digestmod=hashlib.sha256), 0

    def of(self, *parts):
        """The seal of the next frame, which consists of `parts`."""
        made = self._keyed.copy()
        made.update(_NUMBER.pack(self._count))
        for part in parts:
            made.update(part)
        self._count += 1
        return made.digest()
