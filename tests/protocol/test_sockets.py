"""The guarded socket against clients that are strangers, silent, garbled, slow or too many."""
import inspect
import pickle
import select
import socket
import struct
import threading
import time

import pytest

import wire
from coro_sor.options import Options
from coro_sor.runtime import Engine, codec, sockets
from coro_sor.runtime.compat import Location, Request
from coro_sor.solution import InputError
from peer_process import Peer


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


@pytest.fixture
def pair(processes):
    return processes(), processes(greeting=0.5)


def serves(here, there):
    return here.call('echo_of', there.location, 'text')


def test_a_client_that_does_not_know_the_secret_is_closed_out_and_the_refusal_logged(pair):
    here, there = pair
    with socket.create_connection(tuple(there.location)) as sock:
        assert not wire.greet(sock, b'a guess')
        sock.settimeout(None)
        assert wire.is_closed(sock)
    assert serves(here, there)
    assert 'another secret' in there.errors()


def test_silent_clients_block_nobody_and_are_closed_after_the_time_for_the_greeting(pair):
    here, there = pair
    silent = [socket.create_connection(tuple(there.location)) for _ in range(50)]
    try:
        assert serves(here, there)
        for sock in silent:
            assert wire.received(sock, 33)[32:] == b''
    finally:
        for sock in silent:
            sock.close()


def test_a_greeting_may_last_ten_seconds_and_the_largest_message_fits_into_a_frame():
    assert sockets.GuardedSocket.greeting == 10.0
    assert inspect.signature(Engine.start_runtime).parameters['greeting'].default == 10.0
    largest = 32 << 20          # of `chunk_bytes`
    Options(chunk_bytes=largest)
    with pytest.raises(InputError):
        Options(chunk_bytes=largest + 1)
    assert largest + (16 << 20) <= sockets.FRAME_LIMIT <= 4 * largest


def test_a_client_that_trickles_its_greeting_is_closed_all_the_same(pair):
    here, there = pair
    taken = 0
    with socket.create_connection(tuple(there.location)) as sock, pytest.raises(OSError):
        while True:
            sock.sendall(b'x')
            taken += 1
            time.sleep(0.1)
    assert taken < 64


@pytest.mark.parametrize('sources, most', [(1, 128), (4, 256)])
def test_connections_in_greeting_are_limited_and_the_oldest_make_room_for_others(processes, sources, most):
    here, there = processes(), processes(greeting=600)
    silent = [socket.create_connection(tuple(there.location), source_address=('127.0.0.%d' % (1 + number % sources), 0))
              for number in range(most + 100)]
    try:
        assert all(wire.is_closed(sock) for sock in silent[:100])
        assert not select.select(silent[100 + sources:], [], [], 0)[0]     # nobody was told anything, nor closed out
        assert serves(here, there)
    finally:
        for sock in silent:
            sock.close()


def test_a_crowd_of_refused_clients_does_not_fill_the_log(pair):
    here, there = pair
    for _ in range(50):
        with socket.create_connection(tuple(there.location)) as sock:
            assert not wire.greet(sock, b'a guess')
    assert serves(here, there)
    assert 1 <= there.errors().count('refused a connection') < 25


def test_an_idle_connection_stays_open_beyond_every_time_limit(processes):
    here, there = processes(), processes(greeting=0.2, stall=0.2)
    with wire.connection(there.location) as sock:
        time.sleep(0.6)
        sock.sendall(wire.encoded(Request('signature', {'version': wire.VERSION}, dst=Location(*there.location))))
        assert wire.answer(sock).isalnum()


def test_a_frame_that_stops_halfway_is_given_up(processes):
    there = processes(stall=0.2)
    with wire.connection(there.location) as sock:
        sock.sendall(struct.pack('>L', 1000) + b'half')
        assert wire.is_closed(sock)


BAD_FRAMES = {
    'too long': struct.pack('>L', (1 << 26) + 1), 'as long as can be': b'\xff' * 4, 'garbage': wire.frame(b'\xff' * 50),
    'a pickle': wire.frame(pickle.dumps({'a': 1})), 'no request': wire.encoded([1, 2]),
    'a head that lies': wire.frame(struct.pack('>L', 9999) + b'"x"'),
    'http': b'GET / HTTP/1.1\r\n\r\n' + bytes(1 << 27)}


