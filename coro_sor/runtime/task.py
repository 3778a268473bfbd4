"""Actors as asyncoro's coroutines, and waiting for their end."""
from __future__ import annotations

import math
import threading
import time

from ..solution import SolverError
from .compat import log

__all__ = ['Task', 'run_actor']


class Task:
    """An actor that the main thread waits for.

    Attributes
    ----------
    reference : Coro
        The actor's reference, to send it messages.
    """

    def __init__(self):
        self.reference = None
        self._ended = threading.Event()
        self._value = self._error = None

    def wait(self, timeout=None):
        """The actor's return value; raises its exception.

        Only for threads that run no actors. A KeyboardInterrupt leaves it at once; the actor goes on and can be
        waited for again.

        Raises
        ------
        TimeoutError
            It has not ended after `timeout` seconds.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        # In slices, since a signal that comes just before the wait begins is seen only when it ends.
        while not self._ended.wait(max(0.0, min(0.2, end - time.monotonic()))):
            if time.monotonic() >= end:
                raise TimeoutError('the actor has not ended after %g s' % timeout)
        if self._error is not None:
            raise self._error
        return self._value

    def end(self, value=None, error=None):
        """Note how the actor ended and wake who waits."""
        self._value, self._error = value, error
        self._ended.set()


def run_actor(engine, actor, args, task, coro=None):
    """Run an actor so that no exception of it goes unnoticed: to its `task`, else to the log."""
    try:
        value = yield from actor(engine, *args, coro=coro)
    except GeneratorExit:
        if task is not None:
            task.end(error=SolverError('the runtime ended before the actor did'))
        raise
    except BaseException as error:      # the scheduler would swallow any kind
        if task is None:
            log.exception('the actor %s failed', getattr(actor, '__name__', actor))
        else:
            task.end(error=error)
    else:
        if task is not None:
            task.end(value)
    return True
