"""The mailbox of a block owner, driven by hand through the simulator: any message in any state."""
from __future__ import annotations

import dataclasses
import logging
import os
import random
import sys

import numpy as np

from coro_sor import block, messages, node_messages
from coro_sor.convergence import combine
from coro_sor.messages import (Bind, Bound, Collect, Failed, Freeze, Looked, Report, Resume, Shown, Slices, Stop,
                               Stopped, Subscribe, Subscribed, Values, Vectors)
from coro_sor.simulation import Simulation
from coro_sor.simulation.wire import encoded

from . import mutation

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', '..', 'tests', 'protocol'))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', '..', 'tests', 'simulation'))

from owner_by_hand import A, B, Hand, resume_until  # noqa: E402

__all__ = ['TARGETS', 'Mailbox', 'changed', 'valid']

STATES = ('LOADING', 'PREPARED', 'BINDING', 'FROZEN', 'LOOKING', 'SWEEPING')
_SPARSE = (np.array([0, 3, 6]), np.array([0, 1, 3, 0, 1, 2]), np.array([4.0, -1, -1, -1, 4, -1]))
_FLOATS = (0.0, -1.0, 0.5, 1.0, 1.9, 2.0, 1e308, -1e308, 1e-290, float('inf'), float('nan'))


# ---- messages

def valid(draw, epoch, number, reference):
    """A message that an owner in this epoch might get, or one that is for somebody else."""
    epoch += draw.choice((0, 0, 0, 1, 1, 2, -1, 5))
    sweep = draw.choice((0, 0, 1, 1, 2, 3, 17, 10**6))
    number += draw.randrange(-2, 9)
    head = ('s', number)
    look = (0, epoch, 1.0, 1.0, 0.0, 1.0, 1.0, 4, 'digest')
    made = {
        'Rows': lambda: (*head, draw.choice((0, 0, 1)), draw.choice(((A[:2],), (A[:1],), (A[1:2],), _SPARSE))),
        'ReadRows': lambda: (*head, '/nowhere/A.npy'), 'MakeRows': lambda: (*head, draw.choice(('gram:4', 'gram:5'))),
        'Vectors': lambda: (*head, draw.choice((0, 1)), B[:draw.choice((1, 2))], B[:draw.choice((1, 2))]),
        'Prepare': lambda: head, 'Bind': lambda: (*head, epoch, {1: reference}, draw.randrange(9)),
        'Freeze': lambda: (*head, epoch, draw.choice(('async', 'sync', 'ordered')), draw.random() < 0.5,
                           draw.random() < 0.3),
        'Resume': lambda: (*head, epoch, *resume_until(draw.choice((0, 2, 9, 10**9)), draw.random() < 0.5,
                                                       draw.choice(('cyclic', 'symmetric', 'shuffled')))),
        'Collect': lambda: (*head, epoch, draw.randrange(3), draw.randrange(3)),
        'Subscribe': lambda: (*head, 1, epoch, draw.choice((0, 0, 1)), draw.choice((2, 2, 1, 0)), draw.choice(
            ((0, 2), (0, 2), (0, 1), (1, 2), (0, 0), np.array([0, 1]), np.array([1]), np.array([1, 0])))),
        'Subscribed': lambda: (*head, 1, 0, np.full(draw.choice((2, 2, 1, 0)), 4.0), draw.choice(((), ('there', 0)))),
        'Share': lambda: (*head, 1, epoch), 'Taken': lambda: (*head, 1), 'Shown': lambda: ('s', epoch, 1),
        'Slices': lambda: ('s', epoch, 1, np.array(draw.choice((
            [[1, sweep, 0, 2]], [[1, sweep, 0, 1], [1, sweep, 1, 2]], [[1, sweep, 1, 2], [1, sweep, 0, 1]],
            [[0, sweep, 0, 2]], [[1, sweep, 0, 0], [1, sweep, 0, 2]], [[2, sweep, 0, 2]]))), np.array([1.0, 2.0])),
        'RowsRead': lambda: (*head, 0, '', ''), 'Prepared': lambda: (*head, 0, {1: 2}), 'Bound': lambda: (*head, 0),
        'Looked': lambda: (*head, *look), 'Resumed': lambda: (*head, 0, 0, 1.0),
        'Report': lambda: ('s', epoch, 0, (1,), 1.0, ((1, 1.0),), False),
        'Values': lambda: (*head, 0, epoch, 0, np.zeros(2)), 'Stopped': lambda: (*head, 0, {'row_updates': 0}),
        'Heartbeat': lambda: ('s', draw.choice((-1, 0, 1)), 0), 'Failed': lambda: ('s', 0, 1, 'sky', 'fell'),
        'Goodbye': tuple, 'ChildLost': lambda: (0, 'there', 5, 6, 'signal')}
    name = draw.choice(list(made))
    kind = messages.MESSAGES.get(name) or getattr(node_messages, name)
    return _built(kind, made[name]())


