"""How long computations take on a virtual machine; what they compute is real."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ['Costs']


@dataclass(frozen=True)
class Costs:
    """A cost model, as `Simulation` takes it.

    Attributes
    ----------
    sparse, dense : float
        Seconds a stored entry in a sweep, or in a residual: as measured on one core of a present machine.
    copied : float
        Seconds a byte of arrays that are given to, or made by, other functions.
    call : float
        Seconds that a step of a sweep, or any other computation, takes beside that: values that come in and go out, and
        calls of NumPy.
    """

    sparse: float = 0.8e-9
    dense: float = 0.7e-9
    copied: float = 2e-10
    call: float = 4e-5

    def __call__(self, function, args):
        """Seconds that ``function(*args)`` takes on a machine of speed 1."""
        holding = getattr(function, '__self__', None)
        if not hasattr(holding, 'assignment'):
            return self.call + self.copied * _bytes(args)
        each = self.sparse if holding.assignment.sparse else self.dense
        if args and isinstance(args[0], list):
            return sum(self.call + each * _entries(holding, step) for step in args[0])
        return self.call + each * holding.nonzeros


def _entries(holding, step):
    """Stored entries that a step of a sweep passes over."""
    block, panel, _ = step
    rows = holding.stop - holding.start
    if holding.chained:     # the change of any block is taken out of all own rows
        return rows * (holding.bounds[block + 1] - holding.bounds[block])
    first, last = holding.panels[block][panel]
    return holding.nonzeros * (last - first) / rows


def _bytes(values):
    """Size of the arrays in function arguments; rows of a system know their number of entries only."""
    count = 0
    for value in values:
        if isinstance(value, np.ndarray):
            count += value.nbytes
        elif isinstance(value, (tuple, list)):
            count += _bytes(value)
        elif hasattr(value, 'nonzeros'):
            count += 12 * int(np.sum(value.nonzeros))
    return count
