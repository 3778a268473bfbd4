"""Whole solves where the solver itself decides on blocks, numbering and schedule, and where it holds A in float32."""
import numpy as np
import pytest

from campaign import assert_honest, dense, each_step, solve, sparse
from coro_sor import planning
from coro_sor.problem import Problem
from coro_sor.problems import poisson2d, random_dense
from coro_sor.renumbering import permute
from coro_sor.solution import Status


def scale_free(n):
    """A graph some of whose vertices have most of the edges."""
    draw, A = np.random.default_rng(1), np.zeros((n, n))
    for i in range(1, n):
        j = draw.integers(0, max(1, int(i ** 0.6)), 3)
        A[i, j] = A[j, i] = -1
    np.fill_diagonal(A, 0)
    return sparse(A + np.diag(1.2 * np.abs(A).sum(axis=1)))


MATRICES = {'grid numbered at random': permute(poisson2d(12), np.random.default_rng(2).permutation(144)),
            'scale-free graph': scale_free(200), 'dense': random_dense(150, 1)}
TOLD = {'grid numbered at random': 'reverse Cuthill-McKee', 'scale-free graph': 'colour by colour'}


@pytest.fixture
def work_pays(monkeypatch):
    """Systems as small as these use many workers and blocks."""
    monkeypatch.setattr(planning, 'worth', lambda nonzeros, dense, workers: workers)
    monkeypatch.setattr(planning, 'ordering_blocks', lambda n, nonzeros, dense: 12)
    monkeypatch.setattr(planning, 'WAKE', 0.0)
    monkeypatch.setattr(planning, 'pass_seconds', lambda nonzeros: 1e-9 * nonzeros)


def solved(name, rtol, **options):
    A = MATRICES[name]
    b = np.random.default_rng(0).standard_normal(len(dense(A)))
    record = solve(Problem(A, b), blocks=None, rtol=rtol, **options)
    assert record.status is Status.CONVERGED
    assert_honest(A, b, record, rtol)
    expected = np.linalg.solve(dense(A), b)
    assert np.abs(record.x - expected).max() <= 1e3 * rtol * np.abs(expected).max()
    return record


@pytest.mark.parametrize('exchange, storage', [('messages', 'float64'), ('shared', 'float32')])
@pytest.mark.parametrize('schedule', ['auto', 'async', 'sync', 'ordered'])
@pytest.mark.parametrize('name', MATRICES)
def test_the_answer_is_that_of_the_system_as_it_was_given(name, schedule, exchange, storage, work_pays):
    record = solved(name, 1e-8, workers=4, cost=each_step(5e-3), schedule=schedule, exchange=exchange, storage=storage)
    assert len(record.owners) >= 2
    if schedule == 'ordered' and name in TOLD:
        assert TOLD[name] in ' '.join(record.notes)


@pytest.mark.parametrize('name', MATRICES)
def test_what_is_renumbered_is_solved_with_the_same_bits_in_every_exchange(name, work_pays):
    found = [solved(name, 1e-6, workers=4, schedule='ordered', exchange=exchange, nodes=nodes).x.tobytes()
             for exchange, nodes in [('messages', 1), ('shared', 1), ('auto', 2)]]
    assert len(set(found)) == 1


def test_a_small_system_is_left_to_one_worker_and_that_is_said():
    record = solved('dense', 1e-9, workers=4, schedule='auto')
    assert len(record.owners) == 1 and '1 of 4 workers' in ' '.join(record.notes)
