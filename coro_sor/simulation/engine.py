"""The engine interface of one simulated process."""
from __future__ import annotations

import numpy as np

from ..peers import PeerHolds, pair
from ..solution import Unreachable
from .coroutine import Coroutine, Reference, Wait
from .network import Link, Request
from .pool import Pool
from .wire import check

__all__ = ['SimulatedEngine']

ASK_AGAIN = 0.05         # seconds until a peer is asked again for an actor that it does not serve yet


class Segment:
    """Shared memory of one machine."""

    lock = None

    def __init__(self, engine, words):
        self.array = np.zeros(words)
        self._memory = engine.simulation.memory
        self.name = engine.location[0], len(self._memory)
        self._memory.append(self.array)

    def close(self):
        """Let nobody else in."""
        self._memory[self.name[1]] = None


class SimulatedEngine(PeerHolds):
    """A process on a virtual machine, as its actors see it; made by ``Simulation.machine``.

    Attributes
    ----------
    location : (str, int)
        Address and port.
    """

    def __init__(self, simulation, location, speed):
        self.simulation, self.location = simulation, location
        self.crashed = self.silent = False
        self.stalled_until = 0.0
        self.coroutines = {}
        # Processes start their clocks anywhere: times of two of them must not be compared.
        self._clock = simulation.random.uniform(0.0, 1000.0)
        self._pool = Pool(self, speed)
        self._served, self._links = {}, {}

    # -- for actors

    def now(self):
        """Seconds on this process's own clock."""
        return self._clock + self.simulation.now

    def spawn(self, actor, *args):
        """Start ``actor(engine, *args, coro=...)`` here and return its reference."""
        coroutine = Coroutine(self, self.simulation.new_id(), actor, args)
        self.coroutines[coroutine.id] = coroutine
        if self.simulation.telling:
            self.simulation.note(self, 'spawn %s' % coroutine)
        return coroutine

    def serve(self, name, actor):
        """Let other processes start `actor` here by `name`; once a name."""
        if name in self._served:
            raise ValueError('%r is served already' % name)
        self._served[name] = actor

    def compute(self, function, *args):
        """To be yielded: the value of ``function(*args)``, or its exception; True where it returns None.

        It runs at the beginning or at the end of its interval, by seed; what else happens here goes on meanwhile.
        """
        return self._pool.compute(function, *args)

    def make_pool(self):
        """Another thread that computes, until its ``close``."""
        return Pool(self, self._pool.speed)

    def publish(self, words):
        """Memory that other processes at the same address can `attach`."""
        return Segment(self, words)

    def attach(self, name, words):
        """What a process at the same address published by this name and did not close; None if there is no such."""
        address, number = name
        array = self.simulation.memory[number] if address == self.location[0] else None
        if array is None or len(array) != words:
            return None
        array = array.view()
        array.flags.writeable = False
        return array

    def until(self, condition, seconds):
        """For functions that `compute` runs: here they are over in an instant, and nothing changes meanwhile."""

    def connect(self, location, timeout):
        """To be yielded: whether the process at `location` answered just now; then both know each other.

        Raises
        ------
        Unreachable
            There is no host of that name.
        """
        location, coroutine = pair(location), self.simulation.running

        def begin(wait):
            if location[0] in self.simulation.hosts:
                self._greet(wait, coroutine, self.simulation.machines.get(location), timeout)
            else:
                coroutine.wake(wait, None, Unreachable('the host name %r does not resolve' % location[0]))
        return Wait('a connection to %s:%d' % location, begin)

    def _greet(self, wait, coroutine, there, timeout):
        simulation = self.simulation
        push, draw = simulation.push, simulation.random
        network = simulation.network if there is None else simulation.between(self, there)

        def accept():
            if not simulation.apart(self, there):
                there.meet(self)
                push(self, network.seconds(draw), met)

        def met():
            if not simulation.apart(self, there):
                self.meet(there)
                coroutine.wake(wait, True)
        wait.timer = push(self, timeout, coroutine.wake, wait, False)
        if there is None or network.fate(draw) == 'lost' or there.crashed and not there.silent:
            push(self, 2 * network.seconds(draw), coroutine.wake, wait, False)
        else:
            push(there, network.seconds(draw), accept)

    def disconnect(self, location):
        """Forget a peer and all that is queued for it."""
        link = self._links.pop(pair(location), None)
        if link is not None:
            link.close()

    def idle(self, location):
        """Whether the process at `location` is this one, or known with nothing queued or in flight for it."""
        link = self._links.get(pair(location))
        return pair(location) == self.location or link is not None and link.idle

    def start(self, location, name, args, timeout):
        """To be yielded: the reference of the actor served as `name` at `location`, started there.

        Raises
        ------
        Unreachable
            There was no answer within `timeout` seconds, or the request failed; the actor may run all the same.
        """
        location, coroutine, deadline = pair(location), self.simulation.running, self.now() + timeout
        check(args)
        if not (yield self.connect(location, timeout)):
            raise Unreachable('no answer from %s:%d within %g s' % (*location, timeout))
        while self.now() < deadline:
            answer = yield self._request('start', location, (name, tuple(args)), SimulatedEngine.started,
                                         deadline - self.now())
            if isinstance(answer, Reference):
                return answer
            if answer != 'not served':
                raise Unreachable('%s:%d did not answer a request to start %s' % (*location, name))
            yield coroutine.sleep(ASK_AGAIN)
        raise Unreachable('%s:%d does not serve %s' % (*location, name))

    # -- for references

    def send(self, reference, message):
        """``reference.send(message)`` in this process."""
        if reference.home == self.location:
            return self._put(reference.id, message)
        check(message)
        link = self._links.get(reference.home)
        if link is None:
            return -1
        link.add(Request('send', (reference.id, message), SimulatedEngine.delivered))
        return 0

    def deliver(self, reference, message, timeout):
        """``reference.deliver(message, timeout)`` in this process."""
        if reference.home != self.location:
            check(message)
            return self._request('deliver', reference.home, (reference.id, message), SimulatedEngine.delivered, timeout)
        coroutine = self.simulation.running
        return Wait('a delivery', lambda wait: coroutine.wake(wait, self._put(reference.id, message) or 1))

    def _request(self, what, location, payload, arrive, timeout):
        coroutine = self.simulation.running

        def begin(wait):
            link = self._links.get(location)
            if link is None:
                coroutine.wake(wait, -1)
                return
            request = Request(what, payload, arrive, lambda answer: coroutine.wake(wait, answer), timeout)
            if timeout is not None:
                wait.timer = self.simulation.push(self, timeout, expire, wait, request)
            link.add(request)

        def expire(wait, request):
            request.void = what == 'deliver'
            coroutine.wake(wait, 0)
        return Wait('the answer of %s:%d to %s' % (*location, what), begin)

    # -- for the simulation

    def delivered(self, payload):
        """A message has arrived for one of the coroutines here: 1, or -1 if there is no such."""
        return self._put(*payload) or 1

    def started(self, payload):
        """A request to start a served actor has arrived: its reference, or 'not served'."""
        name, args = payload
        return self.spawn(self._served[name], *args).plain() if name in self._served else 'not served'

    def _put(self, id_, message):
        coroutine = self.coroutines.get(id_)
        if coroutine is None:
            return -1
        coroutine.put(message)
        return 0

    def meet(self, other):
        """Know another process from now on."""
        if other.location not in self._links:
            self._links[other.location] = Link(self, other.location)

    def peer_died(self, location):
        """The process at `location` has closed its connections."""
        if location in self._links:
            self._links[location].fail()

    def ended(self, coroutine, how):
        """A coroutine is over; its id is never used again."""
        if self.simulation.telling:
            self.simulation.note(self, '%s %s' % (coroutine, how))
        del self.coroutines[coroutine.id]
