"""What lies between machines: delays, faults, and one queue a peer with one request in flight."""
from __future__ import annotations

import collections
import dataclasses
import math
import random

from .wire import encoded, label, size_of

__all__ = ['Link', 'Network', 'Request']


@dataclasses.dataclass(frozen=True)
class Network:
    """Delays in seconds and probabilities that hold for each request; by default there are no faults.

    Attributes
    ----------
    delay : float
        The least time one way.
    jitter : float
        Mean of the exponentially distributed part of the delay, in units of `delay`.
    spread : float
        Instead of that: standard deviation of the logarithm of the delay, whose median then is `delay`.
    bandwidth : float
        Bytes a second from one process to another; the next request waits until the one before has passed.
    lost : float
        The request does not arrive and is answered -1.
    reply_lost : float
        It arrives; the answer is -1, soon or after `stall`.
    late : float
        It arrives up to `late_by` seconds after its timeout; where that is after `stall`, newer ones may overtake it.
    late_by : float
        Seconds.
    duplicated : float
        A message arrives a second time, up to `late_by` seconds after the first.
    stall : float
        Seconds after which a request without an answer is given up (-1) and the next one leaves the queue.
    """

    delay: float = 3e-4
    jitter: float = 0.5
    spread: float = 0.0
    bandwidth: float = math.inf
    lost: float = 0.0
    reply_lost: float = 0.0
    late: float = 0.0
    late_by: float = 1.0
    duplicated: float = 0.0
    stall: float = 10.0

    @classmethod
    def faulty(cls, seed):
        """A network of which anything may be wrong, and how much, by seed."""
        draw = random.Random('network %s' % seed)
        return cls(delay=10 ** draw.uniform(-4.5, -2), jitter=draw.uniform(0, 3), lost=draw.uniform(0, 0.1),
                   reply_lost=draw.uniform(0, 0.1), late=draw.uniform(0, 0.1), late_by=10 ** draw.uniform(-2, 1),
                   stall=10 ** draw.uniform(-1, 1), duplicated=draw.uniform(0, 0.1))

    def seconds(self, draw):
        """A delay, one way."""
        if self.spread:
            return self.delay * draw.lognormvariate(0.0, self.spread)
        return self.delay * (1 + self.jitter * draw.expovariate(1.0))

    def fate(self, draw):
        """What becomes of a request: 'lost', 'reply_lost', 'late' or 'delivered'."""
        number = draw.random()
        for name in ('lost', 'reply_lost', 'late'):
            number -= getattr(self, name)
            if number < 0:
                return name
        return 'delivered'


class Request:
    """What one process asks of another.

    Parameters
    ----------
    what : str
        For the transcript.
    payload : object
        What is encoded.
    arrive : callable
        ``arrive(engine, payload)`` is called at the destination and gives the answer.
    answer : callable, optional
        ``answer(value)`` is called at the sender: the answer, or -1 when it failed.
    timeout : float, optional
        Seconds that the sender waits for the answer.

    Attributes
    ----------
    void : bool
        Nobody waits for it any more: it is not sent if it is queued still.
    given_up : list or None
        The event that ends it without an answer.
    """

    __slots__ = ('what', 'payload', 'arrive', 'answer', 'timeout', 'void', 'given_up')

    def __init__(self, what, payload, arrive, answer=None, timeout=0.0):
        self.what, self.payload, self.arrive, self.answer, self.timeout = what, payload, arrive, answer, timeout
        self.void, self.given_up = False, None


class Link:
    """The requests of one process to one peer, first in, first out, one in flight.

    Parameters
    ----------
    source : SimulatedEngine
    location : (str, int)
        Where the peer listens, or whoever succeeds it there.
    """

    def __init__(self, source, location):
        self._source, self._location = source, location
        self._simulation = source.simulation
        self._queue = collections.deque()
        self._current = None

    def add(self, request):
        """Queue a request; it is encoded when its turn comes, so a later change of its payload is sent."""
        self._queue.append(request)
        self._forward()

    def __len__(self):
        return len(self._queue) + (self._current is not None)

    @property
    def idle(self):
        """Whether nothing is queued or in flight."""
        return self._current is None and not self._queue

    def close(self):
        """Answer -1 to all that is queued or in flight; what is in flight may still arrive."""
        requests, self._current = [self._current, *self._queue], None
        self._queue.clear()
        for request in requests:
            if request is not None and request.answer is not None:
                request.answer(-1)

    def fail(self):
        """Let the request in flight end with -1: the destination has closed the connection."""
        if self._current is not None:
            self._back(self._current, -1, self._simulation.machines[self._location])

    def _forward(self):
        if self._current is None and self._queue:
            self._current = self._queue.popleft()
            self._simulation.push(self._source, self._simulation.a_round(), self._leave, self._current)

    def _leave(self, request):
        if request.void:
            self._finish(request, 0)
        if self._current is not request:
            return
        simulation = self._simulation
        there, draw = simulation.machines[self._location], simulation.random
        network = simulation.between(self._source, there)
        payload, fate = encoded(request.payload), network.fate(draw)
        self._tell(self._source, request, payload, 'to %s:%d', self._location, fate)
        request.given_up = simulation.push(self._source, network.stall, self._finish, request, -1)
        if fate == 'lost' or there.crashed and not there.silent:
            self._back(request, -1, there)
            return
        delay, silent = network.seconds(draw), False
        if network.bandwidth < math.inf:
            delay += size_of(payload) / network.bandwidth
        if fate == 'late':
            delay += (request.timeout or 0.0) + network.late_by * draw.random()
        elif fate == 'reply_lost':
            silent = draw.random() < 0.5
        if network.duplicated and request.what != 'start' and draw.random() < network.duplicated:
            simulation.push(there, delay + network.late_by * draw.random(), self._arrive_again, request, payload, there)
        simulation.push(there, delay, self._arrive, request, payload, there, fate == 'reply_lost', silent)

    def _arrive(self, request, payload, there, reply_lost, silent):
        if self._simulation.apart(self._source, there):
            # What TCP repeats meanwhile comes through when the partition heals, if the sender still waits.
            self._simulation.hold(lambda: self._healed(request, payload, there, reply_lost, silent))
            return
        self._tell(there, request, payload, 'from %s:%d', self._source.location, 'arrived')
        answer = request.arrive(there, payload)
        if not silent:
            self._back(request, -1 if reply_lost else answer, there)

    def _healed(self, request, payload, there, *how):
        if self._current is request:
            delay = self._simulation.between(self._source, there).seconds(self._simulation.random)
            self._simulation.push(there, delay, self._arrive, request, payload, there, *how)

    def _arrive_again(self, request, payload, there):
        if not self._simulation.apart(self._source, there):
            self._tell(there, request, payload, 'from %s:%d', self._source.location, 'arrived again')
            request.arrive(there, payload)

    def _back(self, request, answer, there):
        simulation = self._simulation
        if simulation.apart(self._source, there):
            simulation.hold(lambda: self._back(request, answer, there))
            return
        delay = simulation.between(there, self._source).seconds(simulation.random)
        simulation.push(self._source, delay, self._finish, request, answer)

    def _finish(self, request, answer):
        if self._current is request:
            self._current = None
            if request.given_up is not None:
                self._simulation.cancel(request.given_up)
            if request.answer is not None:
                request.answer(answer)
            self._forward()

    def _tell(self, engine, request, payload, where, whom, what):
        if self._simulation.telling:
            self._simulation.note(engine, '%s %s %s: %s' % (request.what, where % whom, label(payload), what))
