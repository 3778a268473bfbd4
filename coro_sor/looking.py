"""Looks at the true residual: the coordinator's part that freezes the owners and believes nothing else."""
from __future__ import annotations

import math

import numpy as np

from .convergence import Look, combine
from .correspondence import Correspondence
from .messages import Collect, Freeze, Resume
from .record import first_sweep_below, sum_by_sweep
from .rows import digest_vector
from .schedule import exact
from .solution import WorkerFailed

__all__ = ['Looking']

_SAVING = 1.0       # least seconds between two copies of x


class Looking(Correspondence):
    """A coordinator that can freeze its owners, have them compute the residual of one x, and fetch that x.

    It needs ``problem``, ``scan``, ``plan``, ``record``, ``outlook`` and ``steering``, which the coordinator sets.
    """

    def __init__(self, engine, solve, options, coro):
        super().__init__(engine, solve, options, coro)
        self._ending = self._look = None
        self._looking_took = self._saving_took = self._began = 0.0
        self._saved = None
        self._met = {}              # by owner and sweep: a report may come twice

    def _verify(self, restore):
        """Freeze and look. Returns whether the frozen x is the best so far."""
        self.record.enter('verify')
        began = self.engine.now()
        reported, self._epoch = self._reported(), self._epoch + 1
        sizes = self.outlook.stuck()
        self.reports.clear()
        met, self._met = self._met, {}
        self.take_back(Resume)
        self.take_back(Freeze)
        for owner in range(len(self.owners)):
            self.ask(owner, Freeze, self._epoch, self.steering.schedule, restore, sizes)
        answers = yield from self.answers(self._deadline())
        self._look_ended = self.engine.now()
        self._looking_took = self._look_ended - began
        if answers is None:         # an owner stalls: the others go on
            self.record.note_look(None)
            return False
        self._digests = [answer.digest for answer in answers]
        self._size = math.hypot(*(answer.size for answer in answers))
        self._updates = [answer.updates for answer in answers]
        sweeps = sum(answer.updates for answer in answers) / self.problem.n
        residual = combine([(answer.scale, answer.squares) for answer in answers])
        self._count_needed(met, residual, sweeps)
        energy = sum(answer.energy for answer in answers) if self.scan.symmetric else math.nan
        before, self._look = self._look, Look(self._look_ended - self._began, sweeps, residual, reported, energy)
        if before is not None and not restore:
            self.steering.note_trial(before, self._look)
        self.record.note_look(self._look)
        return self.outlook.add(self._look)

    def _deadline(self):
        """Seconds for a look; none where nothing can go on without it."""
        if exact(self.steering.schedule) or self._ending or self._epoch == 1:
            return None
        return max(2.0, 20 * self._looking_took)

    def _count_needed(self, met, residual, sweeps):
        """In 'sync' and 'ordered': which sweep of the epoch that has just ended was enough."""
        if not exact(self.steering.schedule) or self._look is None or not 0 < residual <= self.outlook.threshold:
            return
        self.record.sweeps_needed = sweeps      # unless an earlier one is known to have been enough
        sums = sum_by_sweep([(sweep, squares) for (_, sweep), squares in met.items()], len(self.owners))
        if sums:
            # What is met in a sweep is the residual before it, about; the last look tells by how much it is off.
            ratio = max(1.0, math.sqrt(sums[max(sums)]) / residual)
            bound = ratio * self.outlook.threshold
            sweep = first_sweep_below(sums, bound * bound)
            if sweep is not None:
                self.record.sweeps_needed = self._look.sweeps + sweep

    def take_report(self, report):
        self._met.update(((report.owner, sweep), squares) for sweep, squares in report.by_sweep)

    def _reported(self):
        """Norm that the newest reports of this epoch give; None before all have reported."""
        squares = [report.squares for report in self.reports.values()]
        if len(squares) < len(self.owners) or any(part < 0 for part in squares):
            return None
        return math.sqrt(sum(squares)) if math.isfinite(sum(squares)) else math.inf

    def _save(self):
        """Keep a copy of the best x here, for the case that workers are lost; not too often, it crosses the network."""
        now = self.engine.now()
        if self.options.storage == 'float32':
            return      # what owners have is a correction
        if self._saved is None:
            self.record.save(self.record.x, self._look)      # where it starts
        elif now - self._saved >= max(_SAVING, 10 * self._saving_took):
            self.record.save(self.plan.restore((yield from self._collect())), self._look)
            self._saving_took = self.engine.now() - now
        else:
            return
        self._saved = self.engine.now()

    def _collect(self):
        """The frozen x, compared with what was verified."""
        x = np.empty(self.problem.n)
        entries = self.options.chunk_bytes // 8
        for owner, (first, last) in enumerate(zip(self.scan.bounds[:-1], self.scan.bounds[1:])):
            for start in range(int(first), int(last), entries):
                self.ask(owner, Collect, self._epoch, start, min(start + entries, int(last)))
        for values in (yield from self.answers()):
            x[values.start:values.start + len(values.values)] = values.values
        for owner, digest in enumerate(self._digests):
            first, last = self.scan.bounds[owner:owner + 2]
            if digest_vector(x[first:last]) != digest:
                raise WorkerFailed('the rows %d to %d of x that arrived are not those that were verified'
                                   % (first, last - 1))
        return x
