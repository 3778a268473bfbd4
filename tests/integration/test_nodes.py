"""Nodes as processes: how they start, what they tell, and that nothing of them is left behind."""
import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys

import pytest

from coro_sor.addresses import free_port
from coro_sor.launch import first_line
from coro_sor.pidfile import PidFile, running_pid
from coro_sor.runtime.local import LocalNode
from coro_sor.secret import load_secret
from coro_sor.solution import InputError, Unreachable
from processes import children_of, environment, group_pids, is_alive, listening_ports, node_pids, ports_of, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(os.path.dirname(os.path.dirname(HERE)), 'scripts')


def all_gone(pids, ports):
    return not any(map(is_alive, pids)) and not listening_ports() & ports


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder of its own; nodes that were started from it are killed at the end."""
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('PYTHON', sys.executable)
    monkeypatch.setenv('PYTHONPATH', environment()['PYTHONPATH'])
    yield tmp_path
    for path in tmp_path.rglob('*.pid'):
        pid = running_pid(path)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)


def script(name, *arguments):
    return subprocess.run([os.path.join(SCRIPTS, name), *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


def start(*arguments):
    """Start a node in the background with two workers and any free port for it; (its first output, its supervisor)."""
    ended = script('start_workers.sh', '--address', '127.0.0.1', '--port', 0, '--workers', 2, *arguments)
    assert ended.returncode == 0, ended.stderr
    pid_file, = (os.path.join(folder, name) for folder, _, names in os.walk(os.environ['HOME'])
                 for name in names if name.endswith('.pid'))
    return ended.stdout, running_pid(pid_file)


@contextlib.contextmanager
def client_of(address, port, secret_file):
    """Ask a node's directory from another process: `heard()` gives (kind, fields) of its next message."""
    command = [sys.executable, os.path.join(HERE, 'node_client.py'), address, str(port), '127.0.0.1', str(secret_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=environment()) as process:
        def heard(kind=None):
            while True:
                line = process.stdout.readline()
                assert line, 'the client was told nothing'
                name, fields = json.loads(line)
                if kind is None or name == kind:
                    return fields
        try:
            yield heard
        finally:
            process.kill()


# ---- local nodes


def test_a_local_node_has_the_workers_asked_for_and_close_leaves_nothing_behind():
    with LocalNode(workers=3) as node:
        pids = node_pids(node.pid)
        ports = ports_of(pids)
        assert len(pids) == 4 and len(ports) == 4 and node.location[1] in ports
    assert all_gone(pids, ports)
    node.close()


def test_a_local_node_takes_one_worker_a_core_by_default():
    with LocalNode() as node:
        assert len(node_pids(node.pid)) == 1 + len(os.sched_getaffinity(0))


def test_worker_processes_end_when_their_supervisor_is_killed():
    with LocalNode(workers=2) as node:
        pids = node_pids(node.pid)
        ports = ports_of(pids)
        os.kill(node.pid, signal.SIGKILL)
        wait_until(lambda: all_gone(pids, ports), 'the end of the workers', 10.0)


@pytest.mark.parametrize('ending', ['os.kill(os.getpid(), signal.SIGKILL)', 'sys.exit()', 'raise Exception',
                                    'os.kill(os.getpid(), signal.SIGINT)', 'del node'])
def test_a_local_node_ends_with_the_process_that_made_it(ending):
    source = ('import os, signal, sys\nfrom coro_sor.runtime.local import LocalNode\n'
              f'node = LocalNode(workers=2)\nprint(node.pid, flush=True)\nsys.stdin.readline()\n{ending}\n')
    with subprocess.Popen([sys.executable, '-c', source], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, bufsize=0, env=environment()) as process:
        pids = node_pids(int(first_line(process, 20.0)))
        ports = ports_of(pids)
        assert len(pids) == len(ports) == 3
        process.stdin.write(b'\n')
        process.wait(20.0)
        wait_until(lambda: all_gone(pids, ports), 'the end of the node', 10.0)


def test_a_local_node_ends_when_its_maker_is_killed_before_it_is_ready():
    source = 'from coro_sor.runtime.local import LocalNode\nLocalNode(workers=2)'
    with subprocess.Popen([sys.executable, '-c', source], env=environment(), stderr=subprocess.DEVNULL) as process:
        supervisor, = wait_until(lambda: children_of(process.pid), 'a supervisor')
        process.kill()
    wait_until(lambda: not group_pids(supervisor) and not is_alive(supervisor), 'the end of the node', 10.0)


def test_a_frozen_worker_does_not_keep_close_waiting_for_ever():
    with LocalNode(workers=1) as node:
        pids = node_pids(node.pid)
        os.kill(pids[1], signal.SIGSTOP)
    assert all_gone(pids, set())


def test_a_frozen_local_node_is_killed_with_its_workers(monkeypatch):
    monkeypatch.setattr('coro_sor.runtime.local.GRACE', 0.1)
    with LocalNode(workers=1) as node:
        pids = node_pids(node.pid)
        os.kill(node.pid, signal.SIGSTOP)
    wait_until(lambda: all_gone(pids, set()), 'the end of the workers')


def test_a_local_node_that_cannot_start_says_why():
    with pytest.raises(Unreachable, match='could not start: coro_sor node: 192.0.2.1 is no address of this machine'):
        LocalNode(workers=1, address='192.0.2.1')


def test_a_local_node_that_is_not_ready_in_time_is_unreachable_and_gone():
    with pytest.raises(Unreachable, match='not ready after 0 s'):
        LocalNode(workers=1, time_limit=0.0)
    assert not node_pids(os.getpid())[1:]


def test_the_secret_is_in_no_argument_and_no_environment():
    with LocalNode(workers=1) as node:
        for pid in node_pids(node.pid):
            for name in ('cmdline', 'environ'):
                with open(f'/proc/{pid}/{name}', 'rb') as file:
                    assert node.secret not in file.read()


def test_every_process_of_a_node_has_one_blas_thread():
    with LocalNode(workers=1) as node:
        for pid in node_pids(node.pid):
            with open(f'/proc/{pid}/environ', 'rb') as file:
                assert b'OPENBLAS_NUM_THREADS=1' in file.read().split(b'\0')


def test_a_file_in_the_working_directory_hides_no_module(tmp_path, monkeypatch):
    (tmp_path / 'numpy.py').write_text('raise ImportError')
    monkeypatch.chdir(tmp_path)
    with LocalNode(workers=1) as node:
        assert is_alive(node.pid)


# ---- the directory


def test_a_client_is_told_who_is_there_and_of_every_loss_and_return(tmp_path):
    with LocalNode(workers=2) as node:
        secret_file = tmp_path / 'secret'
        secret_file.touch(0o600)
        secret_file.write_bytes(node.secret)
        with client_of(*node.location, secret_file) as heard:
            info = heard('NodeInfo')
            assert (info['request'], info['address'], info['port']) == (7, *node.location)
            (port, pid, memory), other = info['children']
            assert sorted(child[1] for child in info['children']) == sorted(node_pids(node.pid)[1:])
            assert memory > 1000000
            os.kill(pid, signal.SIGKILL)
            assert heard('ChildLost') == {'request': 7, 'address': '127.0.0.1', 'port': port, 'pid': pid,
                                          'reason': 'signal SIGKILL'}
            back = heard('ChildStarted')
            assert back['port'] not in (port, other[0]) and back['pid'] in node_pids(node.pid)
            assert sorted(map(tuple, heard('NodeInfo')['children']))  # it goes on with heartbeats


def test_a_worker_that_is_asked_to_end_does_so_and_is_replaced():
    with LocalNode(workers=1) as node:
        _, worker = node_pids(node.pid)
        os.kill(worker, signal.SIGTERM)
        wait_until(lambda: not is_alive(worker) and len(node_pids(node.pid)) == 2, 'another worker')


# ---- the scripts


def test_a_node_is_started_and_stopped_by_the_scripts(home):
    said, pid = start()
    place = re.fullmatch(r'node 127\.0\.0\.1:(\d+) ready, 2 workers, secret (.*)\n', said)
    assert place[2] == str(home / '.coro_sor' / 'secret')
    pids = node_pids(pid)
    ports = ports_of(pids)
    assert len(pids) == 3 and int(place[1]) in ports
    with client_of('127.0.0.1', place[1], place[2]) as heard:
        assert len(heard('NodeInfo')['children']) == 2
    stopped = script('stop_workers.sh', '--port', 0)
    assert (stopped.returncode, stopped.stdout) == (0, f'node stopped, process {pid}\n')
    assert all_gone(pids, ports) and not list(home.rglob('*.pid'))


def test_stopping_where_no_node_runs_says_so_and_fails(home):
    for option in (['--port', 0], ['--all']):
        stopped = script('stop_workers.sh', *option)
        assert stopped.returncode == 1 and stopped.stdout.startswith('no node runs here')


def test_starting_twice_is_refused_and_harms_nothing(home):
    _, pid = start()
    again = script('start_workers.sh', '--address', '127.0.0.1', '--port', 0)
    assert again.returncode == 2 and f'a node runs here already, process {pid}' in again.stderr
    assert len(node_pids(pid)) == 3
    assert script('stop_workers.sh', '--all').returncode == 0


def test_the_pid_file_of_a_killed_node_does_not_keep_the_next_from_starting(home):
    _, first = start()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not is_alive(first), 'its end')
    assert script('stop_workers.sh', '--port', 0).returncode == 1
    _, second = start()
    assert second != first and is_alive(second)
    assert script('stop_workers.sh', '--port', 0).returncode == 0