def _built(kind, fields):
    """The message as the codec makes it; None where its class refuses the fields."""
    try:
        return kind(*fields)
    except Exception:       # of whatever kind: the codec refuses the frame
        return None


def changed(draw, message):
    """A copy with some fields changed; None where its class refuses it."""
    fields = [getattr(message, field.name) for field in dataclasses.fields(message)]
    for _ in range(draw.choice((1, 1, 2)) if fields else 0):
        at = draw.randrange(len(fields))
        fields[at] = other(draw, fields[at])
    return _built(type(message), fields)


def other(draw, value):
    """Something else, mostly of the same kind."""
    if draw.random() < 0.1:
        return mutation.value(draw)
    if isinstance(value, np.ndarray):
        return _other_array(draw, value)
    if type(value) in (tuple, list) and value:
        items = list(value)
        at = draw.randrange(len(items))
        items[at:at + 1] = draw.choice(([], [other(draw, items[at])], [other(draw, items[at])], [items[at]] * 2))
        return type(value)(items)
    if type(value) is dict and value:
        key = draw.choice(list(value))
        item = value[key]
        rest = {name: each for name, each in value.items() if name != key}
        if draw.random() < 0.5:
            key = mutation.number(draw) if type(key) is int and draw.random() < 0.5 else key
            rest[key] = draw.choice((item, other(draw, item)))
        return rest
    if type(value) is int:
        return draw.choice((value + 1, value - 1, value + draw.randrange(70000), mutation.number(draw)))
    if type(value) is float:
        return draw.choice(_FLOATS)
    if type(value) is bool:
        return not value
    return draw.choice(('', 's', 'other', 'async', 'x' * 300)) if type(value) is str else mutation.value(draw)


def _other_array(draw, value):
    kind = draw.randrange(6)
    if kind == 0 and value.ndim:
        return value[:-1].copy()
    if kind == 1 and value.ndim:
        return np.concatenate([value, value])
    if kind == 2:
        with np.errstate(invalid='ignore', over='ignore'):
            return value.astype(draw.choice(('f4', 'i4', 'i8', 'u8', 'f8', '?')), casting='unsafe')
    if kind == 3:
        return value[None]
    copy = value.copy()
    if copy.size:
        place = draw.randrange(copy.size)
        if copy.dtype == np.float64:
            copy.flat[place] = draw.choice(_FLOATS)
        elif copy.dtype.kind in 'iu':
            bound = np.iinfo(copy.dtype)
            copy.flat[place] = min(max(int(bound.min), mutation.number(draw)), int(bound.max))
    return copy


# ---- an owner in a state

