"""Nodes on several hosts, each with an address of its own."""
import contextlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from coro_sor.launch import first_line
from coro_sor.problems import poisson2d
from namespaces import two_hosts  # noqa: F401  (a fixture)
from processes import environment, wait_until
from runs import memfds_of

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / 'secret'
    path.touch(0o600)
    path.write_text('0123456789abcdef' * 4)
    return str(path)


@contextlib.contextmanager
def node_on(host, secret_file):
    """A node with one worker on `host`."""
    command = [sys.executable, '-m', 'coro_sor.worker', '--workers', '1', '--address', host.address,
               '--secret-file', secret_file]
    with host.popen(command, stdout=subprocess.PIPE, bufsize=0, env=environment()) as supervisor:
        try:
            line = first_line(supervisor, 20.0)
            assert line == f'node {host.address}:51347 ready, 1 workers, secret {secret_file}'
            yield supervisor
        finally:
            supervisor.terminate()
            assert supervisor.wait(20.0) == 0


def solve(hosts, secret_file, seconds, n):
    """Start solve_on_nodes.py on host a, with the nodes of both hosts."""
    command = [sys.executable, os.path.join(HERE, 'solve_on_nodes.py'), secret_file, str(seconds), str(n),
               hosts.a.address, hosts.b.address + ':51347']
    return hosts.a.popen(command, stdout=subprocess.PIPE, bufsize=0, env=environment())


def outcome(process):
    output, _ = process.communicate(timeout=50.0)
    assert process.returncode == 0
    return json.loads(output.splitlines()[-1])


def test_a_client_on_another_host_asks_a_node_by_its_address(two_hosts, secret_file):  # noqa: F811
    client = [sys.executable, os.path.join(HERE, 'node_client.py'), two_hosts.a.address, '51347', two_hosts.b.address,
              secret_file]
    with node_on(two_hosts.a, secret_file):
        ended = two_hosts.b.run(client, input='\n', env=environment())
        told = [json.loads(line) for line in ended.stdout.splitlines()]
        assert ended.returncode == 0, ended.stderr
    name, info = told[0]
    (port, pid, _), = info['children']
    assert (name, info['address'], info['port']) == ('NodeInfo', two_hosts.a.address, 51347)


def test_two_nodes_solve_together_by_address(two_hosts, secret_file):  # noqa: F811
    with node_on(two_hosts.a, secret_file), node_on(two_hosts.b, secret_file):
        found = outcome(solve(two_hosts, secret_file, 0, 200))
    assert found['status'] == 'converged' and found['true'] <= 1.001e-8 * 200 ** 0.5
    assert [worker['node'] for worker in found['workers']] == [two_hosts.a.address, two_hosts.b.address + ':51347']
    assert all(worker['slices_applied'] > 0 for worker in found['workers'])


def test_a_partition_of_three_seconds_that_heals_costs_time_only(two_hosts, secret_file):  # noqa: F811
    with node_on(two_hosts.a, secret_file), node_on(two_hosts.b, secret_file):
        process = solve(two_hosts, secret_file, 8.0, 40)
        assert first_line(process, 30.0) == 'iterating'
        two_hosts.unplug()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3.0)       # the event itself: three seconds without a cable
        two_hosts.plug_in()
        found = outcome(process)
    assert found['status'] in ('time_limit', 'stagnated') and found['failure'] is None
    assert found['true'] == pytest.approx(found['residual_norm'], rel=1e-3)
    assert found['residual_norm'] < 1e-6 * 1600 ** 0.5


def test_a_link_of_ten_megabits_carries_a_dense_system(two_hosts, secret_file):  # noqa: F811
    two_hosts.limit('10mbit')
    with node_on(two_hosts.a, secret_file), node_on(two_hosts.b, secret_file):
        found = outcome(solve(two_hosts, secret_file, 0, 1200))     # 5.8 MB for the other host
    assert found['status'] == 'converged' and found['true'] <= 1.001e-8 * 1200 ** 0.5


def command_on(host, *arguments):
    """The command of coro-sor on a host, its output piped."""
    return host.popen([sys.executable, '-W', 'error', '-m', 'coro_sor', *map(str, arguments)], stdout=subprocess.PIPE,
                      stderr=subprocess.PIPE, text=True, env=environment())


def told_by(process, report):
    """The report of a command that has to end with status 0 and nothing to say."""
    try:
        _, errors = process.communicate(timeout=80.0)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, '')
    with open(report) as file:
        return json.load(file)


@pytest.mark.timeout(150)
@pytest.mark.parametrize('schedule', ['async', 'sync', 'ordered'])
def test_a_host_that_is_cut_off_for_longer_than_the_patience_is_done_without_and_comes_back(
        two_hosts, secret_file, tmp_path, schedule):  # noqa: F811
    a, b = two_hosts.a, two_hosts.b
    nodes = [a.address, b.address + ':51347']
    run = ['--problem', 'poisson2d:128', '--omega', 1.6, '--blocks', 2, '--schedule', schedule, '--nodes',
           ','.join(nodes), '--address', a.address, '--secret-file', secret_file, '--patience', 2, '--lease', 4,
           '--report', tmp_path / 'r.json', '--output', tmp_path / 'x.npy', '--checkpoint', tmp_path / 'c']
    with node_on(a, secret_file), node_on(b, secret_file):
        process = command_on(a, *run, '--checkpoint-every', 0.2)
        wait_until((tmp_path / 'c').exists, 'it iterates', 40.0)
        two_hosts.unplug()
        found = told_by(process, tmp_path / 'r.json')
        assert {worker['node'] for worker in found['workers']} == {nodes[0]}
        loss, = found['recoveries']
        assert loss['node'] == nodes[0] and 'on node %s, ' % nodes[1] in loss['reason'] and 'silent' in loss['reason']
        r = 1 - poisson2d(128).matvec(np.load(tmp_path / 'x.npy'))
        assert np.linalg.norm(r) <= 1.001e-8 * 128
        two_hosts.plug_in()
        found = told_by(command_on(a, *run), tmp_path / 'r.json')
        assert found['recoveries'] == [] and [worker['node'] for worker in found['workers']] == nodes
        pids = [worker['pid'] for worker in found['workers']]
        wait_until(lambda: not any(map(memfds_of, pids)), 'the owners that were cut off are gone')
