"""Sweeping and looking in turn: the coordinator's part that decides how long to sweep, and when there is an end."""
from __future__ import annotations

import math

import numpy as np

from .messages import Resume
from .recovering import Recovering
from .schedule import exact
from .solution import Status

__all__ = ['Iterating']

_TICK = 0.1         # seconds between two looks at the clock


class Iterating(Recovering):
    """A coordinator that lets its owners sweep until a look finds a reason to end."""

    def _iterate(self):
        """Sweep and look until there is an end; returns its status, None where more workers are to take part."""
        best = yield from self._verify(restore=False)
        while True:
            status = self._end_status()
            if status:
                return (yield from self._settle(status, best))
            reaction = self.steering.react(self.outlook)
            if reaction == 'give up':
                return (yield from self._settle(Status.DIVERGED, best))
            if reaction == 'go back':
                yield from self._verify(restore=True)
                self.outlook.restart()
                best = False
            elif self._more_would_help():
                return None
            yield from self._copy(best)
            yield from self._sweep(best)
            best = yield from self._verify(restore=False)

    def _end_status(self):
        if self._look is None:
            return None
        if self.outlook.passed():
            return Status.CONVERGED
        if self._ending is None and self.options.max_sweeps - self._look.sweeps < 1:
            return Status.MAX_SWEEPS
        if self._ending is None and self.outlook.stagnated(self._size):
            return Status.STAGNATED
        return self._ending

    def _settle(self, status, best_now):
        """End with the best x: go back to it where the last look was worse."""
        if not best_now and not self.outlook.passed():
            yield from self._verify(restore=True)
        return Status.CONVERGED if self.outlook.passed() else status

    # ---- sweeping

    def _sweep(self, best):
        """Have all owners sweep until it is time to judge.

        In exact order that is a number of sweeps which no clock decides, so that x doesn't depend on it. What a clock
        calls for on the way are copies of x only.
        """
        sweeps = self._sweeps_allowed()
        if exact(self.steering.schedule):
            while sweeps > (first := self._sweeps_until_copy()) and self.steering.trial is None:
                self._resume(first, best)
                yield from self._watch()
                if self._ending or not self._all_wait():
                    return
                before = self._look.sweeps
                yield from self._take_look()
                sweeps -= round(self._look.sweeps - before)
                best = self.outlook.best is None or self._look.better_than(self.outlook.best)
                yield from self._copy(best)
        self._resume(sweeps, best)
        yield from self._watch()

    def _sweeps_allowed(self):
        sweeps = max(1, int(self.options.max_sweeps - (self._look.sweeps if self._look else 0)))
        if exact(self.steering.schedule):
            sweeps = min(sweeps, self.outlook.sweeps_to_go())
        return sweeps if self.steering.trial is None else min(sweeps, self.steering.trial)

    def _sweeps_until_copy(self):
        """How many sweeps go by until a look is due for a copy of x, at the last pace; infinite where unknown."""
        if not (self._pace and self._copied is not None):
            return math.inf
        return max(1, int((self._copied + self._copy_pause() - self.engine.now()) / self._pace))

    def _resume(self, sweeps, keep):
        self.record.enter('iterate')
        steering = self.steering
        turn = int(self._look.sweeps) if self._look else 0
        for owner, rows in enumerate(np.diff(self.scan.bounds).tolist()):
            share = self.outlook.aim() * self.outlook.aim() * rows / self.problem.n
            # Counted from the last complete look, so that looks that stalled grant no sweeps anew.
            until = self._updates[owner] + sweeps * rows
            self.order(owner, Resume, self._epoch, steering.omega, steering.capped, until, share, keep,
                       steering.order, turn)

    def _watch(self):
        """Wait until there is reason to look."""
        began, before = self.engine.now(), self._sweeps_told()
        while not self._all_wait():
            yield from self.hear(_TICK)
            self.check_losses()
            now, reported = self.engine.now(), self._reported()
            self.record.note_reports(self.reports, reported)
            limit = self.options.time_limit
            if self.cancelled or (limit is not None and now - self._began >= limit):
                self._ending = Status.CANCELLED if self.cancelled else Status.TIME_LIMIT
                break
            if exact(self.steering.schedule):
                if reported is not None and self.outlook.exploded(reported):
                    break
            elif self._copy_due() or self.outlook.worth_a_look(reported, now - began, self._looking_took,
                                                               now - self._began):
                break
        sweeps = self._sweeps_told() - before
        self._pace = (self.engine.now() - began) / sweeps if sweeps else None
        return True

    def _all_wait(self):
        """Whether all owners have done the sweeps that they were resumed for."""
        return len(self.reports) == len(self.owners) and all(report.waiting for report in self.reports.values())

    def _sweeps_told(self):
        """Sweeps of this epoch that all owners have told of."""
        return min((min(report.sweeps, default=0) for report in self.reports.values()), default=0)
