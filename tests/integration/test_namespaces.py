"""Nodes on several hosts, each with an address of its own."""
import json
import os
import subprocess
import sys

import pytest

from coro_sor.launch import first_line
from namespaces import two_hosts  # noqa: F401  (a fixture)
from processes import environment

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / 'secret'
    path.touch(0o600)
    path.write_text('0123456789abcdef' * 4)
    return str(path)


def test_a_client_on_another_host_asks_a_node_by_its_address(two_hosts, secret_file):  # noqa: F811
    node = [sys.executable, '-m', 'coro_sor.worker', '--workers', '1', '--address', two_hosts.a.address,
            '--secret-file', secret_file]
    client = [sys.executable, os.path.join(HERE, 'node_client.py'), two_hosts.a.address, '51347', two_hosts.b.address,
              secret_file]
    with two_hosts.a.popen(node, stdout=subprocess.PIPE, bufsize=0, env=environment()) as supervisor:
        try:
            line = first_line(supervisor, 20.0)
            assert line == f'node {two_hosts.a.address}:51347 ready, 1 workers, secret {secret_file}'
            ended = two_hosts.b.run(client, input='\n', env=environment())
            told = [json.loads(line) for line in ended.stdout.splitlines()]
            assert ended.returncode == 0, ended.stderr
        finally:
            supervisor.terminate()
            assert supervisor.wait(20.0) == 0
    name, info = told[0]
    (port, pid, _), = info['children']
    assert (name, info['address'], info['port']) == ('NodeInfo', two_hosts.a.address, 51347)
