"""The product's world on the simulator: a coordinator, nodes with their workers, and what befalls them."""
from __future__ import annotations

from ..block import block_owner
from ..coordinator import coordinate
from ..directory import make_directory
from ..messages import Cancel
from ..node import FIRST_PAUSE, LONGEST_PAUSE
from ..options import NODE_PORT
from ..roster import Roster

__all__ = ['CoordinatorCrashed', 'World']

START_UP = 0.5          # seconds that a worker process needs until it is ready, about
_FIRST_PID = 5_000_000  # above all that Linux gives, so that no real process is mistaken for a simulated one


class CoordinatorCrashed(Exception):
    """The machine of the coordinator has gone, so there will be no result."""


class _Child:
    """A worker process and its successors, as `coro_sor.node` has them."""

    def __init__(self, node):
        self.node, self.pause = node, FIRST_PAUSE
        self.machine = self.pid = None
        self.born = 0.0


class _Node:
    """A machine: its supervisor, the roster that its directory tells, and its children.

    Attributes
    ----------
    supervisor : SimulatedEngine or None
        None until it is started.
    """

    def __init__(self, name, speed):
        self.name, self.speed = name, speed
        self.supervisor = self.roster = None
        self.children = []

    def engines(self):
        """All processes of the machine that were started."""
        return [engine for engine in (self.supervisor, *(child.machine for child in self.children)) if engine]


