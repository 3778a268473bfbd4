"""The simulator's network: what is copied, delayed, lost or late, and machines that crash or stall."""
import dataclasses

import numpy as np
import pytest

from coro_sor import messages
from coro_sor.simulation import Deadlock, Network, Simulation
from coro_sor.solution import Unreachable
from simulation_actors import collector, pair


@dataclasses.dataclass(frozen=True)
class Parcel:
    content: object


@pytest.fixture(autouse=True)
def parcels_are_messages(monkeypatch):
    monkeypatch.setitem(messages.MESSAGES, 'Parcel', Parcel)


def test_a_message_is_copied_when_it_leaves_the_queue_and_not_when_it_is_sent():
    def sender(engine, reference, coro):
        array = np.zeros(3)
        reference.send(Parcel((array, [array], {'a': array})))
        array[:] = 7
        yield coro.sleep(1.0)
        array[:] = 8
        return True
    (parcel,) = pair(Simulation(1), sender)
    for array in (parcel.content[0], parcel.content[1][0], parcel.content[2]['a']):
        assert array.tolist() == [7, 7, 7]
        assert not array.flags.writeable


@pytest.mark.parametrize('content', [object(), {1, 2}, Exception('no'), np.array([None]), np.zeros(2, '>f8'), 1j])
def test_what_no_codec_knows_is_refused_at_the_sender(content):
    def sender(engine, reference, coro):
        with pytest.raises(TypeError, match='cannot hold'):
            reference.send((1, [content]))
        with pytest.raises(TypeError, match='cannot hold'):
            yield reference.deliver({'a': content}, timeout=1.0)
        reference.send('sent')
        return True
    assert pair(Simulation(1), sender) == ['sent']


def test_a_class_that_is_not_a_registered_message_is_refused(monkeypatch):
    def sender(engine, reference, coro):
        monkeypatch.delitem(messages.MESSAGES, 'Parcel')
        with pytest.raises(TypeError, match='Parcel'):
            reference.send(Parcel(1))
        reference.send('sent')
        yield
        return True
    assert pair(Simulation(1), sender) == ['sent']


def test_a_reply_is_lost_and_the_message_is_delivered_all_the_same():
    answers = []

    def sender(engine, reference, coro):
        answers.append((yield reference.deliver('parcel', timeout=1.0)))
        return True
    for seed in range(20):
        assert pair(Simulation(seed, Network(reply_lost=1.0)), sender, 2) == ['parcel']
    assert set(answers) == {-1, 0}


def test_a_late_message_arrives_after_its_timeout_was_answered_with_0():
    answered = []

    def sender(engine, reference, coro):
        started = engine.now()
        answered.append(((yield reference.deliver('late', timeout=1.0)), round(engine.now() - started, 3)))
        reference.send('answered')
        return True
    simulation = Simulation(2, Network(late=1.0, late_by=5.0))
    assert sorted(pair(simulation, sender, 2)) == ['answered', 'late']
    assert answered == [(0, 1.0)]
    assert simulation.now > 1.0


def test_a_lost_message_is_answered_with_minus_1_and_never_arrives():
    answers = []

    def sender(engine, reference, coro):
        answers.append((yield reference.deliver('lost', timeout=1.0)))
        return True
    assert pair(Simulation(1, Network(lost=1.0)), sender) == []
    assert answers == [-1]


@pytest.mark.parametrize('seed', range(20))
def test_messages_of_one_machine_to_another_arrive_in_the_order_in_which_they_were_sent(seed):
    def sender(engine, reference, coro):
        for number in range(0, 20, 2):
            reference.send(number)
            yield reference.deliver(number + 1, timeout=50.0)
        return True
    assert pair(Simulation(seed, Network(jitter=20.0)), sender, 20) == list(range(20))


def test_a_delivery_that_timed_out_in_the_queue_is_not_sent():
    answers = []

    def sender(engine, reference, coro):
        reference.send('first')
        started = engine.now()
        answers.append((yield reference.deliver('second', timeout=0.05)))
        answers.append(round(engine.now() - started, 3))
        reference.send('third')
        return True
    assert pair(Simulation(1, Network(delay=0.1)), sender, 3) == ['first', 'third']
    assert answers == [0, 0.05]


def test_a_message_to_a_coroutine_that_has_ended_is_answered_with_minus_1_while_send_gives_0():
    answers = []

    def sender(engine, reference, coro):
        yield reference.deliver('the last', timeout=5.0)
        yield coro.sleep(1.0)
        answers.extend([(yield reference.deliver('too late', timeout=5.0)), reference.send('too late')])
        return True
    simulation = Simulation(1)
    pair(simulation, sender)

    def idle(engine, coro=None):
        yield coro.sleep(5.0)
    simulation.run(simulation.machine('other'), idle)
    assert answers == [-1, 0]


