"""One sweep and one residual of the rows of an owner, dense or sparse, and their slow reference."""
from coro_sor.kernels.dense import DenseKernel
from coro_sor.kernels.passes import PanelPasser, StripPasser
from coro_sor.kernels.strips import StripKernel

__all__ = ['make_passer', 'panel_step']


def make_passer(layout, b, omega, panels, bounds=None):
    """Make the kernel for an owner's rows and what passes over them with it.

    Parameters
    ----------
    layout : DenseLayout or SparseLayout
        The rows; kept by reference, never copied.
    b : (m,) array
        Right-hand side of these rows, in the order of x.
    omega : (m,) array
        Relaxation factors.
    panels : dict of int to list of (int, int)
        Of each own block.
    bounds : list of int, optional
        Of all blocks of the system, for dense rows in strips, which the exact order needs.

    Returns
    -------
    PanelPasser or StripPasser
    """
    if layout.sparse:
        from coro_sor.kernels.sparse import SparseKernel    # imports scipy, which takes a worker 0.1 s to start
        return PanelPasser(SparseKernel(layout.arrangement, b, omega, layout.size), panels)
    if bounds is not None:
        return StripPasser(StripKernel(layout.rows, b, layout.own.start, omega, bounds), bounds)
    return PanelPasser(DenseKernel(layout.rows, b, layout.own.start, omega, layout.flat), panels)


def panel_step(rows):
    """Return the number of rows that the kernel for `rows` treats at once, for `coro_sor.partition.panels`."""
    return DenseKernel.SIZE if hasattr(rows, 'values') else 1
