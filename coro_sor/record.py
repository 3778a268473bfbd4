"""What happened in a solve, as it happens; `coro_sor.report` makes the user's report of it."""
from __future__ import annotations

import collections
import math

import numpy as np

from .solution import Status

__all__ = ['PHASES', 'Record']

PHASES = ('load', 'distribute', 'iterate', 'verify', 'collect', 'recover')

_HISTORY = 1000         # entries kept; beyond it every second one is dropped
_OBSERVE = 0.2          # seconds between two calls of the observer


class Record:
    """Facts of one solve.

    Parameters
    ----------
    problem : Problem
    options : Options
    clock : callable
        Seconds.
    observe : callable or None
        ``observe(record)`` now and then.

    Attributes
    ----------
    x : (n,) array
    status : Status or None
    residual_norm : float or None
    phase : str
    seconds : dict of str to float
        By phase.
    history : list of (float, float, float, float)
        Seconds since iterating began, reported residual norm, lowest and highest number of sweeps of a block.
    looks : list of dict
    owners : list of dict
        Statistics.
    scan : Scan or None
    failure : WorkerFailed or None
    recoveries : list of dict
        Workers that were lost, and what took their place.
    plan : Plan or None
    steering : Steering or None
    """

    def __init__(self, problem, options, clock, observe):
        self.problem, self.options = problem, options
        self.x, self.status, self.residual_norm = problem.x0, None, None
        if self.x is None:
            self.x = np.zeros(problem.n)
        self.phase, self.seconds = None, dict.fromkeys(PHASES, 0.0)
        self.history, self.looks, self.owners = [], [], []
        self.recoveries, self._notes = [], []
        self.reads, self.rows_came = [], []
        self.plan = self.steering = self.corrections = None
        self.scan = self.failure = self._saved = self._start = self.reported = None
        self.sweeps, self.sweeps_needed = 0.0, None
        self.lowered = {}
        self._clock, self._observe = clock, observe
        self._since = self._iterating_since = None
        self._observed = -math.inf
        self._stride = 1
        self._skipped = 0

    @property
    def schedule(self):
        """The schedule that it ended with, or was asked for."""
        return self.steering.schedule if self.steering else self.options.schedule

    @property
    def notes(self):
        """Lines of text: what was decided, what went wrong and what was done about it."""
        return (self.plan.notes if self.plan else []) + (self.steering.notes if self.steering else []) + self._notes

    @property
    def threshold(self):
        """max(rtol ||b||, atol); None before A was looked at."""
        return self.scan and max(self.options.rtol * self.scan.b_norm, self.options.atol)

    def enter(self, phase):
        """A phase begins, and the one before ends."""
        now = self._clock()
        if self.phase is not None:
            self.seconds[self.phase] += now - self._since
        self.phase, self._since = phase, now
        if phase == 'verify' and self._iterating_since is None:
            self._iterating_since = now
        self._show(now, True)

    def note_reports(self, reports, reported):
        """Owners have reported."""
        now = self._clock()
        if reported is None or now - self._observed < _OBSERVE:
            return
        sweeps = [sweep for report in reports.values() for sweep in report.sweeps]
        entry = now - self._iterating_since, reported, self.sweeps + min(sweeps), self.sweeps + max(sweeps)
        self._skipped += 1
        if self._skipped >= self._stride:
            self._skipped = 0
            self.history.append(entry)
            if len(self.history) > _HISTORY:
                del self.history[1::2]
                self._stride *= 2
        self.reported = entry
        self._show(now)

    def note_look(self, look):
        """A look ended; None where an owner stalled."""
        if look is None:
            self.looks.append({'seconds': self._clock() - self._iterating_since, 'found': 'not all owners answered'})
            return
        self.sweeps = look.sweeps
        passed = look.residual_norm <= self.threshold
        self.looks.append({'seconds': look.seconds, 'sweeps': look.sweeps, 'reported': look.reported,
                           'residual_norm': look.residual_norm, 'found': 'converged' if passed else 'not yet'})

    def note(self, text):
        """Tell the user something, once; nothing where it is empty."""
        if text and text not in self._notes:
            self._notes.append(text)

    def note_recovery(self, owner, loss, place, now):
        """An owner that was lost has been started elsewhere."""
        self.recoveries.append({
            'seconds': None if self._iterating_since is None else loss.seconds - self._iterating_since, 'worker': owner,
            'phase': loss.phase, 'reason': loss.reason, 'node': place.node, 'address': '%s:%d' % place.location,
            'found_after': now - loss.seconds})

    def finish(self, status, x, residual_norm, look=None):
        """It ended with this x, seen in a look, or with a better one that was saved before workers were lost."""
        self.status = status
        if status is Status.DIVERGED and self._start and not residual_norm <= self._start[1].residual_norm:
            self.x, self.residual_norm = self._start[0], self._start[1].residual_norm
        elif look and self._saved and status is not Status.CONVERGED and self._saved.better_than(look):
            self.residual_norm = self._saved.residual_norm
        else:
            self.x, self.residual_norm = x, residual_norm
        self._tell_convergence()
        self.enter(None)

    def save(self, x, look):
        """The best x so far, and what a look found of it."""
        self.x, self._saved = x, look
        self._start = self._start or (x, look)

    def fail(self, error):
        """Workers were lost: what was saved is all that is left."""
        self.end_with_saved(Status.WORKERS_LOST)
        if self.status is Status.CONVERGED:
            self.note(str(error))
        else:
            self.failure = error

    def end_with_saved(self, status):
        """It ended while no x could be verified: what was saved is all that is left."""
        self.status = status
        if self._saved is not None:
            self.residual_norm, self.sweeps = self._saved.residual_norm, self._saved.sweeps
        self._tell_convergence()
        self.enter(None)

    def _tell_convergence(self):
        # A copy of x that was taken on the way may be good enough, though nothing was judged by it.
        if self.residual_norm is not None and self.residual_norm <= self.threshold:
            self.status = Status.CONVERGED

    def _show(self, now, always=False):
        if self._observe is not None and (always or now - self._observed >= _OBSERVE):
            self._observed = now
            self._observe(self)


def first_sweep_below(squares, bound):
    """The first sweep whose sum of squares is at most `bound`; None if none is.

    Parameters
    ----------
    squares : dict of int to float
    bound : float
    """
    return min((sweep for sweep, met in squares.items() if met <= bound), default=None)


def sum_by_sweep(parts, owners):
    """Sums over all owners of (sweep, squares) lists; sweeps that not all have told of are left out.

    Parameters
    ----------
    parts : list of (sweep, squares)
    owners : int
    """
    sums, counts = collections.Counter(), collections.Counter()
    for sweep, squares in parts:
        sums[sweep] += squares
        counts[sweep] += 1
    return {sweep: met for sweep, met in sums.items() if counts[sweep] == owners}
