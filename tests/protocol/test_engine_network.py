"""Messages between processes, and peers that come, go, freeze and are replaced."""
import os
import socket
import time

import pytest

from peer_process import Failed, Peer


@pytest.fixture
def processes():
    """Start processes by calling it; all of them are gone afterwards."""
    peers = []

    def start(**options):
        peers.append(Peer(**options))
        return peers[-1]

    yield start
    errors = [peer.errors() for peer in peers]
    for peer in peers:
        peer.close()
    for text in errors:
        assert 'Warning' not in text and 'Exception ignored' not in text


def collected(peer, count):
    """What its collector has taken, once that is `count` messages: a delivered one may still be in its mailbox."""
    deadline = time.monotonic() + 20.0
    while len(peer.call('collected')) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return peer.call('collected')


@pytest.fixture
def pair(processes):
    return processes(), processes()


@pytest.mark.parametrize('kind', ['text', 'big', 'slice', 'reference', 'special'])
def test_a_message_comes_back_as_it_was_sent(pair, kind):
    here, there = pair
    assert here.call('echo_of', there.location, kind) is True


@pytest.mark.parametrize('method', ['send', 'deliver'])
def test_a_thousand_messages_arrive_in_order(pair, method):
    here, there = pair
    assert here.call('sends_in_order', there.location, 1000, method) is True


def test_an_array_is_encoded_when_its_turn_comes_so_senders_send_copies(pair):
    here, there = pair
    assert here.call('changed_after_send', there.location, True) == [1, 1, 1]
    assert here.call('changed_after_send', there.location, False) == [7, 7, 7]


def test_what_cannot_be_sent_is_logged_and_later_messages_arrive(pair):
    here, there = pair
    refused, too_long, accepted = here.call('send_what_cannot_be_sent', there.location)
    assert refused <= 0 and too_long <= 0 and accepted == 1
    assert 'set cannot be sent' in here.errors() and '75497' in here.errors()


def test_deliver_tells_whether_the_message_is_in_the_mailbox_and_never_hands_it_to_a_stranger(pair):
    here, there = pair
    first, stop, *last = here.call('deliver_to_an_ended_actor_there', there.location)
    assert first == 1 and stop == 1 and max(last) <= 0


def test_an_actor_that_is_served_a_moment_later_is_started_all_the_same(pair):
    here, there = pair
    assert here.call('start_what_is_served_later', there.location) == 1


def test_an_actor_that_is_not_served_is_an_error_that_names_it(pair):
    here, there = pair
    text = here.call('unreachable_text', there.location, 'nobody', 0.2)
    assert "'nobody'" in text.replace('"', "'") and '%s:%d' % tuple(there.location) in text


def test_the_failure_of_a_started_actor_is_logged_there(pair):
    here, there = pair
    here.call('start', there.location, 'fail_at_once')
    here.call('echo_of', there.location, 'text')
    assert 'LookupError: failed on purpose' in there.errors()


def test_a_host_name_that_does_not_resolve_is_an_error_that_says_so(processes):
    here = processes()
    with pytest.raises(Failed, match="Unreachable.*'no-such-host.invalid' does not resolve"):
        here.call('connect', ['no-such-host.invalid', 1])
    assert 'does not resolve' in here.call('unreachable_text', ['no-such-host.invalid', 1])


def test_a_process_is_reached_by_its_host_name(pair):
    here, there = pair
    assert here.call('echo_of', ['localhost', there.location[1]], 'text') is True


def test_a_port_where_nobody_listens_is_not_connected(processes):
    here = processes()
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        assert here.call('connect', unused.getsockname()) is False
        assert 'does not answer' in here.call('unreachable_text', unused.getsockname())


def test_a_process_that_accepts_and_says_nothing_is_not_connected(processes):
    here = processes()
    with socket.create_server(('127.0.0.1', 0)) as silent:
        assert here.call('connect', silent.getsockname(), 0.3) is False


