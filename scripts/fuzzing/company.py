"""Somebody on the network of a whole solve, who knows its id and speaks to everybody; and to a directory alone."""
from __future__ import annotations

import logging
import os
import random
import sys

import numpy as np

from coro_sor.directory import make_directory
from coro_sor.messages import (Answer, Bind, Cancel, Failed, Freeze, MakeRows, Message, Prepare, ReadRows, Report,
                               Resume, Rows, Share, Shown, Slices, Stop, Subscribe, Subscribed, Taken, Vectors)
from coro_sor.node_messages import ChildLost, ChildStarted, Goodbye, NodeInfo
from coro_sor.problem import Problem
from coro_sor.problems import poisson2d, random_dense
from coro_sor.roster import Roster
from coro_sor.simulation import Network, Simulation
from coro_sor.simulation.engine import SimulatedEngine
from coro_sor.simulation.wire import encoded
from coro_sor.solution import Status

from . import mailboxes, mutation

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', '..', 'tests', 'simulation'))

from campaign import World, assert_honest, each_step  # noqa: E402

__all__ = ['Stranger', 'TARGETS']

_ORDERS = (Bind, Freeze, MakeRows, Prepare, ReadRows, Resume, Rows, Stop, Vectors)
_FAR = 10**6        # epochs that no run reaches
_MOST = 400         # messages of one stranger


class Stranger:
    """Hears all messages, and sends them again, to whom they were meant or to others, with fields changed.

    It tells no lie that is well-formed, of its epoch and could be true: whoever speaks for another owner may spoil a
    solve, and who gives orders for the coordinator may end it.

    Parameters
    ----------
    simulation : Simulation
    draw : random.Random
    often : float
        Messages sent for each that was heard, in the mean.

    Attributes
    ----------
    sent : int
    """

    def __init__(self, simulation, draw, often=0.5):
        self._simulation, self._draw, self._often = simulation, draw, often
        self._heard, self._known = [], set()
        self.sent = 0

    def __enter__(self):
        self._delivered = SimulatedEngine.delivered
        stranger = self

        def delivered(engine, payload):
            answer = stranger._delivered(engine, payload)
            stranger._listen(engine, *payload)
            return answer
        SimulatedEngine.delivered = delivered
        return self

    def __exit__(self, *unused):
        SimulatedEngine.delivered = self._delivered

    def _listen(self, engine, number, message):
        draw = self._draw
        self._heard.append((engine, number, message))
        self._known.add((engine, number))
        del self._heard[:-200]
        while self.sent < _MOST and draw.random() < self._often / (1 + self._often):
            self._speak()

    def _speak(self):
        draw = self._draw
        engine, number, message = draw.choice(self._heard)
        whom = draw.choice(sorted(self._known, key=lambda known: (known[0].location, known[1]))) \
            if draw.random() < 0.4 else (engine, number)
        made = self._made(message, whom == (engine, number))
        if made is not self:
            self.sent += 1
            delay = draw.choice((0.0, 1e-4, 1e-2, 0.3))
            made = encoded(made) if isinstance(made, Message) else made
            self._simulation.push(whom[0], delay, whom[0]._put, whom[1], made)

    def _made(self, message, same):
        """What to send; the stranger itself where that would be nothing."""
        draw = self._draw
        if draw.random() < 0.05:
            return draw.choice((None, 3, 'text', Exception('from far'), {1: 2}, [message], np.zeros(2)))
        made = message if same and draw.random() < 0.3 else mailboxes.changed(draw, message)
        return self if made is None or made is not message and _could_be_true(message, made, same) else made


def _could_be_true(message, made, same):
    """Whether a changed message may be taken for what somebody else has said, or ordered."""
    if isinstance(message, Message) and made.solve != message.solve:
        return False
    if isinstance(message, (NodeInfo, ChildLost, ChildStarted)):
        return 0 <= made.request < 100      # nodes
    if isinstance(message, _ORDERS):
        # Under a number that is known it is no order.
        return not same or made.request != message.request
    later = 0 < getattr(made, 'epoch', 0) - getattr(message, 'epoch', 0) < _FAR
    if isinstance(message, (Shown, Share, Subscribe)):
        return later or made.epoch == message.epoch
    if isinstance(message, Slices):
        refused = made.owner != message.owner and made.parts is message.parts
        return later or made.epoch == message.epoch and not refused
    if isinstance(message, Report):
        return later or made.sweeps != message.sweeps or made.owner != message.owner
    if isinstance(message, Answer):
        others = 0 if same or not isinstance(message, (Subscribed, Taken)) else 1
        return 1 - others <= abs(made.request - message.request) < _FAR
    return isinstance(message, (Failed, Cancel))


