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
    """

    name: str
    location: tuple
    directory: object = None
    info: NodeInfo | None = None


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
    try:
        node.directory = yield engine.start(node.location, 'directory', (client, number, lease), timeout)
    except Unreachable as error:
        raise Unreachable('node %s (%s:%d) does not answer, after %g s: %s; does start_workers.sh run there, with the '
                          'same secret?' % (node.name, *node.location, timeout, error)) from error
    engine.hold(node.location)
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
            engine.release(node.location)
    return True
