"""The coordinator: the actor that shares out the rows, collects reports, looks at the true residual, and stops.

    GATHERING -> LOADING -> ITERATING <-> VERIFYING -> COLLECTING -> DONE       (any -> DONE when a worker is lost)

Reports of running owners only say when to look. A look freezes all owners in a new epoch; they exchange their frozen
slices and compute the residual of that one x. Nothing else is ever called converged.
"""
from __future__ import annotations

import uuid

import numpy as np

from .convergence import Outlook
from .correspondence import Cancelled
from .gathering import Node, ask_directory, places, say_goodbye
from .loading import load_owners, send_vectors
from .looking import Looking
from .messages import Bind, Prepare, Resume, Stop
from .planning import make_plan
from .record import Record
from .refinement import Refinement
from .schedule import exact
from .solution import InputError, Status, Unreachable, WorkerFailed
from .steering import Steering

__all__ = ['Coordinator', 'coordinate']

_TICK = 0.1         # seconds between two looks at the clock


def coordinate(engine, problem, options, nodes, observe=None, coro=None):
    """Actor: solve `problem` on the workers of `nodes`.

    Parameters
    ----------
    engine
    problem : Problem
    options : Options
    nodes : list of (name, (address, port))
        Where the directories are.
    observe : callable, optional
        ``observe(record)`` now and then while it runs.

    Returns
    -------
    Record
        With x, status and all that is to be reported.

    Raises
    ------
    InputError, Unreachable
        Before any worker owns rows.
    """
    coordinator = Coordinator(engine, problem, options, nodes, observe, coro)
    failure = None
    try:
        yield from coordinator.solve()
    except WorkerFailed as error:
        coordinator.record.fail(error)
    except Cancelled:
        coordinator.record.finish(Status.CANCELLED, coordinator.record.x, None)
    except Exception as error:      # whatever it is, the owners must be stopped before the user hears of it
        failure = error
    yield from coordinator.end()
    if failure is not None:
        raise failure
    return coordinator.record


