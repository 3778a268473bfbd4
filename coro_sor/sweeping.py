"""The sweeper of an owner: which panels to pass over next, and what is due after each."""
from __future__ import annotations

from .schedule import exact

__all__ = ['Sweeper', 'sweep_all']


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
        self._holding, self._incoming, self._outgoings = holding, incoming, outgoings
        self._max_staleness = max_staleness
        self.updates = 0
        self.staleness_sum = self.staleness_count = self.staleness_largest = 0
        self._panels = [(block, panel) for block in holding.blocks for panel in range(len(holding.panels[block]))]
        self.begin('async', 0)

    def begin(self, schedule, until):
        """Begin an epoch of at most `until` sweeps."""
        self._schedule, self._until = schedule, until
        self.sweeps = dict.fromkeys(self._holding.blocks, 0)
        self._squares = {}
        self._sums = {}
        # Several own blocks in 'sync' must not see each other's new entries.
        self._hiding = schedule == 'sync' and len(self._holding.blocks) > 1
        self._at = 0

    @property
    def done(self):
        """Whether all sweeps of this epoch are done."""
        return self._at == 0 and min(self.sweeps.values()) >= self._until

    def squares(self):
        """Sum of squares met in the last sweep of every block; -1 before each has swept."""
        return sum(self._sums.values()) if len(self._sums) == len(self._holding.blocks) else -1.0

    def next_step(self):
        """The (block, panel) pairs to pass over next; None where something must come in first, or all is done.

        In 'async' that is a whole sweep, since handing work to the pool thread costs 0.1 ms and more.
        """
        if self.done:
            return None
        tasks = []
        for block, panel in self._panels[self._at:]:
            if panel == 0 and not self._begin_sweep(block):
                break
            tasks.append((block, panel))
            if exact(self._schedule):
                break
        return tasks or None

    def _begin_sweep(self, block):
        sweep, read = self.sweeps[block] + 1, self._holding.remote_reads[block]
        if not self._incoming.ready(block, sweep, read, self._max_staleness):
            return False
        self._incoming.use(block, sweep, read)
        if self._hiding:
            self._holding.hold_back(block)
        if read and not exact(self._schedule):
            staleness = self._incoming.staleness(sweep)
            self.staleness_sum += staleness
            self.staleness_count += 1
            self.staleness_largest = max(self.staleness_largest, staleness)
        return True

    def count(self, tasks):
        """Count the row updates of a step."""
        for block, panel in tasks:
            lo, hi = self._holding.panels[block][panel]
            self.updates += hi - lo

    def finish_step(self, tasks, squares):
        """Note what a step met and, in 'sync' and 'ordered', let the neighbours have what changed."""
        self._at = (self._at + len(tasks)) % len(self._panels)
        self.count(tasks)
        for (block, panel), met in zip(tasks, squares):
            self._squares[block, panel] = met
            if panel == len(self._holding.panels[block]) - 1:
                self._finish_sweep(block)

    def _finish_sweep(self, block):
        self.sweeps[block] += 1
        self._sums[block] = sum(self._squares[block, panel] for panel in range(len(self._holding.panels[block])))
        last = block == self._holding.blocks[-1]
        if self._hiding:
            self._holding.hide(block)
            if last:
                self._holding.reveal()
                for each in self._holding.blocks:
                    self._send_version(each)
        elif exact(self._schedule):
            self._send_version(block)
        if last and exact(self._schedule):
            self._incoming.drop_used(self.sweeps[block])

    def _send_version(self, block):
        for outgoing in self._outgoings.values():
            outgoing.send_version(block, self.sweeps[block])

    def statistics(self):
        """What was swept, as the report has it."""
        return {'row_updates': self.updates, 'mean_staleness': self.staleness_sum / max(1, self.staleness_count),
                'largest_staleness': self.staleness_largest}

    def whole_sweep(self):
        """(sweep, sum of squares) if a sweep of all blocks has just ended in 'sync' or 'ordered', else None."""
        if self._at or not exact(self._schedule):
            return None
        return self.sweeps[self._holding.blocks[-1]], self.squares()


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
            else:
                squares = yield engine.compute(owner.holding.sweep, tasks, owner.after_panel())
                owner.computed += engine.now() - began
                owner.stepped(tasks, squares)
    except Exception as error:      # whatever a kernel raises, the coordinator must hear of it
        owner.failed(error)
    return True
