"""Runs unchanged actors on a virtual clock and a network with faults, in one thread, from one seed.

>>> simulation = Simulation(seed=7, network=Network.faulty(7))
>>> first, second = simulation.machine('first'), simulation.machine('second', speed=0.5)
>>> simulation.at(0.5, lambda: simulation.stall(second, 2.0))
>>> answer = simulation.run(first, coordinator, problem, until=600.0)

The same seed gives the same run, event for event; ``simulation.transcript`` tells it.
"""
from .core import Deadlock, Simulation, TimeLimit
from .coroutine import Location, Reference
from .costs import Costs
from .engine import SimulatedEngine
from .network import Network
from .world import CoordinatorCrashed, World

__all__ = ['CoordinatorCrashed', 'Costs', 'Deadlock', 'Location', 'Network', 'Reference', 'SimulatedEngine',
           'Simulation', 'TimeLimit', 'World']
