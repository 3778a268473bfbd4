"""The simulated network's bandwidth, copies and partitions; restarts, costs, faults by name; and the command line."""
import math
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from campaign import World, each_step
from coro_sor.problem import Problem
from coro_sor.problems import poisson2d
from coro_sor.simulation import Costs, Network, Simulation
from coro_sor.simulation.cli import main
from coro_sor.simulation.faults import Fault, arrange, network_with, parse_faults, speeds
from coro_sor.solution import InputError, Status
from simulation_actors import collector, pair


# ---- the network

def arrival(network, *contents):
    """Virtual seconds until the last of some messages has arrived and its sender knows."""
    simulation = Simulation(1)
    here, there = simulation.machine('here'), simulation.machine('there')
    reference = there.spawn(collector, 100)

    def sender(engine, coro=None):
        assert (yield engine.connect(there.location, 5.0))
        simulation.networks['here', 'there'] = network
        began = engine.now()
        for content in contents[:-1]:
            reference.plain().send(content)
        assert (yield reference.plain().deliver(contents[-1], timeout=1000.0)) == 1
        return engine.now() - began
    return simulation.run(here, sender)


def test_a_transfer_takes_its_bytes_divided_by_the_bandwidth_of_that_link():
    content = np.zeros(125_000)
    assert arrival(Network(delay=1e-3), content) < 0.05
    assert arrival(Network(delay=1e-3, bandwidth=1e6), content) == pytest.approx(1.0, rel=0.02)


def test_a_transfer_keeps_the_next_message_to_that_peer_waiting():
    assert arrival(Network(delay=1e-3, bandwidth=1e6), np.zeros(125_000), 'after it') > 1.0


def test_delays_with_a_spread_have_the_delay_as_their_median():
    network, draw = Network(delay=2e-3, spread=1.0), random.Random(1)
    delays = sorted(network.seconds(draw) for _ in range(4001))
    assert delays[2000] == pytest.approx(2e-3, rel=0.1)
    assert delays[int(0.841 * 4000)] == pytest.approx(2e-3 * math.e, rel=0.1)


def test_a_duplicated_message_arrives_twice():
    def sender(engine, reference, coro):
        yield reference.deliver('one', timeout=10.0)
        return True
    assert pair(Simulation(1, Network(duplicated=1.0)), sender, 2) == ['one', 'one']


@pytest.mark.parametrize('seconds, answer', [(2.0, 1), (20.0, -1)])
def test_what_is_under_way_when_machines_are_parted_arrives_if_they_meet_again_in_time(seconds, answer):
    answers, simulation = [], Simulation(1, Network(delay=1e-3, stall=10.0))

    def sender(engine, reference, coro):
        simulation.part(['there'])
        simulation.at(simulation.now + seconds, simulation.heal)
        answers.append((yield reference.deliver('across', timeout=1000.0)))
        reference.send('after')
        yield coro.sleep(30.0)
        return True
    assert pair(simulation, sender, 2) == (['across', 'after'] if answer == 1 else ['after'])
    assert answers == [answer]


def test_nobody_connects_across_a_partition_and_both_sides_go_on_by_themselves():
    simulation = Simulation(1)
    here, there, other = (simulation.machine(name) for name in ('here', 'there', 'other'))

    def actor(engine, coro=None):
        simulation.part(['here', 'there'])
        across = yield engine.connect(other.location, 1.0)
        beside = yield engine.connect(there.location, 1.0)
        simulation.heal()
        return across, beside, (yield engine.connect(other.location, 1.0))
    assert simulation.run(here, actor) == (False, True, True)


# ---- machines

def test_a_killed_worker_comes_back_on_another_port_after_pauses_that_double():
    world = World(1, 1)
    ports, pauses = [world.workers[0].location[1]], []
    for _ in range(3):
        world.crash(0)
        killed = world.simulation.now
        while world.workers[0].crashed:
            world.wait(0.01)
        pauses.append(world.simulation.now - killed - 0.5)
        ports.append(world.workers[0].location[1])
    assert len(set(ports)) == 4
    assert pauses == pytest.approx([0.1, 0.2, 0.4], abs=0.03)
    assert [port for port, _ in world.nodes['node0'].roster.children] == ports[-1:]


def test_a_machine_that_has_crashed_can_start_again_at_its_address():
    world = World(1, 2, nodes=2)
    before = world.nodes['node1'].supervisor
    world.crash_node('node1')
    assert world.workers[1].crashed and before.silent
    world.start_node('node1')
    world.wait(1.0)
    assert not world.workers[1].crashed
    assert world.nodes['node1'].supervisor.location == before.location


def test_a_killed_worker_is_replaced_and_the_run_goes_on_to_the_answer():
    world = World(3, 3, cost=each_step(5e-3))
    world.at(0.2, world.crash, 1)
    record = world.solve(Problem(poisson2d(8), np.ones(64)), schedule='sync', rtol=1e-10)
    assert record.status is Status.CONVERGED and world.simulation.now > 0.8


