"""Faults as the command line names them, and their arrangement in a world."""
from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from ..solution import InputError

__all__ = ['FORMS', 'Fault', 'arrange', 'check_counts', 'joining', 'network_with', 'parse_faults', 'speeds']

FORMS = ('crash:K', 'machine:K', 'stall:K[:SECONDS]', 'partition:K[:SECONDS]', 'straggler:FRACTION[:SPEED]', 'join:K',
         'loss:P', 'reply:P', 'late:P', 'duplicate:P')
"""K worker processes are killed, K machines go, K worker processes stall, K machines are cut off together, a fraction
of the machines is slow, K further machines start in mid-run; probabilities of a message to be lost, to arrive though
its sender believes that it was lost, to arrive late, and to arrive twice."""

_EXTRA = {'stall': 5.0, 'partition': 5.0, 'straggler': 0.2}
_CHANCES = {'loss': 'lost', 'reply': 'reply_lost', 'late': 'late', 'duplicate': 'duplicated'}
_COUNTS = ('crash', 'machine', 'stall', 'partition', 'join')


@dataclass(frozen=True)
class Fault:
    """One part of the text.

    Attributes
    ----------
    kind : str
    amount : int or float
        A count, a probability, or a fraction of the machines.
    extra : float or None
        Seconds, or the speed of stragglers.
    """

    kind: str
    amount: float
    extra: float | None = None


def parse_faults(text):
    """List of `Fault` of a text such as 'crash:3,loss:0.2'.

    Raises
    ------
    InputError
        It says which part, and what is possible.
    """
    found = [_parse(part.strip()) for part in text.split(',') if part.strip()]
    kinds = [fault.kind for fault in found]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise InputError('faults: %s is named twice' % kind)
    if sum(fault.amount for fault in found if fault.kind in ('loss', 'reply', 'late')) > 1:
        raise InputError('faults: the probabilities of loss, reply and late add up to more than 1')
    return found


def _parse(part):
    kind, *values = part.split(':')
    if kind not in _COUNTS + tuple(_CHANCES) + ('straggler',):
        raise InputError('faults: %r is unknown; possible are %s' % (part, ', '.join(FORMS)))
    form = next(form for form in FORMS if form.startswith(kind))
    try:
        amount = int(values[0]) if kind in _COUNTS else float(values[0])
        extra = float(values[1]) if len(values) > 1 else _EXTRA.get(kind)
    except (ValueError, IndexError):
        raise InputError('faults: %r is not of the form %s' % (part, form)) from None
    fine = amount >= 0 if kind in _COUNTS else 0 <= amount <= 1
    if not fine or len(values) > (2 if kind in _EXTRA else 1) or extra is not None and not 0 < extra < float('inf'):
        raise InputError('faults: %r is out of range: %s, K a whole number, P and FRACTION from 0 to 1, SECONDS and '
                         'SPEED positive' % (part, form))
    return Fault(kind, amount, extra)


def network_with(network, faults):
    """`network` with the faults that hold for every message."""
    chances = {_CHANCES[fault.kind]: fault.amount for fault in faults if fault.kind in _CHANCES}
    return dataclasses.replace(network, **chances)


def speeds(faults, machines, draw):
    """The speed of each machine; which ones are stragglers, at least one, is drawn."""
    made = [1.0] * machines
    for fault in faults:
        if fault.kind == 'straggler':
            for number in draw.sample(range(machines), math.ceil(fault.amount * machines)):
                made[number] = fault.extra
    return made


def joining(faults):
    """How many machines start in mid-run."""
    return sum(fault.amount for fault in faults if fault.kind == 'join')


def arrange(world, faults, draw, within):
    """Have everything happen to a world from now on, each at a moment drawn from the next `within` seconds.

    Parameters
    ----------
    world : World
    faults : list of Fault
    draw : random.Random
    within : float
    """
    up = [name for name, node in world.nodes.items() if node.supervisor is not None]
    down = [name for name, node in world.nodes.items() if node.supervisor is None]
    workers = range(sum(len(world.nodes[name].children) for name in up))
    for fault in faults:
        def happens(action, *args):
            world.at(world.simulation.now + draw.uniform(0.0, within), action, *args)
        if fault.kind == 'crash':
            for number in _some(draw, workers, fault):
                happens(world.crash, number)
        elif fault.kind == 'machine':
            for name in _some(draw, up, fault):
                happens(world.crash_node, name)
        elif fault.kind == 'stall':
            for number in _some(draw, workers, fault):
                happens(world.stall, number, fault.extra)
        elif fault.kind == 'partition':
            happens(world.part, _some(draw, up, fault), fault.extra)
        elif fault.kind == 'join':
            for name in down:
                happens(world.start_node, name)


def check_counts(faults, machines, workers):
    """Refuse faults for more than there are, before anything runs.

    Raises
    ------
    InputError
    """
    for fault in faults:
        most = {'crash': workers, 'stall': workers, 'machine': machines, 'partition': machines}.get(fault.kind)
        if most is not None and fault.amount > most:
            raise InputError('faults: %s:%d, but there are %d' % (fault.kind, fault.amount, most))


def _some(draw, everyone, fault):
    return draw.sample(list(everyone), fault.amount)
