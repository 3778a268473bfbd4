"""The engine's wire protocol done by hand over plain sockets, for tests that break its rules or are slow."""
import hashlib
import hmac
import os
import socket
import struct

from coro_sor.runtime import codec
from coro_sor.runtime.compat import Location, Request

SECRET = b'a secret'
VERSION = '4.5.6'


def derived(purpose, secret=SECRET):
    return hmac.new(secret, b'coro_sor ' + purpose, hashlib.sha256).digest()


def received(sock, size):
    """Exactly `size` bytes, or fewer where the other side closed."""
    data = b''
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            break
        data += more
    return data


def is_closed(sock):
    """Whether the other side closes the connection; waits for that, or for anything to come."""
    try:
        return sock.recv(1) == b''
    except ConnectionResetError:
        return True


def proof(label, server, client_challenge, server_challenge, secret=SECRET, protection='clear'):
    """What the side `label` proves with, or the key of its seals; `server` is the (address, port) that was dialled."""
    text = '%s|%s|%s:%d|' % (label, protection, *server)
    return hmac.new(derived(b'greeting', secret), text.encode() + client_challenge + server_challenge,
                    hashlib.sha256).digest()


def greet(sock, secret=SECRET, protection='clear'):
    """Do the greeting of who dialled; whether the other side proved that it knows the secret."""
    mine, server = os.urandom(32), sock.getpeername()
    sock.sendall(mine)
    theirs = received(sock, 32)
    sock.sendall(proof('client', server, mine, theirs, secret, protection))
    return received(sock, 32) == proof('server', server, mine, theirs, secret, protection)


def answer_greeting(sock, secret=SECRET):
    """Do the greeting of who was dialled."""
    theirs, mine, server = received(sock, 32), os.urandom(32), sock.getsockname()
    sock.sendall(mine)
    assert received(sock, 32) == proof('client', server, theirs, mine, secret)
    sock.sendall(proof('server', server, theirs, mine, secret))


class SealedConnection:
    """A connection to a node whose frames carry seals, made by hand."""

    def __init__(self, location, secret=SECRET):
        self.sock = socket.create_connection(tuple(location))
        mine, server = os.urandom(32), self.sock.getpeername()
        self.sock.sendall(mine)
        theirs = received(self.sock, 32)
        self._sent = self._received = 0
        self._keys = {role: proof(role + ' frames', server, mine, theirs, secret, 'sealed')
                      for role in ('client', 'server')}
        self.sock.sendall(proof('client', server, mine, theirs, secret, 'sealed'))
        assert received(self.sock, 32) == proof('server', server, mine, theirs, secret, 'sealed')

    def seal(self, role, count, data):
        """The seal of the frame `data`, which is number `count` of those that `role` sends."""
        return hmac.new(self._keys[role], struct.pack('>Q', count) + data, hashlib.sha256).digest()

    def sealed(self, value):
        """The next frame and its seal."""
        data = encoded(value)
        self._sent += 1
        return data + self.seal('client', self._sent - 1, data)

    def answer(self):
        """The body of the next frame, whose seal is right."""
        head = received(self.sock, 4)
        body = received(self.sock, struct.unpack('>L', head)[0])
        assert received(self.sock, 32) == self.seal('server', self._received, head + body)
        self._received += 1
        return body


def connection(location, secret=SECRET):
    """A greeted connection to a node."""
    sock = socket.create_connection(tuple(location))
    assert greet(sock, secret)
    return sock


def frame(body):
    return struct.pack('>L', len(body)) + body


def encoded(value):
    return frame(b''.join(bytes(part) for part in codec.encode(value)))


def answer(sock):
    """The body of the next frame."""
    return received(sock, struct.unpack('>L', received(sock, 4))[0])


def authentication(location):
    """What authenticates asyncoro's requests to the node at `location`."""
    with connection(location) as sock:
        sock.sendall(encoded(Request('signature', {'version': VERSION}, dst=Location(*location))))
        return token(answer(sock).decode())


def token(signature):
    """What authenticates requests to the node with that signature."""
    return hashlib.sha1((signature + derived(b'asyncoro').hex()).encode()).hexdigest()
