"""The virtual clock: which event comes next, and how a run ends."""
from __future__ import annotations

import collections
import heapq
import itertools
import random

from .engine import SimulatedEngine
from .network import Network

__all__ = ['Deadlock', 'Simulation', 'TimeLimit']

ROUND = 2e-5             # seconds that a coroutine waits for its turn, about: one round of asyncoro's scheduler
COST = 1e-4              # seconds that a computation takes unless a cost model says otherwise


class Deadlock(AssertionError):
    """Nothing can happen any more, and the actor that was run has not returned."""


class TimeLimit(AssertionError):
    """The actor that was run has not returned within its virtual time."""


class Simulation:
    """Machines, their coroutines and the network between them, driven by one seed.

    Parameters
    ----------
    seed : int or str
        Decides every delay, fault, and order of simultaneous events.
    network : Network, optional
        Delays and faults between machines; the attribute may be replaced while the simulation runs.
    cost : callable, optional
        ``cost(function, args)`` gives the seconds that ``engine.compute(function, *args)`` takes on a machine of
        speed 1. Without it they are 0.5e-4 to 2e-4, by seed.
    transcript_length : int or None
        How many of the newest events ``transcript`` keeps; None: all, 0: none, which is faster.
    grain : float, optional
        A sweeper's steps that are computed together are passed over so many virtual seconds at a time, so that what
        arrives meanwhile is used; without it all of them in one instant.

    Attributes
    ----------
    now : float
        Virtual seconds since the beginning.
    transcript : collections.deque of (float, str, str)
        Time, machine and what happened there, oldest first.
    networks : dict of (str, str) to Network
        What lies between two addresses, where it is not `network`.
    hosts : set of str
        Addresses that resolve, whether or not a process listens there.
    watch : callable or None
        ``watch(machine)`` is called after each event of a process; what it raises ends the run.
    """

    def __init__(self, seed, network=None, cost=None, transcript_length=10_000, grain=None):
        self.random = random.Random(seed)
        self.network = Network() if network is None else network
        self.networks, self.hosts = {}, set()
        self.now, self.grain = 0.0, grain
        self.transcript, self.telling = collections.deque(maxlen=transcript_length), transcript_length != 0
        self.machines, self.memory = {}, []
        self.watch = None
        self._sides, self._held, self._cancelled = {}, [], 0
        self.running = None
        self.failure = None
        self._cost = cost
        self._events = []
        self._counter = itertools.count()
        self._ids, self._ports = itertools.count(1), itertools.count(5001)

    # -- the world

    def machine(self, name, speed=1.0, port=None):
        """A new process at address `name`.

        Parameters
        ----------
        name : str
        speed : float
            Divides the cost of its computations.
        port : int, optional
            By default one that no other had. A process that listened there before must have crashed.
        """
        engine = SimulatedEngine(self, (name, next(self._ports) if port is None else port), speed)
        self.machines[engine.location] = engine
        self.hosts.add(name)
        return engine

    def at(self, time, function):
        """Call ``function()`` at virtual second `time`: for faults, not for actors."""
        self.push(None, time - self.now, function)

    def crash(self, machine, silent=None):
        """End a process without warning, as ``kill -9`` does: no ``finally`` of its actors runs.

        Parameters
        ----------
        machine : SimulatedEngine
        silent : bool, optional
            True: the host is gone, and requests to it time out. False: they are refused. By seed where not given.
        """
        coin = self.random.random() < 0.5
        machine.silent = coin if silent is None else silent
        machine.crashed = True
        self.note(machine, 'crashes' + (' silently' if machine.silent else ''))
        if not machine.silent:
            for other in self.machines.values():
                if not self.apart(machine, other):
                    other.peer_died(machine.location)

    def stall(self, machine, seconds):
        """Let nothing happen on a machine for `seconds` from now, as SIGSTOP does; what is due then comes after."""
        machine.stalled_until = max(machine.stalled_until, self.now + seconds)
        self.note(machine, 'stalls for %g s' % seconds)

    def part(self, addresses):
        """Cut these addresses off from all others, but not from each other; what was cut off before stays so."""
        side = len(self._sides) + 1
        self._sides.update(dict.fromkeys(addresses, side))

    def heal(self):
        """Let all reach each other again: what senders still wait for goes on its way."""
        self._sides, held, self._held = {}, self._held, []
        for action in held:
            action()

    def apart(self, one, other):
        """Whether a partition lies between two processes."""
        return bool(self._sides) and self._sides.get(one.location[0]) != self._sides.get(other.location[0])

    def hold(self, action):
        """Call ``action()`` once the partition heals."""
        self._held.append(action)

    def between(self, one, other):
        """The `Network` between two processes."""
        return self.networks.get((one.location[0], other.location[0]), self.network) if self.networks else self.network

    # -- the clock

    def run(self, machine, actor, *args, until=3600.0):
        """Run ``actor(machine, *args, coro=...)`` there until it returns.

        Parameters
        ----------
        machine : SimulatedEngine
        actor : generator function
        until : float
            Virtual second (of ``now``) at which to give up.

        Returns
        -------
        object
            What the actor returned. The other coroutines stay as they are; another run goes on with them.

        Raises
        ------
        Deadlock, TimeLimit
            With a line for every coroutine and what it waits for.
        Exception
            The first exception that left any actor.
        """
        main = machine.spawn(actor, *args)
        while not main.finished:
            due = self._due()
            if due is None:
                raise Deadlock('nothing can happen any more at %.6f s\n%s' % (self.now, self.waiting()))
            if due > until:
                raise TimeLimit('not done at %g s\n%s' % (until, self.waiting()))
            self._next()
            if self.failure is not None:
                failure, self.failure = self.failure, None
                raise failure
        return main.value

    def _due(self):
        """When the next event is due; None where there is none."""
        events = self._events
        while events and events[0][4] is None:
            heapq.heappop(events)
            self._cancelled -= 1
        return events[0][0] if events else None

    def _next(self):
        event = heapq.heappop(self._events)
        self.now, _, _, machine, action, args = event
        event[4] = None
        if machine is None:
            action(*args)
            return
        if machine.crashed:
            return
        if machine.stalled_until > self.now:
            # An equal, lowest tie keeps the order in which the delayed events were due.
            self.push(machine, machine.stalled_until - self.now, action, *args, tie=0.0)
            return
        action(*args)
        if self.watch is not None:
            self.watch(machine)

    def push(self, machine, delay, action, *args, tie=None):
        """Call ``action(*args)`` on `machine` (None: nowhere in particular) in `delay` seconds.

        Returns
        -------
        list
            For `cancel`.
        """
        event = [self.now + (delay if delay > 0.0 else 0.0), self.random.random() if tie is None else tie,
                 next(self._counter), machine, action, args]
        heapq.heappush(self._events, event)
        return event

    def cancel(self, event):
        """Let an event not happen; nothing changes where it has happened."""
        if event[4] is None:
            return
        event[4] = event[5] = None
        self._cancelled += 1
        if self._cancelled > 1000 and 2 * self._cancelled > len(self._events):
            self._events = [event for event in self._events if event[4] is not None]
            heapq.heapify(self._events)
            self._cancelled = 0

    def a_round(self):
        """Seconds until a coroutine's next turn."""
        return ROUND * self.random.uniform(0.5, 2.0)

    def cost(self, function, args):
        """Seconds that ``function(*args)`` takes on a machine of speed 1."""
        if self._cost is not None:
            return self._cost(function, args)
        steps = len(args[0]) if args and isinstance(args[0], list) else 1      # a list is that of a sweeper's panels
        return COST * steps * self.random.uniform(0.5, 2.0)

    def new_id(self):
        return next(self._ids)

    # -- what is told

    def note(self, machine, what):
        """Write to the transcript; where that is long to tell, ask `telling` first."""
        self.transcript.append((self.now, '%s:%d' % machine.location, what))

    def waiting(self):
        """One line a coroutine that has not ended: where it is, what it waits for, how many messages are unread."""
        return '\n'.join('%s:%d %s waits for %s, %d unread' % (*machine.location, coroutine,
                                                              coroutine.wait or 'its turn', len(coroutine.mailbox))
                         for machine in self.machines.values() if not machine.crashed
                         for coroutine in machine.coroutines.values())
