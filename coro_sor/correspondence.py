"""The coordinator's mail: requests to owners and their answers, reports, heartbeats, and who is lost."""
from __future__ import annotations

from .answers import answer_fault, statistics_fault
from .links import Link
from .losses import Cancelled, Loss, OwnersLost
from .messages import Answer, Cancel, Failed, Heartbeat, Message, Report, Request, Resumed, Stopped
from .node_messages import ChildLost, ChildStarted, Found, NodeInfo, Started
from .refusals import Refusals
from .solution import WorkerFailed

__all__ = ['Correspondence']

OWNER_SETTINGS = ('panel_nonzeros', 'exchanges', 'chunk_bytes', 'report_interval', 'patience', 'lease', 'retry',
                  'connect_timeout', 'delivery_timeout', 'max_staleness', 'exchange', 'exchange_every', 'storage',
                  'seed')


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
    owners : list of Link or None
        By number; None where it was not started yet.
    places : list of Place
        Where they are, or were at last.
    lost : dict of int to Loss
        Owners that must be started, by number.
    suspects : set of (str, int)
        Worker processes that have fallen silent or could not be used.
    full : set of (str, int)
        Those that had not the memory for an owner's rows.
    losses : list of int
        How often each owner's process ended, or had no memory, since a look was complete.
    all_losses : int
        How often any owner was lost since then, for whatever reason.
    nodes : list of Node
    started : dict of int to Started
        What became of attempts to start owners, by incarnation.
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
        self.nodes = []
        self.cancelled = self.loading = self.tolerant = False
        self._incarnations = 0
        self._epoch = -1
        self._beat = self._awake = engine.now()
        self.suspects, self.full, self._refusals = set(), set(), Refusals('coordinator')
        self.expect([])

    def expect(self, places):
        """Owners are to be started at these places; those that were there before are forgotten."""
        now = self.engine.now()
        self.owners, self.places = [None] * len(places), list(places)
        self.lost = {owner: Loss(place, '', now) for owner, place in enumerate(places)}
        self.reports, self.stopped = {}, {}
        self._asked, self._answered = [], {}
        self._heard, self._incarnation = [now] * len(places), [0] * len(places)
        self.losses, self.all_losses = [0] * len(places), 0
        self.started = {}
        self._homes = {}            # of every incarnation: its worker process

    def settings(self):
        """The options that owners need, for their `Assignment`."""
        return {name: getattr(self.options, name) for name in OWNER_SETTINGS}

    # ---- owners come and go

    def new_incarnation(self):
        """A number for an owner that is about to be started."""
        self._incarnations += 1
        return self._incarnations

    def add_owner(self, owner, reference, place, incarnation):
        """An owner was started, in place of the one that was lost."""
        self.owners[owner] = Link(self.engine, reference, self.options.retry, self.options.delivery_timeout)
        self.places[owner], self._incarnation[owner] = place, incarnation
        self._homes[incarnation] = place.location
        self._heard[owner] = self.engine.now()
        del self.lost[owner]

    def lose(self, owner, reason, returns=False, traceback=None):
        """An owner is lost: send it nothing more, and let go of its process where no other owner lives."""
        if owner in self.lost:
            return
        place = self.places[owner]
        self.lost[owner] = Loss(place, 'the worker at %s:%d on node %s, owner of %s, %s' % (
            *place.location, place.node, self.describe(owner), reason), self.engine.now(), self.phase(), returns,
            traceback)
        self.losses[owner] += returns or traceback is not None
        self.all_losses += 1
        self.owners[owner].close()
        self.engine.release(place.location)
        self.reports.pop(owner, None)

    def check_losses(self):
        """
        Raises
        ------
        OwnersLost
            Where an owner is lost.
        """
        if self.lost and not self.tolerant:
            raise OwnersLost

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
            if link is not None:
                link.forget(kind)

    def answers(self, deadline=None):
        """Wait for the answers to all that was asked since the last call, in that order.

        Returns
        -------
        list or None
            None where they were not complete after `deadline` seconds; then requests go on being repeated.

        Raises
        ------
        OwnersLost
        """
        asked, self._asked = self._asked, []
        end = None if deadline is None else self.engine.now() + deadline
        while not all(number in self._answered for number in asked):
            self.check_losses()
            left = None if end is None else end - self.engine.now()
            if left is not None and left <= 0:
                for number in asked:
                    self._answered.pop(number, None)
                return None
            yield from self.hear(0.1 if left is None else min(0.1, left))
        return [self._answered.pop(number) for number in asked]

    def has_answer(self, number):
        """Whether the answer to one request is here."""
        return number in self._answered

    def take_answer(self, number):
        """The answer to one request, which is then forgotten."""
        return self._answered.pop(number)

    def drop_requests(self, kinds=Request, but=frozenset()):
        """Repeat no request of these classes any more, and wait for none; answers to those in `but` are kept."""
        self.take_back(kinds)
        self._asked.clear()
        self._answered = {number: answer for number, answer in self._answered.items() if number in but}

    def close_links(self):
        """Send nothing more, and forget worker processes that the engine needs no more."""
        for owner, link in enumerate(self.owners):
            if owner not in self.lost:
                link.close()
                self.engine.release(self.places[owner].location)

    # ---- the mailbox

    def hear(self, timeout):
        """Wait for one message at most `timeout` seconds and take it in.

        Raises
        ------
        Cancelled
            While loading.
        WorkerFailed
            An owner raised an exception.
        """
        message = yield self.coro.receive(timeout=timeout, alarm_value=None)
        if isinstance(message, Cancel):
            self.cancelled = True
            if self.loading:
                raise Cancelled
        elif isinstance(message, Message):
            if message.solve == self.solve_id:
                self._take(message)
        elif isinstance(message, Started):
            self.started[message.incarnation] = message
        elif isinstance(message, Found):
            self.nodes[message.request].directory = message.directory
        elif isinstance(message, (NodeInfo, ChildLost, ChildStarted)) and 0 <= message.request < len(self.nodes):
            self.nodes[message.request].take(message, self.engine.now())
            if isinstance(message, ChildLost):
                self._take_loss(message)
        self._keep_alive()
        return True

    def _take(self, message):
        owner = getattr(message, 'owner', -1)
        if not 0 <= owner < len(self.owners):
            return
        if isinstance(message, (Heartbeat, Failed)) and message.incarnation != self._incarnation[owner]:
            # Its successor has its rows, but the process itself is back.
            self.suspects.discard(self._homes.get(message.incarnation))
        elif isinstance(message, Answer):
            self._take_answer(message)
        elif isinstance(message, Report) and message.epoch == self._epoch:
            self._hear_from(owner)
            before = self.reports.get(owner)
            # One that was late on its way must not hide that its owner has long been waiting.
            if before is None or _progress(message) >= _progress(before):
                self.reports[owner] = message
            self.take_report(message)
        elif isinstance(message, Heartbeat):
            self._hear_from(owner)
        elif isinstance(message, Failed):
            if not self.tolerant and owner not in self.lost:
                self._take_failure(message)
        elif not isinstance(message, Report):
            self._refusals.note(message, 'it is for no coordinator')

    def _hear_from(self, owner):
        self._heard[owner] = self.engine.now()

    def _take_answer(self, message):
        if isinstance(message, Stopped) and not statistics_fault(message.statistics):
            self.stopped[message.owner] = message.statistics
        link = self.owners[message.owner]
        request = link and link.asked(message.request)
        if not request:
            return      # a repetition, or of one that was lost
        fault = answer_fault(request, message, len(self.owners))
        if fault:
            self._refusals.note(message, fault)
            return
        link.answered(message.request)
        self._hear_from(message.owner)
        if isinstance(message, Resumed):
            self.take_resumed(message)
        else:
            self._answered[message.request] = message

    def _take_failure(self, message):
        place, text = self.places[message.owner], 'failed: ' + message.text
        if 'MemoryError' not in message.text.partition(':')[0]:
            raise WorkerFailed('the worker at %s:%d on node %s, owner of %s, %s' % (
                *place.location, place.node, self.describe(message.owner), text), message.traceback)
        # Another process may have more.
        self.full.add(place.location)
        self.lose(message.owner, text, traceback=message.traceback)

    def _take_loss(self, loss):
        for owner, place in enumerate(self.places):
            if (place.location, place.pid) == ((loss.address, loss.port), loss.pid) and not self.tolerant:
                self.lose(owner, 'was lost: ' + loss.reason, returns=True)

    def _keep_alive(self):
        now = self.engine.now()
        if now - self._awake > self.options.patience / 2:
            self._heard = [now] * len(self._heard)      # it was this process that stood still
        self._awake = now
        living = [owner for owner in range(len(self.owners)) if owner not in self.lost]
        if now - self._beat >= self.options.patience / 5:
            self._beat = now
            for owner in living:
                self.owners[owner].tell_newest(Heartbeat(self.solve_id, -1, 0))
        for owner in living if not self.tolerant else ():
            if now - self._heard[owner] > self.options.patience:
                self.suspects.add(self.places[owner].location)
                self.lose(owner, 'has been silent for %g s' % (now - self._heard[owner]))

    # ---- for the coordinator to fill in

    def take_report(self, report):
        """A report of this epoch came in."""

    def take_resumed(self, message):
        """An owner sweeps on."""

    def phase(self):
        """What the run is doing, in a word."""
        return ''

    def describe(self, owner):
        """The rows of an owner, for people."""
        return 'owner %d' % owner


def _progress(report):
    return sum(report.sweeps), report.waiting
