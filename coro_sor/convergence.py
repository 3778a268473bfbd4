"""When to look at the true residual, and what a look found."""
from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ['Look', 'Outlook', 'combine']

GROWTH = 1e4
"""Growth of the residual over where it started that counts as divergence: SOR's own may rise a hundredfold."""

EPS = 2.0 ** -52

_SLACK = 1e-9      # relative rise of the energy that blocks out of step may cause
_HIDDEN = 1e-13     # relative difference of energies that rounding may cause
_RISE = 100.0       # of the best residual: SOR's own may rise 13-fold

_BLIND, _GUESSED = 0.25, 2.0    # times the sweeps done is the most until the next look, without and with a known rate
_LONGEST = 10_000       # sweeps without a look in 'sync' and 'ordered'; what is kept of each stays small


def combine(parts):
    """The 2-norm of a vector from (largest entry, sum of squares of entries / largest) of its parts, in this order.

    NaN where a part is not finite.
    """
    scale = 0.0
    for largest, _ in parts:
        if not math.isfinite(largest):
            return math.nan
        scale = max(scale, largest)
    if scale == 0.0:
        return 0.0
    return scale * math.sqrt(math.fsum(squares * (largest / scale) ** 2 for largest, squares in parts))


@dataclass(frozen=True)
class Look:
    """What one look found.

    Attributes
    ----------
    seconds : float
        Since iterating began.
    sweeps : float
        Row updates / n so far.
    residual_norm : float
        ||b - A x|| of the frozen x; NaN where it overflowed.
    reported : float or None
        The norm that the last reports had given, if they were complete.
    energy : float
        x'Ax / 2 - b'x of the frozen x where A is symmetric; NaN where it is not, or overflowed.
    """

    seconds: float
    sweeps: float
    residual_norm: float
    reported: float | None
    energy: float = math.nan

    def better_than(self, other):
        """Whether its x is nearer to the solution, as far as can be told.

        For a symmetric A the lower energy is nearer in the A-norm, where the residual may grow for a while; energies
        that rounding hides are left to the residuals.
        """
        known = math.isfinite(self.energy) and math.isfinite(other.energy)
        if known and abs(self.energy - other.energy) > _HIDDEN * max(abs(self.energy), abs(other.energy)):
            return self.energy < other.energy
        return self.residual_norm < other.residual_norm or math.isnan(other.residual_norm) and not math.isnan(
            self.residual_norm)


