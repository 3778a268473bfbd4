"""The challenge of each connection, and the seals on what leaves the machine."""
import contextlib
import os
import socket
import struct
import threading

import pytest

import wire
from coro_sor.addresses import outward_address
from coro_sor.runtime import codec, sockets
from coro_sor.runtime.compat import Location, Request
from coro_sor.runtime.sealing import CLEAR, SEALED, TLS, Agreement
from peer_process import Peer
from processes import wait_until

OUTSIDE = outward_address()
outside = pytest.mark.skipif(OUTSIDE.startswith('127.'), reason='this machine has no address but loopback')


@pytest.fixture
def processes():
    """Start processes by calling it; all of them are gone afterwards."""
    peers = []

    def start(**options):
        peers.append(Peer(**options))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()


def serves(here, there):
    return here.call('echo_of', there.location, 'text')


@contextlib.contextmanager
def connected(there):
    with socket.create_connection(tuple(there.location)) as sock:
        yield sock


# ---- the challenge


def test_a_node_says_nothing_before_it_is_asked_and_proves_nothing_before_the_other_side_has(processes):
    here, there = processes(), processes()
    with connected(there) as sock:
        sock.settimeout(0.2)
        with pytest.raises(socket.timeout):
            sock.recv(1)
        sock.settimeout(None)
        sock.sendall(bytes(32))
        assert len(wire.received(sock, 32)) == 32
        sock.sendall(bytes(32))
        assert wire.is_closed(sock)
    assert serves(here, there)


def test_what_a_client_said_in_an_earlier_greeting_is_worth_nothing(processes):
    there = processes()
    mine = os.urandom(32)
    with connected(there) as sock:
        sock.sendall(mine)
        proof = wire.proof('client', sock.getpeername(), mine, wire.received(sock, 32))
        sock.sendall(proof)
        assert len(wire.received(sock, 32)) == 32
    with connected(there) as sock:
        sock.sendall(mine)
        wire.received(sock, 32)
        sock.sendall(proof)
        assert wire.is_closed(sock)


@pytest.mark.parametrize('said', ['challenge of the server', 'proof of the server', 'key of the seals'])
def test_a_client_that_proves_with_something_else_is_closed_out(processes, said):
    there = processes()
    with connected(there) as sock:
        mine = os.urandom(32)
        sock.sendall(mine)
        theirs = wire.received(sock, 32)
        sock.sendall({'challenge of the server': theirs,
                      'proof of the server': wire.proof('server', sock.getpeername(), mine, theirs),
                      'key of the seals': wire.proof('client frames', sock.getpeername(), mine, theirs)}[said])
        assert wire.is_closed(sock)


def test_a_proof_that_was_meant_for_another_node_is_refused(processes):
    there, other = processes(), processes()
    with connected(there) as sock:
        mine = os.urandom(32)
        sock.sendall(mine)
        sock.sendall(wire.proof('client', tuple(other.location), mine, wire.received(sock, 32)))
        assert wire.is_closed(sock)


