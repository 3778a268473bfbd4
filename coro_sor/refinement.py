"""Iterative refinement: owners that hold A in float32 find corrections, and the answer is that of A as given; pure."""
from __future__ import annotations

import numpy as np

__all__ = ['Refinement']

_REDUCTION = 1e-4       # of the residual, by one correction: float32 gives 1e-7 times the condition of A at best


class Refinement:
    """x so far and its residual, in float64 and with A as given.

    With A32 the stored matrix, x <- x + d, where A32 d = b - A x is solved to a part of the threshold (Wilkinson,
    Rounding Errors in Algebraic Processes, 1963; Moler, J. ACM 14, 1967).

    Parameters
    ----------
    problem : Problem
    b : (n,) array
        Right-hand side of the rows as they are solved.
    threshold : float
        For the norm of the residual.
    chunk_bytes : int
        Size of the pieces in which A is read.

    Attributes
    ----------
    x : (n,) array
    norm : float
        Of the residual at x; infinite before `add` was called.
    residual : (n,) array
    corrections : int
    """

    def __init__(self, problem, b, threshold, chunk_bytes):
        self._problem, self._b, self._threshold, self._chunk = problem, b, threshold, chunk_bytes
        self.x, self.norm, self.residual = np.zeros(problem.n), np.inf, b
        self.corrections = 0

    def add(self, d):
        """Add a correction (n,), if it makes the residual smaller.

        Returns
        -------
        bool
            Whether it made it at least twice as small.
        """
        x = self.x + d
        residual = np.empty(len(x))
        with np.errstate(over='ignore', invalid='ignore'):
            for lo, hi in self._problem.cuts(0, len(x), self._chunk):
                residual[lo:hi] = self._b[lo:hi] - self._problem.rows(lo, hi).matvec(x)
            norm = float(np.linalg.norm(residual))
        before = self.norm
        if norm < before:
            self.x, self.residual, self.norm = x, residual, norm
        self.corrections += 1
        return norm <= 0.5 * before

    @property
    def done(self):
        """Whether x is within the threshold."""
        return self.norm <= self._threshold

    @property
    def target(self):
        """The norm that the residual of the next correction's own system must come down to."""
        return max(0.5 * self._threshold, _REDUCTION * float(np.linalg.norm(self.residual)))
