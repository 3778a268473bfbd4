"""The one pass over A before it is given away: what refuses it, what warns, and what the solver needs to know."""
import itertools
from typing import List, NamedTuple

import numpy as np

from coro_sor.rows import DenseRows, RowsDigest
from coro_sor.solution import InputError
from coro_sor.wavefront import BlockGraph

__all__ = ['Scan', 'scan']

_PROBES = 3     # random vectors of the symmetry test
_TINY = 1e-12   # of a row's largest entry: a smaller diagonal entry is worth a warning


class Scan(NamedTuple):
    """What the pass found; "rows" are those of `Problem.rows`, with a positive diagonal."""

    bounds: np.ndarray         # (blocks + 1,) block k has rows bounds[k] .. bounds[k + 1]
    digests: List[str]         # of each block's rows, as `rows.digest_rows` has them
    nonzeros: List[int]        # stored entries of each block
    diagonal: np.ndarray       # (n,) diagonal entries of the rows, all positive
    negated: np.ndarray        # rows that were negated, ascending
    symmetric: bool            # whether A is, to rounding
    row_ratio: float           # largest (sum of |off-diagonal entries| / diagonal entry), by rows
    column_ratio: float        # the same by columns; A is strictly diagonally dominant where one is below 1
    graph: np.ndarray          # (B, B) which ordering blocks read from each other; None where A is dense
    b: np.ndarray              # (n,) right-hand side of the rows
    b_norm: float              # its 2-norm
    warnings: List[str]        # for the user, those of the problem included


def scan(problem, bounds, chunk_bytes=4 << 20, progress=None, seed=0, blocks=None, numbers=None, storage='float64'):
    """Read A once, piece by piece; nothing is changed.

    Parameters
    ----------
    problem : Problem
        The system.
    bounds : (blocks + 1,) sequence of int
        Block k has rows ``bounds[k] .. bounds[k + 1]``; ascending from 0 to n.
    chunk_bytes : int
        About the size of a piece; no influence on the result but rounding.
    progress : callable, optional
        ``progress(rows)`` after each piece, with the number of rows done. What it raises ends the pass.
    seed : int
        Of the random vectors that test for symmetry.
    blocks : (B + 1,) sequence of int, optional
        Bounds of the ordering blocks, where their graph is wanted.
    numbers : (n,) array of int, optional
        What errors and warnings call each row and column; by default its number in `problem`.
    storage : str
        'float64', or 'float32' where rows are to be rounded to that.

    Returns
    -------
    Scan

    Raises
    ------
    InputError
        With row (and column) for NaN or infinity, a zero or missing diagonal entry, a negative one where A is
        symmetric, an entry that float32 cannot hold where it must; and where A x* overflows.
    """
    tally = _Tally(problem, seed, blocks, numbers, storage)
    digests, nonzeros = [], []
    # Overflow in the sums is expected for entries near the largest double, and handled.
    with np.errstate(all='ignore'):
        for start, stop in zip(bounds[:-1], bounds[1:]):
            digest, count = RowsDigest(), 0
            for lo, hi in problem.cuts(int(start), int(stop), chunk_bytes):
                rows = tally.add(lo, problem.original_rows(lo, hi))
                digest.update(rows)
                count += rows.nonzeros
                if progress is not None:
                    progress(hi)
            digests.append(digest.hexdigest())
            nonzeros.append(count)
        return tally.result(np.array(bounds, dtype=np.int64), digests, nonzeros)