def test_a_process_that_was_never_connected_to_is_not_known():
    simulation = Simulation(1)
    here, there = simulation.machine('here'), simulation.machine('there')

    def actor(engine, coro=None):
        reference = there.spawn(collector, 2)
        answers = [reference.send('no'), (yield reference.deliver('no', timeout=1.0))]
        yield engine.connect(there.location, 1.0)
        answers.append((yield reference.deliver('yes', timeout=1.0)))
        engine.disconnect(there.location)
        return answers + [(yield reference.deliver('no', timeout=1.0))]
    assert simulation.run(here, actor) == [-1, -1, 1, -1]


def test_forgetting_a_peer_answers_what_waits_for_it():
    answers = []

    def sender(engine, reference, coro):
        simulation.at(simulation.now + 1.0, lambda: engine.disconnect(('there', 5002)))
        for _ in range(2):
            answers.append((yield reference.deliver('hello', timeout=20.0)))
        yield reference.deliver('wait', timeout=1.0)
        return True
    simulation = Simulation(1, Network(delay=3.0))
    assert pair(simulation, sender, 2) == ['hello']
    assert answers == [-1, -1]


def test_a_greeting_may_be_lost_and_a_host_without_a_name_is_unreachable():
    def actor(engine, coro=None):
        with pytest.raises(Unreachable, match='nowhere'):
            yield engine.connect(('nowhere', 5002), 1.0)
        lost = yield engine.connect(('there', 5002), 1.0)
        simulation.network = Network()
        return [lost, (yield engine.connect(('there', 5002), 1.0)), (yield engine.connect(('there', 6000), 1.0))]
    simulation = Simulation(1, Network(lost=1.0))
    here, _ = simulation.machine('here'), simulation.machine('there')
    assert simulation.run(here, actor) == [False, True, False]


def test_a_known_process_that_does_not_answer_is_not_said_to_be_connected():
    def work(engine, reference):
        return (yield engine.connect(reference.location, 1.0))
    assert crashing(True, work)[0] is False


def crashing(silent, work):
    """Runs `work` with the reference of an actor on a machine that has just crashed."""
    simulation = Simulation(3)
    here, there = simulation.machine('here'), simulation.machine('there')
    there.serve('collector', collector)

    def actor(engine, coro=None):
        reference = yield engine.start(there.location, 'collector', (1,), 5.0)
        simulation.crash(there, silent)
        started = engine.now()
        answer = yield work(engine, reference)
        return answer, engine.now() - started
    return simulation.run(here, actor)


def test_a_crashed_process_refuses_and_a_crashed_host_is_silent():
    def work(engine, reference):
        return (yield reference.deliver('hello', timeout=2.0))
    assert crashing(False, work)[0] == -1
    answer, seconds = crashing(True, work)
    assert answer == 0 and seconds == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize('silent', [False, True])
def test_a_crashed_machine_is_unreachable(silent):
    def work(engine, reference):
        engine.disconnect(tuple(dataclasses.astuple(reference.location)))
        with pytest.raises(Unreachable, match='there'):
            yield engine.start(tuple(dataclasses.astuple(reference.location)), 'collector', (1,), 2.0)
        return True
    assert crashing(silent, work)[0] is True


def test_a_request_that_waits_for_its_answer_ends_when_the_other_process_crashes():
    simulation = Simulation(1, Network(delay=1.0, stall=1000.0))
    answers = []

    def sender(engine, reference, coro):
        simulation.at(simulation.now + 0.5, lambda: simulation.crash(simulation.machines['there', 5002], silent=False))
        answers.append((yield reference.deliver('hello', timeout=50.0)))
        return True
    with pytest.raises(Deadlock):
        pair(simulation, sender)
    assert answers == [-1]


def test_no_finally_of_an_actor_runs_when_its_machine_crashes():
    simulation, log = Simulation(1), []
    here, there = simulation.machine('here'), simulation.machine('there')

    def tidy(engine, coro=None):
        try:
            yield coro.sleep(2.0)
        finally:
            log.append('tidied')

    def actor(engine, coro=None):
        there.spawn(tidy)
        yield coro.sleep(1.0)
        simulation.crash(there)
        yield coro.sleep(5.0)
        return list(log)
    assert simulation.run(here, actor) == []


def test_nothing_happens_on_a_stalled_machine_and_what_was_due_comes_afterwards_in_order():
    simulation = Simulation(1, Network(stall=0.5))
    answers = []

    def sender(engine, reference, coro):
        yield coro.sleep(1.0)
        simulation.stall(simulation.machines['there', 5002], 10.0)
        for number in range(5):
            answers.append((yield reference.deliver(number, timeout=1.0)))
        reference.send('last')
        return True
    assert pair(simulation, sender, 6) == [0, 1, 2, 3, 4, 'last']
    assert answers == [-1] * 5
    assert 11.0 < simulation.now < 11.1
