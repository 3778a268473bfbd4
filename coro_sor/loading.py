"""Giving the owners their rows: made or read by themselves where they can, else sent in chunks."""
from __future__ import annotations

import numpy as np

from .messages import Assignment, MakeRows, ReadRows, Rows, Vectors
from .solution import Unreachable, WorkerFailed

__all__ = ['load_owners', 'send_vectors']


def load_owners(coordinator, places, plan):
    """Start an owner at each place and give it its rows and its part of b and x.

    Parameters
    ----------
    coordinator : Coordinator
        Its scan says which rows each owner gets.
    places : list of Place
    plan : Plan
    """
    yield from _start(coordinator, places, plan)
    came = coordinator.record.rows_came = yield from _let_them_help_themselves(coordinator)
    problem = coordinator.problem
    x0 = np.zeros(problem.n) if problem.x0 is None else problem.x0
    yield from _feed(coordinator, {owner: _chunks(coordinator, owner, kind == 'messages')
                                   for owner, kind in enumerate(came)}, coordinator.scan.b, x0)
    return True


def send_vectors(coordinator, b, x):
    """Give the owners another right-hand side and start."""
    yield from _feed(coordinator, {owner: _chunks(coordinator, owner, False)
                                   for owner in range(len(coordinator.owners))}, b, x)
    return True


def _feed(coordinator, feeds, b, x):
    """Send every owner its pieces, one after the other."""
    waiting = {}
    while feeds or waiting:
        for owner in list(feeds):
            if owner not in waiting:
                made = next(feeds[owner], None)
                if made is None:
                    del feeds[owner]
                else:
                    waiting[owner] = yield from _send(coordinator, owner, made, b, x)
                    yield from coordinator.hear(0)      # where reading is slow, owners must not wait for all of it
        if waiting:
            yield from coordinator.hear(0.1)
        for owner, number in list(waiting.items()):
            if coordinator.wait_for(number):
                coordinator.take_answer(number)
                del waiting[owner]
    return True


def _start(coordinator, places, plan):
    bounds, problem = coordinator.scan.bounds, coordinator.problem
    whole = plan.schedule == 'ordered' or plan.schedule == 'sync' and problem.sparse
    for owner, place in enumerate(places):
        assignment = Assignment(owner, bounds, plan.block_bounds, problem.sparse,
                                int(coordinator.scan.nonzeros[owner]), plan.sequence,
                                dict(coordinator.settings(), whole_blocks=whole))
        coordinator.hold(place.location)
        try:
            reference = yield coordinator.engine.start(
                place.location, 'block_owner', (coordinator.solve_id, coordinator.coro, assignment),
                coordinator.options.connect_timeout)
        except Unreachable as error:
            raise WorkerFailed('the worker on node %s cannot be used: %s' % (place.node, error)) from error
        coordinator.add_owner(reference, place)


def _let_them_help_themselves(coordinator):
    """Where each owner's rows come from: 'made' or 'file' where they are what the coordinator saw, or 'messages'."""
    problem = coordinator.problem
    kind, source, way = (ReadRows, problem.path, 'file') if problem.spec is None else (MakeRows, problem.spec, 'made')
    if source is None or not coordinator.options.local_files:
        return ['messages'] * len(coordinator.owners)
    answers = yield from coordinator.ask_all(kind, source)
    return [way if answer.digest == digest else 'messages'
            for answer, digest in zip(answers, coordinator.scan.digests)]


def _chunks(coordinator, owner, rows_too):
    """(kind, first, last + 1) of everything that an owner is sent, in order."""
    first, last = (int(bound) for bound in coordinator.scan.bounds[owner:owner + 2])
    size = coordinator.options.chunk_bytes
    if rows_too:
        for lo, hi in coordinator.problem.cuts(first, last, size):
            yield Rows, lo, hi
    for lo in range(first, last, size // 16):
        yield Vectors, lo, min(lo + size // 16, last)


def _send(coordinator, owner, chunk, b, x):
    kind, lo, hi = chunk
    problem = coordinator.problem
    if kind is Vectors:
        return coordinator.ask(owner, Vectors, lo, b[lo:hi].copy(), x[lo:hi].copy())
    rows = yield coordinator.engine.compute(problem.rows, lo, hi)
    arrays = (rows.indptr, rows.indices, rows.data) if problem.sparse else (rows.values,)
    return coordinator.ask(owner, Rows, lo, arrays)