class Coordinator(Looking):
    """One solve."""

    def __init__(self, engine, problem, options, nodes, observe, coro):
        super().__init__(engine, 'solve-' + uuid.uuid4().hex, options, coro)
        self.problem, self.nodes = problem, [Node(name, tuple(location)) for name, location in nodes]
        self.record = Record(problem, options, engine.now, observe)

    # ---- the phases

    def solve(self):
        """From the user's system to the verified x, all in the record."""
        record = self.record
        record.enter('load')
        self.loading = True
        workers = yield from self._gather()
        one_machine = len({worker.location[0] for worker in workers}) == 1
        plan = yield self.engine.compute(make_plan, self.problem, self.options, len(workers), one_machine)
        self.plan = record.plan = plan
        self.problem, self.scan, record.scan = plan.problem, plan.scan, plan.scan
        self._places = workers[:len(plan.owner_bounds) - 1]
        self.steering = record.steering = Steering(plan.schedule, self.options, plan.scan, len(self._places),
                                                   plan.problem.sparse)
        yield from self.hear(0)
        if self.scan.b_norm == 0.0:
            record.finish(Status.CONVERGED, np.zeros(self.problem.n), 0.0)
            return True
        if record.threshold < np.finfo(float).tiny:
            raise InputError('the threshold max(rtol ||b||, atol) = %g is too small for float64: scale the system'
                             % record.threshold)
        record.enter('distribute')
        yield from self._distribute()
        self.loading = False
        self._began = self.engine.now()
        if self.options.storage == 'float32':
            return (yield from self._refine())
        status = yield from self._iterate(record.threshold)
        record.enter('collect')
        x = yield from self._collect()
        record.finish(status, self.plan.restore(x), self._look.residual_norm)
        return True

    def _refine(self):
        """Solve for one correction after the other, until x is right for A as given."""
        record = self.record
        refinement = Refinement(self.problem, self.scan.b, record.threshold, self.options.chunk_bytes)
        while True:
            status = yield from self._iterate(refinement.target)
            record.enter('collect')
            x = yield from self._collect()
            record.enter('verify')
            better = yield self.engine.compute(refinement.add, x)
            yield from self.hear(0)
            if refinement.done or status is not Status.CONVERGED or not better:
                break
            yield from send_vectors(self, refinement.residual, np.zeros(self.problem.n))
        if refinement.done or status is Status.CONVERGED:
            status = Status.CONVERGED if refinement.done else Status.STAGNATED
        record.corrections = refinement.corrections
        record.finish(status, self.plan.restore(refinement.x), refinement.norm)
        return True

    def _gather(self):
        timeout = self.options.connect_timeout
        for number, node in enumerate(self.nodes):
            yield from ask_directory(self.engine, node, number, self.coro, timeout, self.options.lease)
        end = self.engine.now() + timeout
        while not all(node.info for node in self.nodes):
            if self.engine.now() > end:
                silent = [node.name for node in self.nodes if not node.info]
                raise Unreachable('node %s does not answer, after %g s' % (silent[0], timeout))
            yield from self.hear(_TICK)
        return places(self.nodes)

    def _distribute(self):
        yield from load_owners(self, self._places, self.plan)
        prepared = yield from self.ask_all(Prepare)
        reads = [set(answer.reads) for answer in prepared]
        self.record.reads = [answer.reads for answer in prepared]
        for owner in range(len(reads)):
            readers = {other for other in range(len(reads)) if owner in reads[other]}
            self.ask(owner, Bind, {other: self.owners[other].reference for other in sorted(reads[owner] | readers)})
        yield from self.answers()
        return True

    # ---- iterating and verifying

    def _iterate(self, threshold):
        """Sweep and look until there is an end; returns its status."""
        self.outlook = Outlook(threshold, self.problem.nonzeros / self.problem.n, self.options.look_interval)
        self._look = None
        keep = yield from self._verify(restore=False)
        while True:
            status = self._end_status()
            if status:
                return (yield from self._settle(status, keep))
            reaction = self.steering.react(self.outlook)
            if reaction == 'give up':
                return (yield from self._settle(Status.DIVERGED, keep))
            if reaction == 'go back':
                yield from self._verify(restore=True)
                self.outlook.restart()
                keep = False
            if keep:
                yield from self._save()
            self._resume(keep)
            self.record.enter('iterate')
            yield from self._watch()
            keep = yield from self._verify(restore=False)

    def _end_status(self):
        if self._look is None:
            return None
        if self.outlook.passed():
            return Status.CONVERGED
        if self._ending is None and self.options.max_sweeps - self._look.sweeps < 1:
            return Status.MAX_SWEEPS
        if self._ending is None and self.outlook.stagnated(self._size):
            return Status.STAGNATED
        return self._ending

    def _settle(self, status, best_now):
        """End with the best x: go back to it where the last look was worse."""
        if not best_now and not self.outlook.passed():
            yield from self._verify(restore=True)
        return Status.CONVERGED if self.outlook.passed() else status

    def take_resumed(self, message):
        self.record.lowered[message.owner] = message.lowered, message.lowest

    def describe(self, owner):
        first, last = self.scan.bounds[owner:owner + 2]
        return 'rows %d to %d' % (first, last - 1)

    def _resume(self, keep):
        remaining = int(self.options.max_sweeps - (self._look.sweeps if self._look else 0))
        sweeps = max(1, remaining)
        if exact(self.steering.schedule):
            sweeps = min(sweeps, self.outlook.sweeps_to_go())
        steering = self.steering
        if steering.trial:
            sweeps = min(sweeps, steering.trial)
        turn = int(self._look.sweeps) if self._look else 0
        for owner, bounds in enumerate(zip(self.scan.bounds[:-1], self.scan.bounds[1:])):
            rows = int(bounds[1] - bounds[0])
            share = self.outlook.aim() * self.outlook.aim() * rows / self.problem.n
            # Counted from the last complete look, so that looks that stalled grant no sweeps anew.
            until = self._updates[owner] + sweeps * rows
            self.order(owner, Resume, self._epoch, steering.omega, steering.capped, until, share, keep,
                       steering.order, turn)

    def _watch(self):
        """Wait until there is reason to look."""
        began = self.engine.now()
        while True:
            yield from self.hear(_TICK)
            now, reported = self.engine.now(), self._reported()
            self.record.note_reports(self.reports, reported)
            limit = self.options.time_limit
            if self.cancelled or (limit is not None and now - self._began >= limit):
                self._ending = Status.CANCELLED if self.cancelled else Status.TIME_LIMIT
                return True
            if len(self.reports) == len(self.owners) and all(report.waiting for report in self.reports.values()):
                return True
            if exact(self.steering.schedule):
                if reported is not None and self.outlook.exploded(reported):
                    return True
            elif self.outlook.worth_a_look(reported, now - began, self._looking_took, now - self._began):
                return True

    # ---- the end

    def end(self):
        """Stop the owners, gather their statistics, and let the nodes go."""
        self.tolerant, self.loading = True, False
        self.drop_requests()
        for owner in range(len(self.owners)):
            self.ask(owner, Stop)
        try:
            yield from self.answers(self.options.stop_timeout)
        except WorkerFailed:
            pass        # the run is over; what it ended with is in the record
        self.record.owners = [{'node': place.node, 'address': '%s:%d' % place.location, 'pid': place.pid,
                               **self._statistics(owner)} for owner, place in enumerate(self.places)]
        self._tell_of_exchange()
        self.close_links()
        yield from say_goodbye(self.engine, self.nodes)
        return True

    def _tell_of_exchange(self):
        apart = [owner for owner in self.record.owners if owner.get('neighbours_shared', 0) < owner.get('neighbours', 0)]
        if self.options.exchange == 'shared' and apart:
            self.plan.notes.append('%d of %d workers exchange values by message too: memory cannot be shared with a '
                                   'worker of another machine or container' % (len(apart), len(self.owners)))

    def _statistics(self, owner):
        told = dict(self.stopped.get(owner) or {})
        if not told:
            return told
        first, last = self.scan.bounds[owner:owner + 2]
        told['sweeps'] = told.pop('row_updates') / int(last - first)
        if self.record.reads:
            told['halo_entries'] = sum(self.record.reads[owner].values())
        if self.record.rows_came:
            told['rows_came'] = self.record.rows_came[owner]
        return told


if __name__ == '__main__':
    import os
    import sys
    # As ``python -m coro_sor``, in a process that has not imported NumPy yet: BLAS reads its number of threads then.
    os.execv(sys.executable, [sys.executable, '-m', 'coro_sor', *sys.argv[1:]])
