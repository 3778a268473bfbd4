"""The command line of the simulator: arguments -> a world and its faults -> solve -> timeline and summary."""
from __future__ import annotations

import os
import random
import sys

from .. import arguments
from ..monitor.summary import summary_lines
from ..problem import load_problem
from ..report import make_solution
from ..solution import InputError, SolverError, Status
from .core import Simulation
from .costs import Costs
from .faults import FORMS, arrange, check_counts, joining, network_with, parse_faults, speeds
from .network import Network
from .timeline import Timeline
from .world import World

__all__ = ['main', 'simulate']

_UNTIL = 1e6            # virtual seconds after which a run that does not end is given up
_LOOPBACK = Network(delay=1e-5)
_GRAIN = 5e-5           # virtual seconds of sweeping in one event


def main(words=None):
    """Simulate what the command line says.

    Parameters
    ----------
    words : list of str, optional
        Those of this process if not given.

    Returns
    -------
    int
        Exit status, as that of ``coro-sor``.
    """
    chosen = _parser().parse_args(words)
    try:
        if chosen.matrix is not None and chosen.rhs is None and chosen.known_solution is None:
            raise InputError('--matrix needs a right-hand side: --rhs or --known-solution')
        problem = load_problem(chosen.matrix, problem=chosen.problem, rhs=chosen.rhs,
                               known_solution=chosen.known_solution, x0=chosen.x0)
        status = _run(chosen, problem)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())      # whoever read it has enough
        return 1
    except InputError as error:
        print('coro-sor: %s' % error, file=sys.stderr)
        return 2
    except (SolverError, OSError) as error:
        print('coro-sor: %s' % error, file=sys.stderr)
        return 3


def _run(chosen, problem):
    workers = chosen.machines * chosen.workers_per_machine
    chosen.__dict__.setdefault('blocks', workers)
    faults = parse_faults(chosen.faults)
    check_counts(faults, chosen.machines, workers)
    network = Network(delay=chosen.delay, jitter=chosen.jitter, bandwidth=chosen.bandwidth)
    world, record, lines = simulate(problem, arguments.solver_options(chosen), chosen.machines, network,
                                    getattr(chosen, 'seed', 0), faults, chosen.workers_per_machine, chosen.within)
    print('\n'.join(lines) + '\n')
    report = make_solution(record).report
    for worker in report['workers']:
        worker['peak_memory'] = None        # of this process, in which all of them live
    if report['failure'] is not None:
        print('coro-sor: %s' % report['failure']['text'], file=sys.stderr)
    system = chosen.problem or os.path.basename(chosen.matrix)
    print('\n'.join(summary_lines(report, system, world.simulation.now, chosen.verbose)))
    return {Status.CONVERGED: 0, Status.WORKERS_LOST: 3}.get(record.status, 1)


def simulate(problem, options, machines, network=None, seed=0, faults=(), workers=1, within=1.0, costs=None):
    """Solve on so many simulated machines.

    Parameters
    ----------
    problem : Problem
    options : Options
        Its `blocks` decides how many workers are used at most.
    machines : int
    network : Network, optional
    seed : int
    faults : list of Fault
    workers : int
        Worker processes of each machine.
    within : float
        Virtual seconds of sweeping in which what befalls machines does.
    costs : Costs, optional

    Returns
    -------
    world : World
    record : Record
    lines : list of str
        The timeline.
    """
    draw = random.Random('faults %s' % seed)
    simulation = Simulation(seed, network_with(network or Network(), faults), costs or Costs(), transcript_length=0,
                            grain=_GRAIN)
    world, further = World(simulation), joining(faults)
    for number, speed in enumerate(speeds(faults, machines, draw) + [1.0] * further):
        name = 'm%d' % number
        simulation.networks[name, name] = _LOOPBACK
        (world.add_node if number < machines else world.name_node)(name, workers, speed)
    timeline, waiting = Timeline(world), list(faults)

    def observe(record):
        timeline.observe(record)
        if waiting and record.phase == 'iterate':
            arrange(world, waiting, draw, within)
            waiting.clear()
    record = world.solve(problem, options, observe, _UNTIL)
    return world, record, timeline.lines(record)


def _parser():
    parser = arguments.Parser(prog='python -m coro_sor.simulation', allow_abbrev=False, add_help=False,
                              usage='%(prog)s (--matrix FILE | --problem SPEC) --machines N [options]',
                              description='Solve A x = b on simulated machines: the same program on a virtual clock. '
                                          'Seconds are virtual.')
    arguments.add_system(parser.add_argument_group('the system'))
    world = parser.add_argument_group('the world')
    world.add_argument('--machines', metavar='N', type=_count, required=True, help='how many there are')
    world.add_argument('--workers-per-machine', metavar='N', type=_count, default=1,
                       help='worker processes of each (default: 1)')
    world.add_argument('--delay', metavar='SECONDS', type=_positive, default=1e-4,
                       help='least time of a message one way (default: 0.0001)')
    world.add_argument('--jitter', metavar='F', type=_positive, default=0.5,
                       help='mean of the random part of the delay, in units of --delay (default: 0.5)')
    world.add_argument('--bandwidth', metavar='BYTES', type=_positive, default=1.25e8,
                       help='bytes a second from one process to another (default: 1.25e8, which is 1 Gbit/s)')
    world.add_argument('--faults', metavar='KIND:...,...', default='', help='any of %s' % ', '.join(FORMS))
    world.add_argument('--within', metavar='SECONDS', type=_positive, default=1.0,
                       help='the first so many seconds of sweeping, in which crashes, stalls, partitions and joins '
                            'come (default: 1)')
    arguments.add_method(parser.add_argument_group('how to solve'))
    arguments.add_advanced(parser.add_argument_group('for slow networks, and for experts'))
    others = parser.add_argument_group('results')
    others.add_argument('-v', '--verbose', action='store_true', help='list every look at the true residual')
    others.add_argument('-h', '--help', action='help', help='print this and end')
    return parser


def _count(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _positive(text):
    value = float(text)
    if not value > 0:
        raise ValueError
    return value


_count.__name__, _positive.__name__ = 'positive whole number', 'positive number'
