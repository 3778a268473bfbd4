"""What a solve ends with: its status, its errors and the answer itself."""
from __future__ import annotations

import enum
from dataclasses import dataclass, field

__all__ = ['InputError', 'Solution', 'SolverError', 'Status', 'Unreachable', 'WorkerFailed']


class SolverError(Exception):
    """Base of every error that coro_sor raises on purpose."""


class InputError(SolverError, ValueError):
    """The problem or an option is wrong; the text says what, where and what to do."""


class Unreachable(SolverError, OSError):
    """A node or worker did not answer."""


class WorkerFailed(SolverError):
    """A worker was lost or raised an exception while it owned rows.

    Parameters
    ----------
    text : str
        One or two lines for the user.
    traceback : str or None
        The worker's own traceback, where it sent one.
    """

    def __init__(self, text, traceback=None):
        super().__init__(text)
        self.traceback = traceback


class Status(enum.Enum):
    """How a solve ended; `advice` says what the user can do."""

    CONVERGED = ('converged', 'The residual of the returned x was computed and is within the threshold.')
    MAX_SWEEPS = ('max_sweeps', 'The limit of sweeps was reached first; raise max_sweeps or choose a better omega.')
    TIME_LIMIT = ('time_limit', 'The time limit was reached first; raise it, or choose a better omega.')
    CANCELLED = ('cancelled', 'It was asked to stop; x is the best that was verified.')
    STAGNATED = ('stagnated', 'Rounding allows no smaller residual; ask for a larger rtol.')
    DIVERGED = ('diverged', 'The residual or the energy grew beyond what is seen where SOR converges: try a smaller '
                            'omega, and the schedule ordered without plain_omega; if it grows even so, A is probably '
                            'neither positive definite nor diagonally dominant.')
    WORKERS_LOST = ('workers_lost', 'No worker was left, or one failed; x is the best that had come back by then.')

    def __init__(self, label, advice):
        self.label = label
        self.advice = advice

    def __str__(self):
        return self.label


@dataclass(eq=False)
class Solution:
    """The answer and the honest report of how it came about.

    Attributes
    ----------
    x : (n,) array
        float64; the best x that was verified.
    status : Status
    residual_norm : float or None
        ||b - A x|| of this very x, computed by the owners of the rows; None where they are gone.
    sweeps : float
        Row updates / n.
    report : dict
        Everything else, ready for JSON; see docs of `coro_sor.report`.
    """

    x: object
    status: Status
    residual_norm: float | None
    sweeps: float
    report: dict = field(repr=False)

    @property
    def converged(self):
        """Whether the residual of x was verified to be within the threshold."""
        return self.status is Status.CONVERGED