class Coordinator:
    """A target whose inputs are a system, how it is solved, and the stranger, by a number to draw from."""

    def __init__(self, folder):
        logging.getLogger('coro_sor').setLevel(logging.CRITICAL)

    def make(self, draw):
        return ['coordinator', str(draw.getrandbits(64))]

    def from_bytes(self, data):
        return ['coordinator', data.hex()]

    def try_(self, made):
        draw = random.Random(made[1])
        A = draw.choice([poisson2d(draw.randint(2, 5)), random_dense(draw.randint(5, 20), 1)])
        n = len(A.indptr) - 1 if hasattr(A, 'indptr') else len(A)
        b = np.random.default_rng(1).standard_normal(n)
        workers = draw.randint(1, 3)
        world = World(made[1], workers, cost=each_step(1e-3), nodes=draw.randint(1, workers))
        with Stranger(world.simulation, draw) as stranger:
            record = world.solve(Problem(A, b), rtol=1e-7, schedule=draw.choice(('async', 'sync', 'ordered')),
                                 exchange=draw.choice(('messages', 'shared')), chunk_bytes=4096, max_sweeps=1000)
            world.wait(60.0)
        assert_honest(A, b, record, rtol=1e-7)
        assert record.status is Status.CONVERGED, (record.status, record.failure)
        assert world.left() == [], world.left()
        return stranger.sent > 0


class Directory:
    """A target whose inputs are what is said to a node's directory, by a number to draw from."""

    def __init__(self, folder):
        logging.getLogger('coro_sor').setLevel(logging.CRITICAL)

    def make(self, draw):
        return ['directory', str(draw.getrandbits(64))]

    def from_bytes(self, data):
        return ['directory', data.hex()]

    def try_(self, made):
        draw = random.Random(made[1])
        simulation = Simulation(made[1], Network(), transcript_length=0)
        node, here = simulation.machine('node'), simulation.machine('here')
        roster = Roster('node')
        roster.started(1000, 1)
        node.serve('directory', make_directory(roster))
        return simulation.run(here, self._client, draw, simulation, node, roster)

    @staticmethod
    def _client(engine, draw, simulation, node, roster, coro=None):
        # Somebody asks for it with arguments that make no sense.
        wrong = [coro, 5, 6.0]
        at = draw.randrange(3)
        wrong[at] = mutation.value(draw)
        yield engine.start(node.location, 'directory', tuple(wrong), 60.0)
        yield coro.sleep(0.1)
        while (yield coro.receive(timeout=0, alarm_value=coro)) is not coro:
            pass
        others = len(node.coroutines)
        directory = yield engine.start(node.location, 'directory', (coro, 5, 6.0), 60.0)
        heard = []
        for second in range(12):
            for _ in range(draw.randrange(12)):
                node.coroutines[directory.id].put(draw.choice((
                    None, 1, 'text', Exception('from far'), (1, 2, 3), ['node', 1, 2, 'x'], Prepare('s', 1),
                    NodeInfo(5, 'node', 1, (), 1, '1', 'n'), ChildLost(5, 'node', 1, 1, 'x'))))
            if second == 5:
                node.spawn(_lose, roster)
            yield coro.sleep(1.0)
            while True:
                message = yield coro.receive(timeout=0, alarm_value=None)
                if message is None:
                    break
                if message.request == 5:
                    heard.append(message)
        assert 11 <= sum(isinstance(message, NodeInfo) for message in heard) <= 14, len(heard)
        assert sum(isinstance(message, ChildLost) for message in heard) == 1, heard
        assert (yield directory.deliver(Goodbye(), timeout=1.0)) == 1
        yield coro.sleep(0.1)
        assert directory.id not in node.coroutines and len(node.coroutines) <= others
        return True


def _lose(engine, roster, coro=None):
    roster.lost(1000, 1, 'signal')
    yield coro.sleep(0)


TARGETS = {'coordinator': Coordinator, 'directory': Directory}