def test_a_frozen_node_is_killed_by_the_stop_script(home):
    _, pid = start()
    pids = node_pids(pid)
    os.kill(pid, signal.SIGSTOP)
    stopped = script('stop_workers.sh', '--port', 0, '--grace', 0.1)
    assert stopped.returncode == 0 and 'killed' in stopped.stdout
    wait_until(lambda: all_gone(pids, set()), 'the end of the workers')


def ignores_ctrl_c(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        ignored, = (line.split()[1] for line in file if line.startswith('SigIgn'))
    return int(ignored, 16) >> (signal.SIGINT - 1) & 1


def test_ctrl_c_ends_a_node_in_the_foreground_and_nothing_is_left(home):
    command = [os.path.join(SCRIPTS, 'start_workers.sh'), '--foreground', '--address', '127.0.0.1', '--port', '0',
               '--workers', '2']
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                          start_new_session=True) as process:
        try:
            assert first_line(process, 20.0).startswith('node 127.0.0.1:')
            pids = node_pids(process.pid)
            assert all(map(ignores_ctrl_c, pids[1:]))
            ports = ports_of(pids)
            place = ports_of([process.pid]).pop()
            with client_of('127.0.0.1', place, home / '.coro_sor' / 'secret') as heard:
                assert heard('NodeInfo')
                os.killpg(process.pid, signal.SIGINT)
                assert process.wait(20.0) == 0
        finally:
            process.kill()
    assert len(pids) == 3 and all_gone(pids, ports)


