"""One message in flight, requests repeated until answered, the newest instead of the older."""
import pytest

from coro_sor.links import Link
from coro_sor.messages import Freeze, Heartbeat, Prepare, Stop
from coro_sor.simulation import Network, Simulation
from coro_sor.simulation.engine import SimulatedEngine

RETRY, TIMEOUT = 1.0, 5.0


def collector(engine, heard, coro=None):
    while True:
        message = yield coro.receive()
        heard.append((engine.simulation.now, message))


def linked(act, network=None, seconds=30.0, produce=None, seed=1):
    """What the other side hears, with times, while ``act(link)`` is called at once; and the link."""
    simulation = Simulation(seed, network)
    here, there = simulation.machine('here'), simulation.machine('there')
    heard, links = [], []
    receiver = there.spawn(collector, heard)
    here.meet(there)

    def sender(engine, coro=None):
        links.append(Link(engine, receiver.plain(), RETRY, TIMEOUT, produce))
        act(links[0])
        yield coro.sleep(seconds)
        return True

    simulation.run(here, sender)
    return heard, links[0], simulation


def numbers(heard):
    return [message.request for _, message in heard]


def test_messages_told_arrive_once_and_in_order():
    heard, link, _ = linked(lambda link: [link.tell(Prepare('s', number)) for number in range(20)])
    assert numbers(heard) == list(range(20)) and link.messages == 20


@pytest.mark.parametrize('seed', range(5))
def test_messages_told_arrive_in_order_over_a_network_that_loses(seed):
    network = Network(lost=0.2, reply_lost=0.2, stall=0.1)
    heard, _, _ = linked(lambda link: [link.tell(Prepare('s', number)) for number in range(20)], network, 200.0,
                         seed=seed)
    assert list(dict.fromkeys(numbers(heard))) == list(range(20))
    assert numbers(heard) == sorted(numbers(heard)) and len(heard) > 20


def test_a_request_is_repeated_with_growing_pauses_until_it_is_answered():
    heard, _, _ = linked(lambda link: link.ask(Prepare('s', 1)), seconds=40.0)
    times = [time for time, _ in heard]
    pauses = [later - earlier for earlier, later in zip(times, times[1:])]
    assert pauses[:4] == pytest.approx([RETRY, 2 * RETRY, 4 * RETRY, 5 * RETRY], rel=0.01)
    assert pauses[4:] == pytest.approx([5 * RETRY] * len(pauses[4:]), rel=0.01) and len(pauses) > 6


def test_an_answered_request_is_not_repeated_and_its_second_answer_is_known_as_one():
    asked = Prepare('s', 1)
    found = []

    def act(link):
        link.ask(asked)
        found.extend((link.answered(2), link.answered(1), link.answered(1)))

    assert linked(act)[0] == [] and found == [None, asked, None]


def test_requests_of_a_class_can_be_taken_back():
    def act(link):
        link.ask(Freeze('s', 1, 1, 'sync', False, False))
        link.ask(Prepare('s', 2))
        link.forget(Freeze)

    assert set(numbers(linked(act)[0])) == {2}


def test_the_newest_of_a_class_replaces_what_still_waits():
    def act(link):
        link.tell(Prepare('s', 1))
        for owner in range(10):
            link.tell_newest(Heartbeat('s', owner, 0))
        link.tell_newest(Stop('s', 5))

    heard = [message for _, message in linked(act)[0]]
    assert [message.owner for message in heard if isinstance(message, Heartbeat)] == [9] and len(heard) == 3


def test_only_one_message_is_in_flight_and_what_is_produced_is_made_when_its_turn_comes(monkeypatch):
    flying, most = [0], [0]
    deliver = SimulatedEngine.deliver

    def counted(engine, reference, message, timeout):
        flying[0] += 1
        most[0] = max(most[0], flying[0])
        yield deliver(engine, reference, message, timeout)
        flying[0] -= 1
        return 1

    monkeypatch.setattr(SimulatedEngine, 'deliver', counted)
    made = []

    def produce():
        if len(made) < 10:
            assert flying[0] == 0
            made.append(len(made))
            return Prepare('s', made[-1]), lambda delivered: None

    heard, _, _ = linked(lambda link: [link.tell(Prepare('s', 100)), link.ask(Prepare('s', 101)),
                                       link.tell_newest(Prepare('s', 102))], seconds=0.5, produce=produce)
    assert most[0] == 1
    assert numbers(heard) == [100, 102, 101, *range(10)]


def test_a_producer_learns_what_was_delivered():
    told = []
    queue = [Prepare('s', 1)]

    def produce():
        if queue and len(told) < 20:
            return queue[0], lambda delivered: told.append(delivered) or (delivered and queue.clear())

    heard, _, _ = linked(lambda link: None, Network(lost=0.7), produce=produce, seed=4)
    assert told[-1] is True and told[:-1] == [False] * (len(told) - 1) and len(told) > 1 and len(heard) == 1


def test_failed_deliveries_are_tried_again_ever_more_slowly_up_to_a_second():
    _, link, simulation = linked(lambda link: link.tell(Prepare('s', 1)), Network(lost=1.0), seconds=60.0)
    assert link.messages == 0
    times = [time for time, _, what in simulation.transcript if what.endswith(': lost')]
    pauses = [later - earlier for earlier, later in zip(times, times[1:])]
    assert pauses[0] == pytest.approx(0.05, abs=0.01)
    assert pauses[6:] == pytest.approx([1.0] * len(pauses[6:]), abs=0.01)


def test_a_closed_link_sends_nothing_and_its_coroutine_ends():
    def act(link):
        link.tell(Prepare('s', 1))
        link.ask(Prepare('s', 2))
        link.close()

    heard, link, simulation = linked(act)
    assert heard == []
    assert not any(coroutine.name == '_send_all' for engine in simulation.machines.values()
                   for coroutine in engine.coroutines.values())


def test_request_numbers_are_unique():
    assert len({Link.number() for _ in range(100)}) == 100


def ask_over_a_new_link(engine, reference, seconds, coro=None):
    link = Link(engine, reference, 1.0, 1.0, connected=False)
    link.tell('hello')
    yield coro.sleep(seconds)
    link.close()
    return link.connected, link.messages


@pytest.mark.parametrize('mended, expected', [(2.0, (True, 1)), (20.0, (False, 0))])
def test_a_process_that_is_not_known_is_made_known_first_however_often_that_fails(mended, expected):
    simulation = Simulation(1, Network(lost=1.0))
    here, there = simulation.machine('here'), simulation.machine('there')
    simulation.at(mended, lambda: setattr(simulation, 'network', Network()))
    assert simulation.run(here, ask_over_a_new_link, there.spawn(listen), 10.0) == expected


def listen(engine, coro=None):
    while True:
        yield coro.receive()
