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
    why_schedule : str or None
        What made it another one than the first; None while it is the first.
    omega : float
    capped : bool
        Whether omega is lowered row by row at block boundaries, as a symmetric A needs in 'async' and 'sync'.
    order, why_order : str
        'cyclic', 'symmetric' or 'shuffled', and the reason.
    notes : list of str
        What went wrong and what was done.
    """

    def __init__(self, schedule, options, scan, owners, sparse):
        self.schedule, self.why_schedule, self.notes = schedule, None, []
        self._options, self._scan, self._owners = options, scan, owners
        self._ratio = min(scan.row_ratio, scan.column_ratio)
        # Where dominance proves that any order of messages converges, a lower omega would only cost sweeps.
        safe = self._ratio < 1 and options.omega < 2 / (1 + self._ratio)
        self.capped = scan.symmetric and not safe and not options.plain_omega
        self.omega = options.omega
        if not (scan.symmetric or options.plain_omega or self._plain_sor):
            self.omega = self._proven_omega()
        self._lowered = False
        self._trial = []            # (order, factor a sweep) of what was tried
        self._begin_order(sparse)

    @property
    def _plain_sor(self):
        """Whether the blocks as they are swept make up SOR as on one machine."""
        # In 'sync' also the blocks of one owner see each other as they were a sweep before.
        several = self._owners > 1 or (self.schedule == 'sync' and (self._options.blocks or 1) > 1)
        return self.schedule == 'ordered' or not several

    # ---- the order of updates

    def _begin_order(self, sparse):
        if self._options.order != 'auto':
            self.order, self.why_order, self._trying = self._options.order, 'as asked for', []
            return
        self.order, self._trying = 'cyclic', []
        if sparse:
            self.why_order = 'A is sparse'
        elif self._ratio < 1:
            self.why_order = 'A is strictly diagonally dominant'
        elif not self._scan.symmetric or not self._plain_sor:
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
        if self._plain_sor:
            return self._judge(outlook)
        if not self._lowered:
            self._lowered = True
            self.omega = 1 + _LOWERED * (self.omega - 1) if self.omega > 1.01 else 0.75 * self.omega
            self.notes.append('the %s rose in %s: went back to the best x and on with omega %.4g'
                              % (what, self.schedule, self.omega))
        else:
            self.notes.append('the %s rose in %s again: went back to the best x and on with the schedule ordered, '
                              'which is SOR on one machine' % (what, self.schedule))
            self.why_schedule = 'the %s rose in %s' % (what, self.schedule)
            self.schedule, self.capped, self.omega = 'ordered', False, self._options.omega
        return 'go back'

    def _judge(self, outlook):
        """In exact order the energy of a positive semidefinite A never rises."""
        if self._scan.symmetric and math.isfinite(outlook.looks[-1].energy) and not outlook.diverging():
            self.notes.append('the energy rose in exact order: A is not positive semidefinite')
            return 'give up'
        if not outlook.diverging():
            return 'go on'
        if self._scan.symmetric or self.omega == self._proven_omega():
            return 'give up'
        self.omega = self._proven_omega()
        self.notes.append('the residual rose in exact order: went back to the best x and on with omega %.4g, for which '
                          'it is proven to converge' % self.omega)
        return 'go back'

    def _proven_omega(self):
        """The largest omega, up to that asked for, for which a dominant A is proven to converge; else that itself."""
        if self._ratio >= 1:
            return self._options.omega
        return nonsymmetric_cap(self._options.omega, self._scan.row_ratio, self._scan.column_ratio)

    # ---- what is known of it

    def convergence(self):
        """Whether theory promises that it converges, in words: 'proven: ...' or 'heuristic: ...'."""
        if self._ratio < 1 and self.omega < 2 / (1 + self._ratio):
            return 'proven: A is strictly diagonally dominant, and omega is below %s' \
                % _above(self.omega, 2 / (1 + self._ratio))
        if self._plain_sor:
            if self._scan.symmetric:
                return 'proven where A is positive definite: SOR as on one machine'
            return 'heuristic: A is neither symmetric nor dominant enough for this omega'
        if self.schedule == 'sync' and self._scan.symmetric and self.capped:
            return 'proven where A is positive definite: omega is lowered at block boundaries'
        guard = 'the guard watches the ' + ('energy' if self._scan.symmetric else 'residual')
        return 'heuristic: %s may diverge for this A; %s' % (
            self.schedule, 'there is no guard' if self._options.plain_omega else guard)


def _above(omega, bound):
    """A bound in as few digits, four at least, as show it above omega."""
    return next(text for text in ('%.*g' % (digits, bound) for digits in range(4, 18)) if float(text) > omega)
