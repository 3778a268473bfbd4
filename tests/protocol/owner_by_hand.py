"""One block owner in the simulator, and who plays its coordinator and its neighbour by hand."""
import numpy as np

from coro_sor.block import block_owner
from coro_sor.correspondence import OWNER_SETTINGS
from coro_sor.messages import (Answer, Assignment, Bind, Bound, Collect, Freeze, Heartbeat, Looked, Prepare, Prepared,
                               Resume, Rows, Slices, Subscribe, Subscribed, Taken, Vectors)
from coro_sor.options import Options
from coro_sor.simulation import Simulation

__all__ = ['A', 'B', 'Hand', 'drive', 'resume_until']

A = np.array([[4.0, -1, 0, -1], [-1, 4, -1, 0], [0, -1, 4, -1], [-1, 0, -1, 4]])
B = np.array([1.0, 2.0, 3.0, 4.0])
SETTINGS = {**{name: getattr(Options(exchange='messages'), name) for name in OWNER_SETTINGS}, 'whole_blocks': False}


class Hand:
    """Plays the coordinator of owner 0 (rows 0 and 1), and owner 1 as well."""

    def __init__(self, engine, coro, location, **settings):
        self.engine, self.coro, self.location = engine, coro, location
        self.settings = {**SETTINGS, **settings}
        self.number = 0
        self.heard = []

    def start(self, **assigned):
        """Start the owner."""
        assignment = {'owner': 0, 'incarnation': 1, 'owner_bounds': np.array([0, 2, 4]),
                      'block_bounds': np.array([0, 2, 4]), 'sparse': False, 'nonzeros': 8, 'sequence': np.arange(2), 'settings': self.settings,
                      **assigned}
        self.owner = yield self.engine.start(self.location, 'block_owner', ('s', self.coro, Assignment(**assignment)),
                                             5.0)

    def send(self, message):
        """Deliver a message as it is."""
        assert (yield self.owner.deliver(message, timeout=5.0)) == 1

    def post(self, kind, *content):
        """Send a request; returns it."""
        self.number += 1
        request = kind('s', self.number, *content)
        yield from self.send(request)
        return request

    def ask(self, kind, *content):
        """Send a request and wait for its answer."""
        request = yield from self.post(kind, *content)
        return (yield from self.answer(request))

    def answer(self, request, seconds=5.0):
        """The next answer to a request; None where none comes."""
        return (yield from self.wait(lambda message: isinstance(message, Answer) and message.request == request.request
                                     and not isinstance(message, Subscribed), seconds))

    def wait(self, wanted, seconds=5.0):
        """The next message that is wanted; None where none comes. The others are kept in `heard`."""
        end = self.engine.now() + seconds
        while self.engine.now() < end:
            message = yield self.coro.receive(timeout=end - self.engine.now(), alarm_value=None)
            if message is not None and wanted(message):
                return message
            if message is not None and not isinstance(message, Heartbeat):
                self.heard.append(message)
        return None

    def is_gone(self):
        """Whether the owner has ended, or does now: its last word was confirmed a moment ago."""
        yield self.coro.sleep(0.1)
        return (yield self.owner.deliver(Heartbeat('s', -1, 0), timeout=1.0)) != 1

    # ---- stages of a life

    def load(self):
        assert isinstance((yield from self.ask(Rows, 0, (A[:2],))), Taken)
        assert isinstance((yield from self.ask(Vectors, 0, B[:2], np.zeros(2))), Taken)
        prepared = yield from self.ask(Prepare)
        assert isinstance(prepared, Prepared) and prepared.reads == {1: 2}

    def bind(self, diagonal=A.diagonal(), segment=(), epoch=0):
        """As owner 1 too: subscribe, and agree; `segment` names memory that owner 1 offers."""
        request = yield from self.post(Bind, epoch, {1: self.coro}, 0)
        subscribe = yield from self.wait(lambda message: isinstance(message, Subscribe))
        assert subscribe.entries == (2, 4) and subscribe.total == 2
        yield from self.send(Subscribed('s', subscribe.request, 1, subscribe.first, diagonal[2:], segment))
        yield from self.send(Subscribe('s', 77, 1, epoch, 0, 2, (0, 2)))
        subscribed = yield from self.wait(lambda message: isinstance(message, Subscribed))
        assert subscribed.request == 77 and subscribed.diagonal.tolist() == diagonal[:2].tolist()
        self.offered = subscribed.segment
        yield from self.bound(request)

    def bound(self, request):
        """Wait until all is agreed; the word comes by another link, so perhaps it has come."""
        come = [message for message in self.heard if isinstance(message, Bound)]
        assert come or isinstance((yield from self.answer(request)), Bound)

    def reach(self, state):
        """Bring the owner into a state."""
        if state != 'LOADING':
            yield from self.load()
            yield from self.bind()
            yield from self.freeze(1, schedule='async')
        if state == 'SWEEPING':
            yield from self.resume(1, 10 ** 9)

    def freeze(self, epoch, values=(0.0, 0.0), schedule='sync', restore=False, sizes=False):
        request = yield from self.post(Freeze, epoch, schedule, restore, sizes)
        yield from self.slices(epoch, 0, values)
        looked = yield from self.answer(request)
        assert isinstance(looked, Looked) and looked.epoch == epoch
        return looked

    def slices(self, epoch, sweep, values=(0.0, 0.0)):
        yield from self.send(Slices('s', epoch, 1, np.array([[1, sweep, 0, 2]]), np.array(values, dtype=float)))

    def resume(self, epoch, until, keep=False):
        return (yield from self.ask(Resume, epoch, *resume_until(until, keep)))

    def collect(self, epoch):
        return (yield from self.ask(Collect, epoch, 0, 2))


def resume_until(until, keep=False, order='cyclic', turn=0):
    """What a `Resume` says beside its epoch."""
    return 1.0, False, until, 0.0, keep, order, turn


def drive(script, cost=None, seed=1, near='here', **settings):
    """Run ``script(hand)`` to its end; returns its value, and what lives on at the owner's machine.

    The hand is at the address `near`; the owner at 'there'.
    """
    simulation = Simulation(seed, cost=cost)
    here, there = simulation.machine(near), simulation.machine('there')
    there.serve('block_owner', block_owner)

    def main(engine, coro=None):
        hand = Hand(engine, coro, there.location, **settings)
        yield from hand.start()
        return (yield from script(hand)) or True

    value = simulation.run(here, main)
    simulation.run(here, _rest)
    script_left = [str(coroutine) for coroutine in there.coroutines.values()]
    return value, script_left


def _rest(engine, coro=None):
    yield coro.sleep(200.0)
    return True
