"""The command line's options: what they become, and how bad ones are refused."""
import dataclasses
import os
import shlex
import subprocess
import sys

import pytest

from coro_sor import __version__
from coro_sor.arguments import EXAMPLES, make_parser, parse, solver_options
from coro_sor.cli import main
from coro_sor.launch import BLAS_THREADS
from coro_sor.monitor.progress import Stand
from coro_sor.monitor.summary import summary_lines
from coro_sor.options import CHOICES, Options
from coro_sor.problems import EXAMPLE_PROBLEMS

SYSTEM = ['--matrix', 'A.txt', '--known-solution', 'index']


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a matrix A.txt and a vector b.txt, and the environment restored afterwards."""
    for name, value in BLAS_THREADS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'A.txt').write_text('2 2 2\n1 1 4\n2 2 4\n0 0 0\n')
    (tmp_path / 'b.txt').write_text('1\n2\n')
    return tmp_path


def test_options_that_are_not_given_have_the_defaults_of_options():
    assert solver_options(parse(SYSTEM)) == Options()


def test_every_field_of_options_can_be_given():
    for field in dataclasses.fields(Options):
        flag, goes_with = '--' + field.name.replace('_', '-'), []
        if field.name in CHOICES:
            values = CHOICES[field.name]
        elif field.type == 'bool':
            values = [not field.default]
            flag = '--no-local-files' if field.default else flag
        else:
            values = [1.5 if 'float' in field.type else 5000]
        if field.name == 'max_staleness':
            goes_with = ['--schedule', 'async']
        for value in values:
            given = [flag] if field.type == 'bool' else [flag, str(value)]
            assert getattr(solver_options(parse(SYSTEM + goes_with + given)), field.name) == value


@pytest.mark.parametrize('name', CHOICES)
def test_help_shows_every_word_that_an_option_may_be(name):
    text = make_parser().format_help()
    assert '--%s %s' % (name, '|'.join(CHOICES[name])) in text


def test_help_shows_every_option_with_the_default_of_options():
    text = ' '.join(make_parser().format_help().split())
    for field in dataclasses.fields(Options):
        assert field.name.replace('_', '-') in text
    assert 'rtol ||b||, atol) (default: %g)' % Options.rtol in text
    assert 'default: %d)' % Options.max_sweeps in text


def test_help_shows_an_example_of_every_problem():
    text = ''.join(make_parser().format_help().split())
    assert all(example in text for example in EXAMPLE_PROBLEMS)


def test_a_problem_needs_no_right_hand_side_and_may_have_one():
    assert parse(['--problem', 'gram:3']).problem == 'gram:3'
    assert parse(['--problem', 'gram:3', '--rhs', 'b.txt']).rhs == 'b.txt'
    assert parse(['--problem', 'gram:3', '--known-solution', 'ones']).known_solution == 'ones'


def test_every_example_of_the_help_is_accepted():
    commands = [line for line in EXAMPLES.splitlines() if line.startswith('    coro-sor ')]
    assert len(commands) >= 5
    for command in commands:
        solver_options(parse(shlex.split(command)[1:]))


@pytest.mark.parametrize('arguments, text', [
    ([], '--matrix'),
    (['--matrix', 'A.txt'], '--known-solution'),
    (['--matrix', 'A.txt', '--rhs', 'b.txt', '--known-solution', 'ones'], 'not allowed with'),
    (['--problem', 'gram:3', '--rhs', 'b.txt', '--known-solution', 'ones'], 'not allowed with'),
    (SYSTEM + ['--problem', 'gram:3'], 'not allowed with'),
    (['--rhs', 'b.txt'], '--problem'),
    (SYSTEM + ['--local', '2', '--nodes', 'a'], 'not allowed with'),
    (SYSTEM + ['--omega', 'two'], "'two'"),
    (SYSTEM + ['--schedule', 'chaotic'], "'chaotic'"),
    (SYSTEM + ['--order', 'random'], "'random'"),
    (SYSTEM + ['--exchange', 'pigeons'], "'pigeons'"),
    (SYSTEM + ['--renumber', 'on'], "'on'"),
    (SYSTEM + ['--storage', 'float16'], "'float16'"),
    (SYSTEM + ['--exchange-every', 'often'], "'often'"),
    (SYSTEM + ['--plain-omega', '1.5'], '1.5'),
    (SYSTEM + ['--omeg', '1'], '--omeg'),
    (SYSTEM + ['-q', '-v'], 'not allowed with'),
    (SYSTEM + ['--secret-file', 's'], '--nodes'),
    (SYSTEM + ['--address', '127.0.0.1'], '--nodes'),
])
def test_bad_usage_ends_with_status_2_and_one_line_besides_the_pointer_to_the_help(arguments, text, capsys):
    with pytest.raises(SystemExit) as end:
        parse(arguments)
    assert end.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert text in lines[0]
    assert '--help' in lines[1]


@pytest.mark.parametrize('arguments, text', [
    (['--matrix', 'none.mtx', '--rhs', 'b.txt'], 'none.mtx: there is no such file'),
    (['--matrix', 'b.txt', '--rhs', 'b.txt'], 'b.txt: line 1'),
    (['--matrix', 'A.txt', '--rhs', 'A.txt'], 'A.txt: line 1'),
    (['--problem', 'poisson:3'], 'for example poisson2d:512'),
    (['--problem', ''], 'for example poisson2d:512'),
    (['--problem', 'gram:3', '--rhs', 'b.txt'], 'b.txt'),
    (['--problem', 'pagerank:none.txt'], 'none.txt: there is no such file'),
    (['--problem', 'pagerank:A.txt', '--report', 'A.txt'], 'named twice'),
    (SYSTEM + ['--omega', '2'], 'omega = 2.0'),
    (SYSTEM + ['--exchange-every', '0'], 'exchange_every = 0'),
    (SYSTEM + ['--max-staleness', '2'], 'goes with the schedule async'),
    (SYSTEM + ['--rtol', '0'], 'atol are both 0'),
    (SYSTEM + ['--rtol', 'nan'], 'rtol = nan'),
    (SYSTEM + ['--local', '0'], 'workers = 0'),
    (SYSTEM + ['--x0', 'none.npy'], 'none.npy: there is no such file'),
    (SYSTEM + ['--output', 'none/x.npy'], 'none does not exist'),
    (SYSTEM + ['--output', 'x.doc'], 'must end in one of'),
    (SYSTEM + ['--report', 'none/r.json'], 'none does not exist'),
    (SYSTEM + ['--output', 'x.txt', '--report', './x.txt'], 'named twice'),
    (SYSTEM + ['--output', 'A.txt'], 'named twice'),
    (SYSTEM + ['--nodes', '127.0.0.1,127.0.0.1'], 'named twice'),
    (SYSTEM + ['--nodes', '127.0.0.1:port'], '127.0.0.1:port'),
    (SYSTEM + ['--nodes', '127.0.0.1', '--secret-file', 'none'], 'none cannot be read'),
])
def test_bad_input_ends_with_status_2_and_one_line(arguments, text, folder, capsys):
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ''
    assert len(told.err.splitlines()) == 1
    assert text in told.err
    assert sorted(os.listdir(folder)) == ['A.txt', 'b.txt']


def test_a_traceback_is_printed_under_verbose_only(folder, capsys):
    assert main(['--matrix', 'none.mtx', '--rhs', 'b.txt', '-v']) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith('Traceback')
    assert lines[-1].startswith('coro-sor: ')


def test_version_is_told(capsys):
    with pytest.raises(SystemExit) as end:
        main(['--version'])
    assert end.value.code == 0
    assert capsys.readouterr().out == 'coro_sor %s\n' % __version__


def test_numpy_is_imported_with_one_blas_thread(folder):
    watch = ('import os, sys\n'
             'class Watch:\n'
             '    def find_spec(self, name, *unused):\n'
             '        if name == "numpy":\n'
             '            print(os.environ.get("OPENBLAS_NUM_THREADS"))\n'
             'sys.meta_path.insert(0, Watch())\n'
             'from coro_sor.cli import main\n'
             'main(["--matrix", "none.mtx", "--rhs", "b.txt"])\n')
    environment = {name: value for name, value in os.environ.items() if name not in BLAS_THREADS}
    environment['PYTHONPATH'] = os.pathsep.join(map(os.path.abspath, sys.path))
    run = subprocess.run([sys.executable, '-c', watch], env=environment, stdout=subprocess.PIPE, timeout=50)
    assert run.stdout.split() == [b'1']


def report(**changes):
    """A report as `make_report` makes it."""
    return dict({'status': 'converged', 'advice': 'Fine.', 'n': 2, 'nonzeros': 4, 'schedule': 'async', 'omega': 1.0,
                 'threshold': 1e-8, 'residual_norm': 1e-9, 'relative_residual': 1e-9, 'error': None, 'sweeps': 3.0,
                 'sweeps_needed': None, 'looks': [], 'seconds': {'load': 0.5}, 'blocks': 1, 'rows_lowered': 0,
                 'lowest_omega': 1.0, 'warnings': [], 'notes': [], 'recoveries': [], 'workers': []}, **changes)


def test_the_summary_of_a_run_that_ended_before_anything_was_known_can_be_made():
    text = '\n'.join(summary_lines(report(residual_norm=None, relative_residual=None, threshold=None,
                                          residual_reason='nothing was computed yet'), 'A.txt', 1.0))
    assert 'not known: nothing was computed yet' in text


def test_the_summary_calls_the_system_what_the_user_called_it():
    assert '  system    poisson2d:512, n = 2, 4 nonzeros' in summary_lines(report(), 'poisson2d:512', 1.0)


def test_the_summary_names_lost_workers_and_shortens_a_long_table():
    workers = [{'node': 'local', 'address': '127.0.0.1:%d' % port, 'pid': port} for port in range(5001, 5101)]
    lines = summary_lines(report(workers=workers, warnings=['odd']), 'A.txt', 1.0)
    assert any('local 5001 (no last words)' in line for line in lines)
    assert '  and 84 more: see the report' in lines
    assert lines[-1] == 'warning: odd'


def test_the_line_of_progress_fits_80_columns():
    assert len(Stand('iterate', 1.234e-3, 1.234e-7, (999999.0, 1000000.0), 0.99).text(12345.6)) < 80


def test_the_line_of_progress_does_not_say_that_all_is_done_before_it_is():
    assert '99 %' in Stand('iterate', 1.0, 1.0, (1, 1), 0.999).text(0.0)
