"""Whatever moment a look comes at: all owners see one x, and what the look finds is true of it."""
import random
from unittest import mock

import numpy as np
import pytest

from campaign import EXCHANGES, World, assert_honest, dense, each_step, replayed, sparse
from coro_sor.coordinator import Coordinator
from coro_sor.holding import Holding
from coro_sor.problem import Problem
from coro_sor.problems import poisson2d, random_dense
from coro_sor.simulation import Network
from coro_sor.solution import Status

SCHEDULES = ('async', 'sync', 'ordered')
INJECTED = 30       # looks of a solve that come too soon


def random_graph(n, seed):
    """Symmetric and dominant, the neighbours of a row anywhere."""
    A = np.triu(np.random.default_rng(seed).random((n, n)) < 3 / n, 1) * -1.0
    A = A + A.T
    return sparse(A + np.diag(1.05 * np.abs(A).sum(axis=1) + 0.1))


class Watched:
    """Freezes a solve again and again, and looks into all owners whenever they are frozen.

    Parameters
    ----------
    A : (n, n) array
    b : (n,) array
    draw : random.Random
        Decides when; sometimes at once.
    """

    def __init__(self, A, b, draw):
        self._A, self._b, self._draw = A, b, draw
        self._holdings = []
        self.looks = 0

    def patched(self):
        """Patches for the time of the solve."""
        prepare, verify, watch, this = Holding.prepare, Coordinator._verify, Coordinator._watch, self

        def prepare_and_note(holding):
            this._holdings.append(holding)
            return prepare(holding)

        def watch_or_not(coordinator):
            if this.looks > INJECTED or coordinator.cancelled:
                return (yield from watch(coordinator))
            end = coordinator.engine.now() + this._draw.choice([0.0, 0.02, 0.1, 0.5]) * this._draw.random()
            while coordinator.engine.now() < end and not coordinator.cancelled:
                yield from coordinator.hear(end - coordinator.engine.now())
            return True

        def verify_and_check(coordinator, restore):
            better = yield from verify(coordinator, restore)
            if coordinator.record.looks[-1]['found'] != 'not all owners answered':
                this.check(coordinator._look)
            return better
        return mock.patch.multiple(Coordinator, _watch=watch_or_not, _verify=verify_and_check), \
            mock.patch.object(Holding, 'prepare', prepare_and_note)

    def check(self, look):
        """Compare what the owners hold with each other, and what they found with an oracle."""
        self.looks += 1
        holdings = sorted(self._holdings, key=lambda holding: holding.start)
        x = np.concatenate([holding.entries(holding.start, holding.stop) for holding in holdings])
        for holding in holdings:
            for owner, reads in self._reads(holding).items():
                assert np.array_equal(holding.x[holding.keys[owner]], x[reads])
        r = self._b - self._A @ x
        rounding = 1e-14 * np.linalg.norm(np.abs(self._A) @ np.abs(x) + np.abs(self._b))
        assert abs(look.residual_norm - np.linalg.norm(r)) <= rounding
        assert abs(look.energy + x @ (self._b + r) / 2) <= rounding * np.linalg.norm(x)

    def _reads(self, holding):
        """The rows that an owner reads, by owner."""
        bounds = holding.assignment.owner_bounds
        columns = np.arange(len(self._b))
        if holding.assignment.sparse:
            columns = np.flatnonzero(self._A[holding.start:holding.stop].any(axis=0))
        found = {owner: columns[(first <= columns) & (columns < stop)]
                 for owner, (first, stop) in enumerate(zip(bounds[:-1], bounds[1:])) if first != holding.start}
        return {owner: rows for owner, rows in found.items() if len(rows)}


def drawn(draw, seed):
    """A matrix, options, and how many workers on how many nodes."""
    A = draw.choice([poisson2d(draw.randint(4, 14)), random_graph(120, draw.randint(0, 1)), random_dense(200, 1),
                     random_dense(40, 2)])
    workers = draw.randint(1, 4)
    options = {'schedule': SCHEDULES[seed % 3], 'blocks': draw.choice([workers, 5]), 'omega': draw.choice([1.0, 1.4]),
               'exchange': draw.choice(EXCHANGES), 'order': draw.choice(['cyclic', 'symmetric', 'shuffled']),
               'panel_nonzeros': draw.choice([300, 3000, 1_500_000]), 'chunk_bytes': draw.choice([4096, 1 << 20])}
    if options['schedule'] == 'async':
        options['max_staleness'] = draw.choice([None, None, 2])
    return A, options, workers, draw.randint(1, min(2, workers))


@pytest.mark.parametrize('seeds', [range(first, first + 12) for first in range(0, 72, 12)], ids=str)
@replayed
def test_a_look_at_any_moment_is_true(seed):
    draw = random.Random('freezes %d' % seed)
    A, options, workers, nodes = drawn(draw, seed)
    b = np.random.default_rng(seed).standard_normal(len(dense(A)))
    world = World(seed, workers, None, each_step(lambda: draw.uniform(2e-4, 5e-3)),
                  draw.choice([None, Network.faulty(seed)]), nodes, draw.random() < 0.5)
    for _ in range(draw.randint(0, 2)):
        world.at(draw.uniform(0.0, 2.0), world.stall, draw.randrange(workers), draw.uniform(0.1, 4.0))
    cancelled = draw.random() < 0.3
    if cancelled:
        world.at(draw.uniform(0.1, 2.0), world.cancel)
    watched = Watched(dense(A), b, draw)
    first, second = watched.patched()
    with first, second:
        record = world.solve(Problem(A, b), until=7200.0, max_sweeps=100, rtol=1e-10, patience=300.0, lease=900.0,
                             **options)
    assert record.status in (Status.CONVERGED, Status.MAX_SWEEPS, Status.CANCELLED)
    assert_honest(A, b, record, rtol=1e-10)
    assert watched.looks >= (0 if cancelled else 2)