def test_a_port_in_use_is_reported(home):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = script('start_workers.sh', '--address', '127.0.0.1', '--port', port, '--workers', 1)
    assert ended.returncode == 3
    assert f'port {port} at 127.0.0.1 is in use' in ended.stderr and 'Traceback' not in ended.stderr


def test_workers_keep_to_their_ports_pass_over_busy_ones_and_never_use_one_twice_in_a_row(home):
    with socket.socket() as taken:
        first = lucky_range(taken, 4)
        _, pid = start('--ports', f'{first}-{first + 3}')
        assert ports_of(node_pids(pid)[1:]) == {first + 1, first + 2}
        for lost, left in ((1, {2, 3}), (3, {1, 2}), (2, {1, 3})):
            victim, = (child for child in node_pids(pid)[1:] if ports_of([child]) == {first + lost})
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: ports_of(node_pids(pid)[1:]) == {first + port for port in left}, 'another port')
    assert script('stop_workers.sh', '--port', 0).returncode == 0


def lucky_range(taken, length):
    """First of `length` ports in a row that are free but for the first, which the socket `taken` takes."""
    while True:
        first = free_port('127.0.0.1')
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first + 1, first + length):
                    stack.enter_context(socket.socket()).bind(('127.0.0.1', port))
                taken.bind(('127.0.0.1', first))
            except OSError:
                continue
        taken.listen()
        return first