class World:
    """A coordinator's machine and the nodes: their supervisors and worker processes.

    Parameters
    ----------
    simulation : Simulation

    Attributes
    ----------
    me : SimulatedEngine
        The process of the coordinator.
    nodes : dict of str to node
        In the order in which they were named.
    directories : list of (str, (str, int))
        As `coordinate` takes them.
    happened : list of (float, str)
        Virtual second, and what befell a machine then.
    """

    def __init__(self, simulation):
        self.simulation = simulation
        self.me = simulation.machine('coordinator')
        self.nodes, self.directories, self.happened = {}, [], []
        self._children = []
        self._pids = _FIRST_PID

    # ---- machines

    def name_node(self, name, workers, speed=1.0):
        """A machine that is known to the coordinator but not up: `start_node` starts it.

        Parameters
        ----------
        name : str
        workers : int
            Worker processes that its supervisor will have.
        speed : float
            Divides the cost of their computations.
        """
        node = self.nodes[name] = _Node(name, speed)
        node.children = [_Child(node) for _ in range(workers)]
        self._children += node.children
        self.simulation.hosts.add(name)
        self.directories.append((name, (name, NODE_PORT)))

    def add_node(self, name, workers, speed=1.0):
        """A machine whose supervisor and workers are ready."""
        self.name_node(name, workers, speed)
        self._boot(self.nodes[name])
        for child in self.nodes[name].children:
            self._launch(child)

    def start_node(self, name):
        """Start a machine that was named only, or that has crashed; its workers get ready a little later."""
        node = self.nodes[name]
        self._tell('machine %s starts', name)
        self._boot(node)
        for child in node.children:
            child.pause = FIRST_PAUSE
            self._launch_later(child, START_UP)

    def _boot(self, node):
        node.supervisor = self.simulation.machine(node.name, port=NODE_PORT)
        node.roster = Roster(node.name)
        node.supervisor.serve('directory', make_directory(node.roster))

    def _launch(self, child):
        """A worker process is ready; always at another port than the one before."""
        self._pids += 1
        child.machine, child.pid = self.simulation.machine(child.node.name, child.node.speed), self._pids
        child.born = self.simulation.now
        child.machine.serve('block_owner', self.owner)
        child.node.roster.started(child.machine.location[1], child.pid)

    def _launch_later(self, child, seconds):
        supervisor = child.node.supervisor
        self.simulation.push(supervisor, seconds, lambda: supervisor.spawn(_do, self._launch, child))

    def owner(self, engine, *args, coro=None):
        """The actor that worker processes serve."""
        return (yield from block_owner(engine, *args, coro=coro))

    @property
    def workers(self):
        """The worker processes; each in the place of its predecessor, None before its node was started."""
        return [child.machine for child in self._children]

    # ---- a run

    def solve(self, problem, options, observe=None, until=3600.0, keeper=None):
        """Run the coordinator to its end and return its record.

        Raises
        ------
        CoordinatorCrashed
            Its machine was crashed meanwhile.
        """
        return self.simulation.run(self.me, coordinate, problem, options, list(self.directories), observe,
                                   *(() if keeper is None else (keeper,)), until=until)

    def wait(self, seconds):
        """Let the clock go on, whoever lives."""
        observer = self.simulation.machine('observer')
        self.simulation.run(observer, _sleep, seconds, until=self.simulation.now + seconds + 1.0)

    def left(self):
        """Names of the coroutines that still live on machines that do, but for those that tell of children."""
        supervisors = [node.supervisor for node in self.nodes.values()]
        return ['%s@%d' % (coroutine, engine.location[1]) for engine in self.simulation.machines.values()
                if not engine.crashed and engine not in supervisors for coroutine in engine.coroutines.values()]

    # ---- what happens, at a virtual second

    def at(self, seconds, action, *args):
        """Call ``action(*args)`` then."""
        self.simulation.at(seconds, lambda: action(*args))

    def crash(self, number, told=True, silent=None):
        """A worker process dies.

        Parameters
        ----------
        number : int
            Of `workers`.
        told : bool
            Whether its supervisor sees it; then it tells, and starts a successor.
        silent : bool, optional
            As `Simulation.crash` takes it.
        """
        child = self._children[number]
        worker, supervisor = child.machine, child.node.supervisor
        if worker is None or worker.crashed:
            return
        self._tell('worker %s:%d is killed', *worker.location)
        self.simulation.crash(worker, silent)
        if told and not supervisor.crashed:
            supervisor.spawn(_do, child.node.roster.lost, worker.location[1], child.pid, 'signal SIGKILL')
            if self.simulation.now - child.born > LONGEST_PAUSE:
                child.pause = FIRST_PAUSE
            self._launch_later(child, child.pause + START_UP)
            child.pause = min(2 * child.pause, LONGEST_PAUSE)

    def crash_node(self, name):
        """A whole machine goes: its supervisor and its workers, without a word."""
        self._tell('machine %s crashes', name)
        for engine in self.nodes[name].engines():
            self.simulation.crash(engine, silent=True)

    def crash_coordinator(self, silent=None):
        """The coordinator's machine goes, and with it the run: `solve` raises."""
        self._tell('the coordinator crashes')
        self.simulation.crash(self.me, silent)
        raise CoordinatorCrashed

    def stall(self, number, seconds):
        """A worker process is frozen for a while."""
        worker = self.workers[number]
        if worker is not None and not worker.crashed:
            self._tell('worker %s:%d stalls for %g s', *worker.location, seconds)
            self.simulation.stall(worker, seconds)

    def part(self, names, seconds=None):
        """Cut machines off from all others, for so long; None: until `heal`."""
        self._tell('%s cut off%s', _machines(names), ' for %g s' % seconds if seconds else '')
        self.simulation.part(names)
        if seconds is not None:
            self.simulation.at(self.simulation.now + seconds, self.heal)

    def heal(self):
        """All machines reach each other again."""
        self._tell('the partition heals')
        self.simulation.heal()

    def cancel(self):
        """The user presses Ctrl-C, while the coordinator lives."""
        for coordinator in list(self.me.coroutines.values())[:1]:
            self.me.spawn(_cancel, coordinator)

    def _tell(self, text, *values):
        self.happened.append((self.simulation.now, text % values))


def _machines(names):
    return 'machine %s is' % names[0] if len(names) == 1 else '%d machines are' % len(names)


def _do(engine, function, *args, coro=None):
    # In an actor, because what it sends must come from a process.
    function(*args)
    yield coro.sleep(0)


def _cancel(engine, coordinator, coro=None):
    coordinator.send(Cancel(''))
    yield coro.sleep(0)


def _sleep(engine, seconds, coro=None):
    yield coro.sleep(seconds)
    return True
