"""How an owner passes over panels with a kernel: alone, or in one chain with all other owners."""
from __future__ import annotations

import numpy as np

__all__ = ['PanelPasser', 'StripPasser']


class PanelPasser:
    """Passes over the own panels alone; what the others have done meanwhile is in x.

    Parameters
    ----------
    kernel : DenseKernel or SparseKernel
    panels : dict of int to list
        Of each own block; the kernel has all of them, block after block.
    """

    chained = False

    def __init__(self, kernel, panels):
        self._kernel = kernel
        self.set_omega, self.residual, self.size = kernel.set_omega, kernel.residual, kernel.size
        names = [(block, panel) for block in sorted(panels) for panel in range(len(panels[block]))]
        self._numbers = {name: number for number, name in enumerate(names)}

    def begin(self, x):
        """Sweeping begins anew at this x."""

    def give_back(self):
        """Leave the rows as they were."""

    def pass_over(self, tasks, x, order, before, after):
        """See `Holding.sweep`."""
        met, kernel, numbers = [], self._kernel, self._numbers
        # The norm of what is met costs sparse rows a tenth of a sweep.
        stride = kernel.MEASURED
        for block, panel, sweep in tasks:
            if not before(block, panel, sweep):
                break
            number = numbers[block, panel]
            measure = sweep % stride == 0
            squares = kernel.sweep(x, number, order.pieces(sweep, number, kernel.pieces(number)),
                                   order.backward(sweep), measure)
            met.append(squares if measure else None)
            if not after(block, panel, sweep):
                break
        return met


class StripPasser:
    """Passes over all blocks of the system: solves the own ones, and takes the change of every one out of r = b - A x.

    The chain from block to block is what limits many workers. So an own block is solved and published as soon as the
    change of the block right before it is known, and only then is that change taken out of all of r. Always exactly
    that one change is late, so the bits of x do not depend on timing.

    Parameters
    ----------
    kernel : StripKernel
    bounds : list of int
        Of all blocks.
    """

    chained = True

    def __init__(self, kernel, bounds):
        self._kernel, self._bounds = kernel, bounds
        self.set_omega, self.residual, self.size = kernel.set_omega, kernel.residual, kernel.size
        self.give_back = kernel.restore
        self._several = {block for block in kernel.own if kernel.pieces(block) > 1}
        self._x, self._views = None, []
        self._late = None

    def begin(self, x):
        """Sweeping begins anew at this x."""
        self._kernel.refresh(x)
        self._late = None

    def pass_over(self, tasks, x, order, before, after):
        """See `Holding.sweep`."""
        if x is not self._x:
            self._x, self._views = x, [x[lo:hi] for lo, hi in zip(self._bounds[:-1], self._bounds[1:])]
        met, own, views, going_on = [], self._kernel.own, self._views, True
        with np.errstate(over='ignore', invalid='ignore'):
            for block, _, sweep in tasks:
                if block in own:
                    squares, change = self._solve(block, sweep, x, order)
                    going_on = after(block, 0, sweep)
                    self._catch_up()
                else:
                    self._catch_up()        # while the owner of the block is at it
                    view = views[block]
                    old = view.copy()
                    if not before(block, 0, sweep):
                        break
                    squares, change = None, np.subtract(view, old, old)
                self._late = block, change
                met.append(squares)
                if not going_on:
                    break
        return met

    def _solve(self, block, sweep, x, order):
        kernel = self._kernel
        pieces = order.pieces(sweep, block, kernel.pieces(block)) if block in self._several else None
        return kernel.solve(block, x, pieces, order.backward(sweep), self._late)

    def _catch_up(self):
        """Take the last change out of all of r, if that was not done yet."""
        if self._late is not None:
            self._kernel.apply(*self._late)
            self._late = None
