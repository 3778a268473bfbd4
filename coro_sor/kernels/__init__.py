"""One sweep and one residual of a block of rows, dense or sparse, and their slow reference."""
from coro_sor.kernels.dense import DenseKernel

__all__ = ['make_kernel', 'panel_step']


def make_kernel(rows, b, start, omega, panels):
    """Choose the kernel for a block of rows and prepare it.

    Parameters
    ----------
    rows : object
        Rows ``start .. start + m`` of A: either ``values``, an (m, n) C-contiguous float64 array, or ``indptr``,
        ``indices`` (sorted, no duplicates, counted over all columns) and ``data``. Kept by reference, never copied.
    b : (m,) array
        Right-hand side of these rows.
    start : int
        Number of the first row in the whole matrix.
    omega : float or (m,) array
        Relaxation factor, one for all rows or one for each.
    panels : list of (int, int)
        Ranges of local rows that ascend and cover ``0 .. m``; cheapest in time and memory where they start at
        multiples of `panel_step`.

    Returns
    -------
    DenseKernel or SparseKernel
        Both offer ``sweep(x, panel_index)``, ``residual(x, out=None)``, ``set_omega(omega)`` and ``work``.
    """
    return _kernel_class(rows)(rows, b, start, omega, panels)


def panel_step(rows):
    """Return the number of rows that the kernel for `rows` treats at once, for `coro_sor.partition.panels`."""
    return _kernel_class(rows).SIZE


def _kernel_class(rows):
    if hasattr(rows, 'values'):
        return DenseKernel
    from coro_sor.kernels.sparse import SparseKernel    # imports scipy, which takes a worker 0.1 s to start
    return SparseKernel