class _Tally:
    """Sums over the rows seen so far."""

    def __init__(self, problem, seed, blocks, numbers, storage):
        self._problem, self._name, n = problem, problem.name, problem.n
        self._numbers, self._storage = np.arange(n) if numbers is None else numbers, storage
        # Sums of |probe| below 1 keep products of the largest double finite.
        probes = np.random.default_rng(seed).standard_normal((_PROBES, n))
        self._probes = 0.5 * probes / np.abs(probes).sum(axis=1, keepdims=True)
        self._products = np.empty((_PROBES, n))
        self._diagonal, self._row_sums, self._largest = np.empty(n), np.empty(n), np.empty(n)
        self._column_sums = np.zeros(n)
        self._b = np.empty(n) if problem.b is None else None
        self._scratch = np.empty((0, n))
        self._graph = BlockGraph(blocks) if blocks is not None and problem.sparse else None

    def add(self, lo, rows):
        """Take in the rows from `lo` on and return them as the solver uses them."""
        hi = lo + len(rows)
        products = self._products[:, lo:hi]
        for probe, product in zip(self._probes, products):
            product[:] = rows.matvec(probe)
        # Probes have no zeros and cannot overflow, so only NaN and infinity give such a product.
        if not np.isfinite(products).all():
            row, column, value = rows.first_nonfinite()
            raise InputError('%s: row %d, column %d (counted from 0) is %s'
                             % (self._name, self._numbers[lo + row], self._numbers[column], value))
        rows, diagonal = rows.oriented(lo)
        if not diagonal.all():
            raise InputError('%s: row %d (counted from 0) has a zero or missing diagonal entry; reorder the rows'
                             % (self._name, self._first(lo + np.flatnonzero(diagonal == 0))))
        self._diagonal[lo:hi] = diagonal
        if self._b is not None:
            self._b[lo:hi] = rows.matvec(self._problem.known_solution)
        (self._add_dense if isinstance(rows, DenseRows) else self._add_sparse)(lo, hi, rows)
        return rows

    def _add_dense(self, lo, hi, rows):
        if len(self._scratch) < hi - lo:
            self._scratch = np.empty((hi - lo, rows.n))
        sizes = np.abs(rows.values, out=self._scratch[:hi - lo])
        self._row_sums[lo:hi] = sizes @ np.ones(rows.n)
        self._largest[lo:hi] = sizes.max(axis=1)
        self._column_sums += np.ones(hi - lo) @ sizes

    def _add_sparse(self, lo, hi, rows):
        sizes = np.abs(rows.data)
        # No row is empty here: each has its diagonal entry.
        self._row_sums[lo:hi] = np.add.reduceat(sizes, rows.indptr[:-1])
        self._largest[lo:hi] = np.maximum.reduceat(sizes, rows.indptr[:-1])
        if self._graph is not None:
            self._graph.add(lo, rows)
        self._column_sums += np.bincount(rows.indices, weights=sizes, minlength=rows.n)

    def _first(self, rows):
        """The first of these rows, as they are called."""
        return self._numbers[rows].min()

    def result(self, bounds, digests, nonzeros):
        """The Scan of all rows."""
        if self._storage == 'float32':
            self._check_range()
        negative = np.flatnonzero(self._diagonal < 0)
        symmetric = self._is_symmetric()
        if symmetric and len(negative):
            advice = '; solve (-A) x = -b' if len(negative) == len(self._diagonal) else ''
            row = negative[np.argmin(self._numbers[negative])]
            raise InputError('%s: row %d (counted from 0) has a negative diagonal entry (%g) and A is symmetric, so '
                             'not positive definite%s' % (self._name, self._numbers[row], self._diagonal[row], advice))
        diagonal = np.abs(self._diagonal)
        ratios = [float(((sums - diagonal) / diagonal).max()) for sums in (self._row_sums, self._column_sums)]
        warnings = self._warnings(negative, symmetric, ratios)
        b = self._right_hand_side(negative)
        if not np.isfinite(_norm(b)):
            raise InputError('b: its norm overflows; scale the system')
        return Scan(bounds, digests, nonzeros, diagonal, negative, symmetric, *ratios,
                    self._graph and self._graph.graph, b, _norm(b), warnings)

    def _check_range(self):
        large, small = np.isinf(self._largest.astype(np.float32)), np.abs(self._diagonal) < np.finfo(np.float32).tiny
        if (large | small).any():
            raise InputError('%s: row %d (counted from 0) has entries beyond the range of float32; scale A, or '
                             'store it as float64' % (self._name, self._first(np.flatnonzero(large | small))))

    def _is_symmetric(self):
        """Whether u'Av = v'Au to rounding for every pair of probes.

        An asymmetry below about 1e-14 n of A's largest entries stays unseen.
        """
        products = self._products / np.abs(self._products).max()
        tolerance = 8 * np.finfo(float).eps * np.sqrt(products.shape[1])
        for p, q in itertools.combinations(range(_PROBES), 2):
            terms = self._probes[p] * products[q], self._probes[q] * products[p]
            if abs(terms[0].sum() - terms[1].sum()) > tolerance * (np.abs(terms[0]) + np.abs(terms[1])).sum():
                return False
        return True

    def _right_hand_side(self, negative):
        if self._b is None:
            b = self._problem.b.copy()
            b[negative] *= -1
            return b
        if not np.isfinite(self._b).all():
            raise InputError('%s: A x* overflows in row %d (counted from 0); scale A or x*'
                             % (self._name, self._first(np.flatnonzero(~np.isfinite(self._b)))))
        return self._b

    def _warnings(self, negative, symmetric, ratios):
        warnings = list(self._problem.warnings)
        if not symmetric:
            warnings.append('%s: not symmetric; %s' % (self._name, _hope(*ratios)))
        if len(negative):
            warnings.append('%s: %d rows with a negative diagonal entry were negated, and their entries of b (the '
                            'first is row %d, counted from 0)' % (self._name, len(negative), self._first(negative)))
        small = np.flatnonzero(np.abs(self._diagonal) < _TINY * self._largest)
        if len(small):
            warnings.append('%s: row %d (counted from 0)%s has a diagonal entry below %g of its largest entry; '
                            'convergence is unlikely'
                            % (self._name, self._first(small), ' and %d others' % (len(small) - 1)
                               if len(small) > 1 else '', _TINY))
        return warnings


def _hope(row_ratio, column_ratio):
    ratio = min(row_ratio, column_ratio)
    if ratio >= 1:
        return 'and not strictly diagonally dominant: it may not converge'
    return 'strictly diagonally dominant by %s: it converges for omega up to %.3g' \
        % ('rows' if ratio == row_ratio else 'columns', 2 / (1 + ratio))


def _norm(x):
    """The 2-norm of x without overflow or underflow of the squares."""
    largest = float(np.abs(x).max())
    return largest * float(np.linalg.norm(x / largest)) if largest else 0.0
