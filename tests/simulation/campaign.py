"""Whole solves on the simulator: a coordinator, one node with some workers, what happens to them, and what must hold."""
import numpy as np

from coro_sor.block import block_owner
from coro_sor.coordinator import coordinate
from coro_sor.directory import make_directory
from coro_sor.messages import Cancel
from coro_sor.options import Options
from coro_sor.roster import Roster
from coro_sor.simulation import Network, Simulation
from coro_sor.solution import Status

__all__ = ['World', 'assert_honest', 'dense', 'replayed', 'residual_norm', 'solve']


class World:
    """A coordinator's machine and one node: its supervisor and its worker processes.

    Parameters
    ----------
    seed : int
    workers : int
    network : Network, optional
    cost : callable, optional
        As `Simulation` takes it.
    faults : Network, optional
        What the network is like from 5 ms after an owner was started, when there is something to lose.
    """

    def __init__(self, seed=1, workers=2, network=None, cost=None, faults=None):
        self.simulation = Simulation(seed, network or Network(), cost)
        self.me = self.simulation.machine('coordinator')
        self.supervisor = self.simulation.machine('node')
        self.workers = [self.simulation.machine('node') for _ in range(workers)]
        self.roster = Roster('node')
        for pid, worker in enumerate(self.workers, 100):
            worker.serve('block_owner', self._owner)
            self.roster.started(worker.location[1], pid)
        self.supervisor.serve('directory', make_directory(self.roster))
        self._faults, self._started = faults, 0

    def _owner(self, engine, *args, coro=None):
        self._started += 1
        self.at(self.simulation.now + 5e-3, self._begin_faults, self._started)
        return (yield from block_owner(engine, *args, coro=coro))

    def _begin_faults(self, started):
        if started == self._started and self._faults is not None:
            self.simulation.network = self._faults

    def solve(self, problem, until=600.0, observe=None, **options):
        """Run the coordinator to its end and return its record."""
        nodes = [('node', self.supervisor.location)]
        return self.simulation.run(self.me, coordinate, problem, Options(**options), nodes, observe, until=until)

    # ---- what happens, at a virtual second

    def at(self, seconds, action, *args):
        """Call ``action(*args)`` then."""
        self.simulation.at(seconds, lambda: action(*args))

    def crash(self, number, told=True, silent=None):
        """A worker process dies; told: its supervisor sees it and tells."""
        worker = self.workers[number]
        self.simulation.crash(worker, silent)
        if told:
            self.supervisor.spawn(_lose, self.roster, worker.location[1], 100 + number)

    def cancel(self):
        """The user presses Ctrl-C."""
        self.me.spawn(_cancel, next(iter(self.me.coroutines.values())))

    def stall(self, number, seconds):
        """A worker process is frozen for a while."""
        self.simulation.stall(self.workers[number], seconds)

    # ---- afterwards

    def wait(self, seconds):
        """Let the clock go on."""
        self.simulation.run(self.me, _sleep, seconds, until=self.simulation.now + seconds + 1.0)

    def left(self):
        """Names of the coroutines that still live on machines that do, but for those that tell of children."""
        return ['%s@%d' % (coroutine, engine.location[1]) for engine in [self.me, *self.workers]
                if not engine.crashed for coroutine in engine.coroutines.values()]


def solve(problem, seed=1, workers=2, network=None, cost=None, faults=None, until=600.0, **options):
    """The record of a run in which nothing happens but what the network does."""
    return World(seed, workers, network, cost, faults).solve(problem, until, **options)


def _lose(engine, roster, port, pid, coro=None):
    roster.lost(port, pid, 'signal SIGKILL')
    yield coro.sleep(0)


def _cancel(engine, coordinator, coro=None):
    coordinator.send(Cancel(''))
    yield coro.sleep(0)


def _sleep(engine, seconds, coro=None):
    yield coro.sleep(seconds)
    return True


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
    if record.status is Status.WORKERS_LOST:
        assert record.failure is not None
        return
    assert record.status in (Status.CONVERGED, Status.MAX_SWEEPS, Status.TIME_LIMIT, Status.CANCELLED,
                             Status.STAGNATED, Status.DIVERGED)
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
