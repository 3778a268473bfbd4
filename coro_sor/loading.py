"""Giving the owners their rows: made or read by themselves where they can, else sent in chunks."""
from __future__ import annotations

import numpy as np

from .messages import Assignment, MakeRows, Prepare, ReadRows, Rows, Vectors
from .node_messages import Started
from .solution import Unreachable

__all__ = ['Loader', 'start_owner', 'start_vector']

_WAYS = {ReadRows: 'file', MakeRows: 'made'}


class Loader:
    """Starts owners and brings each to the point where it can be bound, all at the same time.

    An owner that is lost meanwhile is forgotten and begun anew; the others lose nothing.

    Parameters
    ----------
    coordinator : Correspondence
    problem : Problem
        In the numbering of the plan.
    plan : Plan
    b, x : (n,) array
        Right-hand side and start.

    Attributes
    ----------
    b, x : (n,) array
        What an owner that is begun is given.
    came : list of str
        How each owner's rows came: 'made' or 'file' where it has helped itself, 'messages', or '' before that is known.
    reads : list of dict or None
        How many entries each owner reads from each other one.
    """

    def __init__(self, coordinator, problem, plan, b, x):
        self._coordinator, self._problem, self._plan = coordinator, problem, plan
        self.b, self.x = b, x
        owners = len(plan.owner_bounds) - 1
        self.came, self.reads = [''] * owners, [None] * owners
        self._waiting, self._feeds = {}, {}     # by owner: what is done with the answer, and its request's number

    def assignment(self, owner, incarnation):
        """What an owner is started with."""
        plan, sparse = self._plan, self._problem.sparse
        whole = plan.schedule == 'ordered' or plan.schedule == 'sync' and sparse
        return Assignment(owner, incarnation, plan.owner_bounds, plan.block_bounds, sparse,
                          int(plan.scan.nonzeros[owner]), plan.sequence,
                          dict(self._coordinator.settings(), whole_blocks=whole))

    def begin(self, owner):
        """Give an owner that has just been started its rows, from the first one on."""
        kind, source = (ReadRows, self._problem.path) if self._problem.spec is None else (MakeRows, self._problem.spec)
        if source is None or not self._coordinator.options.local_files:
            self._feed(owner, True)
        else:
            self._ask(owner, self._helped_itself, kind, source)

    def give_vectors(self, b, x):
        """Give all owners another right-hand side and start."""
        self.b, self.x = b, x
        for owner in range(len(self.came)):
            if owner not in self._waiting:      # else it will be given these anyway
                self._feed(owner, False)

    def forget(self, owner):
        """An owner is lost."""
        self._waiting.pop(owner, None)
        self._feeds.pop(owner, None)
        self.reads[owner] = None

    def loads(self, owner):
        """Whether an owner is still being given something."""
        return owner in self._waiting

    @property
    def numbers(self):
        """Of the requests that have not been answered."""
        return {number for _, number in self._waiting.values() if number is not None}

    def run(self):
        """Go on until all owners have everything.

        Raises
        ------
        OwnersLost
        """
        coordinator = self._coordinator
        while self._waiting:
            coordinator.check_losses()
            coordinator.check_end()
            for owner, (go_on, number) in list(self._waiting.items()):
                if owner in self._waiting and (number is None or coordinator.has_answer(number)):
                    del self._waiting[owner]
                    yield from go_on(owner, None if number is None else coordinator.take_answer(number))
                    yield from coordinator.hear(0)      # where reading is slow, owners must not wait for all of it
            yield from coordinator.hear(0.1 if self._waiting else 0)
        coordinator.check_losses()
        return True

    def _ask(self, owner, go_on, kind, *content):
        self._waiting[owner] = go_on, self._coordinator.order(owner, kind, *content)

    # ---- one step after the other

    def _helped_itself(self, owner, answer):
        helped = answer.digest == self._plan.scan.digests[owner]
        self.came[owner] = _WAYS[ReadRows if self._problem.spec is None else MakeRows] if helped else 'messages'
        self._feed(owner, not helped)
        yield from ()

    def _feed(self, owner, rows_too):
        if rows_too:
            self.came[owner] = 'messages'
        self._feeds[owner] = self._pieces(owner, rows_too)
        self._waiting[owner] = self._send_next, None

    def _pieces(self, owner, rows_too):
        """(kind, first, last + 1) of everything that an owner is sent, in order."""
        first, last = (int(bound) for bound in self._plan.owner_bounds[owner:owner + 2])
        size = self._coordinator.options.chunk_bytes
        if rows_too:
            for lo, hi in self._problem.cuts(first, last, size):
                yield Rows, lo, hi
        for lo in range(first, last, size // 16):
            yield Vectors, lo, min(lo + size // 16, last)

    def _send_next(self, owner, answer):
        kind, lo, hi = next(self._feeds[owner], (None, 0, 0))
        if kind is None:
            del self._feeds[owner]
            if self.reads[owner] is None:
                self._ask(owner, self._prepared, Prepare)
        elif kind is Vectors:
            self._ask(owner, self._send_next, Vectors, lo, self.b[lo:hi].copy(), self.x[lo:hi].copy())
        else:
            rows = yield self._coordinator.engine.compute(self._problem.rows, lo, hi)
            arrays = (rows.indptr, rows.indices, rows.data) if self._problem.sparse else (rows.values,)
            self._ask(owner, self._send_next, Rows, lo, arrays)

    def _prepared(self, owner, answer):
        self.reads[owner] = answer.reads
        yield from ()


def start_owner(engine, client, solve, assignment, location, timeout, coro=None):
    """Actor: start an owner in the process at `location` and send `client` a `Started`; it may take long to answer."""
    reference, why = None, ''
    try:
        reference = yield engine.start(location, 'block_owner', (solve, client, assignment), timeout)
    except Unreachable as error:
        why = str(error)
    client.send(Started(assignment.incarnation, reference, why))
    return True


def start_vector(problem):
    """Where the user wants it to start (n,)."""
    return np.zeros(problem.n) if problem.x0 is None else problem.x0
