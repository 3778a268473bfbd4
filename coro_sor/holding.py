"""What an owner holds: its rows, its part of b, the vector x, and the kernels of its blocks."""
from __future__ import annotations

import hashlib
import math

import numpy as np

from .formats import read_rows
from .kernels import make_kernel, panel_step
from .partition import halo, panels
from .relaxation import boundary_coupling, capped_omega
from .rows import DenseRows, SparseRows, digest_rows, index_dtype

__all__ = ['Holding', 'digest_vector']

_PIECE = 1 << 20        # entries of A looked at together where a copy is needed
_SPARSE_COST = 16       # a sparse entry takes about as long as this many dense ones


class Holding:
    """Rows ``start .. stop`` of the system.

    Parameters
    ----------
    assignment : Assignment

    Attributes
    ----------
    start, stop : int
        Own rows.
    blocks : list of int
        Numbers of the own blocks, ascending.
    x : (n,) array
        Own entries and all that was received.
    kernels : dict of int to kernel
        By block, once `relax` was called.
    """

    def __init__(self, assignment):
        self.assignment = assignment
        owner, self.bounds = assignment.owner, [int(bound) for bound in assignment.block_bounds]
        self.start, self.stop = (int(bound) for bound in assignment.owner_bounds[owner:owner + 2])
        self.blocks = list(range(self.bounds.index(self.start), self.bounds.index(self.stop)))
        self.n = self.bounds[-1]
        self.x = np.zeros(self.n)
        self.diagonal = np.ones(self.n)
        self.b = np.zeros(self.stop - self.start)
        self.kernels = {}
        self._best = None
        self._relaxed = None
        self._couplings = {}
        self._sweep_start = {}
        self.rows = self._empty_rows()

    def _empty_rows(self):
        m, assignment = self.stop - self.start, self.assignment
        if not assignment.sparse:
            return DenseRows(np.empty((m, self.n)))
        indptr = np.zeros(m + 1, dtype=index_dtype(assignment.nonzeros))
        return SparseRows(indptr, np.empty(assignment.nonzeros, dtype=index_dtype(self.n)),
                          np.empty(assignment.nonzeros), self.n)

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
        lo = 0
        for piece in read_rows(path, self.start, self.stop, self.n):
            self.rows.values[lo:lo + len(piece)] = piece.values
            lo += len(piece)
        return digest_rows(self.rows)

    def take_vectors(self, start, b, x):
        """Copy entries of b and x into place."""
        self.b[start - self.start:start - self.start + len(b)] = b
        self.x[start:start + len(x)] = x

    def prepare(self):
        """Cut the rows into panels and find what they read.

        Returns
        -------
        dict of int to Reads
            By owner.
        """
        self.diagonal[self.start:self.stop] = self.rows.diagonal(self.start)
        settings, sparse = self.assignment.settings, self.assignment.sparse
        grain = settings['panel_nonzeros'] // (_SPARSE_COST if sparse else 1)
        limit = max(1, settings['exchanges'] // len(self.blocks))
        self.panels = {}
        for block, lo, hi in self.local_blocks():
            cut = panels(self.rows.indptr if sparse else self.n, lo, hi, grain, limit, panel_step(self.rows))
            self.panels[block] = [(first - lo, last - lo) for first, last in cut]
        self.block_reads = {block: set(halo(self.rows[lo:hi], self.bounds, lo + self.start, hi + self.start))
                            for block, lo, hi in self.local_blocks()}
        return halo(self.rows, self.assignment.owner_bounds, self.start, self.stop)

    def local_blocks(self):
        """(block, first, last + 1) of each own block, rows counted from `start`."""
        return [(block, self.bounds[block] - self.start, self.bounds[block + 1] - self.start)
                for block in self.blocks]

    # ---- relaxation

    def relax(self, schedule, omega, capped):
        """Make or change the kernels for this omega.

        Returns
        -------
        lowered : int
            Rows whose omega was lowered.
        lowest : float
            The smallest omega.
        """
        # In 'async' the blocks of one owner see each other's newest values, so only other owners are "outside".
        outside = None if not capped or schedule == 'ordered' else 'blocks' if schedule == 'sync' else 'owners'
        if self._relaxed != (outside, omega):
            self._omega = np.full(len(self.b), float(omega))
            if outside:
                self._omega = capped_omega(omega, self._coupling(outside))
            for block, lo, hi in self.local_blocks():
                if block in self.kernels:
                    self.kernels[block].set_omega(self._omega[lo:hi])
                else:
                    self.kernels[block] = make_kernel(self.rows[lo:hi], self.b[lo:hi], lo + self.start,
                                                      self._omega[lo:hi], self.panels[block])
            self._relaxed = outside, omega
        return int((self._omega < omega).sum()), float(self._omega.min())

    def _coupling(self, outside):
        if outside not in self._couplings:
            pieces = self.local_blocks() if outside == 'blocks' else [(None, 0, len(self.b))]
            self._couplings[outside] = np.concatenate([
                boundary_coupling(self.rows[lo:hi], self.diagonal[lo + self.start:hi + self.start], self.diagonal,
                                  (lo + self.start, hi + self.start)) for _, lo, hi in pieces])
        return self._couplings[outside]

    # ---- sweeping

    def sweep(self, tasks, after=None):
        """Pass over (block, panel) pairs in turn.

        Parameters
        ----------
        tasks : list of (int, int)
        after : callable, optional
            ``after(block, panel)`` after each; where it returns False, the rest is left.

        Returns
        -------
        list of float
            The sum of squares met in each that was done.
        """
        met = []
        for block, panel in tasks:
            met.append(self.kernels[block].sweep(self.x, panel))
            if after is not None and not after(block, panel):
                break
        return met

    def hold_back(self, block):
        """Before a sweep of a block whose new entries the other own blocks must not see yet."""
        self._sweep_start[block] = self.x[self.bounds[block]:self.bounds[block + 1]].copy()

    def hide(self, block):
        """After that sweep: put the old entries back for now."""
        own = slice(self.bounds[block], self.bounds[block + 1])
        old, new = self._sweep_start[block], self.x[own].copy()
        self.x[own] = old
        self._sweep_start[block] = new

    def reveal(self):
        """Show the new entries of all blocks that were hidden."""
        for block, new in self._sweep_start.items():
            self.x[self.bounds[block]:self.bounds[block + 1]] = new
        self._sweep_start.clear()

    # ---- looking

    def own(self):
        """The own entries of x, as a view."""
        return self.x[self.start:self.stop]

    def keep(self):
        """Remember the own entries of x as the best."""
        self._best = self.own().copy()

    def restore(self):
        """Go back to what was kept; where nothing was, nothing changes."""
        if self._best is not None:
            self.own()[:] = self._best

    def residual(self):
        """(largest entry, sum of squares of the rest divided by it) of b - A x in own rows; NaN where not finite."""
        parts = []
        for block, lo, hi in self.local_blocks():
            if block in self.kernels:
                parts.append(self.kernels[block].residual(self.x))
            else:
                parts.append(self.b[lo:hi] - self.rows[lo:hi].matvec(self.x))
        r = np.concatenate(parts)
        largest = float(np.abs(r).max())
        if not np.isfinite(largest):
            return float('nan'), 0.0
        return largest, float(np.square(r / largest).sum()) if largest else 0.0


    def size(self):
        """Norm of |A| |x| + |b| in own rows: what the residual's terms add up to without cancelling."""
        x, norms = np.abs(self.x), []
        step = max(1, _PIECE // max(1, self.rows.nonzeros // len(self.b)))
        with np.errstate(over='ignore', invalid='ignore'):
            for lo in range(0, len(self.b), step):
                rows = self.rows[lo:lo + step]
                terms = np.abs(rows.values) @ x if isinstance(rows, DenseRows) else \
                    SparseRows(rows.indptr, rows.indices, np.abs(rows.data), self.n).matvec(x)
                norms.append(float(np.linalg.norm(terms + np.abs(self.b[lo:lo + step]))))
        return math.hypot(*norms)


def digest_vector(values):
    """Digest of a float64 vector, to compare what was verified with what arrived."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype='<f8')).hexdigest()
