"""Capped relaxation factors converge where omega alone diverges; the energy falls."""
import math
from types import SimpleNamespace

import numpy as np
import pytest

from coro_sor import relaxation
from coro_sor.kernels.reference import block_sor, sor_sweep
from coro_sor.partition import split_rows
from coro_sor.relaxation import boundary_coupling, capped_omega, nonsymmetric_cap


def poisson(side):
    """The 5-point Laplacian on a square grid."""
    line = 2 * np.eye(side) - np.eye(side, k=1) - np.eye(side, k=-1)
    return np.kron(line, np.eye(side)) + np.kron(np.eye(side), line)


def csr(A):
    row, column = np.nonzero(A)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=len(A)))))
    return SimpleNamespace(indptr=indptr, indices=column, data=A[row, column])


def dense(A):
    return SimpleNamespace(values=A)


def couplings(A, bounds, container=dense):
    """t of all rows, block by block; the diagonal is known outside the block only."""
    found = []
    for first, stop in zip(bounds[:-1], bounds[1:]):
        diagonal = np.diag(A).copy()
        diagonal[first:stop] = 0.0
        found.append(boundary_coupling(container(A[first:stop]), np.diag(A)[first:stop], diagonal, (first, stop)))
    return np.concatenate(found)


def random_definite(n, seed):
    """A badly scaled symmetric positive definite matrix with entries of both signs."""
    generator = np.random.default_rng(seed)
    factor = generator.standard_normal((n, n + 2))
    scale = 10.0 ** generator.uniform(-3, 3, n)
    return (factor @ factor.T) * np.outer(scale, scale)


@pytest.mark.parametrize('container', [dense, csr])
@pytest.mark.parametrize('chunk', [1, 7, 1 << 20])
def test_the_coupling_sums_scaled_entries_outside_the_block(container, chunk, monkeypatch):
    monkeypatch.setattr(relaxation, '_CHUNK', chunk)
    A = random_definite(12, 0)
    A[2, 7:] = A[7:, 2] = 0.0
    bounds = [0, 5, 9, 12]
    scaled = np.abs(A) / np.sqrt(np.outer(np.diag(A), np.diag(A)))
    block = np.searchsorted(bounds, np.arange(12), side='right')
    expected = np.where(block[:, None] != block, scaled, 0.0).sum(axis=1)
    np.testing.assert_allclose(couplings(A, bounds, container), expected, rtol=1e-13)


def test_one_block_has_no_coupling_and_keeps_its_omega():
    A = poisson(5)
    t = couplings(A, [0, 25])
    assert (t == 0).all() and (capped_omega(1.7, t) == 1.7).all()


def test_the_cap_takes_the_smaller_factor():
    np.testing.assert_allclose(capped_omega(1.5, np.array([0.0, 0.1, 1.0])), [1.5, 1.5, 2 / 2.05])


@pytest.mark.parametrize('blocks', [4, 8])
def test_lockstep_on_poisson_diverges_at_its_best_omega_and_converges_capped(blocks):
    A, omega = poisson(32), 1.826
    rows, b, start = csr(A), np.ones(1024), np.zeros(1024)
    bounds = split_rows(1024, blocks)
    plain = block_sor(rows, b, start, omega, bounds, 'sync', 200)
    capped = block_sor(rows, b, start, capped_omega(omega, couplings(A, bounds)), bounds, 'sync', 400)
    assert np.linalg.norm(b - A @ plain) > 10 * np.linalg.norm(b)
    assert np.linalg.norm(b - A @ capped) < 1e-4 * np.linalg.norm(b)


@pytest.mark.parametrize('seed', range(5))
def test_capped_lockstep_lowers_the_energy_in_every_sweep_whatever_the_scaling_and_the_partition(seed):
    A = random_definite(12, seed)
    b = A @ np.ones(12)
    for bounds in ([0, 6, 12], [0, 1, 5, 12], range(13)):
        omega = capped_omega(1.9, couplings(A, bounds))
        x = np.random.default_rng(seed).standard_normal(12)
        before = 0.5 * x @ A @ x - b @ x
        for _ in range(20):
            x = block_sor(A, b, x, omega, bounds, 'sync', 1)
            now = 0.5 * x @ A @ x - b @ x
            assert now < before
            before = now


