"""Inverses of the small triangles on the diagonal: with them passing over a sub-block's rows is one small product.

D / omega + L is the lower triangle of a diagonal sub-block with its diagonal divided by omega, row by row. Solving
with it is what passing over those rows one by one does (forward substitution), so the result is that of the row loop,
up to rounding; D / omega + U does the same for descending rows.
"""
import numpy as np

__all__ = ['invert_lower', 'inverse_triangles']


def inverse_triangles(squares, omega, upper=False):
    """Invert D / omega + L, or D / omega + U, of several diagonal sub-blocks.

    Parameters
    ----------
    squares : list of (h, h) arrays
        Sub-blocks one after the other, of any heights h; only read.
    omega : (sum of all h,) array
        Relaxation factor of each row.
    upper : bool
        Invert the upper triangles instead of the lower ones.

    Returns
    -------
    (k, s, s) array of float64
        The inverse of sub-block k in its first h rows and columns, where s is the largest h.
    """
    width = max(len(square) for square in squares)
    triangles = np.zeros((len(squares), width, width))
    stop = 0
    for triangle, square in zip(triangles, squares):
        height = len(square)
        start, stop = stop, stop + height
        triangle[:height, :height] = np.tril(square.T if upper else square)
        diagonal = np.einsum('ii->i', triangle)
        diagonal[:height] /= omega[start:stop]
        diagonal[height:] = 1.0
    invert_lower(triangles)
    return np.ascontiguousarray(triangles.transpose(0, 2, 1)) if upper else triangles


def invert_lower(triangles):
    """Replace lower triangular matrices by their inverses, by forward substitution.

    Parameters
    ----------
    triangles : (k, s, s) array
        Changed in place; zero above the diagonals, not zero on them.
    """
    with np.errstate(over='ignore', invalid='ignore'):
        for row in range(triangles.shape[1]):
            pivot = 1.0 / triangles[:, row, row]
            before = triangles[:, row:row + 1, :row] @ triangles[:, :row, :row]
            triangles[:, row, :row] = -pivot[:, np.newaxis] * before[:, 0]
            triangles[:, row, row] = pivot
