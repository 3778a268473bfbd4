"""Where SOR side by side on blocks diverges, the cap at the boundaries and the guard give the answer all the same."""
import numpy as np
import pytest

from campaign import assert_honest, each_step, solve
from coro_sor.problem import Problem
from coro_sor.problems import gram, poisson2d
from coro_sor.report import make_report
from coro_sor.solution import Status

OMEGA = 1.826       # the best one for 32 x 32 points in exact order


@pytest.mark.parametrize('blocks', [4, 8])
def test_a_grid_at_its_best_omega_diverges_in_lockstep_with_plain_omega_and_converges_by_default(blocks):
    A, b = poisson2d(32), np.ones(1024)
    how = dict(workers=blocks, schedule='sync', exchange='messages', blocks=blocks, omega=OMEGA, cost=each_step(1e-4))
    plain = solve(Problem(A, b), plain_omega=True, **how)
    assert plain.status is Status.DIVERGED and make_report(plain)['convergence'].startswith('heuristic')
    assert 'without plain_omega' in plain.status.advice     # which has not been tried
    capped = solve(Problem(A, b), **how)
    assert capped.status is Status.CONVERGED
    assert_honest(A, b, capped)
    report = make_report(capped)
    assert report['rows_lowered'] == 2 * 32 * (blocks - 1) and report['lowest_omega'] < OMEGA
    assert report['convergence'].startswith('proven') and report['notes'] == []


@pytest.mark.parametrize('schedule', ['auto', 'async', 'sync', 'ordered'])
def test_two_coupled_rows_in_blocks_of_one_row_converge(schedule):
    A, b = np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([1.0, -3.0])
    for omega in (1.0, 1.3, 1.9):
        record = solve(Problem(A, b), workers=2, blocks=2, schedule=schedule, omega=omega)
        assert record.status is Status.CONVERGED
        assert_honest(A, b, record)


@pytest.mark.parametrize('blocks', [1, 2, 4, 8])
def test_a_gram_matrix_without_any_asynchronous_guarantee_converges_by_default_and_the_report_says_how(blocks):
    A = gram(400)
    J = np.abs(A / A.diagonal()[:, None])
    np.fill_diagonal(J, 0)
    assert np.abs(np.linalg.eigvalsh(J)).max() > 5
    b = np.random.default_rng(1).standard_normal(400)
    record = solve(Problem(A, b), workers=2, blocks=blocks, schedule='auto', cost=each_step(1e-4))
    assert record.status is Status.CONVERGED
    assert_honest(A, b, record)
    report = make_report(record)
    assert report['schedule'] == 'ordered' and report['convergence'].startswith('proven')


def test_where_the_energy_rises_the_run_goes_back_and_on_and_converges(monkeypatch):
    monkeypatch.setattr('coro_sor.holding.capped_omega', lambda omega, t: np.full(len(t), omega))
    A, b = poisson2d(32), np.ones(1024)
    record = solve(Problem(A, b), workers=8, blocks=8, schedule='sync', omega=OMEGA, exchange='messages',
                   cost=each_step(1e-4))
    assert record.status is Status.CONVERGED
    assert_honest(A, b, record)
    assert any('the energy rose in sync' in note for note in record.notes)


@pytest.mark.parametrize('schedule', ['ordered', 'async'])
def test_omega_is_lowered_for_a_nonsymmetric_dominant_matrix_only_where_the_schedule_needs_it(schedule):
    A = np.eye(20) - 0.8 * np.eye(20, k=1)
    record = solve(Problem(A, np.ones(20)), workers=2, blocks=2, schedule=schedule, omega=1.35)
    assert record.status is Status.CONVERGED
    assert_honest(A, np.ones(20), record)
    report = make_report(record)
    assert (report['omega_used'] < 1.112) == (schedule == 'async') and report['omega_used'] <= 1.35
    assert report['convergence'].startswith('proven') == (schedule == 'async')


@pytest.mark.parametrize('workers', [1, 2])
def test_where_exact_order_diverges_for_a_dominant_matrix_it_goes_back_and_on_with_an_omega_that_is_proven(workers):
    A = np.eye(60) - 0.8 * np.roll(np.eye(60), 1, axis=1)
    record = solve(Problem(A, np.ones(60)), workers=workers, blocks=2, schedule='ordered', omega=1.35)
    assert record.status is Status.CONVERGED
    assert_honest(A, np.ones(60), record)
    report = make_report(record)
    assert report['omega_used'] < 1.112 and report['convergence'].startswith('proven')
    assert any('the residual rose in exact order' in note for note in record.notes)


def test_a_global_shuffle_needs_a_quarter_of_the_sweeps_of_cyclic_order_on_a_gram_matrix():
    A = gram(1200)
    b = np.random.default_rng(1).standard_normal(1200)
    sweeps = {}
    for order, omegas in (('shuffled', [1.0]), ('cyclic', [1.0, 1.3, 1.6, 1.8])):
        found = [solve(Problem(A, b), workers=2, blocks=19, schedule='ordered', order=order, omega=omega,
                       max_sweeps=2000, cost=each_step(1e-4)) for omega in omegas]
        sweeps[order] = min(record.sweeps_needed or record.sweeps for record in found)
    assert sweeps['shuffled'] <= sweeps['cyclic'] / 4
