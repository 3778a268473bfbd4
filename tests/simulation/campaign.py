"""Whole solves on the simulator: a coordinator, nodes with some workers, what happens to them, and what must hold."""
import contextlib
import random
from unittest import mock

import numpy as np

from coro_sor import simulation
from coro_sor.csr import from_triplets
from coro_sor.options import Options
from coro_sor.simulation import Network, Simulation
from coro_sor.solution import Status
from coro_sor.sweeping import Sweeper

__all__ = ['EXCHANGES', 'World', 'assert_honest', 'dense', 'each_step', 'replayed', 'residual_norm', 'solve',
           'sparse']

EXCHANGES = ('messages', 'shared')


class World(simulation.World):
    """A coordinator's machine and the nodes: their supervisors and worker processes.

    Parameters
    ----------
    seed : int
    workers : int
        Of all nodes; each node has about as many.
    network : Network, optional
    cost : callable, optional
        As `Simulation` takes it.
    faults : Network, optional
        What the network is like from 5 ms after an owner was started, when there is something to lose.
    nodes : int
        Workers of one node may share memory.
    piecemeal : bool
        Whether owners hand the pool thread fewer steps at a time than they would, by seed, so that more happens in
        between.
    """

    def __init__(self, seed=1, workers=2, network=None, cost=None, faults=None, nodes=1, piecemeal=False):
        super().__init__(Simulation(seed, network or Network(), cost))
        for node in range(nodes):
            self.add_node('node%d' % node, len(range(node, workers, nodes)))
        self._faults, self._started = faults, 0
        self._piecemeal = _piecemeal(seed) if piecemeal else contextlib.nullcontext()

    def owner(self, engine, *args, coro=None):
        self._started += 1
        self.at(self.simulation.now + 5e-3, self._begin_faults, self._started)
        return (yield from super().owner(engine, *args, coro=coro))

    def _begin_faults(self, started):
        if started == self._started and self._faults is not None:
            self.simulation.network = self._faults

    def solve(self, problem, until=600.0, observe=None, keeper=None, **options):
        """Run the coordinator to its end and return its record.

        Unless `options` say otherwise, it is 'async' with a block for each worker. Where there are blocks enough all
        workers are used, though fewer might be faster; unless `blocks` is None, so that the plan is left alone.
        """
        options = Options(**{'schedule': 'async', 'blocks': len(self.workers), **options})
        with self._piecemeal:
            record = super().solve(problem, options, observe, until, keeper)
        if options.blocks and record.plan and not self.happened and self._faults is None:
            up = sum(worker is not None for worker in self.workers)
            assert len(record.plan.owner_bounds) - 1 == min(up, options.blocks, problem.n)
        return record


def solve(problem, seed=1, /, workers=2, network=None, cost=None, faults=None, until=600.0, nodes=1, piecemeal=False,
          **options):
    """The record of a run in which nothing happens but what the network does; `seed` is the simulation's."""
    return World(seed, workers, network, cost, faults, nodes, piecemeal).solve(problem, until, **options)


def _piecemeal(seed):
    """What makes owners take at most one to three steps at a time, by seed."""
    draw, next_step = random.Random('piecemeal %s' % seed), Sweeper.next_step

    def some(self):
        steps = next_step(self)
        return steps and steps[:draw.randint(1, 3)]
    return mock.patch.object(Sweeper, 'next_step', some)


def each_step(seconds, **others):
    """A cost model, as `Simulation` takes it: every computation takes `seconds`, a sweeper's so long for each step.

    Parameters
    ----------
    seconds : float or callable
        If callable, ``seconds()`` is asked for every step.
    **others : float
        Seconds of functions that take another time, by name.
    """

    def cost(function, args):
        if function.__name__ in others:
            return others[function.__name__]
        steps = len(args[0]) if args and isinstance(args[0], list) else 1
        return sum(seconds() for _ in range(steps)) if callable(seconds) else seconds * steps
    return cost


def sparse(A):
    """An array as sparse rows."""
    i, j = np.nonzero(A)
    return from_triplets(len(A), i, j, A[i, j])


def dense(A):
    """A as an array."""
    if not hasattr(A, 'indptr'):
        return np.asarray(A, dtype=np.float64)
    array = np.zeros((len(A.indptr) - 1,) * 2)
    np.add.at(array, (np.repeat(np.arange(len(array)), np.diff(A.indptr)), A.indices), A.data)
    return array


def residual_norm(A, b, x):
    """||b - A x||, by numpy."""
    return float(np.linalg.norm(b - dense(A) @ x))


def assert_honest(A, b, record, rtol=1e-8, atol=0.0):
    """What a record says of its x is true of it."""
    assert np.isfinite(record.x).all()
    true = residual_norm(A, b, record.x)
    rounding = 1e-13 * (np.abs(dense(A)).sum(axis=1).max() * np.abs(record.x).max() + np.abs(b).max()) * len(b)
    assert (record.status is Status.WORKERS_LOST) == (record.failure is not None)
    assert record.status in Status
    if record.residual_norm is not None:
        assert abs(record.residual_norm - true) <= 1e-9 * true + rounding
    threshold = max(rtol * np.linalg.norm(b), atol)
    assert (record.status is Status.CONVERGED) == (record.residual_norm is not None
                                                   and record.residual_norm <= threshold)


def replayed(check):
    """A test of many seeds, whose failure says how to run the failing one again."""

    def all_seeds(seeds):
        for seed in seeds:
            try:
                check(seed)
            except BaseException:
                print('replay: PYTHONPATH=tests/simulation python -c "import %s as t; t.%s.check(%d)"'
                      % (check.__module__, check.__name__, seed))
                raise
    all_seeds.__name__, all_seeds.__doc__, all_seeds.check = check.__name__, check.__doc__, check
    return all_seeds
