"""Small actors for the tests of the simulator, and a protocol under faults: a root asks, members gossip meanwhile."""
from coro_sor.simulation import Network, Simulation
from coro_sor.solution import Unreachable

__all__ = ['collector', 'gossip', 'pair']


def collector(engine, count, seconds=100.0, coro=None):
    """Returns the messages received until there are `count` or `seconds` pass without one."""
    received = []
    while len(received) < count:
        message = yield coro.receive(timeout=seconds)
        if message is None:
            break
        received.append(message)
    return received


def pair(simulation, sender, count=1):
    """Runs a collector on one machine and `sender` with a reference to it on another: what was collected."""
    here, there = simulation.machine('here'), simulation.machine('there')

    def both(engine, coro=None):
        def sending(engine, reference, coro=None):
            assert (yield engine.connect(there.location, 5.0))
            simulation.network = faults
            yield sender(engine, reference, coro)
            return True
        here.spawn(sending, coro)
        return (yield collector(engine, count, coro=coro))
    faults, simulation.network = simulation.network, Network()
    return simulation.run(there, both)


def member(engine, number, coro=None):
    """Passes the largest number heard of on to its neighbours; answers the root with it; stops when told to."""
    best, neighbours = number, []
    while True:
        message = yield coro.receive(timeout=0.5)
        if message is None:
            for neighbour in neighbours:
                yield neighbour.deliver(('best', best), timeout=0.2)
        elif message[0] == 'best':
            best = max(best, (yield engine.compute(int, message[1])))
        elif message[0] == 'neighbours':
            neighbours = message[1]
            for neighbour in neighbours:
                yield engine.connect((neighbour.location.addr, neighbour.location.port), 1.0)
        elif message[0] == 'ask':
            message[1].send(('answer', message[2], best))
        else:
            return True


def started(engine, location, number):
    while True:
        try:
            return (yield engine.start(location, 'member', (number,), 5.0))
        except Unreachable:
            continue


def root(engine, locations, coro=None):
    """Returns the numbers of all members, once they agree."""
    members = []
    for number, location in enumerate(locations):
        members.append((yield started(engine, location, number)))
    answers = {}
    while len(answers) < len(members) or set(answers.values()) != {len(members) - 1}:
        for reference in set(members):
            index = members.index(reference)
            yield reference.deliver(('neighbours', [members[index - 1]]), timeout=1.0)
            yield reference.deliver(('ask', coro, index), timeout=1.0)
        yield coro.sleep(2.0)       # members gossip in silence only
        message = yield coro.receive(timeout=0)
        while message is not None:
            answers[message[1]] = message[2]
            message = yield coro.receive(timeout=0)
    return answers


def gossip(seed, count):
    """Runs it on `count` machines besides the root's: the simulation, and what the root returned."""
    simulation = Simulation(seed, Network.faulty(seed))
    machines = [simulation.machine('m%d' % index, speed=simulation.random.uniform(0.2, 2.0)) for index in range(count)]
    for machine in machines:
        machine.serve('member', member)
        start = simulation.random.uniform(0.0, 5.0)
        simulation.at(start, lambda machine=machine: simulation.stall(machine, 3.0))
    locations = tuple(machine.location for machine in machines)
    return simulation, simulation.run(simulation.machine('root'), root, locations)