def test_a_strong_pair_in_blocks_of_one_row_converges_capped_only():
    A, b = np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([1.0, -3.0])
    omega = capped_omega(1.9, couplings(A, [0, 1, 2]))
    np.testing.assert_allclose(omega, 2 / 1.525)
    capped = block_sor(A, b, np.zeros(2), omega, [0, 1, 2], 'sync', 600)
    plain = block_sor(A, b, np.zeros(2), 1.9, [0, 1, 2], 'sync', 100)
    np.testing.assert_allclose(A @ capped, b, atol=1e-12)
    assert np.abs(plain).max() > 1e10


def test_without_the_margin_the_pair_oscillates_for_ever():
    A, b = np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([1.0, 1.0])
    edge = 2 / (1 + couplings(A, [0, 1, 2]))
    x = block_sor(A, b, np.zeros(2), edge, [0, 1, 2], 'sync', 1001)
    assert np.linalg.norm(b - A @ x) > 0.9 * np.linalg.norm(b)


def test_ordered_blocks_are_plain_sor():
    A, b = random_definite(12, 1), np.arange(12.0)
    expected = sor_sweep(A, b, sor_sweep(A, b, np.ones(12), 1.4), 1.4)
    np.testing.assert_array_equal(block_sor(A, b, np.ones(12), 1.4, [0, 5, 12], 'ordered', 2), expected)


def test_the_reference_knows_no_other_schedule():
    with pytest.raises(ValueError, match='async'):
        block_sor(np.eye(2), np.ones(2), np.zeros(2), 1.0, [0, 1, 2], 'async', 1)


def test_the_nonsymmetric_cap_uses_the_smaller_ratio():
    assert nonsymmetric_cap(1.9, 0.5, 4.0) == nonsymmetric_cap(1.9, 4.0, 0.5) == pytest.approx(4 / 3, rel=0.01)
    assert nonsymmetric_cap(1.1, 0.5, 4.0) == 1.1


@pytest.mark.parametrize('ratio', [0.0, 1e-9, 0.1, 0.5, 0.95, 0.999])
def test_the_nonsymmetric_cap_stays_below_the_bound_where_convergence_ends(ratio):
    omega = nonsymmetric_cap(math.nextafter(2.0, 0.0) if hasattr(math, 'nextafter') else 1.9999, ratio, 1.0)
    assert 0.99 * 2 / (1 + ratio) < omega < 2 / (1 + ratio)
    assert abs(1 - omega) + omega * ratio < 1        # the norm of what a sweep with values of any age does to the error


def test_at_the_bound_itself_asynchronous_relaxation_may_stand_still():
    cycle = 0.5 * np.roll(np.eye(4), 1, axis=1)     # |J|: each row and each column adds up to 0.5
    for omega, converges in ((4 / 3, False), (nonsymmetric_cap(1.9, 0.5, 0.5), True)):
        radius = max(abs(np.linalg.eigvals(abs(1 - omega) * np.eye(4) + omega * cycle)))
        assert (radius < 1 - 1e-4) == converges


def test_rows_without_entries_have_no_coupling():
    A = random_definite(12, 3)
    rows = csr(A[:6] * np.array([1, 0, 1, 0, 0, 1])[:, None])
    t = boundary_coupling(rows, np.diag(A)[:6], np.diag(A), (0, 6))
    whole = boundary_coupling(csr(A[:6]), np.diag(A)[:6], np.diag(A), (0, 6))
    assert t[[1, 3, 4]].tolist() == [0, 0, 0] and (t[[0, 2, 5]] == whole[[0, 2, 5]]).all()