class Mailbox:
    """One life of an owner in which a state is disturbed, by messages that were made from a draw.

    Attributes
    ----------
    sent, refused : int
        Messages that reached the mailbox, and those that their class refused before.
    """

    def __init__(self, draw, state, count):
        self._draw, self._state, self._count = draw, state, count
        self.sent = self.refused = 0
        self._owner, self._lies = None, set()

    def run(self):
        """Raises what is a find."""
        real, log = block.BlockOwner, logging.getLogger('coro_sor.owner')
        told = _Told()
        log.addHandler(told)

        def made(*arguments):
            self._owner = real(*arguments)
            return self._owner
        block.BlockOwner = made
        try:
            self._drive()
        finally:
            block.BlockOwner = real
            log.removeHandler(told)
        assert len(set(told.lines)) == len(told.lines), told.lines

    def _drive(self):
        simulation = Simulation(self._draw.random(), transcript_length=0)
        here, there = simulation.machine('here'), simulation.machine('there')
        there.serve('block_owner', block.block_owner)

        def main(engine, coro=None):
            hand = Hand(engine, coro, there.location)
            yield from hand.start()
            yield from self._script(hand)
            yield coro.sleep(5.0)
            return True
        simulation.run(here, main)
        assert not there.coroutines, 'something is left: %s' % there.coroutines

    def _script(self, hand):
        draw = self._draw
        yield from self._reach(hand)
        mailbox = hand.engine.simulation.machines[hand.location].coroutines[hand.owner.id]
        before = self._unharmed()
        for _ in range(self._count):
            message = valid(draw, self._owner._epoch, hand.number, hand.coro)
            if message is not None and draw.random() < 0.7:
                message = changed(draw, message)
            if message is None or self._orders_what_nobody_could_mend(message):
                self.refused += message is None
                continue
            if isinstance(message, (Shown, Slices, Subscribe)):
                self._lies.add(message.epoch)
            mailbox.put(encoded(message) if draw.random() < 0.97 else draw.choice((
                None, 7, Exception('from far'), [message], {1: 2}, 'text', np.zeros(3))))
            self.sent += 1
            if draw.random() < 0.3:
                yield hand.coro.sleep(0.01)
        yield hand.coro.sleep(0.2)
        after = self._unharmed()
        assert after[0] >= before[0], 'the epoch fell'
        if before[:3] == after[:3]:
            assert before[3] == after[3], 'x has changed though nothing was ordered'
        self._check_memory()
        yield from self._live_on(hand)

    def _reach(self, hand):
        state = self._state
        if state == 'LOADING':
            yield hand.coro.sleep(0.1)
            return
        yield from hand.load()
        if state in ('PREPARED', 'BINDING'):
            if state == 'BINDING':
                yield from hand.post(Bind, 0, {1: hand.coro}, 0)
            return
        yield from hand.bind()
        schedule = self._draw.choice(('async', 'sync', 'ordered'))
        yield from hand.freeze(1, schedule=schedule)
        if state == 'LOOKING':
            yield from hand.post(Freeze, 2, schedule, False, False)
            yield hand.coro.sleep(0.1)
        if state == 'SWEEPING':
            yield from hand.resume(1, self._draw.choice((0, 2, 90, 10**9)))

    def _orders_what_nobody_could_mend(self, message):
        """A stop, or while rows are loaded their end: whoever has a coordinator's word for it may do that."""
        kind = type(message).__name__
        return kind == 'Stop' or kind == 'Prepare' and self._state == 'LOADING' and message.solve == 's'

    def _unharmed(self):
        owner = self._owner
        x = owner.holding.x
        return owner._epoch, owner._state, (owner._forgotten, len(owner._answers)), \
            None if x is None or owner._state == 'SWEEPING' else owner.holding.own().tobytes()

    def _check_memory(self):
        owner = self._owner
        early = [len(kept) for epochs in owner._early._kept.values() for kept in epochs.values()]
        untimely = [len(kept) for epochs in owner._untimely._kept.values() for kept in epochs.values()]
        assert len(early) <= 8 and max(early, default=0) <= 20, early
        assert len(untimely) <= 4 and max(untimely, default=0) <= 3, untimely
        assert owner._incoming is None or len(owner._incoming._staged) <= 64

    def _live_on(self, hand):
        """A right look, sweep and stop are what it still does."""
        while (yield hand.coro.receive(timeout=0, alarm_value=hand)) is not hand:
            pass
        hand.heard.clear()
        hand.number = max(hand.number, self._owner._forgotten) + 100
        while any(hand.number <= number < hand.number + 50 for number in self._owner._answers):
            hand.number += 50
        if self._state == 'LOADING':
            yield from hand.load()
        epoch = self._owner._epoch + 1
        # What a neighbour may have said of its entries in an epoch to come is believed: it might have been true.
        while self._lies.intersection(range(epoch, epoch + 4)):
            epoch += 1
        yield from _bind(hand, epoch)
        epoch += 1
        yield from _look(hand, epoch)
        yield from _answer(hand, (yield from hand.post(Vectors, 0, B[:2], np.zeros(2))))
        looked = yield from _look(hand, epoch + 1)
        expected = np.linalg.norm(B[:2] - A[:2, 2:].sum(axis=1))
        assert abs(combine([(looked.scale, looked.squares)]) - expected) < 1e-12 * expected, looked
        yield from _answer(hand, (yield from hand.post(Resume, epoch + 1, *resume_until(looked.updates + 2))))
        report = yield from hand.wait(lambda message: isinstance(message, Report) and message.waiting and
                                      message.epoch == epoch + 1)
        assert report is not None and report.sweeps == (1,), report
        looked = yield from _look(hand, epoch + 2)
        values = yield from _answer(hand, (yield from hand.post(Collect, epoch + 2, 0, 2)))
        x = (B[0] + 1) / 4
        assert isinstance(values, Values) and np.allclose(values.values, [x, (B[1] + x + 1) / 4], rtol=1e-15), values
        stopped = yield from _answer(hand, (yield from hand.post(Stop)))
        assert isinstance(stopped, Stopped) and stopped.statistics['rows'] == 2, stopped
        assert not any(isinstance(message, Failed) for message in hand.heard), hand.heard


