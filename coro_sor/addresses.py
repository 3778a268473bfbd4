"""The one definite address that a process listens at, and names turned into addresses."""
from __future__ import annotations

import socket

from .solution import InputError

__all__ = ['free_port', 'outward_address', 'own_address', 'resolve']


def outward_address(towards='192.0.2.1'):
    """The address of this machine on the way to `towards`, or 127.0.0.1 where there is no way.

    Connecting a UDP socket sends no packet; it only asks the routing table. The default is an address reserved for
    documentation (RFC 5737), so that the answer is the address towards the outside.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards, 9))
        except OSError:
            return '127.0.0.1'
        return probe.getsockname()[0]


def resolve(host):
    """The IPv4 address of `host`, a name or an address.

    Raises
    ------
    InputError
        Where the name has no address.
    """
    try:
        return socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
    except (OSError, UnicodeError) as problem:
        raise InputError(f'{host!r} has no IPv4 address: {problem}; give an address or a name that resolves') from None


def own_address(host):
    """The address of `host`, which must be one of this machine's own.

    Raises
    ------
    InputError
        Where it isn't, or stands for every address: other processes must be told one definite address.
    """
    address = resolve(host)
    if address == '0.0.0.0':
        raise InputError(f'{address} is no definite address: give the one under which other machines reach this one')
    try:
        free_port(address)
    except OSError as problem:
        raise InputError(f'{address} is no address of this machine: {problem.strerror}') from None
    return address


def free_port(address):
    """A port at this machine's `address` that nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]