def test_sweeps_cost_their_entries_and_more_on_slow_machines():
    class Holding:
        assignment, nonzeros = type('Assignment', (), {'sparse': True}), 1000
        start, stop, chained, panels = 0, 10, False, {0: [(0, 5), (5, 10)]}

        def sweep(self, steps):
            pass
    costs = Costs(sparse=1e-3, call=1.0)
    assert costs(Holding().sweep, ([(0, 0, 1), (0, 1, 1)],)) == pytest.approx(2 * 1.0 + 1000 * 1e-3)
    assert costs(len, (np.zeros(1000),)) == pytest.approx(1.0 + 8000 * costs.copied)


def test_what_arrives_during_a_long_computation_is_used_by_its_later_steps():
    """With a grain, steps that are computed together are not one instant."""
    simulation = Simulation(1, cost=lambda function, args: 1e-3 * len(args[0]), grain=1e-3)
    moments = []

    def steps(some):
        moments.append(simulation.now)
        return some

    def actor(engine, coro=None):
        return (yield engine.compute(steps, list(range(5))))
    assert simulation.run(simulation.machine('m'), actor) == list(range(5))
    assert np.diff(moments) == pytest.approx([1e-3] * 4)


# ---- faults by name

def test_a_text_of_faults_is_understood():
    assert parse_faults('crash:3, loss:0.2,stall:2:1.5,straggler:0.05') == [
        Fault('crash', 3), Fault('loss', 0.2), Fault('stall', 2, 1.5), Fault('straggler', 0.05, 0.2)]
    assert parse_faults('') == []
    assert network_with(Network(), parse_faults('loss:0.1,duplicate:0.2')) == Network(lost=0.1, duplicated=0.2)
    assert sorted(speeds(parse_faults('straggler:0.5:0.25'), 4, random.Random(1))) == [0.25, 0.25, 1.0, 1.0]


@pytest.mark.parametrize('text, said', [
    ('crush:1', 'is unknown; possible are crash:K'), ('crash', 'not of the form crash:K'),
    ('crash:1.5', 'not of the form'), ('crash:-1', 'out of range'), ('loss:1.5', 'out of range'),
    ('loss:0.1:3', 'out of range'), ('stall:1:0', 'out of range'), ('stall:1:x', 'not of the form stall:K'),
    ('loss:nan', 'out of range'), ('loss:0.1,loss:0.2', 'named twice'), ('loss:0.6,late:0.6', 'more than 1')])
def test_bad_faults_are_refused_with_a_reason(text, said):
    with pytest.raises(InputError, match=said):
        parse_faults(text)


def test_everything_that_can_befall_machines_does():
    world = World(5, 4, nodes=4)
    world.name_node('late', 1)
    arrange(world, parse_faults('crash:1,machine:1,stall:1:2,partition:2:1,join:1'), random.Random(2), 1.0)
    world.wait(5.0)
    told = ' '.join(text for _, text in world.happened)
    for what in ('is killed', 'crashes', 'stalls for 2 s', '2 machines are cut off for 1 s', 'the partition heals',
                 'machine late starts'):
        assert what in told


# ---- the command line

SMALL = ['--problem', 'poisson2d:8', '--machines', '4', '--seed', '7']


def test_the_command_line_tells_what_happened_and_how_it_ended(capsys):
    assert main(SMALL + ['--faults', 'loss:0.05,stall:1:0.1', '--within', '0.01', '--schedule', 'sync']) == 0
    told = capsys.readouterr().out
    assert 'stalls for 0.1 s' in told and 'the run ends: converged' in told
    assert '4 blocks on 4 workers' in told and 'poisson2d:8, n = 64' in told
    seconds = [float(line.split()[0]) for line in told.split('\n\n')[0].splitlines()]
    assert seconds == sorted(seconds)


def test_a_run_that_does_not_converge_has_status_1(capsys):
    assert main(SMALL + ['--max-sweeps', '3', '--schedule', 'sync']) == 1
    assert 'max_sweeps' in capsys.readouterr().out


@pytest.mark.parametrize('options, said', [
    (['--faults', 'crash:9'], 'crash:9, but there are 4'), (['--faults', 'x:1'], 'is unknown'),
    (['--omega', '3'], 'omega = 3.0 must be'), (['--problem', 'poisson:8'], 'is not known')])
def test_bad_words_have_status_2_and_one_line(options, said, capsys):
    assert main(SMALL + options) == 2
    told = capsys.readouterr().err
    assert said in told and told.count('\n') == 1


def test_python_m_gives_the_same_words_again():
    command = [sys.executable, '-m', 'coro_sor.simulation', *SMALL, '--faults', 'loss:0.1', '--schedule', 'ordered']
    told = [subprocess.run(command, check=True, timeout=60, stdout=subprocess.PIPE,
                           env=dict(os.environ, PYTHONHASHSEED=seed)).stdout for seed in '12']
    assert told[0] == told[1] and b'converged' in told[0]
