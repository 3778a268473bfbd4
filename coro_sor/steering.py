"""Schedule, omega and order of updates while a solve runs: what it begins with, and what changes when it goes wrong."""
from __future__ import annotations

import math

from .relaxation import nonsymmetric_cap

__all__ = ['Steering']

_TRIAL = 6              # sweeps in which an order is tried
_LOWERED = 0.5          # of omega - 1 is left when it is lowered


class Steering:
    """Decides from the looks; pure.

    Parameters
    ----------
    schedule : str
        'async', 'sync' or 'ordered'.
    options : Options
    scan : Scan
    owners : int
    sparse : bool

    Attributes
    ----------
    schedule : str
    omega : float
    capped : bool
        Whether omega is lowered row by row at block boundaries, as a symmetric A needs in 'async' and 'sync'.
    order, why_order : str
        'cyclic', 'symmetric' or 'shuffled', and the reason.
    notes : list of str
        What went wrong and what was done.
    """

    def __init__(self, schedule, options, scan, owners, sparse):
        self.schedule, self.notes = schedule, []
        self._options, self._scan, self._owners = options, scan, owners
        self._ratio = min(scan.row_ratio, scan.column_ratio)
        # Where dominance proves that any order of messages converges, a lower omega would only cost sweeps.
        safe = self._ratio < 1 and options.omega < 2 / (1 + self._ratio)
        self.capped = scan.symmetric and not safe and not options.plain_omega
        self.omega = options.omega
        if not scan.symmetric and self._ratio < 1 and not options.plain_omega:
            self.omega = nonsymmetric_cap(options.omega, scan.row_ratio, scan.column_ratio)
        self._lowered = False
        self._trial = []            # (order, factor a sweep) of what was tried
        self._begin_order(sparse)

    # ---- the order of updates

    def _begin_order(self, sparse):
        if self._options.order != 'auto':
            self.order, self.why_order, self._trying = self._options.order, 'as asked for', []
            return
        self.order, self._trying = 'cyclic', []
        alone = self._owners == 1
        if sparse:
            self.why_order = 'A is sparse'
        elif self._ratio < 1:
            self.why_order = 'A is strictly diagonally dominant'
        elif not self._scan.symmetric or (self.schedule != 'ordered' and not alone):
            self.why_order = 'a random order must be the same for all blocks, which only ordered keeps'
        else:
            self.order, self.why_order, self._trying = 'shuffled', 'being tried', ['shuffled', 'cyclic']

    @property
    def trial(self):
        """Sweeps until the order that is being tried must be looked at; None where none is."""
        return _TRIAL if self._trying else None

    def note_trial(self, before, after):
        """Take in the looks before and after a trial."""
        if not self._trying or after.sweeps <= before.sweeps:
            return
        factor = math.inf
        if 0 < before.residual_norm and after.residual_norm < math.inf:
            factor = (after.residual_norm / before.residual_norm) ** (1 / (after.sweeps - before.sweeps))
        self._trial.append((self._trying.pop(0), factor))
        if self._trying:
            self.order = self._trying[0]
            return
        self.order = min(self._trial, key=lambda each: each[1])[0]
        self.why_order = 'a sweep left ' + ' and '.join('%.2f of the residual in %s order' % (factor, order)
                                                        for order, factor in self._trial)

    # ---- when it goes wrong

    def react(self, outlook):
        """What to do after a look.

        Returns
        -------
        str
            'go on', 'go back' to the best x and on as the attributes say, or 'give up'.
        """
        if self._options.plain_omega:
            return 'give up' if outlook.diverging() else 'go on'
        if not outlook.rose() and not outlook.diverging():
            return 'go on'
        what = 'energy' if self._scan.symmetric else 'residual'
        if self.schedule == 'ordered' or self._owners == 1:
            return self._judge(outlook)
        if not self._lowered:
            self._lowered = True
            self.omega = 1 + _LOWERED * (self.omega - 1) if self.omega > 1.01 else 0.75 * self.omega
            self.notes.append('the %s rose in %s: went back to the best x and on with omega %.4g'
                              % (what, self.schedule, self.omega))
        else:
            self.notes.append('the %s rose in %s again: went back to the best x and on with the schedule ordered, '
                              'which is SOR on one machine' % (what, self.schedule))
            self.schedule, self.capped, self.omega = 'ordered', False, self._options.omega
        return 'go back'

    def _judge(self, outlook):
        """In exact order the energy of a positive semidefinite A never rises."""
        if self._scan.symmetric and math.isfinite(outlook.looks[-1].energy) and not outlook.diverging():
            self.notes.append('the energy rose in exact order: A is not positive semidefinite')
            return 'give up'
        return 'give up' if outlook.diverging() else 'go on'

    # ---- what is known of it

    def convergence(self):
        """Whether theory promises that it converges, in words: 'proven: ...' or 'heuristic: ...'."""
        if self._ratio < 1 and self.omega < 2 / (1 + self._ratio):
            return 'proven: A is strictly diagonally dominant, and omega is below %.4g' % (2 / (1 + self._ratio))
        if self.schedule == 'ordered' or self._owners == 1:
            if self._scan.symmetric:
                return 'proven where A is positive definite: SOR as on one machine'
            return 'heuristic: A is neither symmetric nor dominant enough for this omega'
        if self.schedule == 'sync' and self._scan.symmetric and self.capped:
            return 'proven where A is positive definite: omega is lowered at block boundaries'
        guard = 'the guard watches the ' + ('energy' if self._scan.symmetric else 'residual')
        return 'heuristic: %s may diverge for this A; %s' % (
            self.schedule, 'there is no guard' if self._options.plain_omega else guard)
