"""The command line as a user runs it: exit status, files, terminal, Ctrl-C, and what is left behind."""
import configparser
import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from coro_sor.addresses import free_port
from coro_sor.problems import pagerank, poisson2d
from coro_sor.report import SCHEMA
from processes import children_of, environment, is_alive, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPELLINGS = {
    'python -m coro_sor': ['-m', 'coro_sor'],
    'python -m coro_sor.coordinator': ['-m', 'coro_sor.coordinator'],
    'coro-sor': ['-c', 'import sys; from coro_sor.cli import main; sys.exit(main())'],
}
SOLVABLE = ['--matrix', 'A.txt', '--known-solution', 'index', '--local', '2']
ENDLESS = ['--matrix', 'grid.txt', '--known-solution', 'index', '--local', '2', '--blocks', '2', '--schedule', 'async',
           '--omega', '0.0001', '--max-sweeps', '1000000000', '--output', 'x.txt', '--report', 'r.json']


def write_triplets(path, A):
    rows, columns = np.nonzero(A)
    lines = ['%d %d %r' % (row + 1, column + 1, float(A[row, column])) for row, column in zip(rows, columns)]
    path.write_text('\n'.join(['%d %d %d' % (*A.shape, len(lines)), *lines, '0 0 0\n']))


@pytest.fixture(scope='module')
def matrices(tmp_path_factory):
    """A.txt is dominant and solved in a few sweeps; grid.txt is a Poisson problem with 400 unknowns."""
    folder = tmp_path_factory.mktemp('matrices')
    write_triplets(folder / 'A.txt', 4 * np.eye(40) - np.eye(40, k=1) - np.eye(40, k=-1))
    line = 2 * np.eye(20) - np.eye(20, k=1) - np.eye(20, k=-1)
    write_triplets(folder / 'grid.txt', np.kron(line, np.eye(20)) + np.kron(np.eye(20), line))
    return folder


@pytest.fixture
def folder(matrices, tmp_path):
    """A working folder with both matrices."""
    for name in os.listdir(matrices):
        os.link(matrices / name, tmp_path / name)
    return tmp_path


def command(arguments, spelling='python -m coro_sor'):
    return [sys.executable, '-W', 'error', *SPELLINGS[spelling], *arguments]


def run(folder, *arguments, spelling='python -m coro_sor'):
    return subprocess.run(command(arguments, spelling), cwd=folder, env=environment(), universal_newlines=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=50)


def read_report(folder):
    with open(folder / 'r.json') as file:
        return json.load(file)


class Run:
    """The command in the background, with a terminal as its standard error.

    Attributes
    ----------
    shown : bytes
        What has come to the terminal.
    """

    def __init__(self, folder, arguments, more_environment):
        self._terminal, slave = pty.openpty()
        self.shown = b''
        self.process = subprocess.Popen(command(arguments), cwd=folder, stdin=subprocess.DEVNULL, stderr=slave,
                                        env={**environment(), 'TERM': 'xterm', 'COLUMNS': '100', **more_environment},
                                        stdout=subprocess.PIPE, universal_newlines=True)
        os.close(slave)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        with contextlib.suppress(OSError):      # how a terminal ends
            while True:
                self.shown += os.read(self._terminal, 4096)

    def wait_until_shown(self, text):
        wait_until(lambda: text in self.shown or self.process.poll() is not None, '%r on the terminal' % text)
        assert text in self.shown

    def workers(self):
        """Process ids of the local node's supervisor and worker processes."""
        supervisor, = children_of(self.process.pid)
        return [supervisor, *children_of(supervisor)]

    def end(self):
        """Wait for the end; (exit status, standard output, what came to the terminal)."""
        out, _ = self.process.communicate(timeout=50)
        self._reader.join()
        return self.process.returncode, out, self.shown.decode()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self._reader.join()
        os.close(self._terminal)


@pytest.fixture
def start(folder):
    """start(*arguments) -> Run"""
    with contextlib.ExitStack() as stack:
        def start(*arguments, **more_environment):
            return stack.enter_context(contextlib.closing(Run(folder, arguments, more_environment)))
        yield start