class Outlook:
    """Judges reports and looks; pure.

    Parameters
    ----------
    threshold : float
        max(rtol ||b||, atol).
    row_length : float
        Mean number of stored entries of a row.
    look_interval : float
        Longest pause in seconds before a look that nothing but time calls for, at first.

    Attributes
    ----------
    looks : list of Look
    best : Look or None
        The one whose x was the best.
    noise : float
        By how much rounding may have raised the energy of the last look, where that was found out.
    """

    def __init__(self, threshold, row_length, look_interval):
        self.threshold = threshold
        self.looks = []
        self.best = None
        self.noise = 0.0
        self._roundings = 10.0 + math.sqrt(row_length)
        self._interval = look_interval
        self._rate = None
        self._first = 0             # of the looks that compare with the last
        self.ratio = 1.0

    # ---- before a look

    def worth_a_look(self, reported, since_look, looking_took, running):
        """Whether running blocks call for a look.

        Parameters
        ----------
        reported : float or None
            Norm from the newest reports of this epoch; None before every block has reported.
        since_look, looking_took, running : float
            Seconds since the last look ended, that it took, and since iterating began.
        """
        if since_look > max(self._interval, 0.2 * running, 20 * looking_took):
            return True
        if reported is None:
            return False
        if self.exploded(reported):
            return True
        return reported <= self.aim() and since_look >= looking_took

    def exploded(self, reported):
        """Whether a norm is beyond what SOR shows where it converges."""
        return not math.isfinite(reported) or reported > GROWTH * max(self.looks[0].residual_norm, self.threshold)

    def aim(self):
        """The reported norm at which the true one is expected to pass."""
        return self.threshold * self.ratio

    # ---- after a look

    def add(self, look):
        """Take in a look. Returns whether its x is the best so far."""
        previous = self.looks[-1] if len(self.looks) > self._first else None
        self.looks.append(look)
        if look.reported and look.residual_norm > 0 and math.isfinite(look.reported):
            self.ratio = min(max(look.reported / look.residual_norm, 0.1), 10.0)
        if previous is not None:
            self._rate = _rate(previous, look)
        # Where A is not positive definite the energy falls as x grows without bounds.
        better = self.best is None or look.better_than(self.best) and not self.exploded(look.residual_norm)
        if better:
            self.best = look
        self.noise = 0.0
        return better

    def passed(self):
        """Whether the last look's x is converged."""
        return self.looks[-1].residual_norm <= self.threshold < math.inf

    def diverging(self):
        """Whether the last look found growth that SOR does not show where it converges."""
        return self.exploded(self.looks[-1].residual_norm)

    def rose(self):
        """Whether the last look shows what SOR never does where it converges.

        For a symmetric A that is energy that rose: SOR lets it fall in every sweep, where the residual may grow for a
        while. Without energies it is a residual hundred times the best.
        """
        if len(self.looks) < 2:
            return False
        before, last = self.looks[-2:]
        if not math.isfinite(last.residual_norm):
            return True
        if len(self.looks) - self._first < 2:
            return False
        if math.isfinite(before.energy) and math.isfinite(last.energy):
            return last.energy > before.energy + _SLACK * max(abs(before.energy), abs(last.energy)) + self.noise
        return last.residual_norm > _RISE * max(self.best.residual_norm, self.threshold)

    def allow_for_rounding(self, energy_size):
        """The energy of the last look is a sum of terms whose sizes add up to `energy_size`."""
        self.noise = 2 * self._roundings * EPS * energy_size

    def begin_anew(self):
        """The next x does not come from those of earlier looks, nor does it compare with them."""
        self.restart()
        self._first, self.best = len(self.looks), None

    def restart(self):
        """Forget the rate and ratio of a schedule that was given up."""
        self._rate, self.ratio = None, 1.0

    def stuck(self, looks=1):
        """Whether the last `looks` looks brought no progress, so that rounding may be the reason."""
        pairs = list(zip(self.looks[self._first:], self.looks[self._first + 1:]))[-looks:]
        return len(pairs) == looks and all(
            after.residual_norm > 0.9 * before.residual_norm and after.sweeps >= before.sweeps + 2
            for before, after in pairs)

    def stagnated(self, size):
        """Whether two looks in a row brought no progress and rounding of the residual itself is as large.

        Parameters
        ----------
        size : float
            The norm of |A| |x| + |b|; NaN where it was not computed.
        """
        return self.stuck(2) and self.looks[-1].residual_norm <= self._roundings * EPS * size

    def seconds_to_go(self):
        """Seconds until the threshold is reached at the last rate and pace; NaN where that is unknown."""
        looks = self.looks[self._first:][-2:]
        if self._rate is None or not self.threshold or len(looks) < 2:
            return math.nan
        sweeps = -math.log(max(1.0, looks[1].residual_norm / self.threshold)) / math.log(self._rate)
        return sweeps * (looks[1].seconds - looks[0].seconds) / (looks[1].sweeps - looks[0].sweeps)

    def sweeps_to_go(self):
        """Sweeps until the next look in 'sync' and 'ordered': a guess from the last rate, growing with caution."""
        done = self.looks[-1].sweeps - self.looks[0].sweeps
        distance = self.looks[-1].residual_norm / self.threshold if self.threshold else math.inf
        if self._rate is None or not 0 < self._rate < 1 or not 1 < distance < math.inf:
            return min(max(4, int(_BLIND * done)), _LONGEST)
        guess = math.ceil(-math.log(distance) / math.log(self._rate))
        return max(1, min(guess, max(4, int(_GUESSED * done)), _LONGEST))


def _rate(before, after):
    """Factor by which the residual fell in a sweep between two looks; None where unknown."""
    sweeps = after.sweeps - before.sweeps
    if sweeps <= 0 or not 0 < after.residual_norm < before.residual_norm < math.inf:
        return None
    return (after.residual_norm / before.residual_norm) ** (1.0 / sweeps)
