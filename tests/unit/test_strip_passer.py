"""Owners that pass over the blocks of a dense system in one chain."""
import numpy as np
import pytest
from test_dense_kernel import distance, dominant, rows_of, sor_in_order
from test_strip_kernel import TOLERANCE, kernel_of

from coro_sor.kernels import StripPasser
from coro_sor.order import Order


class Chain:
    """Owners with fake hooks: they take from each other what was published, and are stopped at random."""

    def __init__(self, A, b, x, bounds, cuts, kind, seed=0):
        self.bounds, self.order, self.generator = bounds, Order(kind, 5, np.arange(len(bounds) - 1)), None
        self.passers, self.xs, self.rest, self.met = [], [], [], {}
        self.published = {}         # (block, sweep): values
        for first, stop in zip(cuts[:-1], cuts[1:]):
            kernel = kernel_of(A, b, 1.1, bounds, bounds[first], bounds[stop])
            self.passers.append(StripPasser(kernel, bounds))
            self.xs.append(x.copy())
        self.generator = np.random.default_rng(seed)
        self.begin()

    def begin(self):
        for passer, x in zip(self.passers, self.xs):
            passer.begin(x)

    def hooks(self, owner):
        x, begun = self.xs[owner], self.generator.random() < 0.7

        def before(block, panel, sweep):
            values = self.published.get((block, sweep))
            if values is None or not begun:
                return False
            x[self.bounds[block]:self.bounds[block + 1]] = values
            return True

        def after(block, panel, sweep):
            assert (block, sweep) not in self.published
            self.published[block, sweep] = x[self.bounds[block]:self.bounds[block + 1]].copy()
            return self.generator.random() < 0.7
        return before, after

    def sweep(self, first, last):
        tasks = [(block, 0, sweep) for sweep in range(first, last + 1) for block in self.order.blocks(sweep)]
        rest = [list(tasks) for _ in self.passers]
        while any(rest):
            owner = int(self.generator.integers(len(rest)))
            met = self.passers[owner].pass_over(rest[owner], self.xs[owner], self.order, *self.hooks(owner))
            assert all((squares is None) == (task[0] not in self.passers[owner]._kernel.own)
                       for task, squares in zip(rest[owner], met))
            self.met.update((task, squares) for task, squares in zip(rest[owner], met) if squares is not None)
            del rest[owner][:len(met)]
        assert set(self.met) >= set(tasks)
        for x in self.xs:
            assert x.tobytes() == self.xs[0].tobytes()


@pytest.mark.parametrize('kind', ['cyclic', 'symmetric', 'shuffled'])
@pytest.mark.parametrize('bounds', [[0, 300], [0, 40, 80, 120, 160, 200, 240, 300], [0, 64, 128, 192, 256, 300],
                                    [0, 1, 140, 300]])
def test_owners_that_pass_in_one_chain_do_what_the_row_loop_does_with_the_same_bits(kind, bounds):
    A, b, x = dominant(300)
    blocks, found = len(bounds) - 1, set()
    order = Order(kind, 5, np.arange(blocks))
    for seed, cuts in enumerate(([0, blocks], [0, blocks], sorted({0, blocks // 2, blocks}), range(blocks + 1))):
        chain = Chain(A, b, x, bounds, list(cuts), kind, seed)
        chain.sweep(1, 2)
        chain.begin()
        chain.sweep(3, 4)
        found.add((chain.xs[0].tobytes(), tuple(sorted(chain.met.items()))))
    assert len(found) == 1
    for sweep in range(1, 5):
        for block in order.blocks(sweep):
            lo, hi = bounds[block:block + 2]
            pieces = order.pieces(sweep, block, -(-(hi - lo) // 64))
            sor_in_order(A, b, x, 1.1, rows_of(lo, hi, pieces, order.backward(sweep)))
    assert distance(chain.xs[0], x) < TOLERANCE


def test_a_step_is_published_before_the_change_of_the_last_is_taken_out_and_waits_for_others_after_that():
    A, b, x = dominant(200)
    kernel = kernel_of(A, b, 1.0, [0, 50, 100, 150, 200], 0, 150)
    passer, seen = StripPasser(kernel, [0, 50, 100, 150, 200]), []
    solve, apply = kernel.solve, kernel.apply
    kernel.solve = lambda block, *rest: seen.append(('solve', block, rest[-1] and rest[-1][0])) or solve(block, *rest)
    kernel.apply = lambda block, change: seen.append(('apply', block)) or apply(block, change)
    passer.begin(x)
    tasks = [(0, 0, 1), (2, 0, 1), (3, 0, 1), (1, 0, 1), (2, 0, 2)]
    order = Order('cyclic', 0, np.arange(4))
    met = passer.pass_over(tasks, x, order, lambda *step: seen.append(('before', step[0])) or True,
                           lambda *step: seen.append(('after', step[0])) or step[0] != 1)
    assert [squares is None for squares in met] == [False, False, True, False]
    assert seen == [('solve', 0, None), ('after', 0), ('solve', 2, 0), ('after', 2), ('apply', 0),
                    ('apply', 2), ('before', 3), ('solve', 1, 3), ('after', 1), ('apply', 3)]
    passer.pass_over(tasks[4:], x, order, None, lambda *step: True)
    assert seen[10:] == [('solve', 2, 1), ('apply', 1)]
    passer.begin(x)
    del seen[:]
    assert passer.pass_over([(3, 0, 3)], x, order, lambda *step: False, None) == [] and seen == []


def test_many_sweeps_of_overflowing_values_give_no_warning():
    A = np.array([[1.0, 1e200], [1e200, 1.0]])
    chain = Chain(A, np.ones(2), np.ones(2), [0, 1, 2], [0, 1, 2], 'cyclic')
    chain.sweep(1, 4)
    assert not np.isfinite(list(chain.met.values())).all()
