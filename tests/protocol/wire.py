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


def greet(sock, role, secret=SECRET):
    """Do the greeting as b'client' or b'server'; whether the other side proved that it knows the secret."""
    mine = os.urandom(32)
    sock.sendall(mine)
    theirs = received(sock, 32)
    both = mine + theirs if role == b'server' else theirs + mine
    other = b'client' if role == b'server' else b'server'
    proof = [hmac.new(derived(b'greeting', secret), who + both, hashlib.sha256).digest() for who in (role, other)]
    sock.sendall(proof[0])
    return received(sock, 32) == proof[1]


def connection(location, secret=SECRET):
    """A greeted connection to a node."""
    sock = socket.create_connection(tuple(location))
    assert greet(sock, b'client', secret)
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
        signature = answer(sock).decode()
    return hashlib.sha1((signature + derived(b'asyncoro').hex()).encode()).hexdigest()
