"""The coordinator's mail: requests to owners and their answers, reports, heartbeats, and who has fallen silent."""
from __future__ import annotations

from .links import Link
from .messages import Answer, Cancel, Failed, Heartbeat, Message, Report, Request, Resumed, Stopped
from .node_messages import ChildLost, NodeInfo
from .solution import WorkerFailed

__all__ = ['Cancelled', 'Correspondence']

OWNER_SETTINGS = ('panel_nonzeros', 'exchanges', 'chunk_bytes', 'report_interval', 'patience', 'lease', 'retry',
                  'connect_timeout', 'delivery_timeout', 'max_staleness', 'exchange', 'exchange_every', 'storage',
                  'seed')


class Cancelled(Exception):
    """The user wants an end before iterating has begun."""


class Correspondence:
    """What a coordinator needs to talk with its owners.

    Parameters
    ----------
    engine
    solve : str
        Id of the solve.
    options : Options
    coro
        The coordinator's coroutine.

    Attributes
    ----------
    owners : list of Link
        By number.
    reports : dict of int to Report
        The newest of this epoch, by owner.
    stopped : dict of int to dict
        Statistics of owners that have stopped.
    cancelled : bool
        Whether the user wants an end.
    loading : bool
        Whether there is nothing yet that a cancelled run could return.
    tolerant : bool
        Whether silence and failures are expected.
    """

    def __init__(self, engine, solve, options, coro):
        self.engine, self.solve_id, self.options, self.coro = engine, solve, options, coro
        self.owners, self.places, self.held = [], [], []
        self.reports, self.stopped = {}, {}
        self.cancelled = self.loading = self.tolerant = False
        self.nodes = []
        self._asked, self._answered = [], {}
        self._heard = []
        self._beat = self._awake = engine.now()
        self._epoch = 0

    def settings(self):
        """The options that owners need, for their `Assignment`."""
        return {name: getattr(self.options, name) for name in OWNER_SETTINGS}

    def hold(self, location):
        """Keep the connection to a process until `close_links`; to be called before it is made."""
        self.held.append(location)
        self.engine.hold(location)

    def add_owner(self, reference, place):
        """The next owner."""
        self.owners.append(Link(self.engine, reference, self.options.retry, self.options.delivery_timeout))
        self.places.append(place)
        self._heard.append(self.engine.now())

    # ---- requests

    def ask(self, owner, kind, *content):
        """Ask an owner; returns the request's number."""
        number = self.order(owner, kind, *content)
        self._asked.append(number)
        return number

    def order(self, owner, kind, *content):
        """As `ask`, but `answers` does not wait for it."""
        number = Link.number()
        self.owners[owner].ask(kind(self.solve_id, number, *content))
        return number

    def take_back(self, kind):
        """Repeat requests of this class no more."""
        for link in self.owners:
            link.forget(kind)

    def ask_all(self, kind, *content):
        """Ask every owner the same and wait; the answers in the owners' order."""
        for owner in range(len(self.owners)):
            self.ask(owner, kind, *content)
        return (yield from self.answers())

    def answers(self, deadline=None):
        """Wait for the answers to all that was asked since the last call, in that order.

        Returns
        -------
        list or None
            None where they were not complete after `deadline` seconds; then requests go on being repeated.
        """
        asked, self._asked = self._asked, []
        end = None if deadline is None else self.engine.now() + deadline
        while not all(number in self._answered for number in asked):
            left = None if end is None else end - self.engine.now()
            if left is not None and left <= 0:
                for number in asked:
                    self._answered.pop(number, None)
                return None
            yield from self.hear(0.1 if left is None else min(0.1, left))
        return [self._answered.pop(number) for number in asked]

    def wait_for(self, number):
        """Whether the answer to one request is here."""
        return number in self._answered

    def take_answer(self, number):
        """The answer to one request, which is then forgotten."""
        self._asked.remove(number)
        return self._answered.pop(number)

    def drop_requests(self):
        """Repeat no request any more, and wait for none."""
        self.take_back(Request)
        self._asked.clear()

    def close_links(self):
        """Send nothing more, and forget worker processes that the engine needs no more."""
        for link in self.owners:
            link.close()
        for location in self.held:
            self.engine.release(location)

    # ---- the mailbox

    def hear(self, timeout):
        """Wait for one message at most `timeout` seconds and take it in.

        Raises
        ------
        Cancelled
            While loading.
        WorkerFailed
            An owner failed, was lost, or is silent for longer than the patience.
        """
        message = yield self.coro.receive(timeout=timeout, alarm_value=None)
        if isinstance(message, Cancel):
            self.cancelled = True
            if self.loading:
                raise Cancelled
        elif isinstance(message, Message):
            if message.solve == self.solve_id:
                self._take(message)
        elif isinstance(message, NodeInfo):
            self.nodes[message.request].info = message
        elif isinstance(message, ChildLost) and not self.tolerant:
            self._take_loss(message)
        self._keep_alive()
        return True

    def _take(self, message):
        if 0 <= message.owner < len(self._heard):
            self._heard[message.owner] = self.engine.now()
        if isinstance(message, Answer):
            self._take_answer(message)
        elif isinstance(message, Report) and message.epoch == self._epoch:
            before = self.reports.get(message.owner)
            # One that was late on its way must not hide that its owner has long been waiting.
            if before is None or _progress(message) >= _progress(before):
                self.reports[message.owner] = message
            self.take_report(message)
        elif isinstance(message, Failed) and not self.tolerant:
            place = self.places[message.owner]
            raise WorkerFailed('the worker at %s:%d on node %s, owner of %s, failed: %s' % (
                *place.location, place.node, self.describe(message.owner), message.text), message.traceback)

    def _take_answer(self, message):
        if isinstance(message, Stopped):
            self.stopped[message.owner] = message.statistics
        if not self.owners[message.owner].answered(message.request):
            return      # a repetition
        if isinstance(message, Resumed):
            self.take_resumed(message)
        else:
            self._answered[message.request] = message

    def _take_loss(self, loss):
        for owner, place in enumerate(self.places):
            if place.location == (loss.address, loss.port) and owner < len(self.owners):
                raise WorkerFailed('the worker at %s:%d on node %s, owner of %s, was lost: %s'
                                   % (*place.location, place.node, self.describe(owner), loss.reason))

    def _keep_alive(self):
        now = self.engine.now()
        if now - self._awake > self.options.patience / 2:
            self._heard = [now] * len(self._heard)      # it was this process that stood still
        self._awake = now
        if now - self._beat >= self.options.patience / 5:
            self._beat = now
            for link in self.owners:
                link.tell_newest(Heartbeat(self.solve_id, -1))
        if self.tolerant:
            return
        for owner, heard in enumerate(self._heard):
            if now - heard > self.options.patience:
                place = self.places[owner]
                raise WorkerFailed('the worker at %s:%d on node %s, owner of %s, has been silent for %g s' % (
                    *place.location, place.node, self.describe(owner), now - heard))

    # ---- for the coordinator to fill in

    def take_report(self, report):
        """A report of this epoch came in."""

    def take_resumed(self, message):
        """An owner sweeps on."""

    def describe(self, owner):
        """The rows of an owner, for people."""
        return 'owner %d' % owner


def _progress(report):
    return sum(report.sweeps), report.waiting
