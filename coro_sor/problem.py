"""The system A x = b as the user gives it: checked, and served row by row as float64."""
import numpy as np

from coro_sor.csr import canonical, from_scipy
from coro_sor.formats import Matrix, load_matrix, load_vector
from coro_sor.problems import Generator, make_generator
from coro_sor.rows import DenseRows, SparseRows
from coro_sor.solution import InputError

__all__ = ['Problem', 'load_problem']


class Problem:
    """A system to solve.

    Parameters
    ----------
    A : (n, n) array, scipy.sparse matrix or array, SparseRows, Matrix or Generator
        Any real dtype, byte order and memory order; a mapped array stays mapped. It is not changed, and must not be
        while the problem is in use. Of a Generator no rows are kept.
    b : (n,) or (n, 1) array, optional
        Right-hand side; a Generator has its own, for the case that there is no known solution either.
    x0 : (n,) or (n, 1) array, optional
        Where to start; zeros if not given.
    known_solution : (n,) or (n, 1) array, 'index' or 'ones', optional
        x* in place of b: b = A x* is computed by `scan.scan`. ``'index'`` is 1, 2, ..., n.
    path : str, optional
        C-ordered .npy file with the same A, from which a worker on this machine may read its rows.

    Attributes
    ----------
    n : int
        Number of unknowns.
    nonzeros : int
        Stored entries; n * n where A is dense.
    sparse : bool
        Whether rows come as `SparseRows`.
    b, x0, known_solution : (n,) array or None
        float64 copies of what was given.
    path : str or None
        As given, or of a `Matrix`.
    spec : str or None
        Text from which any process can make the rows (`problems.make_generator`), where A is a Generator.
    name : str
        What errors call A: its file, its spec, or ``A``.
    warnings : list of str
        What the user should know about the conversion.

    Raises
    ------
    InputError
        Where A is empty, not square or not real, or a vector has another length or holds NaN or infinity. NaN in A and
        its diagonal are looked at in `scan.scan`, so that A is read once.
    """

    def __init__(self, A, b=None, *, x0=None, known_solution=None, path=None):
        self._generated, self.warnings = isinstance(A, Generator), []
        if self._generated:
            self.name, self.path, self.spec = A.spec or 'A', None, A.spec
            self._values, self.sparse, self.n, self.nonzeros = A, A.sparse, A.n, A.nonzeros
            b = A.rhs() if b is None and known_solution is None else b
        else:
            matrix = A if isinstance(A, Matrix) else Matrix(A, 'A', path)
            self.name, self.path, self.spec = matrix.name, matrix.path, None
            self._values = self._accept(matrix.values)
            self.sparse, self.n = isinstance(self._values, SparseRows), len(self._values)
            self.nonzeros = self._values.nonzeros if self.sparse else self.n * self.n
        if (b is None) == (known_solution is None):
            raise InputError('give either b or a known solution: %s'
                             % ('there is neither' if b is None else 'there are both'))
        self.b = None if b is None else _vector(b, self.n, 'b')
        self.x0 = None if x0 is None else _vector(x0, self.n, 'x0')
        self.known_solution = self._solution(known_solution)

    def _accept(self, A):
        if isinstance(A, SparseRows):
            self._check_square((len(A), A.n))
            self._check_real(np.asarray(A.data).dtype)
            return canonical(A, self.name)
        if hasattr(A, 'tocoo') and hasattr(A, 'nnz'):
            self._check_square(A.shape)
            self._check_real(A.dtype)
            return from_scipy(A, self.name)
        A = _array(A, self.name)
        self._check_square(A.shape)
        self._check_real(A.dtype)
        return A

    def _check_square(self, shape):
        if len(shape) != 2 or shape[0] != shape[1]:
            raise InputError('%s: its shape is %s; it must be square' % (self.name, tuple(shape)))
        if shape[0] == 0:
            raise InputError('%s: is empty' % self.name)

    def _check_real(self, dtype):
        _check_real(dtype, self.name)
        if dtype.kind == 'f' and dtype.itemsize > 8:
            self.warnings.append('%s: its values are %s; they are rounded to float64' % (self.name, dtype))

    def _solution(self, known):
        if known is None:
            return None
        if isinstance(known, str):
            if known not in ('index', 'ones'):
                raise InputError("known_solution: %r is neither an array nor 'index' nor 'ones'" % known)
            return np.arange(1.0, self.n + 1) if known == 'index' else np.ones(self.n)
        return _vector(known, self.n, 'known_solution')

    def row_nonzeros(self):
        """Stored entries of each row (n,), or n where all rows weigh the same; for `partition.split_rows`."""
        return self._counts(0, self.n) if self.sparse else self.n

    def _counts(self, lo, hi):
        """Stored entries of the sparse rows lo .. hi."""
        return self._values.row_nonzeros(lo, hi) if self._generated else np.diff(self._values.indptr[lo:hi + 1])

    def all_rows(self):
        """All of A with its own signs, in memory: `SparseRows`, or an (n, n) array.

        To be read only, because it may be the user's own. A dense one has the user's type.
        """
        if not self._generated:
            return self._values
        rows = self._values.rows(0, self.n)
        return rows if self.sparse else rows.values

    def rows(self, start, stop):
        """Rows start .. stop as the solver uses them, in arrays of their own.

        A row whose diagonal entry is negative comes negated; its entry of b is negated in ``Scan.b``.

        Parameters
        ----------
        start, stop : int
            0 <= start <= stop <= n.

        Returns
        -------
        DenseRows or SparseRows
            float64, C-contiguous; CSR is canonical (`SparseRows`).
        """
        rows, _ = self.original_rows(start, stop).oriented(start)
        return self._own(rows)

    def _own(self, rows):
        if self._generated:
            return rows
        if self.sparse:
            return rows.copy()
        shared = np.may_share_memory(rows.values, self._values)
        return DenseRows(rows.values.copy()) if shared else rows

    def original_rows(self, start, stop):
        """Rows start .. stop with their own signs; to be read only, because they may be views of the user's array."""
        if not 0 <= start <= stop <= self.n:
            raise ValueError('rows %d to %d of %d' % (start, stop, self.n))
        if self._generated:
            return self._values.rows(start, stop)
        if self.sparse:
            return self._values[start:stop]
        with np.errstate(over='ignore', invalid='ignore'):
            return DenseRows(np.ascontiguousarray(self._values[start:stop], dtype=np.float64))

    def cuts(self, start, stop, chunk_bytes):
        """Cut rows start .. stop into pieces of about `chunk_bytes`, at least one row each.

        Parameters
        ----------
        start, stop : int
            0 <= start <= stop <= n.
        chunk_bytes : int
            Wanted size of a piece in memory.

        Yields
        ------
        lo, hi : int
            The rows of the next piece.
        """
        lo = start
        while lo < stop:
            if self.sparse:
                # 12 bytes an entry and 4 a row; a row is counted as one entry more.
                entries = chunk_bytes // 12
                ends = np.cumsum(self._counts(lo, min(stop, lo + entries + 1)) + 1, dtype=np.int64)
                hi = lo + int(np.searchsorted(ends, entries, side='right'))
            else:
                hi = lo + chunk_bytes // (8 * self.n)
            hi = min(max(hi, lo + 1), stop)
            yield lo, hi
            lo = hi


