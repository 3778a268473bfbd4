"""SOR as the textbook has it, one row after another: what the fast kernels and the whole solver are tested against."""
import numpy as np

__all__ = ['block_sor', 'sor_sweep']


def sor_sweep(A, b, x, omega, first=0, stop=None, rows=None):
    """Pass once over rows first .. stop in natural order: x_i += omega (b_i - sum over j of a_ij x_j) / a_ii.

    Parameters
    ----------
    A : (n, n) array, or anything with CSR's ``indptr``, ``indices`` and ``data``
    b : (n,) array
    x : (n,) float64 array
        Changed in place.
    omega : float or (n,) array
        Relaxation factor, one for all rows or one for each.
    first, stop : int, optional
        Rows to pass over; all by default.
    rows : sequence of int, optional
        Rows to pass over instead, in this order.

    Returns
    -------
    (n,) array
        x itself.
    """
    omega = np.broadcast_to(omega, x.shape)
    for i in range(first, len(x) if stop is None else stop) if rows is None else rows:
        columns, values = _row(A, i)
        diagonal = values[columns == i].sum()
        x[i] += omega[i] * (b[i] - values.dot(x[columns])) / diagonal
    return x


def block_sor(A, b, x, omega, bounds, schedule, sweeps, order=None):
    """SOR on blocks of rows, as the exact schedules define it.

    Parameters
    ----------
    A, b, omega
        As in `sor_sweep`.
    x : (n,) array
        Start; not changed.
    bounds : sequence of int
        Block k has rows ``bounds[k] .. bounds[k + 1]``.
    schedule : {'sync', 'ordered'}
        'sync': in sweep k a block uses x of sweep k - 1 for all rows outside itself (block Jacobi with SOR inside).
        'ordered': one block after the other, which is SOR on one machine.
    sweeps : int
    order : callable, optional
        ``order(sweep)``, of sweep 1, 2, ..., gives the rows of each block in the order of updates, the blocks too in
        theirs; all ascending by default.

    Returns
    -------
    (n,) array
        x after that many sweeps.

    Raises
    ------
    ValueError
        For any other schedule.
    """
    if schedule not in ('sync', 'ordered'):
        raise ValueError('no reference for schedule %r' % (schedule,))
    x = np.array(x, dtype=np.float64)
    ascending = [np.arange(first, stop) for first, stop in zip(bounds[:-1], bounds[1:])]
    for sweep in range(1, sweeps + 1):
        seen = x.copy() if schedule == 'sync' else x
        for rows in ascending if order is None else order(sweep):
            mine = seen.copy() if schedule == 'sync' else x
            sor_sweep(A, b, mine, omega, rows=rows)
            x[rows] = mine[rows]
    return x


def _row(A, i):
    """Columns and values of row i."""
    if hasattr(A, 'indptr'):
        piece = slice(A.indptr[i], A.indptr[i + 1])
        return A.indices[piece], A.data[piece]
    return np.arange(A.shape[1]), A[i]
