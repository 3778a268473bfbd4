"""An owner that sweeps: the part of the block owner that its sweeper calls."""
from __future__ import annotations

from .loading_owner import LoadingOwner
from .schedule import exact
from .stepping import Hooks

__all__ = ['Broken', 'PARKED', 'SweepingOwner']

PARKED = object()
"""What an owner tells itself when its sweeper begins to wait, so that it looks where a look is due."""


class Broken:
    """What an owner tells itself when it cannot go on, for `error`; no bare exception, which anybody might send."""

    def __init__(self, error):
        self.error = error


class SweepingOwner(LoadingOwner):
    """Says what to sweep next, and takes in what was met; its state is that of the block owner."""

    def next_step(self):
        """What to pass over next; None where nothing may be written."""
        if self._state != 'SWEEPING' or self._paused or self._busy:
            return None
        return self._sweeper.next_step()

    def hooks(self):
        """What the pool thread calls around each step of this epoch."""
        return Hooks(self._engine, self._sweeper, self._incoming, self._neighbours,
                     not exact(self._schedule) and not self._bounded, self._may_go_on(self._epoch))

    def _may_go_on(self, epoch):
        return lambda: self._state == 'SWEEPING' and self._epoch == epoch and not self._paused

    def stepped(self, tasks, squares, hooks, seconds):
        """Steps are done: report."""
        self.waited += hooks.waited
        self.exchanged += hooks.exchanged
        self.computed += seconds - hooks.waited - hooks.exchanged
        if self._state != 'SWEEPING':
            self._sweeper.count(tasks[:len(squares)])      # of an epoch that is over
            return
        for sweep, met in self._sweeper.finish_step(squares, seconds):
            if exact(self._schedule):
                self._reporter.note_sweep(sweep, met)
        self.note_progress()

    def note_progress(self):
        sweeper = self._sweeper
        if self._reporter.note(self._engine.now(), tuple(sweeper.sweeps.values()), sweeper.squares(), sweeper.done):
            self._coordinator.wake()

    def parked(self, parked):
        """The sweeper begins or ends waiting."""
        self._parked = parked
        if parked and self._freeze is not None:
            self._coro.send(PARKED)
        elif parked and self._neighbours is not None:
            self._neighbours.wake()     # no later panel will pass on what is left

    def failed(self, error):
        """The sweeper met an exception."""
        self._parked = True     # it writes no more; a stop need not wait for it
        self._coro.send(Broken(error))

    def wake_sweeper(self):
        if self._parked and self._sweeping is not None:
            self._parked = False
            self._sweeping.send(True)

    def until_parked(self):
        """Wait until the pool thread writes no more."""
        while not self._parked:
            yield self._coro.sleep(0.001)
        return True