def load_problem(matrix=None, *, problem=None, rhs=None, known_solution=None, x0=None):
    """Read a system from files, or make a well-known one.

    Parameters
    ----------
    matrix : str or path-like, optional
        As `formats.load_matrix` takes it.
    problem : str, optional
        Instead of a matrix, a spec such as ``'poisson2d:512'``, as `problems.make_generator` takes it. Its own
        right-hand side is used where neither `rhs` nor `known_solution` is given.
    rhs, x0 : str or path-like, optional
        Vectors, as `formats.load_vector` takes them.
    known_solution : str or path-like, optional
        ``'index'``, ``'ones'`` or a vector's file (one of these names: ``./ones``).

    Returns
    -------
    Problem

    Raises
    ------
    InputError
        For whatever is wrong with a file or a spec; see these functions and `Problem`.
    """
    if (matrix is None) == (problem is None):
        raise InputError('give either a matrix or a problem')
    A = make_generator(problem) if matrix is None else load_matrix(matrix)
    n = A.n if matrix is None else len(A.values)
    if known_solution not in (None, 'index', 'ones'):
        known_solution = load_vector(known_solution, n)
    return Problem(A, None if rhs is None else load_vector(rhs, n), known_solution=known_solution,
                   x0=None if x0 is None else load_vector(x0, n))


def _array(values, name):
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise InputError('%s: has masked entries; fill them first' % name)
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError('%s: is no array of numbers: %s' % (name, error)) from None


def _check_real(dtype, name):
    if dtype.kind not in 'biuf':
        raise InputError('%s: its values are %s; only real numbers are solved' % (name, dtype))


def _vector(values, n, name):
    values = _array(values, name)
    _check_real(values.dtype, name)
    if values.shape not in ((n,), (n, 1)):
        raise InputError('%s: its shape is %s; A has %d rows' % (name, values.shape, n))
    with np.errstate(over='ignore', invalid='ignore'):
        values = np.array(values, dtype=np.float64).reshape(n)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise InputError('%s: entry %d (counted from 0) is %s' % (name, wrong[0], values[wrong[0]]))
    return values
