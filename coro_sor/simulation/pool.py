"""The one thread of a simulated process that computes while its coroutines go on."""
from __future__ import annotations

import collections

from .coroutine import Wait

__all__ = ['Pool']


class Pool:
    """Computations of one process, first in, first out, one at a time.

    Parameters
    ----------
    engine : SimulatedEngine
    speed : float
        Divides the cost of every computation.
    """

    def __init__(self, engine, speed):
        self._engine, self._simulation, self._speed = engine, engine.simulation, speed
        self._queue = collections.deque()
        self._busy = False

    def compute(self, function, args):
        """To be yielded: the value of ``function(*args)``, or its exception; True where it returns None."""
        coroutine = self._simulation.running
        name = getattr(function, '__name__', type(function).__name__)

        def begin(wait):
            self._queue.append((coroutine, wait, function, args))
            self._next()
        return Wait('the value of %s' % name, begin)

    def _next(self):
        if self._busy or not self._queue:
            return
        self._busy = True
        coroutine, wait, function, args = self._queue.popleft()
        seconds = self._simulation.cost(function, args) / self._speed
        # What others see of a computation meanwhile is anything between nothing and all of it: one of both, by seed.
        outcome = self._outcome(coroutine, function, args) if self._simulation.random.random() < 0.5 else None
        self._simulation.push(self._engine, seconds, self._end, coroutine, wait, function, args, outcome)

    def _end(self, coroutine, wait, function, args, outcome):
        value, error = outcome or self._outcome(coroutine, function, args)
        self._simulation.note(self._engine, '%s has %s' % (coroutine, wait))
        coroutine.wake(wait, value, error)
        self._busy = False
        self._next()

    def _outcome(self, coroutine, function, args):
        # What the function sends, this process sends.
        running, self._simulation.running = self._simulation.running, coroutine
        try:
            return _outcome(function, args)
        finally:
            self._simulation.running = running


def _outcome(function, args):
    try:
        value = function(*args)
    except StopIteration as stop:       # thrown into a coroutine it would look like that coroutine's own end
        return None, RuntimeError('%r raised %r' % (function, stop))
    except Exception as error:   # raised again where the actor waits for the value
        return None, error
    return True if value is None else value, None