# ---- exit status and files

def test_a_converged_solve_writes_x_and_the_report_and_ends_with_status_0(folder):
    ended = run(folder, *SOLVABLE, '--blocks', '2', '--output', 'x.npy', '--report', 'r.json')
    assert (ended.returncode, ended.stderr) == (0, '')
    np.testing.assert_allclose(np.load(folder / 'x.npy'), np.arange(1, 41), rtol=1e-6)
    report = read_report(folder)
    assert (report['schema'], report['status'], report['n']) == (SCHEMA, 'converged', 40)
    assert report['residual_norm'] <= report['threshold']
    assert set(report['seconds']) == {'read', 'start', 'load', 'distribute', 'iterate', 'verify', 'collect', 'recover'}
    assert [worker['rows'] for worker in report['workers']] == [20, 20]
    assert ended.stdout.startswith('converged: ')
    assert 'x.npy, r.json' in ended.stdout
    # Without a terminal nothing is painted while it runs.
    assert not set('\r\x1b') & set(ended.stdout)


@pytest.mark.parametrize('more, came', [([], 'made'), (['--no-local-files'], 'messages')])
def test_a_well_known_system_needs_no_file_and_its_rows_are_made_where_they_are_used(folder, more, came):
    ended = run(folder, '--problem', 'poisson2d:20', '--omega', '1.7', '--local', '2', '--blocks', '2', '--schedule',
                'sync', '--output', 'x.npy', '--report', 'r.json', *more)
    assert (ended.returncode, ended.stderr) == (0, '')
    assert '  system    poisson2d:20, n = 400, 1920 nonzeros' in ended.stdout.splitlines()
    assert np.linalg.norm(1 - poisson2d(20).matvec(np.load(folder / 'x.npy'))) <= 1.001e-8 * 20
    report = read_report(folder)
    assert report['matrix'] == 'poisson2d:20'
    assert [worker['rows_came'] for worker in report['workers']] == [came, came]


@pytest.mark.parametrize('problem', ['gram:40', 'geometric:500'])
def test_a_well_known_system_may_have_another_right_hand_side(folder, problem):
    ended = run(folder, '--problem', problem, '--known-solution', 'index', '--local', '2', '--schedule', 'ordered',
                '--report', 'r.json')
    assert (ended.returncode, ended.stderr) == (0, '')
    assert read_report(folder)['error']['relative'] < 1e-5
    assert all(worker['rows_came'] == 'made' for worker in read_report(folder)['workers'])


def test_workers_read_a_graph_themselves_wherever_they_run(folder):
    ring = ''.join('%d %d\n' % (k, (k + 1) % 30) for k in range(30))
    (folder / 'graph.txt').write_text('# a ring and a chord\n' + ring + '3 17\n')
    ended = run(folder, '--problem', 'pagerank:graph.txt', '--local', '2', '--blocks', '2', '--output', 'x.npy',
                '--report', 'r.json')
    assert (ended.returncode, ended.stderr) == (0, '')
    x = np.load(folder / 'x.npy')
    assert x.sum() == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(pagerank(folder / 'graph.txt').matvec(x), 0.15 / 30, rtol=1e-6)
    assert [worker['rows_came'] for worker in read_report(folder)['workers']] == ['made', 'made']


def test_quiet_prints_nothing(folder):
    ended = run(folder, *SOLVABLE, '-q', '--output', 'x.txt')
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, '', '')
    np.testing.assert_allclose(np.loadtxt(folder / 'x.txt'), np.arange(1, 41), rtol=1e-6)


def test_a_solve_that_does_not_converge_writes_both_files_and_ends_with_status_1(folder):
    ended = run(folder, *SOLVABLE, '--max-sweeps', '2', '--output', 'x.mtx', '--report', 'r.json', '-v')
    assert (ended.returncode, ended.stderr) == (1, '')
    assert ended.stdout.startswith('max_sweeps: ')
    assert 'not yet' in ended.stdout
    assert read_report(folder)['status'] == 'max_sweeps'
    x = np.loadtxt(folder / 'x.mtx', skiprows=2)
    line = 4 * np.eye(40) - np.eye(40, k=1) - np.eye(40, k=-1)
    residual = np.linalg.norm(line @ (np.arange(1, 41) - x))
    assert residual == pytest.approx(read_report(folder)['residual_norm'], rel=1e-6)


