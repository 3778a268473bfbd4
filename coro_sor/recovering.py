"""Who works where: the coordinator's part that finds new homes for owners that were lost, and work for newcomers."""
from __future__ import annotations

from .loading import start_owner
from .looking import Looking
from .losses import Loss, OwnersLost
from .messages import Bind, Collect, Freeze, Resume
from .planning import workers_worth
from .solution import WorkerFailed

__all__ = ['Recovering']

_RETURN = 3.0       # seconds that a node has to replace a worker process before its rows go elsewhere
_TICK = 0.1         # seconds between two looks at the clock
_GAIN = 2.0         # times what it costs that sharing out the rows anew must save
_ATTEMPTS = 2       # to start an owner in a process, before another one is taken
_TRIES = 10         # times that an owner may be lost, on the average for whatever reason, without a look in between


class Recovering(Looking):
    """A coordinator that can replace its owners.

    Of the rows of a lost owner, the new one gets what the user gave, and the entries of x as they were copied last;
    all others go on from the x that they hold.
    """

    def _recover(self):
        """Start every owner that is lost, give it its rows, and bind all anew.

        Raises
        ------
        WorkerFailed
            No worker process is left.
        """
        before = self.record.phase
        self.record.enter('distribute' if before == 'distribute' else 'recover')
        self._look, self._tried = None, self.engine.now()
        while True:
            self.drop_requests((Bind, Collect, Freeze, Resume), self.loader.numbers)
            try:
                while self.lost:
                    owner = min(self.lost)
                    self.check_end()
                    self.loader.forget(owner)
                    yield from self._rehouse(owner)
                    self.loader.begin(owner)
                yield from self.loader.run()
                yield from self._bind()
                return True
            except OwnersLost:
                pass        # another one

    def _rehouse(self, owner):
        loss, began = self.lost[owner], self.engine.now()
        if self.losses[owner] > _TRIES:
            raise WorkerFailed('%s; that was the %dth time in a row' % (loss.reason, _TRIES + 1), loss.traceback)
        if self.all_losses > _TRIES * len(self.places):
            raise WorkerFailed('%s; that was loss %d in a row: patience and lease are too short for this network'
                               % (loss.reason, self.all_losses), loss.traceback)
        while True:
            self.check_end()
            place = self._choose(loss, owner)
            if place is None:
                self._give_up_after(began, loss)
                yield from self.hear(_TICK)
                continue
            if (yield from self._start(owner, place)):
                break
        if loss.reason:
            self.record.note_recovery(owner, loss, place, self.engine.now())

    def _give_up_after(self, began, loss):
        """
        Raises
        ------
        WorkerFailed
            There has been no worker process for the rows since `began`, for too long.
        """
        listed = [place.location for node in self._in_touch() for place in node.places()]
        # One that is listed may only be slow to answer; one that has no room will not have it later.
        patience = self.options.lease if set(listed) - self.full else self.options.patience if not listed else 0.0
        if self.engine.now() - began >= patience:
            reason = loss.reason or 'the workers do not answer'
            raise WorkerFailed(reason + '; no worker is left that could take the rows', loss.traceback)

    def _start(self, owner, place):
        """Start an owner; ends with whether it was."""
        self.engine.hold(place.location)
        for _ in range(_ATTEMPTS):
            # A number for each attempt: of one whose answer was lost, an owner may live on for a lease.
            incarnation = self.new_incarnation()
            self.engine.spawn(start_owner, self.coro, self.solve_id, self.loader.assignment(owner, incarnation),
                              place.location, self.options.connect_timeout / _ATTEMPTS)
            while incarnation not in self.started and self._is_alive(place):
                yield from self.hear(_TICK)
            started = self.started.pop(incarnation, None)
            if started is not None and started.reference is not None:
                self.add_owner(owner, started.reference, place, incarnation)
                return True
        self.engine.release(place.location)
        self.suspects.add(place.location)
        self._tried = self.engine.now()
        if started is not None:
            self.record.note('the worker at %s:%d on node %s could not be used: %s'
                             % (*place.location, place.node, started.reason))
        return False

    def _choose(self, loss, owner):
        """A worker process for an owner; None where one is to be waited for."""
        if not loss.reason and self._is_alive(loss.place) and loss.place.location not in self.suspects:
            return loss.place       # where it was planned to be
        alive = self._alive()
        if not alive and self.engine.now() - self._tried >= self.options.retry:
            self.suspects.clear()
        spare = [place for place in alive if not self._rows_at(place)]
        if spare:
            return min(spare, key=lambda place: place.node != loss.place.node)
        if loss.returns and self.engine.now() - loss.seconds < _RETURN:
            return None
        return min(alive, key=self._rows_at, default=None)

    def _alive(self):
        """Worker processes that may be used."""
        return [place for node in self._in_touch() for place in node.places()
                if place.location not in self.suspects and place.location not in self.full]

    def _is_alive(self, place):
        return any(node.has(place) for node in self._in_touch())

    def _in_touch(self):
        return [node for node in self.nodes if self.engine.now() - node.heard <= self.options.patience]

    def _rows_at(self, place):
        """How many rows the owners at a worker process have."""
        bounds = self.plan.owner_bounds
        return sum(int(bounds[owner + 1] - bounds[owner]) for owner, at in enumerate(self.places)
                   if at.location == place.location and owner not in self.lost)

    def _bind(self):
        """Tell every owner its neighbours: those that it reads from and that read from it."""
        self._epoch += 1
        self.reports.clear()
        reads = self.record.reads = list(self.loader.reads)
        for owner, mine in enumerate(reads):
            readers = {other for other, theirs in enumerate(reads) if owner in theirs}
            self.ask(owner, Bind, self._epoch, {other: self.owners[other].reference
                                                for other in sorted(set(mine) | readers)}, self._updates[owner])
        yield from self.answers()

    # ---- newcomers

    def _more_would_help(self):
        """Whether to share out the rows anew, because there are more worker processes than are at work."""
        alive = self._alive()
        busy = len({place.location for place in self.places})
        if len(alive) <= self._offered and busy == len(self.places) or len(alive) <= busy:
            return False
        if self.options.storage == 'float32' or self.steering.notes or self.steering.trial:
            return False        # what was found out on the way would be lost
        wanted = workers_worth(self.problem, self.options, len(alive))
        saved = self.outlook.seconds_to_go() * (1 - busy / wanted)
        return wanted > busy and saved > _GAIN * (self._planning_took + self._distributing_took)

    def _spread(self, x):
        """Begin anew from x with all the worker processes that there are."""
        before, sweeps, x = len(self.places), self._look.sweeps, self.plan.restore(x)
        self.tolerant = True
        yield from self._stop_owners()
        self.tolerant = False
        began, none = self.engine.now(), Loss(None, '', 0.0)
        self.suspects.clear()
        while not self._alive():
            self.check_end()
            self._give_up_after(began, none)
            yield from self.hear(_TICK)
        yield from self._plan(self._alive(), self._given)
        yield from self._distribute(x if self.plan.rows is None else x[self.plan.rows], sweeps)
        self.record.note('workers have come, or come back: the rows were shared out anew, over %d after %d'
                         % (len(self.places), before))
