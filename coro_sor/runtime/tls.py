"""TLS 1.2 and 1.3 between nodes: both sides certified by one authority."""
from __future__ import annotations

import dataclasses
import ssl
from typing import NamedTuple

__all__ = ['Contexts', 'TlsFiles', 'make_contexts']


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


class Contexts(NamedTuple):
    """One context a way of connecting: accepting; dialling a node by name; answering a peer that dialled us."""

    server: ssl.SSLContext
    dial: ssl.SSLContext
    back: ssl.SSLContext


def make_contexts(files):
    """Contexts made of a `TlsFiles`.

    Raises
    ------
    OSError
        A file cannot be read, or is no certificate or key (ssl.SSLError).
    """
    server, dial, back = (_context(kind, files) for kind in
                          (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_CLIENT))
    back.check_hostname = False     # a peer that dialled us has no name that we know: the authority vouches for it
    return Contexts(server, dial, back)


def _context(kind, files):
    context = ssl.SSLContext(kind)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(files.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
