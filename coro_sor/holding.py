"""What an owner holds: its rows, its part of b, the vector x, and the kernel that sweeps them."""
from __future__ import annotations

import math

import numpy as np

from .formats import read_rows
from .kernels import make_passer
from .layout import DenseLayout, SparseLayout, cut_panels
from .order import Order
from .partition import halo
from .relaxation import boundary_coupling, capped_omega
from .rows import DenseRows, RowsDigest, SparseRows, digest_vector, index_dtype

__all__ = ['Holding']


class Holding:
    """Rows ``start .. stop`` of the system.

    Where the rows are sparse, x is this owner's entries and after them those that it reads from others; the own ones
    are in the order in which they are updated. Where they are dense, x is all of x.

    Parameters
    ----------
    assignment : Assignment

    Attributes
    ----------
    start, stop : int
        Own rows.
    blocks : list of int
        Numbers of the own blocks, ascending.
    x : array
        Own entries and all that was received; made by `prepare`.
    keys : dict of int to slice
        Where in x the entries read from each owner are; made by `prepare`.
    panels : dict of int to list of (int, int)
        Ranges of rows of each own block, counted from its first.
    order : Order
        Of updates.
    """

    def __init__(self, assignment):
        self.assignment = assignment
        owner, self.bounds = assignment.owner, [int(bound) for bound in assignment.block_bounds]
        self.start, self.stop = (int(bound) for bound in assignment.owner_bounds[owner:owner + 2])
        self.blocks = list(range(self.bounds.index(self.start), self.bounds.index(self.stop)))
        self.n = self.bounds[-1]
        self.b, self._x0 = np.zeros(self.stop - self.start), np.zeros(self.stop - self.start)
        self.order = Order('cyclic', 0, np.arange(len(self.bounds) - 1))
        self.x = None
        self.keys, self.panels, self.block_halos = {}, {}, []
        self.rows = self._empty_rows()
        self.nonzeros = self.rows.nonzeros
        self._best = self._relaxed = self._kernel = self._omega = None
        self._couplings, self._sweep_start = {}, {}

    def _empty_rows(self):
        m, assignment = self.stop - self.start, self.assignment
        real = np.dtype(assignment.settings.get('storage', 'float64'))
        if not assignment.sparse:
            return DenseRows(np.empty((m, self.n), dtype=real))
        indptr = np.zeros(m + 1, dtype=index_dtype(assignment.nonzeros))
        return SparseRows(indptr, np.empty(assignment.nonzeros, dtype=index_dtype(self.n)),
                          np.empty(assignment.nonzeros, dtype=real), self.n)

    # ---- loading

    def take_rows(self, start, arrays):
        """Copy rows from `start` on into place; sparse ones in ascending order."""
        lo = start - self.start
        if not self.assignment.sparse:
            values, = arrays
            self.rows.values[lo:lo + len(values)] = values
            return
        indptr, indices, data = arrays
        first = int(self.rows.indptr[lo])
        self.rows.indptr[lo + 1:lo + len(indptr)] = indptr[1:] + first
        self.rows.indices[first:first + len(data)] = indices
        self.rows.data[first:first + len(data)] = data

    def read_rows(self, path):
        """Read the rows from a file and return their digest.

        Raises
        ------
        InputError, OSError
            Where the file can't be used.
        """
        lo, digest = 0, RowsDigest()
        for piece in read_rows(path, self.start, self.stop, self.n):
            digest.update(piece)        # before it is rounded to what is stored
            self.rows.values[lo:lo + len(piece)] = piece.values
            lo += len(piece)
        return digest.hexdigest()

    def take_vectors(self, start, b, x):
        """Copy entries of b and x into place."""
        part = slice(start - self.start, start - self.start + len(b))
        if self.x is None:
            self.b[part], self._x0[part] = b, x
            return
        spots = self._layout.spots(part)
        self.b[spots], self.own()[spots] = b, x
        self._relaxed = None        # what the kernel has made of b

    def prepare(self):
        """Cut the rows into panels, find what they read, and bring them into the order of updates.

        Returns
        -------
        dict of int to Reads
            By owner.
        """
        halos = {block: halo(self.rows[lo:hi], self.bounds, lo + self.start, hi + self.start)
                 for block, lo, hi in self.local_blocks()}
        self.block_reads = {block: set(found) for block, found in halos.items()}
        self.block_halos = [sum(read.size for read in found.values()) for found in halos.values()]
        reads = halo(self.rows, self.assignment.owner_bounds, self.start, self.stop)
        self.panels = cut_panels(self.rows, self.assignment, self.local_blocks())
        flat = [(lo + first, lo + last) for block, lo, _ in self.local_blocks() for first, last in self.panels[block]]
        make_layout = SparseLayout if self.assignment.sparse else DenseLayout
        self._layout = make_layout(self.rows, self.start, reads, flat)
        self.keys, self.rows = self._layout.keys, None
        self.x, self.diagonal = np.zeros(self._layout.size), np.ones(self._layout.size)
        self.diagonal[self._layout.own] = self._layout.diagonal
        self.b = self._layout.arranged(self.b)
        self.own()[:] = self._layout.arranged(self._x0)
        self._x0 = None
        self._omega = np.ones(len(self.b))
        self._make_kernel(self._chained_in('ordered' if self.assignment.settings['whole_blocks'] else 'async'))
        return reads

    def _chained_in(self, schedule):
        return schedule == 'ordered' and not self.assignment.sparse

    def _make_kernel(self, chained):
        if self._kernel is not None:
            self._kernel.give_back()
        self._kernel = make_passer(self._layout, self.b, self._omega, self.panels, self.bounds if chained else None)

    def local_blocks(self):
        """(block, first, last + 1) of each own block, rows counted from `start`."""
        return [(block, self.bounds[block] - self.start, self.bounds[block + 1] - self.start)
                for block in self.blocks]

    def blocks_of(self, owner):
        """How many blocks an owner has."""
        first, last = (int(bound) for bound in self.assignment.owner_bounds[owner:owner + 2])
        return self.bounds.index(last) - self.bounds.index(first)

    def own_key(self, reads):
        """Where in x own entries are that a neighbour reads: a slice, or an array in their order."""
        return self._layout.own_key(reads)

    # ---- relaxation

    def relax(self, schedule, omega, capped):
        """Make or change the kernel for this schedule and omega.

        Returns
        -------
        lowered : int
            Rows whose omega was lowered.
        lowest : float
            The smallest omega.
        """
        # In 'async' the blocks of one owner see each other's newest values, so only other owners are "outside".
        outside = None if not capped or schedule == 'ordered' else 'blocks' if schedule == 'sync' else 'owners'
        chained = self._chained_in(schedule)
        if self._kernel.chained != chained:
            self._make_kernel(chained)
            self._relaxed = None
        if self._relaxed != (outside, omega):
            self._omega = np.full(len(self.b), float(omega))
            if outside:
                self._omega = capped_omega(omega, self._coupling(outside))
            self._kernel.set_omega(self._omega)
            self._relaxed = outside, omega
        self._kernel.begin(self.x)
        return int((self._omega < omega).sum()), float(self._omega.min())

    def _coupling(self, outside):
        if outside not in self._couplings:
            pieces = self.local_blocks() if outside == 'blocks' else [(None, 0, len(self.b))]
            shift = self._layout.own.start
            self._couplings[outside] = np.concatenate([
                boundary_coupling(self._layout.rows[lo:hi], self.diagonal[lo + shift:hi + shift], self.diagonal,
                                  (lo + shift, hi + shift)) for _, lo, hi in pieces])
        return self._couplings[outside]

    # ---- sweeping

    @property
    def chained(self):
        """Whether every step passes over a block of anybody's, as dense rows in 'ordered' do."""
        return self._kernel.chained

    def sweep(self, tasks, before, after):
        """Pass over (block, panel, sweep) triples in turn; see `kernels.passes`.

        Parameters
        ----------
        tasks : list of (int, int, int)
        before, after : callable
            ``before(block, panel, sweep)`` and ``after(block, panel, sweep)`` are called around each; where one
            returns False, the rest is left.

        Returns
        -------
        list of float or None
            The sum of squares met in each that was done, None where it was not measured.
        """
        return self._kernel.pass_over(tasks, self.x, self.order, before, after)

    def hold_back(self, block):
        """Before a sweep of a block whose new entries the other own blocks must not see yet."""
        self._sweep_start[block] = self.x[self._spots(block)].copy()

    def hide(self, block):
        """After that sweep: put the old entries back for now."""
        spots = self._spots(block)
        old, new = self._sweep_start[block], self.x[spots].copy()
        self.x[spots] = old
        self._sweep_start[block] = new

    def reveal(self):
        """Show the new entries of all blocks that were hidden."""
        for block, new in self._sweep_start.items():
            self.x[self._spots(block)] = new
        self._sweep_start.clear()

    def _spots(self, block):
        shift = self._layout.own.start - self.start
        return slice(self.bounds[block] + shift, self.bounds[block + 1] + shift)

    # ---- looking

    def own(self):
        """The own entries of x, as a view, in the order of x."""
        return self.x[self._layout.own]

    def entries(self, lo, hi):
        """Own entries of x, rows lo .. hi of the system, as a copy."""
        return self._layout.natural(self.own())[lo - self.start:hi - self.start].copy()

    def digest(self):
        """Digest of the own entries of x, in the order of rows."""
        return digest_vector(self._layout.natural(self.own()))

    def keep(self):
        """Remember the own entries of x as the best."""
        self._best = self.own().copy()

    def forget(self):
        """Forget what was kept."""
        self._best = None

    def restore(self):
        """Go back to what was kept; where nothing was, nothing changes."""
        if self._best is not None:
            self.own()[:] = self._best

    def residual(self):
        """What a look needs of b - A x in own rows.

        Returns
        -------
        largest : float
            Its largest entry; NaN where one is not finite.
        squares : float
            Sum of squares of the entries divided by `largest`.
        energy : float
            Sum of -x_i (b_i + r_i) / 2: the own part of x'Ax / 2 - b'x, where A is symmetric.
        """
        with np.errstate(over='ignore', invalid='ignore'):
            r = self._kernel.residual(self.x)
            energy = -0.5 * float(self.own().dot(self.b + r))
            largest = float(np.abs(r).max())
            if not np.isfinite(largest):
                return math.nan, 0.0, math.nan
            return largest, float(np.square(r / largest).sum()) if largest else 0.0, energy

    def size(self):
        """What the terms of the residual and of the energy add up to without cancelling.

        Returns
        -------
        norm : float
            Of |A| |x| + |b| in own rows.
        product : float
            |x|' (|A| |x| + |b|) in own rows.
        """
        with np.errstate(over='ignore', invalid='ignore'):
            size = self._kernel.size(self.x)
            return float(np.linalg.norm(size)), float(np.abs(self.own()).dot(size))