def test_bad_input_that_only_the_pass_over_the_matrix_finds_ends_with_status_2(folder):
    A = 4 * np.eye(40)
    A[7, 3] = np.nan
    np.save(folder / 'A.npy', A)
    ended = run(folder, '--matrix', 'A.npy', '--known-solution', 'ones', '--local', '1', '--output', 'x.npy')
    assert (ended.returncode, ended.stdout) == (2, '')
    assert len(ended.stderr.splitlines()) == 1
    assert 'A.npy' in ended.stderr
    assert 'row 7' in ended.stderr
    assert not (folder / 'x.npy').exists()


def test_a_node_that_does_not_answer_is_named_and_ends_with_status_3(folder):
    (folder / 'secret').write_text('0123456789abcdef')
    os.chmod(folder / 'secret', 0o600)
    node = '127.0.0.1:%d' % free_port('127.0.0.1')
    ended = run(folder, '--matrix', 'A.txt', '--known-solution', 'ones', '--nodes', node, '--secret-file', 'secret',
                '--connect-timeout', '2', '--output', 'x.npy')
    assert (ended.returncode, ended.stdout) == (3, '')
    assert len(ended.stderr.splitlines()) <= 2
    assert node in ended.stderr
    assert not (folder / 'x.npy').exists()


@pytest.mark.parametrize('verbose', [False, True])
def test_where_all_workers_and_their_supervisor_are_lost_it_ends_with_status_3_and_writes_the_files(
        start, folder, verbose):
    solve = start(*ENDLESS, '--patience', '1', '--lease', '2', '--stop-timeout', '0.5', *(['-v'] if verbose else []))
    solve.wait_until_shown(b'iterate')
    workers = solve.workers()
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    status, out, shown = solve.end()
    assert status == 3
    assert out.startswith('workers_lost: ')
    assert 'no worker is left' in shown
    assert ('Traceback' in shown) == verbose
    assert len(np.loadtxt(folder / 'x.txt')) == 400
    assert read_report(folder)['status'] == 'workers_lost'
    assert read_report(folder)['residual_norm'] > 0
    assert not any(map(is_alive, workers))


def test_a_file_that_cannot_be_written_ends_with_status_2_and_the_other_is_written(folder):
    # 8 blocks of 512 bytes hold the report of this run, and not 1000 numbers.
    A = np.eye(1000)
    np.save(folder / 'big.npy', A)
    limited = ['sh', '-c', 'ulimit -f 8; exec "$@"', 'sh']
    arguments = ['--matrix', 'big.npy', '--known-solution', 'ones', '--local', '1', '--output', 'x.npy', '--report',
                 'r.json']
    ended = subprocess.run(limited + command(arguments), cwd=folder, env=environment(), stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, universal_newlines=True, timeout=50)
    assert ended.returncode == 2
    assert ended.stderr.startswith('coro-sor: x.npy: cannot be written: ')
    assert len(ended.stderr.splitlines()) == 1
    assert read_report(folder)['status'] == 'converged'
    assert sorted(os.listdir(folder)) == ['A.txt', 'big.npy', 'grid.txt', 'r.json']


def test_nobody_reading_the_summary_is_no_failure(folder):
    read, write = os.pipe()
    os.close(read)
    with open(write, 'wb') as stdout:
        ended = subprocess.run(command(SOLVABLE), cwd=folder, env=environment(), stdout=stdout,
                               stderr=subprocess.PIPE, timeout=50)
    assert (ended.returncode, ended.stderr) == (0, b'')


# ---- the three spellings

def test_the_installed_command_is_the_function_that_is_tested_here():
    setup = configparser.ConfigParser()
    setup.read(os.path.join(ROOT, 'setup.cfg'))
    assert setup['options.entry_points']['console_scripts'].split() == ['coro-sor', '=', 'coro_sor.cli:main']


