"""What a node's options let in: files that messages name, secrets, certificates. Solves run from the command line."""
import contextlib
import json
import os
import pathlib
import shutil
import ssl
import stat
import subprocess
import sys

import numpy as np
import pytest

from coro_sor import folders, secret
from coro_sor.addresses import outward_address
from coro_sor.api import Cluster
from coro_sor.folders import allow_only, allowed_file
from coro_sor.launch import first_line
from coro_sor.runtime.tls import TlsFiles, make_contexts, tls_files
from coro_sor.solution import InputError
from processes import environment

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / 'scripts'
OUTSIDE = outward_address()
needs_openssl = pytest.mark.skipif(shutil.which('openssl') is None, reason='certificates are made by openssl')
SECRET = 'a secret for these tests'


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.delenv(secret.VARIABLE, raising=False)
    return tmp_path


@contextlib.contextmanager
def node(*arguments, address='127.0.0.1', **variables):
    """A node with two workers; its ``host:port``."""
    command = [sys.executable, '-m', 'coro_sor.worker', '--workers', '2', '--address', address, '--port', '0',
               *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0, env=dict(environment(), **variables)) as process:
        try:
            line = first_line(process, 20.0)
            assert ' ready, 2 workers' in line, line
            yield line.split()[1]
        finally:
            process.terminate()
            assert process.wait(20.0) == 0


def solve(*arguments, **variables):
    """Exit status, report (None if there is none) and what was said of a solve from the command line."""
    report = pathlib.Path(os.environ['HOME'], 'report.json')
    ended = subprocess.run([sys.executable, '-m', 'coro_sor', '--quiet', '--report', str(report), *map(str, arguments)],
                           env=dict(environment(), **variables), stderr=subprocess.PIPE, text=True)
    return ended.returncode, json.loads(report.read_text()) if report.exists() else None, ended.stderr


