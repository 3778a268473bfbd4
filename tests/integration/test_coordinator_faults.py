"""The program that solves is killed, its disk is full, its files vanish: nodes stay usable, and x is not lost."""
import contextlib
import os
import shutil
import subprocess

import numpy as np
import pytest

from coro_sor.checkpoint import read_checkpoint
from coro_sor.problem import load_problem
from coro_sor.problems import poisson2d
from processes import children_of, wait_until
from runs import (local_cluster, memfds_of, memory_of, node, outcome, secret_file, solve_command,  # noqa: F401
                  tidy)
from test_faults import Once, send

SHORT = ('--patience', 1, '--lease', 3)


@contextlib.contextmanager
def two_nodes(tidy, secret_file):  # noqa: F811
    """Two nodes with a worker each; (what to give --nodes and --secret-file, the workers' process ids)."""
    with node(tidy, secret_file) as (first, one), node(tidy, secret_file) as (second, other):
        pids = [*children_of(one.pid), *children_of(other.pid)]
        yield ['--nodes', '%s,%s' % (first, second), '--secret-file', secret_file], pids


# ---- the coordinator is killed

@pytest.mark.timeout(120)
@pytest.mark.parametrize('schedule', ['async', 'sync', 'ordered'])
def test_a_run_whose_coordinator_was_killed_is_resumed_at_once(tidy, secret_file, tmp_path, schedule):  # noqa: F811
    checkpoint, report = tmp_path / 'c', tmp_path / 'r.json'
    with two_nodes(tidy, secret_file) as (nodes, pids):
        run = ['--problem', 'poisson2d:160', '--omega', 1.8, '--blocks', 2, '--schedule', schedule, *nodes, *SHORT,
               '--report', report, '--checkpoint', checkpoint, '--checkpoint-every', 1]
        killed = solve_command(*run, '--rtol', 1e-300)      # it does not end by itself as soon as the others
        wait_until(checkpoint.exists, 'a checkpoint is written', 40.0)
        killed.kill()
        killed.communicate()
        kept = read_checkpoint(checkpoint)
        assert kept.sweeps > 0
        status, errors, resumed = outcome(solve_command(*run, '--resume', checkpoint, '--output', tmp_path / 'x.npy'),
                                          report)
        told = '%s: goes on from %s' % (checkpoint, kept.told)
        assert (status, errors, resumed['notes'][0]) == (0, told + '\n', told)
        assert resumed['looks'][0]['residual_norm'] == pytest.approx(kept.residual_norm)
        assert sorted(worker['pid'] for worker in resumed['workers']) == sorted(pids)
        status, errors, whole = outcome(solve_command(*run), report)
        assert (status, errors) == (0, '')
        # How many sweeps async takes depends on how fast each worker happens to be.
        assert schedule == 'async' or resumed['sweeps'] < whole['sweeps']
        wait_until(lambda: not any(map(memfds_of, pids)), 'the owners of the killed run are gone')
    r = 1 - poisson2d(160).matvec(np.load(tmp_path / 'x.npy'))
    assert np.linalg.norm(r) <= 1.001e-8 * 160
    assert sorted(path.name for path in tmp_path.iterdir()) == ['c', 'r.json', 'secret', 'temporary', 'x.npy']


@pytest.mark.timeout(120)
def test_after_the_lease_workers_free_what_a_killed_coordinator_gave_them(tidy, secret_file, tmp_path):  # noqa: F811
    checkpoint = tmp_path / 'c'
    with two_nodes(tidy, secret_file) as (nodes, pids):
        before = [memory_of(pid) for pid in pids]
        process = solve_command('--problem', 'gram:3000', '--omega', 1e-4, '--schedule', 'async', *nodes, *SHORT,
                                '--checkpoint', checkpoint, '--checkpoint-every', 0.2)
        wait_until(checkpoint.exists, 'it iterates', 60.0)
        half = 3000 * 1500 * 8      # bytes of A that each holds
        assert all(memory_of(pid) > less + half for pid, less in zip(pids, before))
        process.kill()
        process.communicate()
        wait_until(lambda: all(memory_of(pid) < less + half for pid, less in zip(pids, before)), 'memory is free', 30.0)
        wait_until(lambda: not any(map(memfds_of, pids)), 'shared memory is free')


# ---- files

def limited(folder):
    """Files may have 32 KiB."""
    return ['sh', '-c', 'ulimit -f 64; exec "$@"', 'sh']


def on_a_small_disk(folder):
    """A disk of 64 KiB, which nobody else sees."""
    prefix = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs -o size=64k none "$0" && exec "$@"', str(folder)]
    if shutil.which('unshare') is None or subprocess.run([*prefix, 'true'], stderr=subprocess.DEVNULL).returncode:
        pytest.skip('nothing can be mounted here')
    return prefix


@pytest.mark.parametrize('disk', [limited, on_a_small_disk])
def test_a_disk_that_is_full_ends_no_run(tidy, tmp_path, disk):  # noqa: F811
    folder = tmp_path / 'disk'
    folder.mkdir()
    process = solve_command('--problem', 'poisson2d:128', '--omega', 1.9, '--local', 2, '--checkpoint', folder / 'c',
                            '--checkpoint-every', 0.1, '--report', tmp_path / 'r.json', prefix=disk(folder))
    status, errors, report = outcome(process, tmp_path / 'r.json')
    assert (status, errors) == (0, '')
    assert any('%s: no checkpoint could be written: ' % (folder / 'c') in note for note in report['notes'])
    assert os.listdir(folder) == []


def test_a_matrix_file_that_is_removed_in_mid_run_is_not_missed(tidy, tmp_path):  # noqa: F811
    A = np.eye(1000) * 3 + np.random.default_rng(1).standard_normal((1000, 1000)) / 1000
    np.save(tmp_path / 'A.npy', A)
    np.save(tmp_path / 'b.npy', np.ones(1000))
    problem = load_problem(tmp_path / 'A.npy', rhs=tmp_path / 'b.npy')
    with local_cluster(tidy) as cluster:
        def befall():
            os.remove(tmp_path / 'A.npy')
            send(9, children_of(cluster._local.pid)[0])
        solution = cluster.solve(problem, blocks=2, omega=0.1, observe=Once('iterate', befall))
    assert solution.converged and len(solution.report['recoveries']) == 1
    assert sorted(worker['rows_came'] for worker in solution.report['workers']) == ['file', 'messages']
    assert np.linalg.norm(1 - A @ solution.x) <= 1.001e-8 * 1000 ** 0.5


def test_a_node_of_another_version_is_refused_by_name(tidy, secret_file, tmp_path):  # noqa: F811
    other = tmp_path / 'other.py'
    other.write_text('import sys\nimport coro_sor\nif "--child" not in sys.argv:\n    coro_sor.__version__ = "0.0.9"\n'
                     'from coro_sor.worker import main\nsys.exit(main())\n')
    with node(tidy, secret_file, program=(str(other),)) as (name, _):
        status, errors, _ = outcome(solve_command('--problem', 'poisson2d:20', '--nodes', name, '--secret-file',
                                                  secret_file))
    assert status == 3
    assert 'node %s runs coro_sor 0.0.9' % name in errors and len(errors.splitlines()) == 1
