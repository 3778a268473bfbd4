"""What a node's directory and its client tell each other."""
from __future__ import annotations

from dataclasses import dataclass

from .message_base import check_fields

__all__ = ['ChildLost', 'ChildStarted', 'Found', 'Goodbye', 'MESSAGES', 'NodeInfo', 'Started']


@dataclass(frozen=True)
class NodeInfo:
    """Directory -> client: at once when asked, then as a heartbeat several times a lease."""

    request: int
    """The number that the client gave when it started the directory's actor."""
    address: str
    """Where the node listens."""
    port: int
    """The node's well-known port."""
    children: tuple
    """(port, process id, resident bytes or None where unknown) of each worker process that is ready."""
    cores: int
    """Processor cores that the node may use."""
    version: str
    """Version of coro_sor on the node."""
    hostname: str
    """Name that the node's machine gives itself."""

    def __post_init__(self):
        check_fields(self)


@dataclass(frozen=True)
class ChildLost:
    """Directory -> client: a worker process ended; sent at once and repeated until it arrived.

    It is final: a `NodeInfo` that lists this port and process and arrives later was delayed on the way.
    """

    request: int
    """As in `NodeInfo`."""
    address: str
    """Where the worker listened."""
    port: int
    """Its port; no later worker process listens there soon."""
    pid: int
    """Its process id."""
    reason: str
    """How it ended, such as 'signal SIGKILL' or 'exit status 1'."""

    def __post_init__(self):
        check_fields(self)


@dataclass(frozen=True)
class ChildStarted:
    """Directory -> client: a worker process took the place of a lost one and is ready."""

    request: int
    """As in `NodeInfo`."""
    address: str
    """Where it listens."""
    port: int
    """Its port."""
    pid: int
    """Its process id."""

    def __post_init__(self):
        check_fields(self)


@dataclass(frozen=True)
class Found:
    """Within a client: the directory of a node has answered."""

    request: int
    """Number of the node."""
    directory: object
    """Reference of the directory's actor that serves the client."""


@dataclass(frozen=True)
class Started:
    """Within a client: what became of the attempt to start an owner."""

    incarnation: int
    """Of its assignment."""
    reference: object
    """The owner; None where it could not be started."""
    reason: str
    """Why not."""


@dataclass(frozen=True)
class Goodbye:
    """Client -> directory: the client needs this directory's actor no more."""


MESSAGES = {kind.__name__: kind for kind in (NodeInfo, ChildLost, ChildStarted, Goodbye)}
