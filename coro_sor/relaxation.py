"""Relaxation factors that are safe at the boundaries of blocks."""
import numpy as np

__all__ = ['boundary_coupling', 'capped_omega', 'nonsymmetric_cap']

_CHUNK = 1 << 20  # entries of A looked at together, so that no temporary grows with the rows


def boundary_coupling(rows, diagonal_own, diagonal_halo, bounds):
    """Measure how strongly each row depends on rows outside its block.

    t_i = sum over j outside the block of |a_ij| / sqrt(|a_ii a_jj|), which no scaling D A D changes.

    Parameters
    ----------
    rows : object
        m rows of A, all of one block: dense ``values`` (m, n), or CSR ``indptr``, ``indices`` and ``data``.
    diagonal_own : (m,) array
        Their diagonal entries, none of them zero.
    diagonal_halo : (n,) array
        Diagonal of A, right at least in the columns outside the block that these rows read.
    bounds : (int, int)
        First and last + 1 of the rows of the block, whose columns count as inside.

    Returns
    -------
    (m,) array
        t.
    """
    couple = _couple_dense if hasattr(rows, 'values') else _couple_sparse
    return couple(rows, diagonal_halo, *bounds) / np.sqrt(np.abs(diagonal_own))


def _couple_dense(rows, diagonal, first, stop):
    values = rows.values
    m, n = values.shape
    t = np.zeros(m)
    height = max(1, _CHUNK // n)
    for columns in (slice(0, first), slice(stop, n)):
        scale = 1.0 / np.sqrt(np.abs(diagonal[columns]))
        for lo in range(0, m, height):
            t[lo:lo + height] += np.abs(values[lo:lo + height, columns]) @ scale
    return t


def _couple_sparse(rows, diagonal, first, stop):
    indptr = rows.indptr
    m = len(indptr) - 1
    t = np.empty(m)
    lo = 0
    while lo < m:
        hi = max(lo + 1, int(np.searchsorted(indptr, indptr[lo] + _CHUNK, side='right')) - 1)
        piece = slice(indptr[lo], indptr[hi])
        columns = rows.indices[piece]
        outside = (columns < first) | (columns >= stop)
        # The diagonal may hold anything in columns that are not read from outside.
        scale = np.sqrt(np.abs(np.where(outside, diagonal[columns], 1.0)))
        # A row may be empty, which reduceat does not know.
        owner = np.repeat(np.arange(hi - lo), np.diff(indptr[lo:hi + 1]))
        t[lo:hi] = np.bincount(owner, weights=outside * np.abs(rows.data[piece]) / scale, minlength=hi - lo)
        lo = hi
    return t


def capped_omega(omega, t):
    """Lower omega in the rows that depend on other blocks: omega_i = min(omega, 2 / (1 + 1.05 t_i)).

    For symmetric positive definite A and halos exactly one sweep old SOR on blocks then converges for every partition:
    ||e'||^2 in the norm of A falls by d'(M + M' - A) d in a sweep with change d, where M is the blocks' D / omega + L.
    Gershgorin's theorem on the scaled matrix bounds the part outside the blocks by t_i, and the margin of 5 % keeps
    M + M' - A definite: at 2 / (1 + t_i) the iteration can oscillate for ever.

    Parameters
    ----------
    omega : float
        Relaxation factor within (0, 2).
    t : (m,) array
        From `boundary_coupling`.

    Returns
    -------
    (m,) array
        Factor of each row.
    """
    return np.minimum(omega, 2.0 / (1.0 + 1.05 * np.asarray(t)))


def nonsymmetric_cap(omega, row_ratio, column_ratio):
    """Lower omega for a nonsymmetric diagonally dominant A: omega < 2 / (1 + min(row ratio, column ratio)).

    The smaller ratio bounds rho(|J|), J the Jacobi iteration matrix, and asynchronous relaxation converges for
    omega < 2 / (1 + rho(|J|)) (Chazan and Miranker, Linear Algebra Appl. 2, 1969); a margin of 1 % of the ratio keeps
    it below. With both ratios at 1 or above nothing is promised.

    Parameters
    ----------
    omega : float
        Relaxation factor within (0, 2).
    row_ratio, column_ratio : float
        Largest sum over j != i of |a_ij| / |a_ii| over the rows, and of |a_ji| / |a_ii| over the columns.

    Returns
    -------
    float
    """
    return min(omega, 2.0 / (1.0 + 1.01 * min(row_ratio, column_ratio)))
