"""'sync' and 'ordered' are exact: their iterates are those of the reference, whatever workers, exchange and network."""
import random

import numpy as np
import pytest

from campaign import EXCHANGES, dense, each_step, solve, sparse
from coro_sor.arrangement import arrange
from coro_sor.formats import load_matrix
from coro_sor.kernels.reference import block_sor
from coro_sor.order import Order
from coro_sor.partition import split_rows
from coro_sor.problem import Problem
from coro_sor.problems import make_generator, poisson2d, random_dense
from coro_sor.relaxation import boundary_coupling, capped_omega
from coro_sor.rows import DenseRows
from coro_sor.simulation import Network
from coro_sor.solution import Status
from shared_data import shared_file

ORDERS = ('cyclic', 'symmetric', 'shuffled')
SEED = 3
SUB_BLOCK = 64      # rows of a dense block that are passed in their order


def problem_of(A):
    return Problem(A, np.random.default_rng(0).standard_normal(A.n if hasattr(A, 'indptr') else len(A)))


def irregular(n, seed):
    """A graph with some rows of many neighbours, in no particular order: symmetric and dominant."""
    draw = np.random.default_rng(seed)
    A = np.where(draw.random((n, n)) < 4 / n, draw.uniform(-1, 1, (n, n)), 0)
    A[::n // 4] = np.where(draw.random((len(A[::n // 4]), n)) < 0.3, 1.0, 0)
    A = A + A.T
    np.fill_diagonal(A, 0)
    np.fill_diagonal(A, 1.1 * np.abs(A).sum(axis=1) + 0.1)
    return sparse(A)


def one_way(n, seed):
    """Strictly dominant; rows read what comes after them only."""
    draw = np.random.default_rng(seed)
    A = np.triu(np.where(draw.random((n, n)) < 6 / n, draw.uniform(-1, 1, (n, n)), 0), 1)
    return sparse(A + np.diag(1.1 * np.abs(A).sum(axis=1) + 0.1))


MATRICES = {'dense': random_dense(560, 4), 'sparse': poisson2d(33), 'irregular': irregular(300, 5)}


def rows_in_order(A, bounds, kind):
    """``order(sweep)`` as `block_sor` takes it: what is documented of the order, put together anew."""
    order, inside = Order(kind, SEED, np.arange(len(bounds) - 1)), []
    for lo, hi in zip(bounds[:-1].tolist(), bounds[1:].tolist()):
        if not hasattr(A, 'indptr'):
            inside.append(np.arange(lo, hi))
            continue
        rows = A[lo:hi].copy()
        halo = np.setdiff1d(rows.indices, np.arange(lo, hi))
        inside.append(lo + arrange(rows, lo, [(0, hi - lo)], halo).order)

    def of_block(block, sweep):
        rows = inside[block]
        if kind == 'symmetric' and sweep % 2 == 0:
            return rows[::-1]
        pieces = -(-len(rows) // SUB_BLOCK)
        if kind != 'shuffled' or hasattr(A, 'indptr') or pieces < 2:
            return rows
        permuted = order.pieces(sweep, block, pieces)
        assert sorted(permuted) == list(range(pieces))
        return np.concatenate([rows[SUB_BLOCK * piece:SUB_BLOCK * (piece + 1)] for piece in permuted])
    return lambda sweep: [of_block(block, sweep) for block in order.blocks(sweep)]


def omega_of_rows(A, omega, schedule, bounds):
    """What the owners use: lowered at block boundaries in 'sync'."""
    if schedule != 'sync':
        return omega
    A = dense(A)
    t = [boundary_coupling(DenseRows(A[lo:hi]), A.diagonal()[lo:hi], A.diagonal(), (lo, hi))
         for lo, hi in zip(bounds[:-1], bounds[1:])]
    return capped_omega(omega, np.concatenate(t))


def iterate(problem, sweeps, **options):
    """x after so many sweeps."""
    record = solve(problem, max_sweeps=sweeps, rtol=1e-15, seed=SEED, **options)
    assert record.status is Status.MAX_SWEEPS and record.sweeps == sweeps
    return record.x


@pytest.mark.parametrize('name', MATRICES)
@pytest.mark.parametrize('order', ORDERS)
@pytest.mark.parametrize('blocks', [1, 2, 3, 8])
def test_in_ordered_the_iterates_are_those_of_one_machine_in_the_same_order(blocks, order, name):
    """Bit for bit the same on 1, 2, 3 and 8 workers and in both exchanges, and the reference's but for rounding."""
    A = MATRICES[name]
    problem = problem_of(A)
    bounds = split_rows(problem.row_nonzeros(), blocks)
    for sweeps in range(1, 6) if blocks == 8 else (2, 5):
        expected = block_sor(A, problem.b, np.zeros(problem.n), 1.2, bounds, 'ordered', sweeps,
                             rows_in_order(A, bounds, order))
        found = [iterate(problem, sweeps, schedule='ordered', blocks=blocks, order=order, omega=1.2,
                         workers=workers, exchange=exchange, panel_nonzeros=20_000)
                 for workers in (1, 2, 3, 8) if workers <= blocks for exchange in EXCHANGES]
        distance = np.abs(found[0] - expected).max()
        assert distance <= 1e-12 * np.abs(expected).max()
        assert len({x.tobytes() for x in found}) == 1


REAL = ('bcsstk01', 'bcsstk02', 'gr_30_30', '494_bus', 'ani3_crop', 'vem1', 'poisson274', 'as20graph',
        'bcsstk02 as dense')


def real(name):
    """A matrix written by others; bcsstk02 has a full pattern, so it comes as dense rows too."""
    if name == 'as20graph':
        return make_generator('pagerank:' + shared_file('as20graph.txt')).rows(0, 6474)
    A = load_matrix(shared_file(name.split()[0] + '.mtx')).values
    return dense(A) if name.endswith('dense') else A


@pytest.mark.parametrize('name', REAL)
@pytest.mark.parametrize('blocks', [1, 2, 3, 8])
def test_in_ordered_real_matrices_have_the_iterates_of_one_machine_in_the_same_order(blocks, name):
    """Bit for bit the same whatever the workers, sweep by sweep, and the reference's but for rounding."""
    A = real(name)
    problem = problem_of(A)
    bounds = split_rows(problem.row_nonzeros(), blocks)
    for sweeps in (1, 2, 3):
        expected = block_sor(A, problem.b, np.zeros(problem.n), 1.2, bounds, 'ordered', sweeps,
                             rows_in_order(A, bounds, 'cyclic'))
        found = [iterate(problem, sweeps, schedule='ordered', blocks=blocks, order='cyclic', omega=1.2, workers=workers)
                 for workers in (1, 2, 3, 8) if workers <= blocks]
        assert np.abs(found[0] - expected).max() <= 1e-12 * np.abs(expected).max()
        assert len({x.tobytes() for x in found}) == 1


@pytest.mark.parametrize('name', MATRICES)
@pytest.mark.parametrize('order', ['cyclic', 'symmetric'])
@pytest.mark.parametrize('blocks', [1, 2, 5])
def test_in_sync_a_block_sees_the_others_as_they_were_a_sweep_before(blocks, order, name):
    """Bit for bit the same on 1, 2 and 5 workers and in both exchanges, and the reference's but for rounding."""
    A = MATRICES[name]
    problem = problem_of(A)
    bounds = split_rows(problem.row_nonzeros(), blocks)
    omega = omega_of_rows(A, 1.2, 'sync', bounds)
    for sweeps in (1, 4):
        expected = block_sor(A, problem.b, np.zeros(problem.n), omega, bounds, 'sync', sweeps,
                             rows_in_order(A, bounds, order))
        found = [iterate(problem, sweeps, schedule='sync', blocks=blocks, order=order, omega=1.2, workers=workers,
                         exchange=exchange, panel_nonzeros=20_000)
                 for workers in (1, 2, 5) if workers <= blocks for exchange in EXCHANGES]
        distance = np.abs(found[0] - expected).max()
        assert distance <= 1e-12 * np.abs(expected).max()
        assert len({x.tobytes() for x in found}) == 1


def test_ordered_is_plain_sor_whatever_the_number_of_blocks():
    A = random_dense(30, 6)
    problem = problem_of(A)
    plain = block_sor(A, problem.b, np.zeros(30), 1.3, [0, 30], 'ordered', 4)
    for blocks in (2, 5):
        x = iterate(problem, 4, workers=2, schedule='ordered', order='cyclic', blocks=blocks, omega=1.3)
        assert np.abs(x - plain).max() <= 1e-13 * np.abs(plain).max()


FAULTS = Network(delay=2e-3, jitter=3.0, lost=0.05, reply_lost=0.05, late=0.05, stall=0.3)


@pytest.mark.parametrize('A', [poisson2d(8), irregular(80, 2), one_way(80, 2), random_dense(150, 2)],
                         ids=['poisson', 'irregular', 'one way', 'dense'])
@pytest.mark.parametrize('order', ORDERS)
@pytest.mark.parametrize('schedule', ['sync', 'ordered'])
def test_faults_make_it_slower_and_change_no_bit(schedule, order, A):
    """Late, lost and repeated messages, with workers of other speeds, on one node and on two."""
    problem = problem_of(A)
    wanted = {'schedule': schedule, 'order': order, 'blocks': 6, 'omega': 1.2, 'rtol': 1e-3, 'patience': 200.0,
              'lease': 600.0, 'until': 3600.0, 'chunk_bytes': 4096}
    records = [solve(problem, 1, workers=1, **wanted)]
    draw = random.Random(1)
    for seed, (workers, nodes, exchange) in enumerate([(2, 1, 'messages'), (6, 1, 'messages'), (3, 1, 'shared'),
                                                       (4, 2, 'auto')]):
        records.append(solve(problem, seed, workers=workers, nodes=nodes, exchange=exchange, faults=FAULTS,
                             piecemeal=True, cost=each_step(lambda: draw.uniform(1e-3, 1e-1)), **wanted))
    assert {record.status for record in records} == {Status.CONVERGED}
    assert len({record.x.tobytes() for record in records}) == 1
    assert len({record.sweeps for record in records}) == 1