@contextlib.contextmanager
def fake_node(answer):
    """The location of a node whose every connection is served by ``answer(sock)``."""
    def serve():
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as sock, contextlib.suppress(OSError):
                    answer(sock)

    with socket.create_server(('127.0.0.1', 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def echo_challenge_and_proof(sock):
    sock.sendall(wire.received(sock, 32))
    sock.sendall(wire.received(sock, 32))
    wire.received(sock, 1)


def prove_with_its_challenge(sock):
    theirs = wire.received(sock, 32)
    sock.sendall(bytes(32))
    wire.received(sock, 32)
    sock.sendall(theirs)
    wire.received(sock, 1)


def close_at_the_proof(sock):
    wire.received(sock, 32)
    sock.sendall(bytes(32))
    wire.received(sock, 32)


def close_at_once(sock):
    wire.received(sock, 32)


@pytest.mark.parametrize('answer, said', [
    (echo_challenge_and_proof, 'another secret'), (prove_with_its_challenge, 'another secret'),
    (close_at_the_proof, 'another secret'), (close_at_once, 'only one side uses TLS')])
def test_a_node_that_cannot_prove_itself_is_not_believed(processes, answer, said):
    here = processes()
    with fake_node(answer) as location:
        assert said in here.call('unreachable_text', location)


def test_a_reply_that_claims_to_be_too_long_is_not_waited_for(processes):
    here = processes()

    def lie(sock):
        wire.answer_greeting(sock)
        wire.received(sock, 4)
        sock.sendall(b'\xff' * 4)
        wire.received(sock, 1 << 20)

    with fake_node(lie) as location:
        assert 'a frame of 4294967295 bytes' in here.call('unreachable_text', location)


@pytest.mark.parametrize('said', [1, 32, 33, 63])
def test_a_client_that_leaves_in_its_greeting_is_forgotten(processes, said):
    here, there = processes(), processes()
    for _ in range(3):
        with connected(there) as sock:
            sock.sendall(bytes(said))
    assert serves(here, there)
    assert 'refused' not in there.errors()


def test_only_the_newest_peers_that_dialled_are_remembered_and_never_those_that_were_dialled(monkeypatch):
    monkeypatch.setattr(sockets, '_REMEMBERED', 2)
    monkeypatch.setattr(sockets.GuardedSocket, 'introduced', {})
    monkeypatch.setattr(sockets.GuardedSocket, 'dialled', {})
    guarded = sockets.GuardedSocket
    guarded.dial_as(('10.0.0.1', 1), 'host')
    for number in (1, 2, 3, 4):
        guarded.introduce(('10.0.0.1', number))
    guarded.dial_as(('10.0.0.1', 4), 'host')
    assert list(guarded.introduced) == [('10.0.0.1', 3), ('10.0.0.1', 4)]
    assert guarded.dialled == {('10.0.0.1', 1): 'host'}


# ---- what both sides must agree on


@pytest.mark.parametrize('mine', [TLS, SEALED, CLEAR])
@pytest.mark.parametrize('theirs', [TLS, SEALED, CLEAR])
def test_a_proof_holds_for_one_protection_only_and_says_what_the_other_side_wants(mine, theirs):
    here, there = (Agreement(b'secret', protection, ('10.0.0.1', 7), (bytes(32), bytes(32)))
                   for protection in (mine, theirs))
    fault = here.fault('server', there.proof('server'))
    assert (fault == '') == (mine == theirs) and fault != here.OTHER_SECRET
    assert here.fault('client', there.proof('server')) == here.OTHER_SECRET


@outside
@pytest.mark.parametrize('one, other', [(True, False), (False, True)])
def test_a_side_that_leaves_seals_out_alone_is_refused_and_both_are_told_why(processes, one, other):
    here, there = processes(address=OUTSIDE, insecure=one), processes(address=OUTSIDE, insecure=other)
    assert '--insecure' in here.call('unreachable_text', there.location)
    wait_until(lambda: '--insecure' in there.errors(), 'the reason in the log')


@outside
@pytest.mark.parametrize('insecure', [False, True])
@pytest.mark.parametrize('kind', ['text', 'big', 'slice'])
def test_messages_pass_with_seals_and_without(processes, insecure, kind):
    here, there = (processes(address=OUTSIDE, insecure=insecure) for _ in range(2))
    assert here.call('echo_of', there.location, kind) is True
    assert here.call('sends_in_order', there.location, 100, 'send') is True


def test_frames_on_loopback_carry_no_seal(processes):
    there = processes()
    with wire.connection(there.location) as sock:
        sock.sendall(signature_request(there))
        assert wire.answer(sock).isalnum()


# ---- seals


def signature_request(there):
    return wire.encoded(Request('signature', {'version': wire.VERSION}, dst=Location(*there.location)))


def deliver_request(there, auth):
    fields = {'message': 'x', 'name': '~x', 'coro': '1'}
    return Request('deliver', fields, dst=Location(*there.location), auth=auth)


def authentication(there):
    """As `wire.authentication`, over a sealed connection."""
    connection = wire.SealedConnection(there.location)
    with connection.sock:
        connection.sock.sendall(connection.sealed(Request('signature', {'version': wire.VERSION},
                                                          dst=Location(*there.location))))
        return wire.token(connection.answer().decode())


@outside
def test_frames_with_the_right_seals_in_the_right_order_are_answered_with_seals(processes):
    there = processes(address=OUTSIDE)
    auth = authentication(there)
    connection = wire.SealedConnection(there.location)
    with connection.sock:
        for _ in range(3):
            connection.sock.sendall(connection.sealed(deliver_request(there, auth)))
            assert codec.decode(connection.answer()) == -1


@outside
@pytest.mark.parametrize('kind', ['no seal', 'changed', 'other length', 'replayed', 'left out', 'turned round'])
def test_a_frame_that_is_not_what_was_sent_ends_the_connection_undecoded(processes, kind):
    here, there = processes(address=OUTSIDE), processes(address=OUTSIDE)
    auth = authentication(there)
    connection = wire.SealedConnection(there.location)
    with connection.sock:
        first, second = (connection.sealed(deliver_request(there, auth)) for _ in range(2))
        data = first[:-32]
        bad = {'no seal': data + bytes(32), 'changed': first.replace(b'"x"', b'"y"'),
               'other length': struct.pack('>L', len(data) - 8) + first[4:], 'left out': second,
               'turned round': data + connection.seal('server', 0, data), 'replayed': first}[kind]
        if kind == 'replayed':
            connection.sock.sendall(first)
            assert codec.decode(connection.answer()) == -1
        connection.sock.sendall(bad)
        assert wire.is_closed(connection.sock)
    assert serves(here, there)
    wait_until(lambda: 'a frame was changed on its way' in there.errors(), 'the reason in the log')
