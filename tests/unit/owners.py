"""Owners without actors, threads and a network: what they hold and send each other, moved by hand or at random."""
import collections

import numpy as np

from coro_sor.holding import Holding
from coro_sor.incoming import Incoming
from coro_sor.messages import Assignment, Shown
from coro_sor.order import Order
from coro_sor.outgoing import Outgoing
from coro_sor.partition import Reads, owner_of_blocks
from coro_sor.rows import SparseRows
from coro_sor.sharing import SharedSlices
from coro_sor.sweeping import Sweeper

__all__ = ['Owner', 'World', 'assignment', 'sparse_of', 'x_by_rows']

SETTINGS = {'whole_blocks': True, 'exchange': 'auto', 'exchange_every': None, 'exchanges': 10,
            'panel_nonzeros': 1_500_000, 'storage': 'float64'}


def sparse_of(A):
    """An array as SparseRows, columns ascending; the diagonal is there even where it is zero."""
    i, j = np.nonzero((A != 0) | np.eye(len(A), dtype=bool))
    return SparseRows(np.concatenate(([0], np.cumsum(np.bincount(i, minlength=len(A))))).astype(np.int32),
                      j.astype(np.int32), A[i, j], len(A))


def assignment(A, owner, block_bounds, owner_bounds, sparse=False, sequence=None, **settings):
    """What the coordinator would send an owner of rows of A."""
    first, last = owner_bounds[owner:owner + 2]
    nonzeros = sparse_of(A)[first:last].nonzeros if sparse else A[first:last].size
    base = np.arange(len(block_bounds) - 1) if sequence is None else np.array(sequence)
    return Assignment(owner, 1, np.array(owner_bounds), np.array(block_bounds), sparse, nonzeros, base,
                      dict(SETTINGS, **settings))


class Owner:
    """One of them, and the mail that is on its way to it, by sender."""

    def __init__(self, A, b, x0, assigned, order, max_staleness):
        self.holding = holding = Holding(assigned)
        part = slice(holding.start, holding.stop)
        if assigned.sparse:
            rows = sparse_of(A)[part]
            holding.take_rows(holding.start, (rows.indptr, rows.indices, rows.data))
        else:
            holding.take_rows(holding.start, (A[part],))
        holding.take_vectors(holding.start, b[part], x0[part])
        self.reads = holding.prepare()
        owners = owner_of_blocks(holding.bounds, assigned.owner_bounds)
        holding.remote_reads = {block: {other for other in read if owners[other] != assigned.owner}
                                for block, read in holding.block_reads.items()}
        holding.order = order
        self.incoming = Incoming(holding.x, self.reads, holding.keys, holding.bounds, owners)
        self.owners, self.outgoings, self.mail = owners, {}, collections.defaultdict(collections.deque)
        self.sweeper = Sweeper(holding, self.incoming, self.outgoings, max_staleness)