def _answer(hand, request):
    found = yield from hand.wait(lambda message: isinstance(message, Failed) or isinstance(message, messages.Answer)
                                 and message.request == request.request and not isinstance(message, Subscribed))
    assert found is not None and not isinstance(found, Failed), (request, found)
    return found


def _bind(hand, epoch):
    request = yield from hand.post(Bind, epoch, {1: hand.coro}, 0)
    subscribe = yield from hand.wait(lambda message: isinstance(message, Subscribe) and message.epoch == epoch)
    assert subscribe is not None and subscribe.entries == (2, 4), subscribe
    yield from hand.send(Subscribed('s', subscribe.request, 1, 0, A.diagonal()[2:], ()))
    yield from hand.send(Subscribe('s', 10**6, 1, epoch, 0, 2, (0, 2)))
    assert any(isinstance(message, Bound) and message.request == request.request for message in hand.heard) or (
        yield from _answer(hand, request))
    return True


def _look(hand, epoch):
    request = yield from hand.post(Freeze, epoch, 'async', False, False)
    yield from hand.send(Slices('s', epoch, 1, np.array([[1, 0, 0, 2]]), np.ones(2)))
    looked = yield from _answer(hand, request)
    assert isinstance(looked, Looked) and looked.epoch == epoch, looked
    return looked


class _Told(logging.Handler):
    """Which classes the log tells of."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage().partition(' ')[0])


class Owner:
    """A target whose inputs are a state and what disturbs it, by a number to draw from."""

    def __init__(self, folder):
        logging.getLogger('coro_sor').propagate = False     # told to the mailbox's own handler only

    def make(self, draw):
        return ['owner', draw.choice(STATES), str(draw.getrandbits(64))]

    def from_bytes(self, data):
        return ['owner', STATES[len(data) % len(STATES)], data.hex()]

    def try_(self, made):
        mailbox = Mailbox(random.Random(made[2]), made[1], 40)
        mailbox.run()
        return mailbox.sent > mailbox.refused


TARGETS = {'owner': Owner}
