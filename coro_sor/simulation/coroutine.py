"""Coroutines as asyncoro runs them: a stack of generators, a mailbox, and references that reach them from anywhere."""
from __future__ import annotations

import collections
import dataclasses
import inspect
import types

__all__ = ['Coroutine', 'Location', 'Reference', 'Wait']


@dataclasses.dataclass(frozen=True)
class Location:
    """Where a process listens.

    Attributes
    ----------
    addr : str
    port : int
    """

    addr: str
    port: int


class _NoValue:
    """What ``yield sub()`` gives when ``sub`` ended without a value: asyncoro gives any earlier one."""

    def _refuse(self, *others):
        raise AssertionError('a called generator ended without a value where its caller uses one')

    __bool__ = __eq__ = __iter__ = __getitem__ = __call__ = _refuse


class Wait:
    """Something that a coroutine yields to be resumed later, with a value.

    Parameters
    ----------
    what : str or (str, float or None)
        For the reader of a deadlock, the pair with a timeout.
    begin : callable
        ``begin(wait)`` is called once the wait is yielded, and sees to it that ``coroutine.wake(wait, ...)`` follows.
    receives : bool
        Whether a message ends it.

    Attributes
    ----------
    timer : list or None
        The event that ends it if nothing else does.
    """

    __slots__ = ('what', 'begin', 'receives', 'timer')

    def __init__(self, what, begin, receives=False):
        self.what, self.begin, self.receives, self.timer = what, begin, receives, None

    def __str__(self):
        if isinstance(self.what, str):
            return self.what
        what, timeout = self.what
        return what if timeout is None else '%s or %g s' % (what, timeout)


class Reference:
    """Names a coroutine; messages carry it.

    The hash is the id's: the order of a set of references must not depend on the interpreter's hash seed.
    """

    __slots__ = ('_simulation', '_location', 'name', 'id')

    def __init__(self, simulation, location, name, id_):
        self._simulation, self._location, self.name, self.id = simulation, location, name, id_

    @property
    def location(self):
        return Location(*self._location)

    @property
    def home(self):
        """(address, port) of the process that the coroutine lives in."""
        return self._location

    def plain(self):
        """The bare reference, as messages carry it."""
        return Reference(self._simulation, self._location, self.name, self.id)

    def send(self, message):
        """Queue a message: 0, or -1 where the coroutine or its process is not known here."""
        running = self._simulation.running
        return -1 if running is None else running.engine.send(self, message)

    def deliver(self, message, timeout=None):
        """To be yielded: 1 when the message is in the mailbox; 0 or negative when that is not known."""
        return self._simulation.running.engine.deliver(self, message, timeout)

    def __eq__(self, other):
        return isinstance(other, Reference) and (self.id, self._location) == (other.id, other._location)

    def __hash__(self):
        return hash(self.id)

    def __str__(self):
        return '%s#%d' % (self.name, self.id)

    def __repr__(self):
        return '%s#%d@%s:%d' % (self.name, self.id, *self._location)


class Coroutine(Reference):
    """A running actor; what the actor itself gets as ``coro``.

    Attributes
    ----------
    engine : SimulatedEngine
    mailbox : collections.deque
    wait : Wait or None
        What it waits for; None while it waits for its turn only.
    finished : bool
    value : object
        What the actor returned.
    """

    __slots__ = ('engine', 'mailbox', 'wait', 'finished', 'value', '_stack')

    def __init__(self, engine, id_, actor, args):
        if not inspect.isgeneratorfunction(actor):
            raise TypeError('%r is not a generator function' % actor)
        super().__init__(engine.simulation, engine.location, actor.__name__, id_)
        self.engine = engine
        self.mailbox = collections.deque()
        self.wait, self.finished, self.value = None, False, None
        self._stack = [actor(engine, *args, coro=self)]
        self._proceed()

    # -- for the actor itself

    def receive(self, timeout=None, alarm_value=None):
        """To be yielded: the oldest message; `alarm_value` after `timeout` seconds without one (0: at once)."""
        return self._pause('a message', timeout, alarm_value, receives=True)

    def sleep(self, timeout=None, alarm_value=None):
        """To be yielded: `alarm_value` after `timeout` seconds, however many messages arrive."""
        return self._pause('the end of a sleep', timeout, alarm_value)

    def _pause(self, what, timeout, alarm_value, receives=False):
        if self._simulation.running is not self:
            raise RuntimeError('only %s itself can wait for %s' % (self, what))
        if timeout is not None and not isinstance(timeout, (int, float)):
            raise TypeError('a timeout is a number of seconds or None, not %r' % (timeout,))

        def begin(wait):
            if receives and self.mailbox:
                self.wake(wait, self.mailbox.popleft())
            elif timeout is not None:
                if timeout <= 0:
                    self.wake(wait, alarm_value)
                else:
                    wait.timer = self._simulation.push(self.engine, timeout, self.wake, wait, alarm_value)
        return Wait((what, timeout), begin, receives)

    # -- for the simulation

    def put(self, message):
        """Take a message in: into the hands of a waiting ``receive``, or into the mailbox."""
        if self.wait is not None and self.wait.receives:
            self.wake(self.wait, message)
        else:
            self.mailbox.append(message)

    def wake(self, wait, value, error=None):
        """Resume with a value or an exception, unless `wait` is over already."""
        if self.wait is wait:
            self.wait = None
            if wait.timer is not None:
                self._simulation.cancel(wait.timer)
            self._proceed(value, error)

    def _proceed(self, value=None, error=None):
        self._simulation.push(self.engine, self._simulation.a_round(), self._step, value, error)

    def _step(self, value, error):
        self._simulation.running = self
        try:
            generator = self._stack[-1]
            yielded = generator.send(value) if error is None else generator.throw(error)
        except StopIteration as stop:
            self._returned(stop.value)
        except Exception as raised:      # whatever an actor raises goes to its caller, or ends the run
            self._raised(raised)
        else:
            self._yielded(yielded)
        finally:
            self._simulation.running = None

    def _yielded(self, yielded):
        if isinstance(yielded, Wait):
            self.wait = yielded
            yielded.begin(yielded)
        elif isinstance(yielded, types.GeneratorType):
            self._stack.append(yielded)
            self._proceed()
        else:
            self._proceed(yielded)

    def _returned(self, value):
        self._stack.pop()
        if self._stack:
            self._proceed(_NoValue() if value is None else value)
        else:
            self.finished, self.value = True, value
            self.engine.ended(self, 'returns')

    def _raised(self, error):
        self._stack.pop()
        if self._stack:
            self._proceed(error=error)
        else:
            self.finished = True
            self._simulation.failure = self._simulation.failure or error
            self.engine.ended(self, 'fails with %s' % type(error).__name__)
