"""Checkpoints of real runs."""
import numpy as np
import pytest

import coro_sor
from coro_sor.checkpoint import read_checkpoint
from coro_sor.problem import load_problem


@pytest.fixture(scope='module')
def cluster():
    with coro_sor.Cluster(workers=2) as cluster:
        yield cluster


def test_a_run_that_was_ended_goes_on_where_it_stood(cluster, tmp_path):
    problem, path = load_problem(problem='poisson2d:40'), tmp_path / 'c'
    first = cluster.solve(problem, omega=1.8, max_sweeps=60, checkpoint=path, checkpoint_every=1e-3)
    kept = read_checkpoint(path)
    assert not first.converged and kept.x.tobytes() == first.x.tobytes()
    assert kept.residual_norm == pytest.approx(first.residual_norm) and kept.sweeps == pytest.approx(first.sweeps)
    A = problem.all_rows()
    assert np.linalg.norm(problem.b - A.matvec(kept.x)) == pytest.approx(kept.residual_norm)
    second = cluster.solve(problem, omega=1.8, checkpoint=path, resume=path)
    whole = cluster.solve(problem, omega=1.8)
    assert second.converged and second.sweeps < whole.sweeps
    assert second.report['notes'][0].startswith('%s: goes on from sweeps 60, ' % path)
    assert [each.name for each in tmp_path.iterdir()] == ['c']


def test_a_renumbered_system_is_kept_in_the_order_of_the_user(cluster, tmp_path):
    given = load_problem(problem='geometric:3000')
    problem = coro_sor.Problem(given.all_rows(), given.b)
    solution = cluster.solve(problem, omega=1.5, max_sweeps=20, renumber='rcm', checkpoint=tmp_path / 'c')
    kept = read_checkpoint(tmp_path / 'c')
    assert kept.x.tobytes() == solution.x.tobytes()
    assert np.linalg.norm(problem.b - problem.all_rows().matvec(kept.x)) == pytest.approx(kept.residual_norm)
