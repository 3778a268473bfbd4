"""Values, exceptions, computing, start and end of the engine, inside one process."""
import subprocess
import sys

import pytest

from peer_process import ROOT, Failed, Peer


@pytest.fixture
def process():
    peer = Peer()
    yield peer
    errors = peer.errors()
    peer.close()
    assert 'Warning' not in errors and 'Exception ignored' not in errors


@pytest.mark.parametrize('value', [None, 0, False, '', [1, 2], 'text'])
def test_the_return_value_of_an_actor_reaches_who_runs_it(process, value):
    assert process.call('answer', value) == value


def test_the_return_values_of_sub_generators_reach_their_callers(process):
    assert process.call('answers_of_sub_generators') == [True] * 7


def test_an_exception_passes_through_sub_generators_to_who_catches_it(process):
    assert process.call('exception_of_a_sub_generator') == 'inner'


def test_a_stray_stop_iteration_in_an_actor_is_an_error_and_not_its_end(process):
    with pytest.raises(Failed, match='RuntimeError.*StopIteration'):
        process.call('stray_stop_iteration')


def test_a_stray_stop_iteration_in_a_sub_generator_reaches_its_caller(process):
    assert process.call('stray_stop_iteration_in_a_sub_generator') == 'StopIteration'


def test_the_exception_of_an_actor_reaches_who_waits_for_it(process):
    with pytest.raises(Failed, match='LookupError: failed on purpose'):
        process.call('fail_at_once')


def test_the_exception_of_an_actor_that_nobody_waits_for_is_logged_with_its_traceback(process):
    process.call('spawn_one_that_fails')
    errors = process.errors()
    assert 'fail_at_once failed' in errors and 'Traceback' in errors and 'LookupError: failed on purpose' in errors


def test_compute_gives_the_value_and_true_for_none(process):
    assert process.call('compute_values') == [7, [], True]


def test_the_exception_of_a_computation_is_raised_in_the_actor_with_its_traceback(process):
    assert process.call('compute_exception') == 'divide'


def test_a_stop_iteration_in_a_computation_is_an_error_and_not_the_end_of_the_actor(process):
    assert process.call('compute_stop_iteration') == 'StopIteration'


def test_other_actors_run_while_one_computes(process):
    assert process.call('run_beside_compute') is True


def test_waiting_for_an_actor_can_be_limited_and_resumed(process):
    assert process.call('wait_too_short') == 'enough'


def test_ctrl_c_leaves_the_wait_and_the_actor_goes_on(process):
    assert process.call('interrupted_wait') == 'told to end'


def test_a_process_has_one_runtime(process):
    assert process.call('start_again', 'a secret') is True
    with pytest.raises(Failed, match='SolverError.*other settings') as failed:
        process.call('start_again', 'another secret')
    assert '%s:%d' % tuple(process.location) in failed.value.text


@pytest.mark.parametrize('how', ['waiting', 'computing', 'looping'])
def test_a_stuck_actor_does_not_keep_the_process_from_ending(process, how):
    assert process.call('leave_actors_behind', how)
    assert process.leave() == 0


def test_a_port_in_use_is_an_error_and_another_may_be_tried():
    program = '''
import socket
from coro_sor.runtime import Engine
with socket.create_server(('127.0.0.1', 0)) as taken:
    port = taken.getsockname()[1]
    try:
        Engine.start_runtime(port=port, secret=b's')
    except OSError as error:
        assert '127.0.0.1:%d' % port in str(error), error
    else:
        raise AssertionError('it listens on a port that is in use')
    engine = Engine.start_runtime(secret=b's')
    assert engine.location[1] != port

def actor(engine, coro=None):
    yield coro.sleep(0)
    return (yield engine.connect(engine.location, 10))

assert engine.run(actor) is True
'''
    done = subprocess.run([sys.executable, '-W', 'error', '-c', program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_an_empty_secret_is_refused():
    program = "from coro_sor.runtime import Engine\nEngine.start_runtime(secret=b'')"
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True)
    assert 'ValueError: the secret is empty' in done.stderr
