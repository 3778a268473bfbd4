"""An owner that is still being given its rows: the part of the block owner before it has neighbours."""
from __future__ import annotations

from .folders import allowed_file
from .holding import Holding
from .messages import Prepared, RowsRead, Taken
from .partition import owner_of_blocks
from .problems import file_of, make_generator
from .rows import RowsDigest
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
        self.holding = Holding(assignment)
        # Of its own, since one process may have several owners, which wait for each other.
        self.pool = engine.make_pool()

    def load_rows(self, request, before):
        """`Rows` came."""
        self.holding.take_rows(request.start, request.arrays)
        return Taken(self._solve, request.request, self.index)

    def load_vectors(self, request, before):
        """`Vectors` came."""
        self.holding.take_vectors(request.start, request.b, request.x)
        return Taken(self._solve, request.request, self.index)

    def read_file(self, request, before):
        """`ReadRows` came."""
        try:
            digest = yield self.pool.compute(self._read_rows, request.path)
        except (OSError, ValueError) as error:
            return RowsRead(self._solve, request.request, self.index, '', str(error))
        return RowsRead(self._solve, request.request, self.index, digest, '')

    def _read_rows(self, path):
        return self.holding.read_rows(allowed_file(path))

    def make_rows(self, request, before):
        """`MakeRows` came."""
        holding, digest = self.holding, RowsDigest()
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


def _generator_here(spec):
    path = file_of(spec)
    # The checked path, without links, and not the one that was sent.
    return make_generator(spec if path is None else spec[:-len(path)] + allowed_file(path))
