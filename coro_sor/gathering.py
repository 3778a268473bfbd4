"""Finding the workers: every node's directory is asked, and tells of losses and arrivals from then on."""
from __future__ import annotations

from dataclasses import dataclass, field

from . import __version__
from .node_messages import ChildLost, ChildStarted, Found, Goodbye, NodeInfo
from .solution import Unreachable

__all__ = ['Node', 'Place', 'keep_in_touch', 'say_goodbye']

_PAUSE = 1.0        # seconds between two attempts to reach a node
_ATTEMPT = 5.0      # seconds that an attempt may take
_GOODBYE = 1.0      # seconds that a node has to hear that it is needed no more


@dataclass(frozen=True)
class Place:
    """One worker process."""

    node: str
    location: tuple
    pid: int


@dataclass
class Node:
    """One machine.

    Attributes
    ----------
    name : str
        As the user calls it.
    location : (str, int)
        Where its directory is.
    info : NodeInfo or None
        Its newest answer.
    heard : float
        When the directory was last heard, by the coordinator's clock; 0 before.
    problem : str
        Why it can't be reached, as far as is known.
    failed : bool
        Whether it could not be reached at least once.
    closed : bool
        Whether the run is over.
    """

    name: str
    location: tuple
    info: NodeInfo | None = None
    heard: float = 0.0
    problem: str = 'no answer'
    failed: bool = False
    closed: bool = False
    directory: object = None
    seeker: object = None
    _children: dict = field(default_factory=dict)       # process id by (address, port)
    _lost: set = field(default_factory=set)             # (port, process id) of those that ended

    def take(self, message, now):
        """Take in what the directory tells."""
        self.heard = now
        if isinstance(message, NodeInfo):
            self.info = message
            # A loss is final: what lists the lost one and arrives later was delayed on its way.
            self._children = {(message.address, port): pid for port, pid, _ in message.children
                              if (port, pid) not in self._lost}
        elif isinstance(message, ChildStarted) and (message.port, message.pid) not in self._lost:
            self._children[message.address, message.port] = message.pid
        elif isinstance(message, ChildLost):
            self._lost.add((message.port, message.pid))
            if self._children.get((message.address, message.port)) == message.pid:
                del self._children[message.address, message.port]

    @property
    def usable(self):
        """Whether it has answered and runs this version."""
        return self.info is not None and self.info.version == __version__

    def places(self):
        """Its worker processes."""
        return [Place(self.name, location, pid) for location, pid in sorted(self._children.items())] \
            if self.usable else []

    def has(self, place):
        """Whether a worker process is one of its own."""
        return self._children.get(place.location) == place.pid

    def unfit(self):
        """Why none of its workers can be used, though it has answered."""
        if not self.usable:
            return 'node %s runs coro_sor %s, this is %s: install the same version' % (
                self.name, self.info.version, __version__)
        return 'node %s has no worker process ready' % self.name


def keep_in_touch(engine, node, number, client, options, coro=None):
    """Actor: have the node's directory tell `client` what the node is, as long as the run lasts.

    A directory that was not heard for the patience is asked anew: the node may have been started again, or not before
    now. `client` gets a `Found` with each answer.

    Parameters
    ----------
    engine
    node : Node
        Changed by `client`.
    number : int
        Of the node; returned in all that its directory tells.
    client : reference
    options : Options
    """
    lease, timeout = min(options.lease, 3 * options.patience), min(options.connect_timeout, _ATTEMPT)
    engine.hold(node.location)
    while not node.closed:
        if engine.now() - node.heard > options.patience or node.directory is None:
            try:
                client.send(Found(number, (yield engine.start(node.location, 'directory', (client, number, lease),
                                                              timeout))))
                node.heard = engine.now()
            except Unreachable as error:
                node.problem, node.failed = str(error), True
        if not node.closed:
            yield coro.receive(timeout=_PAUSE, alarm_value=None)
    engine.release(node.location)
    return True


def say_goodbye(engine, nodes, coro):
    """Tell the directories that nobody listens any more, all at the same time."""
    left = [node for node in nodes if node.directory is not None]
    for node in nodes:
        node.closed = True
        if node.seeker is not None:
            node.seeker.send(True)
    for node in left:
        engine.spawn(_part_from, node, left)
    end = engine.now() + _GOODBYE
    while left and engine.now() < end:
        yield coro.sleep(0.01)
    return True


def _part_from(engine, node, left, coro=None):
    yield node.directory.deliver(Goodbye(), timeout=_GOODBYE)
    left.remove(node)
    return True