class World:
    """All owners of a system.

    Parameters
    ----------
    A : (n, n) array
    b, x0 : (n,) array
    block_bounds, owner_bounds : list of int
    shared : bool or set of int
        Which owners write their entries into shared memory.
    order : str
    limit : int
        Of the entries of a message.
    """

    def __init__(self, A, b, block_bounds, owner_bounds, shared=False, order='cyclic', seed=0, sparse=False, x0=None,
                 sequence=None, max_staleness=None, limit=1000, **settings):
        count = len(owner_bounds) - 1
        self.n, self.epoch, self.schedule = len(A), 0, None
        x0 = np.zeros(self.n) if x0 is None else x0
        base = np.arange(len(block_bounds) - 1) if sequence is None else np.array(sequence)
        self.owners = [Owner(A, b, x0, assignment(A, owner, block_bounds, owner_bounds, sparse, sequence, **settings),
                             Order(order, seed, base), max_staleness) for owner in range(count)]
        shared = set(range(count)) if shared is True else shared or set()
        for reader, owner in enumerate(self.owners):
            for writer in owner.reads:
                self._introduce(reader, writer, limit, shared)
                self._introduce(writer, reader, limit, shared)

    def _introduce(self, reader, writer, limit, shared):
        """The reader subscribes, if need be to nothing."""
        source, there = self.owners[writer], self.owners[reader]
        if reader in source.outgoings:
            return
        read = there.reads.get(writer, Reads((0, 0)))
        outgoing = source.outgoings[reader] = Outgoing('s', writer, source.holding, limit)
        outgoing.subscribe(0, read.size, read.entries)
        if read.size:
            own = source.holding.own_key(Reads(read.entries))
            there.holding.diagonal[there.holding.keys[writer]] = source.holding.diagonal[own]
        if writer in shared:
            blocks = len(source.holding.blocks)
            array = np.zeros(SharedSlices.size(blocks, read.size))
            only_read = array.view()
            only_read.flags.writeable = False
            outgoing.share(SharedSlices(array, blocks, read.size))
            there.incoming.share(writer, SharedSlices(only_read, blocks, read.size))

    # ---- epochs

    def freeze(self, schedule):
        """A new epoch of all owners: everybody has the frozen x of everybody."""
        self.epoch, self.schedule = self.epoch + 1, schedule
        for number in range(len(self.owners)):
            self.freeze_one(number)
        self.deliver_all()
        assert all(owner.incoming.complete() for owner in self.owners)

    def freeze_one(self, number):
        owner = self.owners[number]
        watched = [block for block, of in enumerate(owner.owners) if of in owner.outgoings]
        owner.holding.reveal()
        owner.incoming.begin(self.schedule, watched if self.schedule != 'async' else (), self.epoch)
        for outgoing in owner.outgoings.values():
            outgoing.begin(self.epoch)
            outgoing.send_frozen()

    def resume(self, sweeps, omega=1.0, capped=False, turn=0):
        for owner in self.owners:
            owner.holding.relax(self.schedule, omega, capped)
            owner.sweeper.begin(self.schedule, sweeps, turn)

    # ---- what may happen

    def step(self, number, most=None, seconds=1e-3):
        """Let an owner pass over what is next, at most so many steps; returns how many it did."""
        owner = self.owners[number]
        tasks = owner.sweeper.next_step()
        if tasks is None:
            return 0
        currents = {other: outgoing.current for other, outgoing in owner.outgoings.items()}
        done = []

        def before(*step):
            if owner.sweeper.lacking(*step[:3]) is not None:
                return False
            owner.sweeper.before(*step[:3])
            return True

        def after(*step):
            owner.sweeper.after(*step, currents)
            done.append(step)
            return most is None or len(done) < most

        squares = owner.holding.sweep(tasks, before, after)
        owner.sweeper.finish_step(squares, seconds)
        return len(squares)

    def post(self, writer, reader, delivered=True, lost=False):
        """Put what one has for another into the mail; whether there was anything."""
        produced = self.owners[writer].outgoings[reader].produce()
        if produced is None:
            return False
        message, settle = produced
        settle(delivered)
        if not lost:
            self.owners[reader].mail[writer].append(message)
        return True

    def deliver(self, writer, reader):
        """Deliver the oldest message on this way; whether there was one."""
        owner = self.owners[reader]
        if not owner.mail[writer]:
            return False
        message = owner.mail[writer].popleft()
        if message.epoch == self.epoch:
            if isinstance(message, Shown):
                owner.incoming.take_shown(message.owner)
            else:
                owner.incoming.take(message)
        return True

    def ways(self):
        return [(writer, reader) for writer, owner in enumerate(self.owners) for reader in owner.outgoings]

    def deliver_all(self):
        for way in self.ways():
            while self.post(*way):
                pass
            while self.deliver(*way):
                pass

    # ---- runs

    def run(self, steps=None):
        """Turn about, with immediate delivery, until all is done."""
        while not all(owner.sweeper.done for owner in self.owners):
            moved = 0
            for number in range(len(self.owners)):
                moved += self.step(number, steps)
                self.deliver_all()
            assert moved, 'nobody can go on'

    def run_at_random(self, seed, faults=0.2, most=100_000):
        """Steps, messages, losses and repetitions in random order until all is done."""
        self.happen(seed, faults, most)
        assert all(owner.sweeper.done for owner in self.owners), 'not done after %d events' % most

    def happen(self, seed, faults, events):
        """So many steps, messages, losses and repetitions in random order; fewer where all is done before."""
        rng, ways = np.random.default_rng(seed), self.ways()
        speeds = np.cumsum(rng.dirichlet(np.ones(len(self.owners))))[:-1]
        for _ in range(events):
            if all(owner.sweeper.done for owner in self.owners):
                return
            if rng.random() < 0.4 or not ways:
                number = int(np.searchsorted(speeds, rng.random()))
                self.step(number, int(rng.integers(1, 6)), 10 ** rng.uniform(-4, 0))
                continue
            way = ways[rng.integers(len(ways))]
            if rng.random() < 0.5:
                fails = rng.random() < faults
                self.post(*way, delivered=not fails, lost=fails and rng.random() < 0.5)
            else:
                self.deliver(*way)

    def x(self):
        """All of x, by rows."""
        return np.concatenate([owner.holding.entries(owner.holding.start, owner.holding.stop)
                               for owner in self.owners])


def x_by_rows(A, b, x, omega, sweeps):
    """SOR row by row.

    Parameters
    ----------
    A, b, x, omega
        As `kernels.reference.sor_sweep`.
    sweeps : iterable of list of (rows, rows that are seen as they were before the sweep)
        The rows in the order of updates, in pieces.
    """
    x = np.array(x, dtype=np.float64)
    omega = np.broadcast_to(omega, x.shape)
    for pieces in sweeps:
        old = x.copy()
        for rows, hidden in pieces:
            seen = x.copy()
            seen[hidden] = old[hidden]
            for i in rows:
                seen[i] += omega[i] * (b[i] - A[i].dot(seen)) / A[i, i]
                x[i] = seen[i]
    return x