def node_refuses(*arguments, **variables):
    """What a node says that ends with status 2."""
    command = [sys.executable, '-m', 'coro_sor.worker', '--workers', '1', '--address', '127.0.0.1', '--port', '0']
    ended = subprocess.run([*command, *map(str, arguments)], env=dict(environment(), **variables), text=True,
                           stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert ended.returncode == 2 and 'Traceback' not in ended.stderr, ended.stderr
    return ended.stderr.splitlines()[-1]


# ---- files


@pytest.fixture
def allowed(tmp_path):
    """A folder below which files may be read, for as long as the test runs."""
    before = list(folders._folders)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data-of-others').mkdir()
    for folder in ('data', 'data-of-others', '.'):
        (tmp_path / folder / 'A.npy').write_bytes(b'x')
    allow_only([str(tmp_path / 'data')])
    yield tmp_path / 'data'
    folders._folders[:] = before


@pytest.mark.parametrize('path', ['A.npy', './A.npy', '../data/A.npy', 'link-inside'])
def test_a_file_below_an_allowed_folder_is_named_without_links(allowed, path):
    (allowed / 'link-inside').symlink_to('A.npy')
    assert allowed_file(str(allowed / path)) == str(allowed.resolve() / 'A.npy')


@pytest.mark.parametrize('path', ['../A.npy', '../data-of-others/A.npy', '/etc/passwd', 'link-outside', '..', '\0',
                                  'folder-link/A.npy', '../missing', '/proc/self/environ'])
def test_a_file_elsewhere_is_refused_and_nothing_told_of_it(allowed, path):
    (allowed / 'link-outside').symlink_to('../A.npy')
    (allowed / 'folder-link').symlink_to('../data-of-others')
    with pytest.raises((InputError, ValueError), match='lies below no --data-dir|null'):
        allowed_file(os.path.join(str(allowed), path))


def test_what_is_no_file_is_refused(allowed):
    os.mkfifo(allowed / 'pipe')
    for path in ('pipe', '.'):
        with pytest.raises(InputError, match='no regular file'):
            allowed_file(str(allowed / path))
    with pytest.raises(InputError, match='no such file'):
        allowed_file(str(allowed / 'missing'))


def test_without_folders_no_file_is_allowed(allowed):
    allow_only([])
    with pytest.raises(InputError):
        allowed_file(str(allowed / 'A.npy'))


@pytest.fixture
def system(tmp_path):
    """Options for a system in files: its matrix lies in the folder `data`, in `elsewhere` there's a link to it."""
    for folder in ('data', 'elsewhere'):
        (tmp_path / folder).mkdir()
    A = np.eye(40) * 4 + np.random.default_rng(1).uniform(-1e-2, 1e-2, (40, 40))
    np.save(tmp_path / 'data' / 'A.npy', A)
    (tmp_path / 'elsewhere' / 'A.npy').symlink_to(tmp_path / 'data' / 'A.npy')
    return ['--matrix', tmp_path / 'data' / 'A.npy', '--known-solution', 'ones']


@pytest.mark.parametrize('folder, came', [('data', 'file'), ('.', 'file'), ('elsewhere', 'messages'),
                                          (None, 'messages')])
def test_workers_of_a_node_read_files_below_its_data_dirs_and_get_others_by_message(home, system, folder, came):
    with node(*(['--data-dir', home / folder] if folder else [])) as place:
        status, report, said = solve(*system, '--nodes', place)
    assert status == 0, said
    assert {worker['rows_came'] for worker in report['workers']} == {came}


@pytest.mark.parametrize('folder, came', [('data', 'made'), (None, 'messages')])
def test_a_graph_in_a_problem_is_a_file_too(home, folder, came):
    (home / 'data').mkdir()
    (home / 'data' / 'graph').write_text(''.join('%d %d\n' % (k, (k * 7 + 1) % 50) for k in range(50)))
    with node(*(['--data-dir', home / folder] if folder else [])) as place:
        status, report, said = solve('--problem', 'pagerank:%s' % (home / 'data' / 'graph'), '--nodes', place)
    assert status == 0, said
    assert {worker['rows_came'] for worker in report['workers']} == {came}


def test_local_workers_may_read_what_their_user_may(system):
    status, report, said = solve(*system, '--local', 2)
    assert status == 0, said
    assert {worker['rows_came'] for worker in report['workers']} == {'file'}


def test_a_data_dir_that_is_no_folder_is_refused(home):
    assert 'is no folder' in node_refuses('--data-dir', home / 'missing')


# ---- secrets


def test_a_secret_may_come_from_the_environment(system):
    with node(**{secret.VARIABLE: SECRET}) as place:
        status, _, said = solve(*system, '--nodes', place, **{secret.VARIABLE: SECRET})
        assert status == 0, said
        status, _, said = solve(*system, '--nodes', place, '--connect-timeout', 2, **{secret.VARIABLE: SECRET[::-1]})
        assert status == 3 and 'another secret' in said
    assert not os.path.exists(secret.default_secret_file())


def test_a_file_that_is_named_goes_before_the_environment(tmp_path, monkeypatch):
    path = tmp_path / 'file'
    path.touch(0o600)
    path.write_text(SECRET[::-1])
    monkeypatch.setenv(secret.VARIABLE, ' %s\n' % SECRET)
    assert secret.find_secret() == (SECRET.encode(), 'from ' + secret.VARIABLE)
    assert secret.find_secret(str(path)) == (SECRET[::-1].encode(), str(path))


@pytest.mark.parametrize('text, said', [('', 'fewer than 16'), ('x' * 15, 'fewer than 16'),
                                        ('x' * 4097, 'more than 4096')])
def test_a_secret_of_another_length_is_refused_wherever_it_is_from(tmp_path, text, said):
    path = tmp_path / 'file'
    path.touch(0o600)
    path.write_text(text)
    assert said in node_refuses('--secret-file', path)
    assert said in node_refuses(**{secret.VARIABLE: text})


def test_nothing_is_read_from_a_secret_file_that_others_can_read(tmp_path):
    with pytest.raises(InputError, match='open to other users'):
        secret.load_secret('/dev/zero')


def test_a_made_secret_has_32_random_bytes_and_is_its_owners(home):
    with node() as place:
        assert place
    path = home / '.coro_sor' / 'secret'
    assert len(bytes.fromhex(path.read_text())) == 32 and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret.new_secret() != secret.new_secret()


# ---- certificates


def make_certificates(*arguments):
    return subprocess.run([str(SCRIPTS / 'make_certificates.sh'), *map(str, arguments)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A folder of certificates: of localhost, of a machine elsewhere, and of another authority."""
    folder = tmp_path_factory.mktemp('made')
    for arguments in ((folder, 'localhost'), (folder, 'away,10.255.255.1'), (folder / 'other', 'localhost')):
        ended = make_certificates('--dir', *arguments)
        assert ended.returncode == 0, ended.stderr
    return folder


def files(folder, host='localhost'):
    return [str(folder / name) for name in (host + '.pem', host + '.key', 'ca.pem')]


def options(paths):
    return [part for pair in zip(('--certificate', '--key', '--ca'), paths) for part in pair]


@needs_openssl
def test_made_certificates_are_their_owners_carry_names_and_addresses_and_are_not_overwritten(made):
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.rglob('*.*')} == {0o600}
    certificate = ssl._ssl._test_decode_cert(str(made / 'localhost.pem'))
    assert set(certificate['subjectAltName']) >= {('DNS', 'localhost'), ('IP Address', '127.0.0.1')}
    before = {path: path.read_bytes() for path in made.rglob('*.*')}
    again = make_certificates('--dir', made, 'new', 'localhost')
    assert again.returncode == 2 and 'nothing is overwritten' in again.stderr
    assert {path: path.read_bytes() for path in made.rglob('*.*')} == before
    assert not list(made.glob('.making*'))


@needs_openssl
@pytest.mark.parametrize('arguments, said', [
    ([], 'usage:'), (['a;b'], 'no name'), (['ca'], 'no name'), (['-x'], 'unknown option'), (['../x'], 'no name'),
    (['--days', 'x', 'a'], 'no number'), (['--dir'], 'needs a folder'), (['a\nb'], 'no name')])
def test_bad_arguments_for_certificates_make_nothing(tmp_path, arguments, said):
    ended = make_certificates('--dir', tmp_path / 'new', *arguments)
    assert ended.returncode == 2 and said in ended.stderr
    assert not (tmp_path / 'new').exists()


@needs_openssl
def test_nodes_with_certificates_are_solved_on_by_name_and_by_address(made):
    with node(*options(files(made))) as place:
        for name in (place, place.replace('127.0.0.1', 'localhost')):
            status, report, said = solve('--problem', 'random-dense:300', '--blocks', 2, '--schedule', 'async',
                                         '--exchange', 'messages', '--nodes', name, *options(files(made, 'away')))
            assert status == 0, said
            assert all(worker['slices_applied'] for worker in report['workers'])


@needs_openssl
@pytest.mark.parametrize('theirs, mine', [('away', 'localhost'), (None, 'localhost'), ('localhost', None),
                                          ('localhost', 'other')])
def test_a_node_that_cannot_be_trusted_is_not_solved_on(made, system, theirs, mine):
    def chosen(name):
        return [] if name is None else options(files(made / 'other') if name == 'other' else files(made, name))

    with node(*chosen(theirs)) as place:
        status, _, said = solve(*system, '--nodes', place, '--connect-timeout', 2, *chosen(mine))
    assert status == 3 and 'cannot be used' in said


def broken(made, tmp_path, fault):
    """Files with one fault, and what is said of it."""
    certificate, key, ca = paths = [shutil.copy2(path, tmp_path) for path in files(made)]
    if fault.startswith('missing'):
        os.unlink(paths[int(fault[-1])])
        return paths, 'cannot be read: No such file'
    if fault.startswith('text'):
        pathlib.Path(paths[int(fault[-1])]).write_text('no PEM')
        return paths, 'cannot be used: '
    if fault == 'open key':
        os.chmod(key, 0o640)
        return paths, 'open to other users (mode 640)'
    if fault == 'key of another':
        return [certificate, str(made / 'away.key'), ca], 'belong together'
    if fault == 'key with a password':
        subprocess.run(['openssl', 'ec', '-in', key, '-aes256', '-passout', 'pass:word', '-out', key + '2'], check=True,
                       stderr=subprocess.DEVNULL)
        os.chmod(key + '2', 0o600)
        return [certificate, key + '2', ca], 'have no password'
    return [certificate, key, str(made / 'other' / 'ca.pem')], 'is not accepted by the authority'


FAULTS = ['missing 0', 'missing 1', 'missing 2', 'text 0', 'text 1', 'text 2', 'open key', 'key of another',
          'key with a password', 'another authority']


@needs_openssl
@pytest.mark.parametrize('fault', FAULTS)
def test_certificates_that_cannot_be_used_are_refused_with_the_reason(made, tmp_path, fault):
    paths, said = broken(made, tmp_path, fault)
    with pytest.raises(InputError) as refused:
        make_contexts(TlsFiles(*paths))
    assert said in str(refused.value) and str(tmp_path) in str(refused.value)


@needs_openssl
def test_a_certificate_that_is_over_is_refused(tmp_path):
    assert make_certificates('--dir', tmp_path, '--days', 0, 'localhost').returncode == 0
    with pytest.raises(InputError, match='not accepted .*expired'):
        make_contexts(TlsFiles(*files(tmp_path)))


@needs_openssl
def test_all_three_files_are_needed_and_only_for_nodes(made):
    assert tls_files(None, None, None) is None
    with pytest.raises(InputError, match='all three'):
        tls_files(files(made)[0], None, None)
    for keywords in (dict(certificate='x'), dict(insecure=True)):
        with pytest.raises(InputError, match='go with nodes'):
            Cluster(workers=1, **keywords)
    assert 'all three' in node_refuses('--certificate', files(made)[0])
    assert 'cannot be read' in node_refuses(*options(['/missing'] * 3))


@needs_openssl
def test_start_workers_passes_everything_on(home, made, system):
    given = [*options(files(made)), '--data-dir', home / 'data', '--workers', '2', '--port', '0']
    given += ['--address', 'localhost']
    variables = dict(environment(), PYTHON=sys.executable)
    started = subprocess.run([SCRIPTS / 'start_workers.sh', *given], env=variables, text=True, capture_output=True)
    assert started.returncode == 0, started.stderr
    try:
        status, report, said = solve(*system, '--nodes', started.stdout.split()[1], *options(files(made)))
        assert status == 0, said
        assert {worker['rows_came'] for worker in report['workers']} == {'file'}
    finally:
        subprocess.run([SCRIPTS / 'stop_workers.sh', '--port', '0'], env=variables, capture_output=True, check=True)


@pytest.mark.skipif(OUTSIDE.startswith('127.'), reason='this machine has no address but loopback')
def test_insecure_must_be_said_on_both_sides_and_names_the_risk(system):
    with node('--insecure', address=OUTSIDE) as place:
        status, _, said = solve(*system, '--nodes', place, '--connect-timeout', 2)
        assert status == 3 and '--insecure' in said
        assert solve(*system, '--nodes', place, '--insecure')[0] == 0
    helped = subprocess.run([sys.executable, '-m', 'coro_sor.worker', '--help'], env=environment(), text=True,
                            capture_output=True).stdout
    assert 'whoever can change traffic' in ' '.join(helped.split())
