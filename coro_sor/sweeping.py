"""The sweeper of an owner: which panels to pass over next, what is due around each, and what they met."""
from __future__ import annotations

import math

from .schedule import exact

__all__ = ['Sweeper', 'sweep_all']

_BATCH = 0.02       # seconds of sweeps handed to the pool thread together, which costs 50 microseconds
_MOST = 1000        # sweeps handed over together, also where the clock stood still
_POLL = 0.001       # seconds until an actor whose pool thread waited in vain tries again


class Sweeper:
    """Where an owner stands in its sweeps.

    Parameters
    ----------
    holding : Holding
    incoming : Incoming
    outgoings : dict of int to Outgoing
    max_staleness : int or None

    Attributes
    ----------
    sweeps : dict of int to int
        Sweeps of this epoch, by block.
    updates : int
        Row updates in all epochs.
    """

    def __init__(self, holding, incoming, outgoings, max_staleness):
        self._holding, self._max_staleness = holding, max_staleness
        self.bind(incoming, outgoings)
        self.updates = 0
        self.staleness_sum = self.staleness_count = 0
        self.staleness_largest = -math.inf
        self._rows = {block: [hi - lo for lo, hi in holding.panels[block]] for block in holding.blocks}
        self.begin('async', 0, 0)

    def bind(self, incoming, outgoings):
        """Exchange with other neighbours from here on."""
        self._incoming, self._outgoings = incoming, outgoings

    def begin(self, schedule, until, turn):
        """Begin an epoch of at most `until` sweeps, after `turn` sweeps of the run."""
        self._schedule, self._until, self._turn = schedule, until, turn
        self.sweeps = dict.fromkeys(self._holding.blocks, 0)
        self.finished = 0           # sweeps of all own blocks
        self._met, self._sums = {}, {}
        # Several own blocks in 'sync' must not see each other's new entries.
        self._hiding = schedule == 'sync' and len(self._holding.blocks) > 1
        self._sweep, self._rest = 0, []
        self._pace = math.inf

    @property
    def done(self):
        """Whether all sweeps of this epoch are done."""
        return not self._rest and self._sweep >= self._until

    def squares(self):
        """Sum of squares met in the last measured sweep of every block; -1 before there was one."""
        return sum(self._sums.values()) if len(self._sums) == len(self._holding.blocks) else -1.0

    # ---- what is next

    def next_step(self):
        """The (block, panel, sweep) triples to pass over next; None where something must come in first, or all is done.

        In a chain these are all blocks of the system, else the own ones. What takes little time is several sweeps.
        """
        if self.done:
            return None
        while self._sweep < self._until and (not self._rest or
                                             self._sweep - self.finished < _BATCH / self._pace):
            self._sweep += 1
            self._rest += self._tasks(self._sweep)
        block, panel, sweep = self._rest[0]
        other = self.lacking(block, panel, sweep)
        # For shared memory the pool thread waits; a message comes to the actor.
        if other is not None and self._incoming.by_message(other):
            return None
        return self._rest

    def _tasks(self, sweep):
        order, panels = self._holding.order, self._holding.panels
        blocks = order.blocks(self._turn + sweep)
        if self._holding.chained:
            return [(block, 0, sweep + self._turn) for block in blocks]
        step = -1 if order.backward(self._turn + sweep) else 1
        return [(block, panel, sweep + self._turn) for block in blocks if block in panels
                for panel in range(len(panels[block]))[::step]]

    def lacking(self, block, panel, turn):
        """The block that must be waited for before this step; None where it may be done."""
        incoming, sweep = self._incoming, turn - self._turn
        if block not in self._rows:
            return block if incoming.version(block) < sweep else None
        if self._holding.chained or not self._first(block, panel, turn):
            return None
        return incoming.lacking(block, sweep, self._holding.remote_reads[block], self._rank(turn),
                                self._max_staleness)

    def _rank(self, turn):
        return self._holding.order.rank(turn) if self._schedule == 'ordered' else None

    def _first(self, block, panel, turn):
        return panel == (len(self._rows[block]) - 1 if self._holding.order.backward(turn) else 0)

    def _last(self, block, panel, turn):
        return panel == (0 if self._holding.order.backward(turn) else len(self._rows[block]) - 1)

    def _last_own(self, turn):
        return next(block for block in reversed(self._holding.order.blocks(turn)) if block in self._rows)

    # ---- in the pool thread

    def before(self, block, panel, turn):
        """Write what the step may use into x; once it lacks nothing."""
        incoming, sweep = self._incoming, turn - self._turn
        if block not in self._rows:
            incoming.use_version(block, sweep)
            return
        if not exact(self._schedule):
            read = self._holding.remote_reads[block]
            if read and self._first(block, panel, turn):
                # Before the values are read, so that they may be newer, but not older.
                self._note_staleness(sweep - max(0, min(incoming.version(other) for other in read)))
            incoming.refresh()
        elif self._first(block, panel, turn):
            incoming.use(block, sweep, self._holding.remote_reads[block], self._rank(turn))
            if self._hiding:
                self._holding.hold_back(block)

    def after(self, block, panel, turn, currents):
        """Let the neighbours have what the step has changed; returns those that a message must be sent to.

        Parameters
        ----------
        currents : dict of int to object
            What `Outgoing.current` was when the epoch began, by owner.
        """
        sweep, last = turn - self._turn, self._holding.chained or self._last(block, panel, turn)
        if not exact(self._schedule):
            return [owner for owner, outgoing in self._outgoings.items()
                    if outgoing.send_newest(block, panel, sweep, currents[owner], last)]
        blocks = [block] if last else []
        if self._hiding and last:
            self._holding.hide(block)
            blocks = []
            if block == self._last_own(turn):
                self._holding.reveal()
                blocks = self._holding.blocks
        return [owner for owner, outgoing in self._outgoings.items() for each in blocks
                if outgoing.send_version(each, sweep, currents[owner])]

    # ---- afterwards

    def finish_step(self, squares, seconds):
        """Note what the first steps of those that were next have met."""
        done, self._rest = self._rest[:len(squares)], self._rest[len(squares):]
        self.count(done)
        finished, before = [], self.finished
        for (block, panel, turn), met in zip(done, squares):
            if block not in self._rows:
                continue
            self._met[block, panel] = met
            if self._holding.chained or self._last(block, panel, turn):
                finished += self._finish_block(block, turn - self._turn)
        if self.finished > before:
            self._pace = max(seconds / (self.finished - before), _BATCH / _MOST)
        return finished

    def count(self, tasks):
        """Count the row updates of steps."""
        for block, panel, _ in tasks:
            if block in self._rows:
                self.updates += self._rows[block][panel] if not self._holding.chained else sum(self._rows[block])

    def _finish_block(self, block, sweep):
        self.sweeps[block] = sweep
        met = [self._met.pop((block, panel), None) for panel in range(len(self._rows[block]))]
        met = met[:1] if self._holding.chained else met
        measured = None not in met
        if measured:
            self._sums[block] = sum(met)
        if min(self.sweeps.values()) < sweep:
            return []
        self.finished = sweep
        if exact(self._schedule):
            self._incoming.drop_used(sweep)
        return [(sweep, self.squares())] if measured else []

    def _note_staleness(self, staleness):
        self.staleness_sum += staleness
        self.staleness_count += 1
        self.staleness_largest = max(self.staleness_largest, staleness)

    def statistics(self):
        """What was swept, as the report has it."""
        return {'row_updates': self.updates, 'mean_staleness': self.staleness_sum / max(1, self.staleness_count),
                'largest_staleness': self.staleness_largest if self.staleness_count else 0}


def sweep_all(engine, owner, coro=None):
    """Actor: sweeps as long as its owner lets it; waits for a message where there is nothing to do."""
    try:
        while owner.alive:
            tasks = owner.next_step()
            began = engine.now()
            if tasks is None:
                owner.parked(True)
                yield coro.receive()
                owner.parked(False)
                owner.waited += engine.now() - began
                continue
            hooks = owner.hooks()
            squares = yield owner.pool.compute(owner.holding.sweep, tasks, hooks.before, hooks.after)
            owner.stepped(tasks, squares, hooks, engine.now() - began)
            if not squares:
                yield coro.sleep(_POLL)
    except Exception as error:      # whatever a kernel raises, the coordinator must hear of it
        owner.failed(error)
    return True
