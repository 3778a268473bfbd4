"""An owner that is still being given its rows: the part of the block owner before it has neighbours."""
from __future__ import annotations

import numpy as np

from .folders import allowed_file
from .holding import Holding
from .messages import Prepare, Prepared, Rows, RowsRead, Taken, Vectors
from .partition import owner_of_blocks
from .problems import file_of, make_generator
from .roster import free_bytes
from .rows import RowsDigest, index_dtype
from .solution import InputError

__all__ = ['LoadingOwner']

_PIECE = 1 << 18        # nonzeros made at once, so that little memory is needed beside the rows themselves


class LoadingOwner:
    """Fills its holding; each method takes a request and gives, or ends with, its answer.

    Parameters
    ----------
    engine
    solve : str
    assignment : Assignment

    Attributes
    ----------
    index : int
        Number of this owner.
    holding : Holding
    """

    def __init__(self, engine, solve, assignment):
        self._engine, self._solve = engine, solve
        self.index = assignment.owner
        _check_memory(assignment)
        self.holding = Holding(assignment)
        # Of its own, since one process may have several owners, which wait for each other.
        self.pool = engine.make_pool()
        self._reads = None
        self._loaded = self.holding.start       # rows before this one are in place

    def loading_fault(self, request):
        """Why a request can't be meant for an owner that was given these rows so far; empty where it can."""
        holding = self.holding
        if isinstance(request, Vectors):
            stop = request.start + len(request.b)
            fits = len(request.b) == len(request.x) and holding.start <= request.start < stop <= holding.stop
            return '' if fits else 'entries %d to %d are of others' % (request.start, stop)
        if self._reads is not None:
            return 'the rows are prepared'
        if isinstance(request, Rows):
            return self._rows_fault(request.start, request.arrays)
        if isinstance(request, Prepare) and self._loaded < holding.stop:
            return 'rows from %d on are missing' % self._loaded
        return ''

    def _rows_fault(self, start, arrays):
        holding = self.holding
        if len(arrays) != (3 if holding.assignment.sparse else 1):
            return 'rows of another kind'
        stop = start + len(arrays[0]) - (len(arrays) > 1)
        # Sparse rows are put behind those before; who begins anew does so at the first.
        if start not in (self._loaded, holding.start) or not start < stop <= holding.stop:
            return 'rows %d to %d do not follow' % (start, stop)
        if len(arrays) == 1:
            return _dense_fault(arrays[0], start, holding.n)
        room = holding.assignment.nonzeros - int(holding.rows.indptr[start - holding.start])
        if len(arrays[2]) > room or stop == holding.stop and len(arrays[2]) != room:
            return 'there is room for %d entries' % room
        return _sparse_fault(*arrays, start, holding.n)

    def load_rows(self, request, before):
        """`Rows` came."""
        self.holding.take_rows(request.start, request.arrays)
        self._loaded = request.start + len(request.arrays[0]) - (len(request.arrays) > 1)
        return Taken(self._solve, request.request, self.index)

    def load_vectors(self, request, before):
        """`Vectors` came."""
        self.holding.take_vectors(request.start, request.b, request.x)
        return Taken(self._solve, request.request, self.index)

    def read_file(self, request, before):
        """`ReadRows` came."""
        self._loaded = self.holding.start
        try:
            digest = yield self.pool.compute(self._read_rows, request.path)
        except (OSError, ValueError) as error:
            return RowsRead(self._solve, request.request, self.index, '', str(error))
        self._loaded = self.holding.stop
        return RowsRead(self._solve, request.request, self.index, digest, '')

    def _read_rows(self, path):
        return self.holding.read_rows(allowed_file(path))

    def make_rows(self, request, before):
        """`MakeRows` came."""
        holding, digest = self.holding, RowsDigest()
        self._loaded = holding.start
        count = holding.stop - holding.start
        step = max(1, _PIECE * count // max(1, holding.assignment.nonzeros))
        try:
            generator = yield self.pool.compute(_generator_here, request.spec)
            if generator.n != holding.n:
                raise InputError('%s: has %d unknowns here, %d there' % (request.spec, generator.n, holding.n))
            for lo in range(holding.start, holding.stop, step):
                yield self.pool.compute(self._make_piece, generator, lo, min(lo + step, holding.stop), digest)
        except (OSError, ValueError, MemoryError) as error:
            return RowsRead(self._solve, request.request, self.index, '', str(error))
        if not holding.assignment.sparse or holding.rows.indptr[-1] == holding.assignment.nonzeros:
            self._loaded = holding.stop
        return RowsRead(self._solve, request.request, self.index, digest.hexdigest(), '')

    def _make_piece(self, generator, lo, hi, digest):
        rows = generator.rows(lo, hi)
        # Of what was made, not of what is held, which may be rounded.
        digest.update(rows)
        self.holding.take_rows(lo, (rows.indptr, rows.indices, rows.data) if generator.sparse else (rows.values,))

    def prepare(self, request, before):
        """`Prepare` came: everything is here."""
        holding = self.holding
        reads = yield self.pool.compute(holding.prepare)
        self._reads = reads
        owners = owner_of_blocks(holding.bounds, holding.assignment.owner_bounds)
        holding.remote_reads = {block: {other for other in read if owners[other] != self.index}
                                for block, read in holding.block_reads.items()}
        self._owners = owners
        return Prepared(self._solve, request.request, self.index, {owner: read.size for owner, read in reads.items()})


def _check_memory(assignment):
    """Before rows are sent: the system would end a process that takes more than there is, or another one."""
    first, last = assignment.owner_bounds[assignment.owner:assignment.owner + 2].tolist()
    n = int(assignment.block_bounds[-1])
    entries = assignment.nonzeros if assignment.sparse else (last - first) * n
    real = np.dtype(assignment.settings.get('storage', 'float64')).itemsize
    needed = entries * (real + (index_dtype(n).itemsize if assignment.sparse else 0))
    free = free_bytes()
    if free is not None and needed > free:
        raise MemoryError('its rows need %.3g GB, and %.3g GB are free on that machine: use more machines, or '
                          '--storage float32' % (needed / 1e9, free / 1e9))


def _generator_here(spec):
    path = file_of(spec)
    # The checked path, without links, and not the one that was sent.
    return make_generator(spec if path is None else spec[:-len(path)] + allowed_file(path))


def _dense_fault(values, start, n):
    if values.shape[1] != n or not np.isfinite(values).all():
        return 'they are no %d finite numbers each' % n
    return '' if values[:, start:].diagonal().all() else 'a diagonal entry is 0'


def _sparse_fault(indptr, indices, data, start, n):
    """As `_dense_fault`, for CSR rows: columns ascend, and each row has its diagonal entry."""
    if indptr[0] != 0 or (indptr[1:] <= indptr[:-1]).any() or not indptr[-1] == len(indices) == len(data):
        return 'their entries are not counted right'
    counts = np.diff(indptr)
    ascending = indices[1:] > indices[:-1]
    ascending[indptr[1:-1] - 1] = True
    if indices.min() < 0 or indices.max() >= n or not ascending.all() or not np.isfinite(data).all():
        return 'their columns do not ascend, or an entry is not finite'
    on_diagonal = indices == np.repeat(np.arange(start, start + len(counts)), counts)
    return '' if np.count_nonzero(data[on_diagonal]) == len(counts) else 'a diagonal entry is missing or 0'
