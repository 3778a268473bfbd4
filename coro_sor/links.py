"""What one actor has to send to another: one message in flight, requests repeated until answered."""
from __future__ import annotations

import collections
import itertools

__all__ = ['Link']

_PAUSE = (0.05, 1.0)    # seconds to wait after a delivery failed, doubled up to the second
_ATTEMPT = 5.0          # seconds that one attempt to connect may take


class Link:
    """The way to one other actor.

    A message told is delivered at least once while the other lives. A request asked is also repeated until
    `answered`. A producer is asked for a message only when the way is free, so that what it gives is the newest.

    Parameters
    ----------
    engine
        Engine to spawn the sender on.
    reference
        The other actor.
    retry : float
        Seconds after which an unanswered request is repeated, doubled up to five times that.
    timeout : float
        Seconds that one message may take.
    produce : callable, optional
        ``produce()`` gives None or (message, settle); ``settle(delivered)`` is called when it is known.
    connected : bool
        Whether the other's process is known here; else it is made known first, however long that takes.

    Attributes
    ----------
    messages : int
        Messages delivered.
    connected : bool
        Whether the other's process has answered.
    """

    _numbers = itertools.count(1)

    def __init__(self, engine, reference, retry, timeout, produce=None, connected=True):
        self.reference, self.connected = reference, connected
        self.messages = 0
        self.closed = False
        self._engine, self._retry, self._timeout, self._produce = engine, retry, timeout, produce
        self._queue = collections.deque()
        self._newest = {}
        self._asked = {}
        self._idle = False
        self._sender = engine.spawn(_send_all, self)

    @classmethod
    def number(cls):
        """A number for a new request, unique in this process."""
        return next(cls._numbers)

    def tell(self, message):
        """Deliver a message."""
        self._queue.append(message)
        self.wake()

    def tell_newest(self, message):
        """Deliver a message instead of one of its class that is still waiting."""
        self._newest[type(message)] = message
        self.wake()

    def ask(self, message):
        """Deliver a request, again and again until `answered`."""
        self._asked[message.request] = [message, 0.0, self._retry]
        self.wake()

    def asked(self, request):
        """The request's message that was asked by a number and waits for its answer; None where nothing does."""
        asked = self._asked.get(request)
        return asked and asked[0]

    def answered(self, request):
        """Note an answer; returns the request's message, None where nothing (any more) was asked by that number."""
        asked = self._asked.pop(request, None)
        return asked and asked[0]

    def forget(self, kind):
        """Stop repeating requests of a class."""
        for number in [number for number, asked in self._asked.items() if isinstance(asked[0], kind)]:
            del self._asked[number]

    def free(self):
        """Whether nothing is on its way, so that what is sent now goes at once."""
        return self._idle and not self._asked and self._engine.idle(self.reference.location)

    def send(self, message):
        """Send without hearing whether it arrived, which costs half as much as to tell; for what will be sent anew."""
        self.messages += 1
        self.reference.send(message)

    def close(self):
        """Send nothing more; the sender ends."""
        self.closed = True
        self._queue.clear()
        self._newest.clear()
        self._asked.clear()
        self.wake()

    def wake(self):
        """Let the sender look for work."""
        if self._idle:
            self._idle = False
            self._sender.send(True)

    def poke(self):
        """As `wake`, from another thread: never lost, and harmless where there is no work."""
        self._sender.send(True)

    def _next(self, now):
        """(message, settle) of what to send now, or None."""
        if self._queue:
            return self._queue[0], self._settle_told
        for kind in self._newest:
            message = self._newest.pop(kind)
            return message, lambda delivered: delivered or self._newest.setdefault(kind, message)
        for asked in self._asked.values():
            if asked[1] <= now:
                return asked[0], lambda delivered: self._settle_asked(asked, delivered)
        return self._produce and self._produce()

    def _settle_told(self, delivered):
        if delivered and self._queue:
            self._queue.popleft()

    def _settle_asked(self, asked, delivered):
        # The time to answer counts from the delivery: on a slow link that alone may take seconds.
        asked[1] = self._engine.now() + (asked[2] if delivered else 0.0)
        asked[2] = min(2 * asked[2], 5 * self._retry)

    def _pause(self, now):
        """Seconds until something is due; None where only `wake` brings work."""
        due = [asked[1] for asked in self._asked.values()]
        return max(min(due) - now, 0.001) if due else None


def _send_all(engine, link, coro=None):
    pause = _PAUSE[0]
    while not (link.connected or link.closed):
        link.connected = yield engine.connect(link.reference.location, _ATTEMPT)
        if not link.connected:
            yield coro.sleep(pause)
            pause = min(2 * pause, _PAUSE[1])
    while not link.closed:
        found = link._next(engine.now())
        if not found:
            link._idle = True
            yield coro.receive(timeout=link._pause(engine.now()), alarm_value=False)
            link._idle = False
            continue
        message, settle = found
        delivered = (yield link.reference.deliver(message, timeout=link._timeout)) == 1
        settle(delivered)
        if delivered:
            link.messages += 1
            pause = _PAUSE[0]
        else:
            yield coro.sleep(pause)
            pause = min(2 * pause, _PAUSE[1])
    return True
