"""TLS 1.2 and 1.3 between nodes: both sides certified by one authority."""
from __future__ import annotations

import dataclasses
import os
import ssl
import stat
from typing import NamedTuple

from ..solution import InputError

__all__ = ['Contexts', 'TlsFiles', 'make_contexts', 'tls_files']


@dataclasses.dataclass(frozen=True)
class TlsFiles:
    """PEM files of one process.

    Parameters
    ----------
    certificate : str
        This node's certificate. It must carry, as alternative names, the names or addresses by which others dial the
        node, and allow both server and client authentication.
    key : str
        Its private key.
    authority : str
        The certificate of the authority that signed every node's certificate.
    """

    certificate: str
    key: str
    authority: str


def tls_files(certificate, key, ca):
    """The `TlsFiles` of the paths that a user gave; None where all are None.

    Raises
    ------
    InputError
        Some are missing, or cannot be used; see `make_contexts`.
    """
    if certificate is key is ca is None:
        return None
    if None in (certificate, key, ca):
        raise InputError('TLS needs all three: certificate, key, and the certificate of the authority (ca)')
    files = TlsFiles(*map(os.path.abspath, (certificate, key, ca)))
    make_contexts(files)
    return files


class Contexts(NamedTuple):
    """One context a way of connecting: accepting; dialling a node by name; answering a peer that dialled us."""

    server: ssl.SSLContext
    dial: ssl.SSLContext
    back: ssl.SSLContext


def make_contexts(files):
    """Contexts made of a `TlsFiles`, once a handshake with itself has shown that a peer will accept the certificate.

    Raises
    ------
    InputError
        A file cannot be read or is not what it should be, others may read the key, the files do not belong together,
        or the certificate is not good for both sides today.
    """
    _check_readable(files)
    server, dial, back = (_context(kind, files) for kind in
                          (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_CLIENT))
    back.check_hostname = False     # a peer that dialled us has no name that we know: the authority vouches for it
    back.verify_mode = ssl.CERT_REQUIRED
    try:
        _shake_hands(server, back)
    except ssl.SSLError as error:
        raise InputError('the certificate %s is not accepted by the authority %s: %s'
                         % (files.certificate, files.authority, _reason(error))) from None
    return Contexts(server, dial, back)


def _check_readable(files):
    for what, path in (('certificate', files.certificate), ('key', files.key), ('authority', files.authority)):
        try:
            with open(path, 'rb') as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                file.read(1)
        except OSError as error:
            raise InputError('the %s %s cannot be read: %s' % (what, path, error.strerror)) from None
        if what == 'key' and mode & 0o077:
            raise InputError('the key %s is open to other users (mode %03o): run chmod 600 %s' % (path, mode, path))


def _context(kind, files):
    context = ssl.SSLContext(kind)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        # An encrypted key would be asked for at the terminal; with a wrong password it is an error.
        context.load_cert_chain(files.certificate, files.key, password='')
    except ssl.SSLError as error:
        raise InputError('the certificate %s and the key %s cannot be used: they must be PEM files, belong together, '
                         'and have no password (%s)' % (files.certificate, files.key, _reason(error))) from None
    try:
        context.load_verify_locations(files.authority)
    except ssl.SSLError as error:
        raise InputError('the authority %s cannot be used: it must be a PEM file of certificates (%s)'
                         % (files.authority, _reason(error))) from None
    return context


def _shake_hands(server, client):
    """A whole handshake in memory; raises an ssl.SSLError where a certificate is not accepted."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)]
    while sides:
        for side in list(sides):
            try:
                side.do_handshake()
                sides.remove(side)
            except ssl.SSLWantReadError:
                pass


def _reason(error):
    return getattr(error, 'verify_message', None) or error.reason or str(error)
