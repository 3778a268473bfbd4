"""Giving the owners their rows: read by themselves where they see the same file, else sent in chunks."""
from __future__ import annotations

import numpy as np

from .messages import Assignment, ReadRows, Rows, Vectors
from .solution import Unreachable, WorkerFailed

__all__ = ['load_owners']


def load_owners(coordinator, places, block_bounds):
    """Start an owner at each place and give it its rows and its part of b and x.

    Parameters
    ----------
    coordinator : Coordinator
        Its scan says which rows each owner gets.
    places : list of Place
    block_bounds : (blocks + 1,) array
    """
    yield from _start(coordinator, places, block_bounds)
    read = yield from _let_them_read(coordinator)
    coordinator.record.rows_came = ['file' if done else 'messages' for done in read]
    feeds = {owner: _chunks(coordinator, owner, not read[owner]) for owner in range(len(places))}
    waiting = {}
    while feeds or waiting:
        for owner in list(feeds):
            if owner not in waiting:
                made = next(feeds[owner], None)
                if made is None:
                    del feeds[owner]
                else:
                    waiting[owner] = yield from _send(coordinator, owner, made)
                    yield from coordinator.hear(0)      # where reading is slow, owners must not wait for all of it
        if waiting:
            yield from coordinator.hear(0.1)
        for owner, number in list(waiting.items()):
            if coordinator.wait_for(number):
                coordinator.take_answer(number)
                del waiting[owner]
    return True


def _start(coordinator, places, block_bounds):
    bounds, problem = coordinator.scan.bounds, coordinator.problem
    for owner, place in enumerate(places):
        assignment = Assignment(owner, bounds, block_bounds, problem.sparse, int(coordinator.scan.nonzeros[owner]),
                                coordinator.settings())
        coordinator.hold(place.location)
        try:
            reference = yield coordinator.engine.start(
                place.location, 'block_owner', (coordinator.solve_id, coordinator.coro, assignment),
                coordinator.options.connect_timeout)
        except Unreachable as error:
            raise WorkerFailed('the worker on node %s cannot be used: %s' % (place.node, error)) from error
        coordinator.add_owner(reference, place)


def _let_them_read(coordinator):
    """Whether each owner has read its rows from the file and they are what the coordinator saw."""
    count = len(coordinator.owners)
    if coordinator.problem.path is None or not coordinator.options.local_files:
        return [False] * count
    answers = yield from coordinator.ask_all(ReadRows, coordinator.problem.path)
    return [answer.digest == digest for answer, digest in zip(answers, coordinator.scan.digests)]


def _chunks(coordinator, owner, rows_too):
    """(kind, first, last + 1) of everything that an owner is sent, in order."""
    first, last = (int(bound) for bound in coordinator.scan.bounds[owner:owner + 2])
    size = coordinator.options.chunk_bytes
    if rows_too:
        for lo, hi in coordinator.problem.cuts(first, last, size):
            yield Rows, lo, hi
    for lo in range(first, last, size // 16):
        yield Vectors, lo, min(lo + size // 16, last)


def _send(coordinator, owner, chunk):
    kind, lo, hi = chunk
    problem = coordinator.problem
    if kind is Vectors:
        x = np.zeros(hi - lo) if problem.x0 is None else problem.x0[lo:hi].copy()
        return coordinator.ask(owner, Vectors, lo, coordinator.scan.b[lo:hi].copy(), x)
    rows = yield coordinator.engine.compute(problem.rows, lo, hi)
    arrays = (rows.indptr, rows.indices, rows.data) if problem.sparse else (rows.values,)
    return coordinator.ask(owner, Rows, lo, arrays)
