"""Nodes, runs of the command and clusters for tests of faults, and that nothing of them is left."""
import contextlib
import json
import os
import subprocess
import sys
import tempfile

import pytest

import coro_sor
from coro_sor.launch import first_line
from processes import children_of, environment, group_pids, is_alive, listening_ports, node_pids, ports_of, wait_until


class Tidy:
    """What a test has started."""

    def __init__(self):
        self._leaders, self._pids, self._ports = set(), set(), set()

    def note(self, leader):
        """A process group's leader, whose children listen."""
        pids = [pid for pid in node_pids(leader) if is_alive(pid)]
        self._leaders.add(leader)
        self._pids.update(pids)
        with contextlib.suppress(FileNotFoundError):     # one has just ended
            self._ports |= ports_of(pids)

    def is_done(self):
        """Whether none of it is left."""
        return not (any(map(group_pids, self._leaders)) or any(map(is_alive, self._pids))
                    or listening_ports() & self._ports)


@pytest.fixture
def tidy(tmp_path, monkeypatch):
    """After the test, no process, port, temporary file or shared memory of what it noted or started is left."""
    folder = tmp_path / 'temporary'
    folder.mkdir()
    monkeypatch.setenv('TMPDIR', str(folder))
    monkeypatch.setattr(tempfile, 'tempdir', None)
    children, tidy = set(children_of(os.getpid())), Tidy()
    yield tidy
    wait_until(tidy.is_done, 'no process and no port is left')
    wait_until(lambda: set(children_of(os.getpid())) <= children, 'no child is left')
    assert not memfds_of(os.getpid())
    assert os.listdir(folder) == []


def memfds_of(pid):
    """Shared memory of coro_sor that a process has open or mapped."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(f'/proc/{pid}/maps') as file:
            found += [line for line in file if '/memfd:coro_sor' in line]
        for descriptor in os.listdir(f'/proc/{pid}/fd'):
            with contextlib.suppress(FileNotFoundError):
                target = os.readlink(f'/proc/{pid}/fd/{descriptor}')
                found += [target] if '/memfd:coro_sor' in target else []
    return found


def memory_of(pid, what='VmRSS'):
    """Bytes of a process."""
    with open(f'/proc/{pid}/status') as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(what + ':'))


@contextlib.contextmanager
def local_cluster(tidy, workers=2):
    """A `Cluster` of local workers; at the end, none of them may hold shared memory of a run."""
    with coro_sor.Cluster(workers=workers) as cluster:
        tidy.note(cluster._local.pid)
        yield cluster
        if is_alive(cluster._local.pid):
            wait_until(lambda: not any(map(memfds_of, node_pids(cluster._local.pid))), 'the end of shared memory')
            tidy.note(cluster._local.pid)


@contextlib.contextmanager
def node(tidy, secret_file, workers=1, port=0, program=('-m', 'coro_sor.worker')):
    """A node in a process of its own; (address:port, Popen)."""
    command = [sys.executable, *program, '--workers', str(workers), '--address', '127.0.0.1', '--port', str(port),
               '--secret-file', str(secret_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0, env=environment(),
                          start_new_session=True) as supervisor:
        try:
            line = first_line(supervisor, 30.0)
            assert line and line.startswith('node '), line
            tidy.note(supervisor.pid)
            yield line.split()[1], supervisor
            if is_alive(supervisor.pid):
                tidy.note(supervisor.pid)
        finally:
            supervisor.terminate()
            supervisor.wait(20.0)


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / 'secret'
    path.touch(0o600)
    path.write_text('0123456789abcdef' * 4)
    return path


def solve_command(*arguments, prefix=()):
    """Start the command; its output is read by `outcome`."""
    return subprocess.Popen([*prefix, sys.executable, '-W', 'error', '-m', 'coro_sor', *map(str, arguments)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                            env=environment())


def outcome(process, report=None, limit=80.0):
    """(exit status, what came to standard error, the report or None) of a command that ends by itself."""
    try:
        _, errors = process.communicate(timeout=limit)
    finally:
        process.kill()
        process.wait()
    told = None
    if report is not None and os.path.exists(report):
        with open(report) as file:
            told = json.load(file)
    return process.returncode, errors, told
