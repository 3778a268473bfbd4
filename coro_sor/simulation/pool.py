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
        self._engine, self._simulation, self.speed = engine, engine.simulation, speed
        self._queue = collections.deque()
        self._busy = False

    def compute(self, function, *args):
        """To be yielded: the value of ``function(*args)``, or its exception; True where it returns None."""
        coroutine = self._simulation.running
        name = getattr(function, '__name__', type(function).__name__)

        def begin(wait):
            self._queue.append((coroutine, wait, function, args))
            self._next()
        return Wait('the value of %s' % name, begin)

    def close(self):
        """Here nothing is left behind."""

    def _next(self):
        if self._busy or not self._queue:
            return
        self._busy = True
        coroutine, wait, function, args = self._queue.popleft()
        if self._simulation.grain and args and isinstance(args[0], list):
            self._begin_steps(coroutine, wait, function, args)
            return
        seconds = self._simulation.cost(function, args) / self.speed
        # What others see of a computation meanwhile is anything between nothing and all of it: one of both, by seed.
        outcome = self._outcome(coroutine, function, args) if self._simulation.random.random() < 0.5 else None
        self._simulation.push(self._engine, seconds, self._end, coroutine, wait, function, args, outcome)

    def _end(self, coroutine, wait, function, args, outcome):
        self._give(coroutine, wait, *(outcome or self._outcome(coroutine, function, args)))

    def _give(self, coroutine, wait, value, error):
        if self._simulation.telling:
            self._simulation.note(self._engine, '%s has %s' % (coroutine, wait))
        coroutine.wake(wait, value, error)
        self._busy = False
        self._next()

    # -- a sweeper's steps, some at a time

    def _begin_steps(self, coroutine, wait, function, args):
        """``function(steps, ...)`` gives a list with a value for each step that was done."""
        steps, others = args[0], args[1:]
        seconds = self._simulation.cost(function, (steps[:1], *others)) / self.speed
        some = max(1, int(self._simulation.grain / max(seconds, 1e-9)))
        self._plan_steps((coroutine, wait, function, steps, others, seconds, some), [])

    def _plan_steps(self, job, done):
        count = min(job[-1], len(job[3]) - len(done))
        self._simulation.push(self._engine, count * job[-2], self._some_steps, job, done, count)

    def _some_steps(self, job, done, count):
        coroutine, wait, function, steps, others, _, _ = job
        found, error = self._outcome(coroutine, function, (steps[len(done):len(done) + count], *others))
        if error is None:
            done += found
        if error is not None or len(found) < count or len(done) == len(steps):
            self._give(coroutine, wait, done, error)
        else:
            self._plan_steps(job, done)

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
