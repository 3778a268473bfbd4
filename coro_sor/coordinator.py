"""The coordinator: the actor that shares out the rows, collects reports, looks at the true residual, and stops.

    GATHERING -> LOADING -> ITERATING <-> VERIFYING -> COLLECTING -> DONE
                               (any after LOADING -> RECOVERING -> VERIFYING when a worker is lost)

Reports of running owners only say when to look. A look freezes all owners in a new epoch; they exchange their frozen
slices and compute the residual of that one x. Nothing else is ever called converged.
"""
from __future__ import annotations

import uuid

import numpy as np

from .convergence import Look, Outlook
from .gathering import Node, keep_in_touch, say_goodbye
from .iterating import Iterating
from .loading import Loader, start_vector
from .losses import Cancelled, Ended, OwnersLost
from .messages import Stop
from .planning import make_plan
from .record import Record
from .refinement import Refinement
from .solution import InputError, Status, Unreachable, WorkerFailed
from .steering import Steering

__all__ = ['Coordinator', 'coordinate']

_TICK = 0.1         # seconds between two looks at the clock
_ENOUGH = 2.0       # seconds to wait for nodes that have failed to answer, where others have


def coordinate(engine, problem, options, nodes, observe=None, keeper=None, coro=None):
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
    keeper : Checkpointer, optional
        Writes checkpoints; see `checkpoint`.

    Returns
    -------
    Record
        With x, status and all that is to be reported.

    Raises
    ------
    InputError, Unreachable
        Before any worker owns rows.
    """
    coordinator = Coordinator(engine, problem, options, nodes, observe, keeper, coro)
    failure = None
    try:
        yield from coordinator.solve()
    except WorkerFailed as error:
        coordinator.record.fail(error)
    except Ended as end:
        coordinator.record.end_with_saved(end.status)
    except Cancelled:
        coordinator.record.finish(Status.CANCELLED, coordinator.record.x, None)
    except Exception as error:      # whatever it is, the owners must be stopped before the user hears of it
        failure = error
    yield from coordinator.end()
    if failure is not None:
        raise failure
    return coordinator.record


class Coordinator(Iterating):
    """One solve."""

    def __init__(self, engine, problem, options, nodes, observe, keeper, coro):
        super().__init__(engine, 'solve-' + uuid.uuid4().hex, options, coro)
        self._given = self.problem = problem
        self.keeper, self.nodes = keeper, [Node(name, tuple(location)) for name, location in nodes]
        self.record = Record(problem, options, engine.now, observe)

    # ---- the phases

    def solve(self):
        """From the user's system to the verified x, all in the record."""
        record = self.record
        record.enter('load')
        self.loading = True
        workers = yield from self._gather()
        yield from self._plan(workers, self._given)
        if self.scan.b_norm == 0.0:
            record.finish(Status.CONVERGED, np.zeros(self.problem.n), 0.0)
            return True
        if record.threshold < np.finfo(float).tiny:
            raise InputError('the threshold max(rtol ||b||, atol) = %g is too small for float64: scale the system'
                             % record.threshold)
        yield from self._distribute(start_vector(self.problem), 0.0)
        self.loading = False
        self._began = self.engine.now()
        if self.options.storage == 'float32':
            return (yield from self._refine())
        status, x = yield from self._answer(record.threshold)
        record.finish(status, self.plan.restore(x), self._look.residual_norm, self._look)
        return True

    def _plan(self, workers, problem):
        """Decide how to solve on these workers."""
        began = self.engine.now()
        plan = yield self.engine.compute(make_plan, problem, self.options, len(workers))
        self.plan = self.record.plan = plan
        self.problem, self.scan, self.record.scan = plan.problem, plan.scan, plan.scan
        self._places, self._offered = workers[:len(plan.owner_bounds) - 1], len(workers)
        self.steering = self.record.steering = Steering(plan.schedule, self.options, plan.scan, len(self._places),
                                                        plan.problem.sparse)
        yield from self.hear(0)
        self._planning_took = self.engine.now() - began

    def _distribute(self, x, sweeps):
        """Start the owners with x, after so many sweeps, and give them their rows."""
        began = self.engine.now()
        self.record.enter('distribute')
        self.loader = Loader(self, self.problem, self.plan, self.scan.b, x)
        self.expect(self._places)
        self.record.rows_came = self.loader.came
        self.record.lowered.clear()
        self._updates = [round(sweeps * rows) for rows in np.diff(self.plan.owner_bounds).tolist()]
        yield from self._recover()
        self._distributing_took = self.engine.now() - began

    def _answer(self, threshold):
        """Sweep and look to an end, through all losses; ends with its status and x."""
        self.outlook = Outlook(threshold, self.problem.nonzeros / self.problem.n, self.options.look_interval)
        self._look = None
        while True:
            try:
                yield from self.loader.run()
                status = yield from self._iterate()
                self.record.enter('collect')
                x = yield from self._collect()
                if status is not None:
                    return status, x
                yield from self._spread(x)
            except OwnersLost:
                yield from self._recover()
            self.outlook.begin_anew()

    def _refine(self):
        """Solve for one correction after the other, until x is right for A as given."""
        record = self.record
        refinement = Refinement(self.problem, self.scan.b, record.threshold, self.options.chunk_bytes)
        while True:
            status, x = yield from self._answer(refinement.target)
            record.enter('verify')
            better = yield self.engine.compute(refinement.add, x)
            yield from self.hear(0)
            self._save_refined(refinement)
            if self.keeper is not None and self.engine.now() - self._kept >= self.keeper.every:
                yield from self._keep(record.x, self._look.sweeps, refinement.norm)
            if refinement.done or status is not Status.CONVERGED or not better:
                break
            self.loader.give_vectors(refinement.residual, np.zeros(self.problem.n))
        if refinement.done or status is Status.CONVERGED:
            status = Status.CONVERGED if refinement.done else Status.STAGNATED
        record.corrections = refinement.corrections
        record.finish(status, self.plan.restore(refinement.x), refinement.norm)
        return True

    def _save_refined(self, refinement):
        look = Look(self.engine.now() - self._began, self._look.sweeps, refinement.norm, None)
        self.record.save(self.plan.restore(refinement.x), look)

    def _gather(self):
        """The workers of all nodes that answer in time, at least one."""
        for number, node in enumerate(self.nodes):
            node.seeker = self.engine.spawn(keep_in_touch, node, number, self.coro, self.options)
        began = self.engine.now()
        while not all(node.info for node in self.nodes):
            waited = self.engine.now() - began
            # What is not there at first may come later, where others can begin.
            enough = any(node.info for node in self.nodes) and all(node.info or node.failed for node in self.nodes)
            if waited > self.options.connect_timeout or enough and waited > _ENOUGH:
                break
            yield from self.hear(_TICK)
        silent = [node for node in self.nodes if not node.info]
        if len(silent) == len(self.nodes):
            raise Unreachable('node %s cannot be used, after %.1f s: %s; does start_workers.sh run there, at the '
                              'address that it printed and with the same secret?'
                              % (silent[0].name, self.engine.now() - began, silent[0].problem))
        for node in silent:
            self.record.note('node %s does not answer (%s); its workers are used once it does'
                             % (node.name, node.problem))
        workers = [place for node in self.nodes for place in node.places()]
        for node in self.nodes:
            if not node.places() and node not in silent:
                reason = node.unfit()
                if not workers:
                    raise Unreachable(reason)
                self.record.note(reason)
        return workers

    # ---- for the others to ask

    def take_resumed(self, message):
        self.record.lowered[message.owner] = message.lowered, message.lowest

    def phase(self):
        return self.record.phase

    def describe(self, owner):
        first, last = self.scan.bounds[owner:owner + 2]
        return 'rows %d to %d%s' % (first, last - 1, '' if self.plan.rows is None else ' as renumbered')

    # ---- the end

    def end(self):
        """Stop the owners, gather their statistics, and let the nodes go."""
        self.tolerant, self.loading = True, False
        yield from self._stop_owners()
        self.record.owners = [{'node': place.node, 'address': '%s:%d' % place.location, 'pid': place.pid,
                               **self._statistics(owner)} for owner, place in enumerate(self.places)
                              if self.owners[owner] is not None]
        self._tell_of_exchange()
        if self.keeper is not None and self.record.residual_norm is not None:
            yield from self._keep(self.record.x, self.record.sweeps, self.record.residual_norm)
        yield from say_goodbye(self.engine, self.nodes, self.coro)
        return True

    def _stop_owners(self):
        self.drop_requests()
        for owner in range(len(self.owners)):
            if owner not in self.lost:
                self.ask(owner, Stop)
        yield from self.answers(self.options.stop_timeout)
        self.close_links()

    def _tell_of_exchange(self):
        apart = [owner for owner in self.record.owners
                 if owner.get('neighbours_shared', 0) < owner.get('neighbours', 0)]
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
