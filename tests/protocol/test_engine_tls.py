"""Nodes that talk over TLS, each certified by the same authority."""
import shutil
import socket
import ssl
import subprocess

import pytest

import wire
from peer_process import Peer

pytestmark = pytest.mark.skipif(shutil.which('openssl') is None, reason='makes certificates with the program openssl')
NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']


def openssl(folder, *args):
    subprocess.run(['openssl', *args], cwd=folder, check=True, capture_output=True)


def make_authority(folder, name):
    openssl(folder, 'req', '-x509', *NEW_KEY, '-keyout', name + '.key', '-out', name + '.pem', '-days', '30',
            '-subj', '/CN=' + name, '-addext', 'basicConstraints=critical,CA:TRUE',
            '-addext', 'keyUsage=critical,keyCertSign,cRLSign')


def make_certificate(folder, name, authority, alternative_names):
    openssl(folder, 'req', *NEW_KEY, '-keyout', name + '.key', '-out', name + '.csr', '-subj', '/CN=' + name)
    (folder / (name + '.ext')).write_text(
        'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=critical,digitalSignature\n'
        'authorityKeyIdentifier=keyid\n' % alternative_names)
    openssl(folder, 'x509', '-req', '-in', name + '.csr', '-CA', authority + '.pem', '-CAkey', authority + '.key',
            '-CAcreateserial', '-out', name + '.pem', '-days', '30', '-extfile', name + '.ext')
    return [str(folder / file) for file in (name + '.pem', name + '.key', authority + '.pem')]


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """PEM files by name: `node` and `named` may be dialled, `nameless` not, `stranger` has another authority."""
    folder = tmp_path_factory.mktemp('certificates')
    make_authority(folder, 'authority')
    make_authority(folder, 'other')
    return {'node': make_certificate(folder, 'node', 'authority', 'IP:127.0.0.1,DNS:localhost'),
            'named': make_certificate(folder, 'named', 'authority', 'DNS:localhost'),
            'nameless': make_certificate(folder, 'nameless', 'authority', 'DNS:elsewhere.invalid'),
            'stranger': make_certificate(folder, 'stranger', 'other', 'IP:127.0.0.1')}


@pytest.fixture
def processes(files):
    """Start processes by calling it with the name of their certificate; all of them are gone afterwards."""
    peers = []

    def start(name, **options):
        peers.append(Peer(tls=files[name], **options) if name else Peer(**options))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()


@pytest.mark.parametrize('kind', ['text', 'big', 'slice'])
def test_messages_pass_over_tls(processes, kind):
    here, there = processes('node'), processes('node')
    assert here.call('echo_of', there.location, kind) is True


def test_a_node_is_dialled_by_the_name_in_its_certificate(processes):
    here, there = processes('node'), processes('named')
    assert here.call('connect', there.location) is False
    assert 'certificate' in here.call('unreachable_text', there.location)
    assert here.call('connect', ['localhost', there.location[1]]) is True
    assert here.call('echo_of', there.location, 'text') is True


def test_a_node_answers_a_peer_whose_certificate_carries_no_address_of_it(processes):
    here, there, other = processes('nameless'), processes('node'), processes('node')
    assert here.call('echo_of', there.location, 'text') is True
    assert there.call('connect', here.location) is True
    assert other.call('connect', here.location) is False        # it was not dialled by that one


@pytest.mark.parametrize('one, other', [('stranger', 'node'), ('node', 'stranger'), ('node', None), (None, 'node')])
def test_who_has_no_certificate_of_the_authority_is_refused(processes, one, other):
    here, there = processes(one, greeting=0.5), processes(other, greeting=0.5)
    assert here.call('connect', there.location, 5) is False
    third = processes(other)
    assert third.call('echo_of', there.location, 'text') is True


def test_who_has_a_certificate_and_another_secret_is_refused(processes):
    here, there = processes('node'), processes('node', secret='not the same')
    assert here.call('connect', there.location) is False


@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=['1.2', '1.3'])
def test_both_versions_of_tls_are_spoken(processes, files, version):
    there = processes('node')
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(*files['node'][:2])
    context.load_verify_locations(files['node'][2])
    with socket.create_connection(tuple(there.location)) as plain, \
            context.wrap_socket(plain, server_hostname='127.0.0.1') as sock:
        assert wire.greet(sock, protection='TLS')
        assert sock.version() == 'TLSv1.%s' % ('2' if version is ssl.TLSVersion.TLSv1_2 else '3')


def test_a_silent_client_does_not_hold_up_others_over_tls(processes):
    here, there = processes('node'), processes('node', greeting=0.5)
    with socket.create_connection(tuple(there.location)) as silent:
        assert here.call('echo_of', there.location, 'text') is True
        assert wire.is_closed(silent)