def test_a_process_with_another_secret_is_refused_on_both_sides(processes):
    here, there = processes(), processes(secret='not the same')
    assert here.call('connect', there.location) is False
    assert 'another secret' in here.call('unreachable_text', there.location)
    assert there.call('connect', here.location) is False


def test_a_killed_peer_gives_unknown_and_nothing_spins(pair):
    here, there = pair
    here.call('start', there.location, 'collect')
    assert here.call('deliver', 'x') == 1
    there.kill()
    idle = here.call('processor_seconds', 1)
    assert idle < 0.5
    assert here.call('deliver', 'y') <= 0
    assert here.call('deliver', 'z') <= 0
    assert here.call('connect', there.location) is False
    assert here.call('processor_seconds', 1) < 0.5


def test_a_frozen_peer_gets_what_was_under_way_and_not_what_was_given_up_in_the_queue(pair):
    here, there = pair
    here.call('start', there.location, 'collect')
    assert here.call('deliver', 'before') == 1
    there.freeze()
    assert here.call('deliver', 'under way', 0.3) == 0
    assert here.call('deliver', 'given up', 0.3) == 0
    there.thaw()
    assert here.call('deliver', 'after') == 1
    assert collected(there, len(['before', 'under way', 'after'])) == ['before', 'under way', 'after']


def test_a_frozen_peer_does_not_hold_up_messages_to_others(processes):
    here, there, other = processes(stall=30), processes(), processes()
    here.call('start', there.location, 'collect')
    there.freeze()
    assert here.call('deliver', 'x', 0.2) == 0
    assert here.call('echo_of', other.location, 'text') is True


def test_a_peer_restarted_on_its_port_is_reached_after_connecting_again(processes):
    here, old = processes(), processes()
    here.call('start', old.location, 'collect')
    assert here.call('deliver', 'x') == 1
    old.kill()
    new = processes(port=old.location[1])
    assert new.location == old.location
    assert here.call('deliver', 'for the old one') <= 0
    assert here.call('connect', new.location) is True
    assert here.call('deliver', 'for the old one') <= 0
    assert here.call('echo_of', new.location, 'text') is True


def test_a_peer_restarted_on_its_port_is_known_again_once_it_connects(processes):
    here, old = processes(), processes()
    assert old.call('echo_of', here.location, 'text') is True
    assert here.call('connect', old.location) is True
    old.kill()
    new = processes(port=old.location[1])
    assert new.call('echo_of', here.location, 'text') is True


def test_a_disconnected_peer_is_unknown_until_connected_again(pair):
    here, there = pair
    here.call('start', there.location, 'collect')
    assert here.call('deliver', 1) == 1
    here.call('disconnect', there.location)
    assert here.call('deliver', 2) <= 0
    assert here.call('connect', there.location) is True
    assert here.call('deliver', 3) == 1
    assert collected(there, len([1, 3])) == [1, 3]


def test_a_peer_that_disconnected_us_knows_us_again_after_we_connect(pair):
    here, there = pair
    assert here.call('introduce_a_collector', there.location) is True
    assert there.call('deliver', 1) == 1
    there.call('disconnect', here.location)
    assert there.call('deliver', 2) <= 0
    assert here.call('connect', there.location) is True
    assert there.call('deliver', 3) == 1
    assert collected(here, len([1, 3])) == [1, 3]


def test_disconnecting_while_a_message_is_under_way_does_no_harm(pair):
    here, there = pair
    here.call('start', there.location, 'collect')
    there.freeze()
    assert here.call('deliver', 'x', 0.2) == 0
    here.call('disconnect', there.location)
    assert here.call('deliver', 'y') <= 0
    there.thaw()
    assert here.call('connect', there.location) is True
    assert here.call('deliver', 'z') == 1


def test_two_processes_never_listen_on_one_port(processes):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        port = unused.getsockname()[1]
    processes(port=port)
    with pytest.raises(Failed, match='OSError.*127.0.0.1:%d' % port):
        processes(port=port)


def test_no_folder_is_made_for_files_that_are_never_received(processes, tmp_path, monkeypatch):
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    processes()
    assert os.listdir(tmp_path) == []