def test_a_node_without_a_free_port_for_its_workers_does_not_start(home):
    with socket.socket() as first, socket.socket() as second:
        port = lucky_range(first, 2)
        second.bind(('127.0.0.1', port + 1))
        second.listen()
        ended = script('start_workers.sh', '--address', '127.0.0.1', '--port', 0, '--workers', 1,
                       '--ports', f'{port}-{port + 1}')
    assert ended.returncode == 3 and 'worker 1 ended before it was ready (no free port)' in ended.stderr


def test_a_worker_that_keeps_ending_is_started_again_after_longer_and_longer_pauses(home):
    _, pid = start('--workers', 1)
    for _ in range(3):
        victim, = node_pids(pid)[1:]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in node_pids(pid) and ports_of(node_pids(pid)[1:]), 'another worker')
    log, = home.rglob('node.log')
    assert re.findall('worker 1 .* ended: signal SIGKILL; .* in (.*) s', log.read_text()) == ['0.1', '0.2', '0.4']


@pytest.mark.parametrize('arguments, said', [
    (['--workers', '2', '--ports', '6000-6001'], 'give at least 3'),
    (['--address', '0.0.0.0'], 'no definite address'),
    (['--address', '192.0.2.1'], 'no address of this machine'),
    (['--address', 'no-such-host.invalid'], 'has no IPv4 address'),
    (['--workers', '0'], "'0' is no whole number from 1"),
    (['--ports', '7-6'], 'the first port is above the last'),
    (['--secret-file', '/nowhere/secret'], 'cannot be read: No such file'),
    (['--log-dir', '/dev/null/log'], 'cannot log to')])
def test_bad_input_is_told_in_one_line_with_status_2(home, arguments, said):
    ended = script('start_workers.sh', '--port', 0, *arguments)
    assert ended.returncode == 2 and said in ended.stderr.splitlines()[-1] and 'Traceback' not in ended.stderr
    assert not list(home.rglob('*.pid'))


@pytest.mark.parametrize('name', ['start_workers.sh', 'stop_workers.sh'])
def test_the_scripts_explain_themselves(name):
    assert '--pid-file FILE' in script(name, '--help').stdout


# ---- secrets and pid files


def test_the_secret_is_made_for_its_owner_alone_and_kept(home):
    start()
    secret = home / '.coro_sor' / 'secret'
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600 and stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    before = load_secret(secret)
    assert len(before) == 64
    script('stop_workers.sh', '--port', 0)
    start()
    assert load_secret(secret) == before
    assert script('stop_workers.sh', '--port', 0).returncode == 0


@pytest.mark.parametrize('mode', [0o640, 0o604, 0o620])
def test_a_secret_file_open_to_others_is_refused(tmp_path, mode):
    path = tmp_path / 'secret'
    path.write_text('a' * 64)
    path.chmod(mode)
    with pytest.raises(InputError, match='open to other users .* chmod 600'):
        load_secret(path)


def test_a_short_secret_is_refused(tmp_path):
    path = tmp_path / 'secret'
    path.touch(0o600)
    with pytest.raises(InputError, match='fewer than 16'):
        load_secret(path)


def test_a_pid_file_tells_whether_its_holder_runs(tmp_path):
    path = str(tmp_path / 'node.pid')
    assert running_pid(path) is None
    with PidFile(path):
        assert running_pid(path) == os.getpid()
        with pytest.raises(InputError, match=f'already, process {os.getpid()}'), PidFile(path):
            pass
        assert running_pid(path) == os.getpid()
    assert not os.path.exists(path)
