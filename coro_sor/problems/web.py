"""The PageRank system of a graph in a file."""
import io
import os
import re

import numpy as np

from coro_sor.formats.entries import POSITION, blocks
from coro_sor.formats.opening import kind_of, open_text
from coro_sor.problems.generator import SparseGenerator
from coro_sor.solution import InputError

__all__ = ['PageRank', 'pagerank']

_ALPHA = 0.85
_STEP = 65536       # rows made together


class PageRank(SparseGenerator):
    """Rows of I - alpha P'; the arcs are held by their target, 4 bytes an arc.

    The right-hand side is (1 - alpha) / n everywhere.

    Parameters
    ----------
    path : str or path-like
        The graph, as `pagerank` reads it.
    alpha : float

    Raises
    ------
    InputError
        For whatever is wrong with the file.
    """

    def __init__(self, path, alpha=_ALPHA):
        nodes, arcs = np.unique(_read_arcs(path), return_inverse=True)
        n, arcs = len(nodes), arcs.reshape(-1, 2)
        super().__init__(n, _STEP)
        self._alpha = alpha
        places = np.unique(arcs[:, 1] * np.int64(n) + arcs[:, 0])      # each arc once, by target, then by source
        self._out_degrees = np.bincount(places % n, minlength=n)
        diagonal = np.arange(n) * np.int64(n + 1)
        self._loops = np.isin(diagonal, places)
        places = np.union1d(places, diagonal)
        self._starts = np.concatenate(([0], np.cumsum(np.bincount(places // n, minlength=n))))
        self._sources = (places % n).astype(np.int32)
        self.nonzeros = len(places)

    def _make(self, lo, hi):
        counts = self._count(lo, hi)
        columns = self._sources[self._starts[lo]:self._starts[hi]].copy()
        rows = np.repeat(np.arange(lo, hi), counts)
        # A node without arcs of its own meets its diagonal entry only, where the quotient is not used.
        values = -self._alpha / np.maximum(self._out_degrees, 1)[columns]
        diagonal = columns == rows
        values[diagonal] = 1 + np.where(self._loops[lo:hi], values[diagonal], 0.0)
        return counts, columns, values

    def _count(self, lo, hi):
        return np.diff(self._starts[lo:hi + 1])

    def rhs(self):
        return np.full(self.n, (1 - self._alpha) / self.n)


def pagerank(path, alpha=_ALPHA):
    """The PageRank system I - alpha P' of a directed graph; its solution for b = (1 - alpha) / n sums up to 1 at most.

    P[u, v] is 1 / (arcs that leave u) for each arc from u to v; a node without arcs has a row of zeros. A is a
    nonsymmetric M-matrix, strictly diagonally dominant by columns.

    Parameters
    ----------
    path : str or path-like
        Text with the numbers of two nodes a line, from and to (perhaps compressed by gzip); what follows ``#`` is a
        comment. Nodes are renumbered 0, 1, ... in ascending order; an arc that stands twice counts once, loops count.
    alpha : float
        Probability to follow an arc, within (0, 1).

    Returns
    -------
    SparseRows
        As ``pagerank:FILE`` (alpha 0.85) its right-hand side is (1 - alpha) / n everywhere.

    Raises
    ------
    InputError
        For whatever is wrong with the file, with its line.
    """
    generator = PageRank(path, alpha)
    return generator.rows(0, generator.n)


def _read_arcs(path):
    """(arcs, 2) numbers of nodes as they stand in the file."""
    path = os.path.abspath(os.fspath(path))
    kind = kind_of(path)
    if kind not in ('', '.gz'):
        raise InputError('%s: a graph must be text with two node numbers a line' % path)
    with open_text(path, kind) as stream:
        text = re.sub(rb'#[^\n]*', b'', stream.read())
        parts = [block.entries for block in blocks(io.BytesIO(text), path, 1, POSITION)]
    if not parts:
        raise InputError('%s: holds no arc' % path)
    arcs = np.concatenate(parts)
    return np.stack([arcs['i'], arcs['j']], axis=1)
