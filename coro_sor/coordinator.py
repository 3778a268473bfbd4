"""The coordinator: the actor that shares out the rows, collects reports, looks at the true residual, and stops.

    GATHERING -> LOADING -> ITERATING <-> VERIFYING -> COLLECTING -> DONE       (any -> DONE when a worker is lost)

Reports of running owners only say when to look. A look freezes all owners in a new epoch; they exchange their frozen
slices and compute the residual of that one x. Nothing else is ever called converged.
"""
from __future__ import annotations

import math
import uuid

import numpy as np

from .convergence import Look, Outlook, combine
from .correspondence import Cancelled, Correspondence
from .gathering import Node, ask_directory, places, say_goodbye
from .holding import digest_vector
from .loading import load_owners
from .messages import Bind, Collect, Freeze, Prepare, Resume, Stop
from .partition import deal, split_rows
from .record import Record, first_sweep_below, sum_by_sweep
from .relaxation import nonsymmetric_cap
from .scan import scan
from .schedule import exact
from .solution import InputError, Status, Unreachable, WorkerFailed

__all__ = ['Coordinator', 'coordinate']

_SAVING = 1.0       # least seconds between two copies of x
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


class Coordinator(Correspondence):
    """One solve."""

    def __init__(self, engine, problem, options, nodes, observe, coro):
        super().__init__(engine, 'solve-' + uuid.uuid4().hex, options, coro)
        self.problem, self.nodes = problem, [Node(name, tuple(location)) for name, location in nodes]
        self.record = Record(problem, options, engine.now, observe)
        self._schedule, self._capped = options.schedule, True
        self._ending = self._look = None
        self._looking_took = self._saving_took = 0.0
        self._saved = None
        self._met = {}              # by owner and sweep: a report may come twice

    # ---- the phases

    def solve(self):
        """From the user's system to the verified x, all in the record."""
        record = self.record
        record.enter('load')
        self.loading = True
        bounds = yield from self._gather()
        self.scan = record.scan = yield self.engine.compute(scan, self.problem, bounds, self.options.chunk_bytes,
                                                         None, self.options.seed)
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
        status = yield from self._iterate()
        record.enter('collect')
        x = yield from self._collect()
        record.finish(status, x, self._look.residual_norm)
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
        workers = places(self.nodes)
        n, blocks = self.problem.n, self.options.blocks or len(workers)
        weights = self.problem.row_nonzeros()
        self._block_bounds = split_rows(weights, blocks)
        self.record.blocks = len(self._block_bounds) - 1
        dealt = deal(len(self._block_bounds) - 1, len(workers))
        used = sorted(set(dealt.tolist()))
        firsts = [int(self._block_bounds[int(np.argmax(dealt == worker))]) for worker in used]
        self._places = [workers[worker] for worker in used]
        return np.array(firsts + [n], dtype=np.int64)

    def _distribute(self):
        yield from load_owners(self, self._places, self._block_bounds)
        prepared = yield from self.ask_all(Prepare)
        reads = [set(answer.reads) for answer in prepared]
        self.record.reads = [answer.reads for answer in prepared]
        for owner in range(len(reads)):
            readers = {other for other in range(len(reads)) if owner in reads[other]}
            peers = {other: self.owners[other].reference for other in sorted(reads[owner] | readers)}
            self.ask(owner, Bind, peers, tuple(sorted(readers)))
        yield from self.answers()
        return True

    # ---- iterating and verifying

    def _iterate(self):
        """Sweep and look until there is an end; returns its status."""
        self.outlook = Outlook(self.record.threshold, self.problem.nonzeros / self.problem.n,
                               self.options.look_interval)
        self._began = self.engine.now()
        keep = yield from self._verify(restore=False)
        while True:
            status = self._end_status()
            if status:
                return (yield from self._settle(status, keep))
            if self.outlook.diverging():
                if self._schedule == 'ordered':
                    return (yield from self._settle(Status.DIVERGED, keep))
                self.record.note_fallback(self._schedule)
                self._schedule, self._capped = 'ordered', False
                yield from self._verify(restore=True)
                self.outlook.restart()
                keep = False
                continue
            if keep:
                yield from self._save()
            self._resume(keep)
            self.record.enter('iterate')
            yield from self._watch()
            keep = yield from self._verify(restore=False)

    def _save(self):
        """Keep a copy of the best x here, for the case that workers are lost; not too often, it crosses the network."""
        now = self.engine.now()
        if self._saved is None:
            self.record.save(self.record.x, self._look)      # where it starts
        elif now - self._saved >= max(_SAVING, 10 * self._saving_took):
            self.record.save((yield from self._collect()), self._look)
            self._saving_took = self.engine.now() - now
        else:
            return
        self._saved = self.engine.now()

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

    def _verify(self, restore):
        """Freeze and look. Returns whether the frozen x is the best so far."""
        self.record.enter('verify')
        began = self.engine.now()
        reported, self._epoch = self._reported(), self._epoch + 1
        sizes = self.outlook.stuck()
        self.reports.clear()
        met, self._met = self._met, {}
        self.take_back(Resume)
        self.take_back(Freeze)
        for owner in range(len(self.owners)):
            self.ask(owner, Freeze, self._epoch, self._schedule, restore, sizes)
        answers = yield from self.answers(self._deadline())
        self._look_ended = self.engine.now()
        self._looking_took = self._look_ended - began
        if answers is None:         # an owner stalls: the others go on
            self.record.note_look(None)
            return False
        self._digests = [answer.digest for answer in answers]
        self._size = math.hypot(*(answer.size for answer in answers))
        self._updates = [answer.updates for answer in answers]
        sweeps = sum(answer.updates for answer in answers) / self.problem.n
        residual = combine([(answer.scale, answer.squares) for answer in answers])
        self._count_needed(met, residual)
        self._look = Look(self._look_ended - self._began, sweeps, residual, reported)
        self.record.note_look(self._look)
        return self.outlook.add(self._look)

    def _deadline(self):
        """Seconds for a look; none where nothing can go on without it."""
        if exact(self._schedule) or self._ending or self._epoch == 1:
            return None
        return max(2.0, 20 * self._looking_took)

    def _count_needed(self, met, residual):
        """In 'sync' and 'ordered': which sweep of the epoch that has just ended was enough."""
        sums = sum_by_sweep([(sweep, squares) for (_, sweep), squares in met.items()], len(self.owners))
        if sums and 0 < residual <= self.outlook.threshold:
            # What is met in a sweep is the residual before it, about; the last look tells by how much it is off.
            ratio = max(1.0, math.sqrt(sums[max(sums)]) / residual)
            bound = ratio * self.outlook.threshold
            sweep = first_sweep_below(sums, bound * bound)
            if sweep is not None:
                self.record.sweeps_needed = self._look.sweeps + sweep

    def take_report(self, report):
        self._met.update(((report.owner, sweep), squares) for sweep, squares in report.by_sweep)

    def take_resumed(self, message):
        self.record.lowered[message.owner] = message.lowered, message.lowest

    def describe(self, owner):
        first, last = self.scan.bounds[owner:owner + 2]
        return 'rows %d to %d' % (first, last - 1)

    def _resume(self, keep):
        remaining = int(self.options.max_sweeps - (self._look.sweeps if self._look else 0))
        sweeps = max(1, remaining)
        if exact(self._schedule):
            sweeps = min(sweeps, self.outlook.sweeps_to_go())
        omega = self.options.omega
        if self._capped and not self.scan.symmetric:
            omega = nonsymmetric_cap(omega, self.scan.row_ratio, self.scan.column_ratio) \
                if min(self.scan.row_ratio, self.scan.column_ratio) < 1 else omega
        for owner, bounds in enumerate(zip(self.scan.bounds[:-1], self.scan.bounds[1:])):
            rows = int(bounds[1] - bounds[0])
            share = self.outlook.aim() * self.outlook.aim() * rows / self.problem.n
            # Counted from the last complete look, so that looks that stalled grant no sweeps anew.
            until = self._updates[owner] + sweeps * rows
            self.order(owner, Resume, self._epoch, omega, self._capped and self.scan.symmetric, until, share, keep)

    def _reported(self):
        """Norm that the newest reports of this epoch give; None before all have reported."""
        squares = [report.squares for report in self.reports.values()]
        if len(squares) < len(self.owners) or any(part < 0 for part in squares):
            return None
        return math.sqrt(sum(squares)) if math.isfinite(sum(squares)) else math.inf

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
            if exact(self._schedule):
                if reported is not None and self.outlook.exploded(reported):
                    return True
            elif self.outlook.worth_a_look(reported, now - began, self._looking_took, now - self._began):
                return True

    # ---- the end

    def _collect(self):
        """The frozen x, compared with what was verified."""
        x = np.empty(self.problem.n)
        entries = self.options.chunk_bytes // 8
        for owner, (first, last) in enumerate(zip(self.scan.bounds[:-1], self.scan.bounds[1:])):
            for start in range(int(first), int(last), entries):
                self.ask(owner, Collect, self._epoch, start, min(start + entries, int(last)))
        for values in (yield from self.answers()):
            x[values.start:values.start + len(values.values)] = values.values
        for owner, digest in enumerate(self._digests):
            first, last = self.scan.bounds[owner:owner + 2]
            if digest_vector(x[first:last]) != digest:
                raise WorkerFailed('the rows %d to %d of x that arrived are not those that were verified'
                                   % (first, last - 1))
        return x

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
        self.close_links()
        yield from say_goodbye(self.engine, self.nodes)
        return True

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