def test_the_three_spellings_write_the_same(folder):
    written = []
    for spelling in SPELLINGS:
        ended = run(folder, *SOLVABLE, '--schedule', 'ordered', '--output', 'x.txt', '-q', spelling=spelling)
        assert (ended.returncode, ended.stderr) == (0, '')
        written.append((folder / 'x.txt').read_text())
        os.remove(folder / 'x.txt')
    assert written[0] == written[1] == written[2]


@pytest.mark.parametrize('arguments', [['--help'], [], ['--matrix', 'none', '--rhs', 'none']])
def test_the_three_spellings_print_the_same(folder, arguments):
    ended = [run(folder, *arguments, spelling=spelling) for spelling in SPELLINGS]
    assert len({(each.returncode, each.stdout, each.stderr) for each in ended}) == 1


# ---- the terminal, Ctrl-C, and what is left behind

@pytest.mark.parametrize('line', ['of rich', 'without rich'])
def test_ctrl_c_ends_with_the_best_x_and_status_1(start, folder, line):
    more = {}
    if line == 'without rich':
        (folder / 'stub').mkdir()
        (folder / 'stub' / 'rich.py').write_text('raise ImportError("rich is not here")\n')
        more['PYTHONPATH'] = os.pathsep.join([str(folder / 'stub'), environment()['PYTHONPATH']])
    else:
        pytest.importorskip('rich')
    solve = start(*ENDLESS, **more)
    solve.wait_until_shown(b'sweep ')
    workers = solve.workers()
    solve.process.send_signal(signal.SIGINT)
    status, out, shown = solve.end()
    assert status == 1
    assert out.startswith('cancelled: ')
    assert 'Traceback' not in shown
    report = read_report(folder)
    assert report['status'] == 'cancelled'
    assert 0 < report['residual_norm'] <= report['looks'][0]['residual_norm']
    assert len(np.loadtxt(folder / 'x.txt')) == 400
    assert not any(map(is_alive, workers))


def test_a_second_ctrl_c_ends_at_once_with_status_130(start, folder):
    solve = start(*ENDLESS)
    solve.wait_until_shown(b'sweep ')
    workers = solve.workers()
    for worker in workers[1:]:
        os.kill(worker, signal.SIGSTOP)     # so that the first Ctrl-C cannot end it
    solve.process.send_signal(signal.SIGINT)
    solve.wait_until_shown(b'stopping')
    solve.process.send_signal(signal.SIGINT)
    status, out, shown = solve.end()
    assert (status, out) == (130, '')
    assert 'interrupted: nothing was written' in shown
    assert sorted(os.listdir(folder)) == ['A.txt', 'grid.txt']
    wait_until(lambda: not any(map(is_alive, workers)), 'no worker process is left')


def test_ctrl_c_while_workers_start_ends_at_once_with_status_130(start):
    solve = start(*ENDLESS)
    supervisor, = wait_until(lambda: [pid for pid in children_of(solve.process.pid) if is_worker(pid)],
                             'the local node starts')
    os.kill(supervisor, signal.SIGSTOP)     # so that it doesn't get ready
    shown = len(solve.shown)
    # Two more lines are painted while the command waits for it.
    wait_until(lambda: solve.shown[shown:].count(b'start') >= 2, 'the command goes on')
    solve.process.send_signal(signal.SIGINT)
    solve.wait_until_shown(b'stopping')
    os.kill(supervisor, signal.SIGCONT)
    status, out, shown = solve.end()
    assert (status, out) == (130, '')
    assert 'Traceback' not in shown
    wait_until(lambda: not is_alive(supervisor), 'the local node is gone')


def is_worker(pid):
    """Whether a process has got as far as being a node's; before, its parent may be waiting for that."""
    with open('/proc/%d/cmdline' % pid, 'rb') as file:
        return b'coro_sor.worker' in file.read()


def test_a_killed_coordinator_leaves_no_worker_behind(start):
    solve = start(*ENDLESS)
    solve.wait_until_shown(b'iterate')
    workers = solve.workers()
    assert len(workers) == 3
    solve.process.kill()
    wait_until(lambda: not any(map(is_alive, workers)), 'no worker process is left', limit=10.0)
