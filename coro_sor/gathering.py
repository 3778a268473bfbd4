"""Finding the workers: every node's directory is asked once, and tells of losses from then on."""
from __future__ import annotations

from dataclasses import dataclass

from . import __version__
from .node_messages import Goodbye, NodeInfo
from .solution import Unreachable

__all__ = ['Node', 'Place', 'ask_directory', 'places', 'say_goodbye']


@dataclass
class Node:
    """One machine.

    Attributes
    ----------
    name : str
        As the user calls it.
    location : (str, int)
        Where its directory is.
    directory : reference or None
        The actor there that serves this solve.
    info : NodeInfo or None
        Its newest answer.
    held : bool
        Whether the engine was told to keep the connection.
    """

    name: str
    location: tuple
    directory: object = None
    info: NodeInfo | None = None
    held: bool = False


@dataclass(frozen=True)
class Place:
    """One worker process."""

    node: str
    location: tuple
    pid: int


def ask_directory(engine, node, number, client, timeout, lease):
    """Start the directory's actor of a node for `client`; its NodeInfo will come by message.

    Raises
    ------
    Unreachable
    """
    engine.hold(node.location)
    node.held = True
    began = engine.now()
    try:
        node.directory = yield engine.start(node.location, 'directory', (client, number, lease), timeout)
    except Unreachable as error:
        raise Unreachable('node %s cannot be used, after %.1f s: %s; does start_workers.sh run there, at the '
                          'address that it printed and with the same secret?'
                          % (node.name, engine.now() - began, error)) from error
    return True


def places(nodes):
    """The worker processes of all nodes, in order.

    Raises
    ------
    Unreachable
        Where a node runs another version or no worker.
    """
    found = []
    for node in nodes:
        info = node.info
        if info.version != __version__:
            raise Unreachable('node %s runs coro_sor %s, this is %s: install the same version'
                              % (node.name, info.version, __version__))
        if not info.children:
            raise Unreachable('node %s has no worker process ready' % node.name)
        found += [Place(node.name, (info.address, port), pid) for port, pid, _ in info.children]
    return found


def say_goodbye(engine, nodes):
    """Tell the directories that nobody listens any more."""
    for node in nodes:
        if node.directory is not None:
            yield node.directory.deliver(Goodbye(), timeout=1.0)
        if node.held:
            engine.release(node.location)
    return True