@pytest.mark.parametrize('data', BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_a_malformed_frame_ends_the_connection_and_nothing_else(processes, data):
    here, there = processes(), processes(stall=600)
    with wire.connection(there.location) as sock:
        try:
            sock.sendall(data)
        except OSError:
            pass
        assert wire.is_closed(sock)
    assert serves(here, there)


@pytest.mark.parametrize('ident', ['x', '\u00b2', '', '1e3', '-1'])
def test_a_coroutine_id_that_is_no_number_does_not_stop_the_node(pair, ident):
    here, there = pair
    auth = wire.authentication(there.location)
    fields = {'message': 1, 'name': '~x', 'coro': '123454321'}
    good = Request('deliver', fields, dst=Location(*there.location), auth=auth)
    with wire.connection(there.location) as sock:
        sock.sendall(wire.encoded(good))
        assert codec.decode(wire.answer(sock)) == -1
        good.kwargs['coro'] = ident
        sock.sendall(wire.encoded(good))
        assert wire.is_closed(sock)
    assert serves(here, there)


@pytest.mark.parametrize('name', ['send', 'deliver', 'run_rci', 'peer'])
def test_a_request_without_authentication_is_ignored(pair, name):
    here, there = pair
    fields = {'send': {'message': 1, 'name': '~x', 'coro': '1'}, 'deliver': {'message': 1, 'name': '~x', 'coro': '1'},
              'run_rci': {'name': 'collect', 'args': ((),), 'kwargs': {}},
              'peer': {'signature': 's', 'name': 'n', 'from': Location('127.0.0.1', 9), 'version': wire.VERSION}}[name]
    with wire.connection(there.location) as sock:
        sock.sendall(wire.encoded(Request(name, fields, dst=Location(*there.location))))
        assert wire.is_closed(sock)
    assert serves(here, there)


def test_a_reset_connection_makes_nothing_spin(pair):
    here, there = pair
    for stage in range(3):
        sock = wire.connection(there.location) if stage else socket.create_connection(tuple(there.location))
        if stage == 2:
            sock.sendall(b'\0\0')
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        sock.close()
    assert serves(here, there)
    assert there.call('processor_seconds', 1) < 0.5


def test_out_of_descriptors_a_node_does_not_spin_and_serves_again_afterwards(processes):
    here, there = processes(), processes()
    there.call('lower_descriptor_limit', 10)
    many = [socket.create_connection(tuple(there.location)) for _ in range(20)]
    try:
        assert there.call('processor_seconds', 1) < 0.5
    finally:
        for sock in many:
            sock.close()
    assert serves(here, there)
    assert there.errors().count('no connection can be accepted for now') == 1


class FakeNode:
    """A node that takes long messages slowly, though it never stops, and can reset its connections."""

    def __init__(self):
        self.taken, self._connection = [], None
        self._listener = socket.create_server(('127.0.0.1', 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
        self.location = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                sock = self._listener.accept()[0]
            except OSError:
                return
            self._connection = sock
            with sock:
                wire.answer_greeting(sock)
                while True:
                    head = wire.received(sock, 4)
                    if len(head) < 4:
                        break
                    sock.sendall(self._answer(codec.decode(self._slowly(sock, struct.unpack('>L', head)[0]))))

    def _slowly(self, sock, size):
        body = bytearray()
        while len(body) < size:
            body += wire.received(sock, min(size - len(body), 1 << 18))
            time.sleep(0.2 if size > 1 << 20 else 0)
        return body

    def _answer(self, request):
        if request.name == 'signature':
            return wire.frame(b'abc')
        if request.name == 'peer':
            return wire.encoded({'version': wire.VERSION, 'name': 'slow'})
        if request.name == 'run_rci':
            reference = codec.Coro.__new__(codec.Coro)
            reference.__setstate__({'name': '~slow', 'id': '7', 'location': Location(*self.location)})
            return wire.encoded(reference)
        if request.kwargs['coro'] != '7':
            return wire.encoded(-1)
        self.taken.append(request.kwargs['message'])
        return wire.encoded(1)

    def reset(self):
        """Reset the last connection that came in."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self._connection.shutdown(socket.SHUT_RD)       # the thread stops reading and closes it
        while self._connection.fileno() != -1:
            time.sleep(0.01)

    def close(self):
        self._listener.close()


@pytest.fixture
def fake_node():
    node = FakeNode()
    yield node
    node.close()


def test_a_reset_of_an_idle_connection_to_a_peer_makes_nothing_spin(processes, fake_node):
    here = processes()
    here.call('start', fake_node.location, 'anything')
    assert here.call('deliver', 'x') == 1
    fake_node.reset()
    assert here.call('processor_seconds', 1) < 0.5
    assert here.call('deliver', 'y') <= 0
    assert here.call('deliver', 'z') == 1
    assert fake_node.taken == ['x', 'z']


def test_no_time_at_all_is_too_little_to_connect(pair):
    here, there = pair
    assert here.call('connect', there.location, 0) is False
    assert serves(here, there)


def test_a_hangup_wakes_who_waits_and_nobody_else():
    with sockets.GuardedSocket(socket.socket()) as guarded:
        woken = []
        guarded._eof()
        guarded._timed_out()
        guarded._write_task = lambda: woken.append('writer')
        guarded._eof()
        guarded._read_task = lambda: woken.append('reader')
        guarded._eof()
        guarded._read_task = guarded._write_task = None
    assert woken == ['writer', 'reader']


def test_shutting_down_a_connection_that_is_gone_is_no_error():
    with sockets.GuardedSocket(socket.socket()) as guarded:
        guarded.shutdown(socket.SHUT_WR)


def test_small_messages_are_not_held_back_by_the_kernel():
    with sockets.GuardedSocket(socket.socket()) as guarded:
        assert guarded.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_slow_transfer_that_makes_progress_is_not_given_up(processes, fake_node):
    here = processes(stall=1)
    here.call('start', fake_node.location, 'anything')
    assert here.call('deliver_zeros', 3 << 18) == 1         # 6 MiB: 24 pauses, together longer than `stall`
    assert fake_node.taken[0].nbytes == 6 << 20


def test_a_transfer_without_progress_is_given_up(processes):
    here, there = processes(stall=0.3), processes()
    here.call('start', there.location, 'collect')
    there.freeze()
    assert here.call('deliver_zeros', 2 << 20) < 0
