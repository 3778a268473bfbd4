"""Looks at the true residual: the coordinator's part that freezes the owners and believes nothing else."""
from __future__ import annotations

import math

import numpy as np

from .convergence import Look, combine
from .correspondence import Correspondence
from .losses import Ended
from .messages import Collect, Freeze, Resume
from .record import first_sweep_below, sum_by_sweep
from .rows import digest_vector
from .schedule import exact
from .solution import Status, WorkerFailed

__all__ = ['Looking']

_SAVING = 1.0       # least seconds between two copies of x
_COPY = 2.0         # seconds after which a look is due for the sake of a copy alone
_SHARE = 20         # part of the time that looks for the sake of copies, and copies, may take


class Looking(Correspondence):
    """A coordinator that can freeze its owners, have them compute the residual of one x, and fetch that x.

    It needs ``problem``, ``scan``, ``plan``, ``loader``, ``record``, ``outlook`` and ``steering``, which the
    coordinator sets, and ``keeper``, which writes checkpoints, or None.
    """

    def __init__(self, engine, solve, options, coro):
        super().__init__(engine, solve, options, coro)
        self._ending = self._look = None
        self._looking_took = self._copying_took = self._began = 0.0
        self._pace = None           # seconds of a sweep, as last seen
        self._copied = self._kept = None        # when there was last reason to copy x, and a checkpoint written
        self._met = {}              # by owner and sweep: a report may come twice

    def _verify(self, restore):
        """Look, and judge by it how to go on. Returns whether the frozen x is the best so far."""
        before = self._look
        if not (yield from self._take_look(restore, self.outlook.stuck())):
            return False
        if before is not None and not restore:
            self.steering.note_trial(before, self._look)
        better = self.outlook.add(self._look)
        if self.outlook.rose() and math.isfinite(self._look.energy):
            answers = yield from self._freeze(False, True)
            self.outlook.allow_for_rounding(sum(answer.energy_size for answer in answers or ()))
        return better

    def _take_look(self, restore=False, sizes=False):
        """Freeze, and note what was found; ends with whether all owners have answered in time."""
        self.record.enter('verify')
        began, reported, met = self.engine.now(), self._reported(), self._met
        answers = yield from self._freeze(restore, sizes)
        self._look_ended = self.engine.now()
        self._looking_took = self._look_ended - began
        if answers is None:         # an owner stalls: the others go on
            self.record.note_look(None)
            return False
        self._size = math.hypot(*(answer.size for answer in answers))
        sweeps = sum(self._updates) / self.problem.n
        residual = combine([(answer.scale, answer.squares) for answer in answers])
        self._count_needed(met, residual, sweeps)
        energy = sum(answer.energy for answer in answers) if self.scan.symmetric else math.nan
        self._look = Look(self._look_ended - self._began, sweeps, residual, reported, energy)
        self.record.note_look(self._look)
        self.losses, self.all_losses = [0] * len(self.losses), 0
        return True

    def _freeze(self, restore, sizes):
        """Begin an epoch with frozen owners; ends with what they have `Looked` at, None if one stalls."""
        self._epoch += 1
        self.reports.clear()
        self._met = {}
        self.take_back((Freeze, Resume))
        for owner in range(len(self.owners)):
            self.ask(owner, Freeze, self._epoch, self.steering.schedule, restore, sizes)
        if not self.owners:
            raise WorkerFailed('there is no worker')        # of nobody's rows the residual would be 0
        answers = yield from self.answers(self._deadline())
        if answers is not None:
            self._digests = [answer.digest for answer in answers]
            self._updates = [answer.updates for answer in answers]
        return answers

    def check_end(self):
        """To be called where no x can be verified, because owners are missing.

        Raises
        ------
        Ended
            Where there is something to end with.
        """
        limit = self.options.time_limit
        if not self.loading and self.cancelled:
            raise Ended(Status.CANCELLED)
        if not self.loading and limit is not None and self.engine.now() - self._began >= limit:
            raise Ended(Status.TIME_LIMIT)

    def _deadline(self):
        """Seconds for a look; none where nothing can go on without it."""
        if exact(self.steering.schedule) or self._ending or self._look is None:
            return None
        return max(2.0, 20 * self._looking_took)

    def _count_needed(self, met, residual, sweeps):
        """In 'sync' and 'ordered': which sweep of the epoch that has just ended was enough."""
        if not 0 < residual <= self.outlook.threshold:
            self.record.sweeps_needed = None
            return
        if not exact(self.steering.schedule) or self._look is None or self.record.sweeps_needed is not None:
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

    def _copy_due(self):
        """Whether a look is worth its time for the copy of x that it allows."""
        if self._copied is None:
            return False
        return self.engine.now() - self._copied >= self._copy_pause()

    def _copy_pause(self):
        return max(self._at_most(_COPY), _SHARE * (self._looking_took + self._copying_took))

    def _at_most(self, seconds):
        return seconds if self.keeper is None else min(seconds, self.keeper.every)

    def _copy(self, best):
        """Have a copy of the best x here, in case that workers are lost; not too often, it crosses the network."""
        now = self.engine.now()
        if self._copied is None:
            if self.options.storage == 'float64':
                self.record.save(self.record.x, self._look)      # where it starts
            self._copied = self._kept = now
        elif now - self._copied >= max(self._at_most(_SAVING), 10 * self._copying_took):
            self._copied = now
            if best:
                x = self.loader.x = yield from self._collect()
                self._copying_took = self.engine.now() - now
                if self.options.storage == 'float64':      # else it is a correction
                    self.record.save(self.plan.restore(x), self._look)
                    if self.keeper is not None and now - self._kept >= self.keeper.every:
                        yield from self._keep(self.record.x, self._look.sweeps, self._look.residual_norm)

    def _keep(self, x, sweeps, residual_norm):
        """Write a checkpoint."""
        self._kept = self.engine.now()
        self.record.note((yield self.engine.compute(self.keeper.write, x, sweeps, residual_norm)))

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
