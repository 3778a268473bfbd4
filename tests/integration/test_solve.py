"""The Python interface on real worker processes."""
import os
import threading

import numpy as np
import pytest

import coro_sor
from coro_sor.problems import poisson2d, random_dense
from processes import wait_until


@pytest.fixture(scope='module')
def cluster():
    with coro_sor.Cluster(workers=2) as cluster:
        yield cluster


def dense(n, seed=1):
    A = random_dense(n, seed)
    return A, np.random.default_rng(seed).standard_normal(n)


@pytest.mark.parametrize('schedule', ['async', 'sync', 'ordered'])
def test_the_answer_is_that_of_elimination(cluster, schedule):
    A, b = dense(300)
    solution = cluster.solve(A, b, schedule=schedule, rtol=1e-12)
    assert solution.converged
    assert np.linalg.norm(b - A @ solution.x) <= 1.001e-12 * np.linalg.norm(b)
    assert solution.x == pytest.approx(np.linalg.solve(A, b), rel=1e-9)


def test_solve_starts_workers_of_its_own_and_ends_them():
    A, b = dense(60)
    solution = coro_sor.solve(A, b, workers=1)
    assert solution.converged
    pid = solution.report['workers'][0]['pid']
    wait_until(lambda: not os.path.exists('/proc/%d' % pid), 'the worker is gone')


def test_one_cluster_serves_many_solves(cluster):
    for seed in range(60):
        A, b = dense(20 + seed, seed)
        assert cluster.solve(A, b).converged


@pytest.mark.parametrize('n', [1, 2, 3])
def test_fewer_rows_than_blocks_work(cluster, n):
    solution = cluster.solve(np.diag(np.arange(1.0, n + 1)), np.ones(n), blocks=8)
    assert solution.converged
    assert solution.x == pytest.approx(1 / np.arange(1.0, n + 1))


def test_b_of_zeros_gives_zeros_at_once(cluster):
    solution = cluster.solve(random_dense(10, 0), np.zeros(10), x0=np.ones(10))
    assert solution.converged and not solution.x.any() and solution.sweeps == 0 and solution.residual_norm == 0.0


def test_a_start_that_is_the_solution_takes_no_sweep(cluster):
    A = random_dense(50, 3)
    solution = cluster.solve(A, A @ np.ones(50), x0=np.ones(50))
    assert solution.converged and solution.sweeps == 0


@pytest.mark.parametrize('schedule', ['async', 'sync', 'ordered'])
def test_the_limit_of_sweeps_is_kept_and_the_best_x_returned(cluster, schedule):
    A, b = poisson2d(20), np.ones(400)
    solution = cluster.solve(A, b, schedule=schedule, max_sweeps=5, rtol=1e-14)
    assert solution.status is coro_sor.Status.MAX_SWEEPS and not solution.converged
    assert 0 < solution.sweeps <= 5
    assert np.linalg.norm(b - A.matvec(solution.x)) == pytest.approx(solution.residual_norm)


@pytest.mark.parametrize('schedule', ['async', 'sync', 'ordered'])
def test_a_matrix_that_is_not_definite_is_told_of_and_x_is_finite(cluster, schedule):
    A = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 3.0], [0.0, 3.0, 1.0]])
    solution = cluster.solve(A, np.ones(3), schedule=schedule)
    assert solution.status is coro_sor.Status.DIVERGED
    assert np.isfinite(solution.x).all()
    assert np.linalg.norm(1 - A @ solution.x) == pytest.approx(solution.residual_norm)


def test_a_tolerance_beyond_rounding_ends_as_stagnated(cluster):
    A, b = dense(200)
    solution = cluster.solve(A, b, rtol=1e-18)
    assert solution.status is coro_sor.Status.STAGNATED
    assert np.linalg.norm(b - A @ solution.x) <= 1e-13 * np.linalg.norm(b)


def test_b_near_the_largest_number_is_refused(cluster):
    with pytest.raises(coro_sor.InputError, match='overflows'):
        cluster.solve(np.eye(4) * 2, np.full(4, 1e308))
    with pytest.raises(coro_sor.InputError, match='too small'):
        cluster.solve(np.eye(4) * 2, np.full(4, 1e-318))


@pytest.mark.parametrize('schedule', ['async', 'sync', 'ordered'])
def test_one_huge_row_does_not_look_like_rounding(cluster, schedule):
    grid = poisson2d(12)
    A = np.zeros((145, 145))
    A[:144, :144] = np.array([grid.matvec(column) for column in np.eye(144)])
    A[144, 144] = 1e22
    solution = cluster.solve(A, np.ones(145), schedule=schedule)
    assert solution.converged
    assert np.linalg.norm(1 - A @ solution.x) <= 1.001e-8 * np.sqrt(145)


def test_a_closed_cluster_says_so():
    cluster = coro_sor.Cluster(workers=1)
    cluster.close()
    with pytest.raises(coro_sor.InputError, match='closed'):
        cluster.solve(np.eye(2), np.ones(2))


def test_the_time_limit_ends_a_run(cluster):
    solution = cluster.solve(poisson2d(60), np.ones(3600), rtol=1e-13, time_limit=0.3)
    assert solution.status is coro_sor.Status.TIME_LIMIT
    assert solution.residual_norm < np.sqrt(3600)


def test_many_small_blocks_running_flat_out_leave_the_coordinator_idle(cluster):
    import resource
    before = resource.getrusage(resource.RUSAGE_SELF)
    A = np.eye(640) * 1e3 + random_dense(640, 5)
    solution = cluster.solve(A, np.ones(640), blocks=64, rtol=1e-300, atol=1e-290, time_limit=5.0)
    after = resource.getrusage(resource.RUSAGE_SELF)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert solution.status in (coro_sor.Status.TIME_LIMIT, coro_sor.Status.STAGNATED)
    assert busy < 0.5 * sum(solution.report['seconds'].values())
    assert len(solution.report['history']) <= 1000


def test_a_bad_option_is_refused_by_name(cluster):
    A, b = dense(5)
    for name, value in (('omega', 2.0), ('omega', float('nan')), ('rtol', -1.0), ('schedule', 'random'), ('speed', 1)):
        with pytest.raises(coro_sor.InputError, match=name):
            cluster.solve(A, b, **{name: value})
    with pytest.raises(coro_sor.InputError, match='rtol'):
        cluster.solve(A, b, rtol=0.0, atol=0.0)


@pytest.mark.parametrize('nodes, text', [(['a:b'], 'neither host'), (['127.0.0.1', '127.0.0.1:51347'], 'twice'),
                                         ([], 'no node'), (['no.such.host.invalid'], 'no IPv4 address')])
def test_a_bad_node_is_refused(nodes, text):
    with pytest.raises(coro_sor.InputError, match=text):
        coro_sor.Cluster(nodes=nodes)


def test_threads_may_solve_at_the_same_time_on_one_cluster(cluster):
    found = {}

    def work(seed):
        A, b = dense(150, seed)
        found[seed] = np.linalg.norm(b - A @ cluster.solve(A, b).x) / np.linalg.norm(b)
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50.0)
    assert sorted(found) == [0, 1, 2, 3] and max(found.values()) <= 1.001e-8
