"""A node's directory on the simulator: nothing that happens to a child is lost on the way to the client."""
from coro_sor.directory import BEATS, make_directory
from coro_sor.node_messages import ChildLost, ChildStarted, Goodbye, NodeInfo
from coro_sor.roster import Roster
from coro_sor.simulation import Network, Simulation

LEASE = 6.0


def world(network, happenings=()):
    """A simulation, its client machine and a node with one child, to which `happenings` occur at their times."""
    simulation = Simulation(3, network)
    node, client = simulation.machine('node'), simulation.machine('client')
    roster = Roster('node')
    roster.started(1000, 1)
    ended, made = [], make_directory(roster)

    def directory(*arguments, **coro):
        ended.append((yield from made(*arguments, **coro)))

    node.serve('directory', directory)
    for time, change in happenings:
        node.spawn(happen, time, change, roster)
    return simulation, node, client, ended


def happen(engine, time, change, roster, coro=None):
    yield coro.sleep(time)
    change(roster)


def listener(engine, node, seconds, heard, coro=None):
    directory = yield engine.start(node.location, 'directory', (coro, 5, LEASE), 60.0)
    end = engine.now() + seconds
    while engine.now() < end:
        message = yield coro.receive(timeout=end - engine.now(), alarm_value=None)
        if message is not None:
            heard.append(message)
    return directory


def test_every_loss_and_return_arrives_in_order_over_a_network_that_loses_replies():
    happenings = [(1.0, lambda roster: roster.lost(1000, 1, 'signal SIGKILL')),
                  (1.1, lambda roster: roster.started(1001, 2)),
                  (1.2, lambda roster: roster.lost(1001, 2, 'exit status 1'))]
    simulation, node, client, ended = world(Network(), happenings)
    simulation.at(0.5, lambda: setattr(simulation, 'network', Network(reply_lost=0.3, lost=0.2, stall=0.2)))
    heard = []
    simulation.run(client, listener, node, 30.0, heard)
    news = [message for message in heard if not isinstance(message, NodeInfo)]
    assert list(dict.fromkeys(news)) == [ChildLost(5, 'node', 1000, 1, 'signal SIGKILL'),
                                         ChildStarted(5, 'node', 1001, 2),
                                         ChildLost(5, 'node', 1001, 2, 'exit status 1')]
    assert len(news) > 3 and not ended


def test_the_client_hears_from_the_directory_several_times_a_lease():
    simulation, node, client, _ = world(Network())
    heard = []
    simulation.run(client, listener, node, 3 * LEASE, heard)
    assert len(heard) >= 15
    assert {(info.request, info.port, info.children[0][:2]) for info in heard} == {(5, node.location[1], (1000, 1))}


def test_it_ends_at_once_with_a_goodbye():
    simulation, node, client, ended = world(Network())

    def polite(engine, coro=None):
        directory = yield from listener(engine, node, 2.0, [], coro)
        assert (yield directory.deliver(Goodbye(), timeout=1.0)) == 1
        yield coro.sleep(0.1)
        return list(ended)
    assert simulation.run(client, polite) == [True]


def test_it_forgets_a_client_that_is_gone_for_the_lease_and_not_before():
    simulation, node, client, ended = world(Network())

    def observer(engine, coro=None):
        yield coro.sleep(5.0)
        simulation.crash(client, silent=True)
        yield coro.sleep(0.9 * LEASE)
        before = list(ended)
        yield coro.sleep(2 * LEASE)
        return before, list(ended)
    client.spawn(listener, node, 1000.0, [])
    assert simulation.run(node, observer) == ([], [False])


def test_a_client_that_ended_without_a_goodbye_is_forgotten_after_the_lease():
    simulation, node, client, ended = world(Network())

    def observer(engine, coro=None):
        yield coro.sleep(1.0 + 3 * LEASE)
        return list(ended)
    client.spawn(listener, node, 1.0, [])
    assert simulation.run(node, observer) == [False]


def asks_again(engine, node, times, heard, coro=None):
    for _ in range(times):
        yield engine.start(node.location, 'directory', (coro, 5, LEASE), 60.0)
    end = engine.now() + LEASE
    while engine.now() < end:
        heard.append((yield coro.receive(timeout=end - engine.now(), alarm_value=None)))
    return True


def test_a_client_that_asks_again_is_served_once():
    simulation, node, client, ended = world(Network(), [])
    heard = []
    simulation.run(client, asks_again, node, 5, heard)
    assert len(ended) == 4 and len(heard) < 5 + 2 * BEATS
