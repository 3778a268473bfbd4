"""Any message in any state: it is handled or refused, and the state is unharmed."""
import dataclasses
import logging
import math
import pathlib
import random
import sys

import numpy as np
import pytest

from coro_sor.answers import answer_fault
from coro_sor.correspondence import Correspondence
from coro_sor.messages import (MESSAGES, Bind, Bound, Collect, Failed, Freeze, Heartbeat, Looked, Prepare, Prepared,
                               Resume, Resumed, Rows, Slices, Stop, Stopped, Subscribe, Subscribed, Taken, Values,
                               Vectors)
from coro_sor.node_messages import Goodbye, NodeInfo
from coro_sor.options import Options
from coro_sor.runtime import codec
from owner_by_hand import A, B, drive, resume_until

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / 'scripts'))

from fuzzing import company, mailboxes  # noqa: E402

codec.register(MESSAGES)


def frame(message):
    return b''.join(bytes(part) for part in codec.encode(message))


def forged(kind, **fields):
    """A message as somebody else's program may make it: nothing was looked at."""
    made = object.__new__(kind)
    made.__dict__.update(fields)
    return made


# ---- at the wire

SLICES = {'solve': 's', 'epoch': 1, 'owner': 0, 'parts': np.array([[0, 1, 0, 2]]), 'values': np.zeros(2)}


@pytest.mark.parametrize('wrong', [
    {'solve': 1}, {'epoch': '1'}, {'epoch': 1.0}, {'epoch': True}, {'epoch': 2**31}, {'owner': None}, {'parts': [[]]},
    {'values': 'x'}, {'values': np.zeros((2, 1))}, {'parts': np.array([[0, 1, 0, 5], [0, 1, 5, 2]])},
    {'parts': np.array([[0, 1, 0, 2**62], [0, 1, 2**62, 2]])}, {'parts': np.array([[0, 1, 0, 3]])}], ids=str)
def test_the_codec_refuses_slices_with_a_wrong_field(wrong):
    codec.decode(frame(forged(Slices, **SLICES)))
    with pytest.raises(codec.CodecError):
        codec.decode(frame(forged(Slices, **{**SLICES, **wrong})))


@pytest.mark.parametrize('kind, fields', [
    (Bind, (0, {1: 5}, 0)), (Bind, (0, [1], 0)), (Freeze, (1, 'auto', False, False)), (Freeze, (1, 'sync', 0, False)),
    (Resume, (1, math.nan, *resume_until(2)[1:])), (Resume, (1, 2.0, *resume_until(2)[1:])),
    (Resume, (1, *resume_until(2, order='auto'))), (Resume, (1, *resume_until(1.5))), (Rows, (0, ())),
    (Rows, (0, (A[0],))), (Rows, (0, (A, A, A))), (Rows, (0, (A.astype('i8'),))), (Vectors, (0, B, B[None])),
    (Vectors, (0, B.astype('f4'), B)), (Collect, (1, 0, 2**70)), (Subscribe, (1, 0, 0, 2, (0,))),
    (Subscribe, (1, 0, 0, 2, (2, 0))), (Subscribe, (1, 0, 0, 2, np.array([0.5]))),
    (Subscribed, (1, 0, np.zeros(2), ())), (Subscribed, (1, 0, np.array([math.nan]), ())), (Prepared, (0, {0: -1})),
    (Stopped, (0, {'row_updates': 'many'})), (Stopped, (0, {})), (Stopped, (0, {'row_updates': 1, 'x': math.inf})),
    (Looked, (0, 1, '1', 0.0, 0.0, 0.0, 0.0, 4, ''))], ids=lambda part: getattr(part, '__name__', None))
def test_the_codec_refuses_a_message_with_a_wrong_field(kind, fields):
    names = [field.name for field in dataclasses.fields(kind)]
    with pytest.raises(codec.CodecError):
        codec.decode(frame(forged(kind, **dict(zip(names, ('s', 1, *fields))))))


@pytest.mark.parametrize('children', [[], ((1, 2),), ((70000, 2, None),), ((1, 2, 'much'),), (5,)], ids=str)
def test_a_node_with_impossible_children_is_refused(children):
    NodeInfo(0, '10.0.0.1', 1, ((5001, 77, None), (5002, 78, 10**7)), 2, '1', 'host')
    with pytest.raises(ValueError, match='children'):
        NodeInfo(0, '10.0.0.1', 1, children, 2, '1', 'host')


# ---- an owner

@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('state', mailboxes.STATES)
def test_an_owner_that_got_hundreds_of_wrong_messages_still_looks_sweeps_and_stops(state, seed):
    mailbox = mailboxes.Mailbox(random.Random('%s %d' % (state, seed)), state, 300)
    mailbox.run()
    assert mailbox.sent > 100 and mailbox.refused > 10


@pytest.mark.parametrize('wrong', [
    Exception('from far'), None, 7, [1], Goodbye(), Failed('s', 0, 1, 'sky', 'fell'), Heartbeat('s', 0, 1),
    Looked('s', 1, 0, 1, 0.0, 0.0, 0.0, 0.0, 0.0, 2, ''), Prepare('s', 10**13), Prepare('s', 50),
    Freeze('s', 50, 10**9, 'sync', True, True),
    Bind('s', 50, 10**9, {}, 0), Bind('s', 50, 5, {}, 0),
    Subscribe('s', 9, 1, 0, 0, 10**18, (0, 10**18)), Subscribe('s', 9, 1, 0, 0, 2, (2, 4)), Taken('s', 9, 1),
    Subscribed('s', 9, 5, 0, np.ones(2), ()), Vectors('s', 50, 1, B[:2], B[:2]), Rows('s', 50, 1, (9 * A[:2],)),
    Slices('s', 1, 1, np.array([[1, 1, 2**40, 2**40 + 1]]), np.ones(1)),
    Slices('s', 10**9, 1, np.array([[1, 0, 0, 2]]), np.ones(2)),
    Slices('s', 1, 5, np.array([[1, 1, 0, 2]]), np.ones(2))], ids=lambda wrong: type(wrong).__name__)
@pytest.mark.parametrize('state', ['LOADING', 'FROZEN', 'SWEEPING'])
def test_a_message_that_is_not_for_it_changes_nothing(state, wrong, caplog):
    def script(hand):
        yield from hand.reach(state)
        before = (yield from hand.collect(1)).values.tolist() if state == 'FROZEN' else None
        there = hand.engine.simulation.machines[hand.location]
        for _ in range(3):
            there.coroutines[hand.owner.id].put(wrong)
        yield hand.coro.sleep(0.1)
        hand.number += 100
        if state == 'LOADING':
            yield from hand.load()
            yield from hand.bind()
            yield from hand.freeze(1, schedule='async')
        if state == 'FROZEN':
            assert (yield from hand.collect(1)).values.tolist() == before
        assert isinstance((yield from hand.freeze(2)), Looked)
        assert isinstance((yield from hand.ask(Stop)), Stopped)
        assert not any(isinstance(message, Failed) for message in hand.heard)

    drive(script)
    assert len([record for record in caplog.records if record.name == 'coro_sor.owner']) <= 1


@pytest.mark.parametrize('total, entries', [(2, (2, 4)), (2, np.array([-1, 0])), (2, np.array([1, 0])), (1, (0, 2)),
                                            (10**18, (0, 10**18)), (10**18, (0, 1)), (2, (1, 1))], ids=str)
def test_a_subscription_that_makes_no_sense_is_no_part_of_the_one_that_does(total, entries):
    def script(hand):
        yield from hand.load()
        bind = yield from hand.post(Bind, 0, {1: hand.coro}, 0)
        subscribe = yield from hand.wait(lambda message: isinstance(message, Subscribe))
        yield from hand.send(Subscribe('s', 76, 1, 0, 0, total, entries))
        yield from hand.send(Subscribed('s', subscribe.request, 1, 0, A.diagonal()[2:], ()))
        yield from hand.send(Subscribe('s', 77, 1, 0, 0, 2, (0, 2)))
        agreed = yield from hand.wait(lambda message: isinstance(message, Subscribed))
        assert agreed.request == 77 and agreed.diagonal.tolist() == [4.0, 4.0]
        yield from hand.bound(bind)
        yield from hand.freeze(1)
        sent = [message.parts.tolist() for message in hand.heard if isinstance(message, Slices)]
        assert sent == [[[0, 0, 0, 2]]]

    drive(script)


def test_a_freeze_that_comes_before_all_is_agreed_is_dropped_and_may_be_repeated():
    def script(hand):
        yield from hand.load()
        bind = yield from hand.post(Bind, 0, {1: hand.coro}, 0)
        freeze = yield from hand.post(Freeze, 1, 'sync', False, False)
        assert (yield from hand.answer(freeze, 1.0)) is None
        subscribe = next(message for message in hand.heard if isinstance(message, Subscribe))
        yield from hand.send(Subscribed('s', subscribe.request, 1, 0, A.diagonal()[2:], ()))
        yield from hand.send(Subscribe('s', 77, 1, 0, 0, 2, (0, 2)))
        assert isinstance((yield from hand.answer(bind)), Bound)
        yield from hand.send(freeze)
        yield from hand.slices(1, 0)
        assert isinstance((yield from hand.answer(freeze)), Looked)

    drive(script)


def test_rows_can_be_prepared_only_when_all_of_them_are_there():
    def script(hand):
        yield from hand.ask(Rows, 0, (A[:1],))
        early = yield from hand.post(Prepare)
        assert (yield from hand.answer(early, 1.0)) is None
        gap = yield from hand.post(Rows, 2, (A[2:3],))
        assert (yield from hand.answer(gap, 1.0)) is None
        assert isinstance((yield from hand.ask(Rows, 1, (A[1:2],))), Taken)
        yield from hand.ask(Vectors, 0, B[:2], np.zeros(2))
        assert isinstance((yield from hand.ask(Prepare)), Prepared)

    drive(script)


@pytest.mark.parametrize('indptr, indices, data', [
    ([0, 3, 2], [0, 1, 3], [4.0, -1, -1]), ([0, 2, 3], [0, 4, 1], [4.0, 1, 4]), ([0, 2, 3], [1, 0, 1], [1.0, 4, 4]),
    ([0, 1, 2], [1, 1], [4.0, 4]), ([0, 1, 2], [0, 1], [4.0, 0]), ([0, 1, 2], [0, 1], [4.0, math.nan]),
    ([1, 1, 2], [0, 1], [4.0, 4]), ([0, 1, 2], [-1, 1], [4.0, 4]), ([0, 2**31, 6], [0], [4.0])], ids=str)
def test_sparse_rows_that_no_kernel_could_sweep_are_refused(indptr, indices, data):
    def script(hand):
        wrong = yield from hand.post(Rows, 0, (np.array(indptr), np.array(indices), np.array(data, dtype=float)))
        assert (yield from hand.answer(wrong, 1.0)) is None
        right = mailboxes._SPARSE
        assert isinstance((yield from hand.ask(Rows, 0, right)), Taken)

    def started(hand):
        yield from hand.ask(Stop)
        yield from hand.start(sparse=True, nonzeros=6)
        yield from script(hand)

    drive(started)


# ---- a coordinator

STATISTICS = {'blocks': [0], 'block_halos': [2], 'rows': 2, 'nonzeros': 8, 'row_updates': 0, 'seconds_computing': 0.0,
              'seconds_waiting': 0.0, 'seconds_exchanging': 0.0, 'messages_sent': 1, 'messages_received': 1,
              'slices_superseded': 0, 'peak_memory': None}


@pytest.mark.parametrize('request_, right, wrong', [
    (Freeze('s', 1, 3, 'sync', False, False), Looked('s', 1, 0, 3, 1.0, 1.0, math.nan, math.nan, math.nan, 4, ''),
     [Taken('s', 1, 0), Looked('s', 1, 0, 2, 1.0, 1.0, 0.0, 0.0, 0.0, 4, ''),
      Looked('s', 1, 0, 3, -1.0, 1.0, 0.0, 0.0, 0.0, 4, ''), Looked('s', 1, 0, 3, 1.0, -1.0, 0.0, 0.0, 0.0, 4, ''),
      Looked('s', 1, 0, 3, 1.0, 1e308, 0.0, 0.0, 0.0, 4, ''), Looked('s', 1, 0, 3, 1.0, 1.0, 0.0, 0.0, 0.0, -1, '')]),
    (Collect('s', 1, 3, 4, 6), Values('s', 1, 0, 3, 4, np.zeros(2)),
     [Values('s', 1, 0, 2, 4, np.zeros(2)), Values('s', 1, 0, 3, 3, np.zeros(2)), Values('s', 1, 0, 3, 4, np.zeros(3)),
      Values('s', 1, 0, 3, 4, np.zeros(0)), Bound('s', 1, 0)]),
    (Prepare('s', 1), Prepared('s', 1, 0, {1: 5}), [Prepared('s', 1, 0, {2: 5}), Prepared('s', 1, 0, {0: 5})]),
    (Resume('s', 1, 3, *resume_until(4)), Resumed('s', 1, 0, 1, 0.5),
     [Resumed('s', 1, 0, -1, 0.5), Resumed('s', 1, 0, 1, math.nan)]),
    (Stop('s', 1), Stopped('s', 1, 0, STATISTICS),
     [Stopped('s', 1, 0, {'row_updates': 4}), Stopped('s', 1, 0, {**STATISTICS, 'rows': None}),
      Stopped('s', 1, 0, {**STATISTICS, 'blocks': 3}), Stopped('s', 1, 0, {**STATISTICS, 'more': 3}),
      Stopped('s', 1, 0, {**STATISTICS, 'slices_sent': 3})])], ids=lambda part: type(part).__name__)
def test_an_answer_that_does_not_fit_its_request_is_refused(request_, right, wrong):
    assert not answer_fault(request_, right, 2)
    assert all(answer_fault(request_, answer, 2) for answer in wrong)


class Asked:
    """A link on which one request waits for its answer."""

    def __init__(self, request):
        self.request = request

    def asked(self, number):
        return self.request if number == 1 else None

    def answered(self, number):
        request, self.request = self.request, None
        return request


class Clock:
    """An engine that only knows the time."""

    def now(self):
        return 0.0


def test_an_answer_that_does_not_fit_leaves_the_request_waiting_and_is_told_once(caplog):
    desk = Correspondence(Clock(), 's', Options(), None)
    desk.expect([None])
    desk.owners = [Asked(Collect('s', 1, 3, 0, 2))]
    for wrong in (Values('s', 1, 0, 3, 0, np.zeros(3)), Values('s', 1, 0, 9, 0, np.zeros(2)),
                  Values('s', 2, 0, 3, 0, np.zeros(2)), Values('s', 1, 1, 3, 0, np.zeros(2)),
                  Values('s', 1, -1, 3, 0, np.zeros(2)), Slices(**SLICES), Slices(**SLICES)):
        desk._take(wrong)
        assert not desk.has_answer(1)
    desk._take(Values('s', 1, 0, 3, 0, np.ones(2)))
    assert desk.take_answer(1).values.tolist() == [1.0, 1.0]
    told = [record.getMessage().split()[0] for record in caplog.records if record.name == 'coro_sor.coordinator']
    assert sorted(told) == ['Slices', 'Values']


# ---- all of them

@pytest.fixture
def silent():
    """The targets silence the log of the package; afterwards it is as before."""
    log = logging.getLogger('coro_sor')
    level = log.level
    yield
    log.setLevel(level)


@pytest.mark.parametrize('seeds', [range(first, first + 10) for first in range(0, 40, 10)], ids=str)
def test_a_stranger_who_knows_the_solve_repeats_changes_and_misdirects_messages_and_the_answer_is_right(seeds, silent):
    target = company.Coordinator(None)
    for seed in seeds:
        assert target.try_(target.make(random.Random(seed)))


def test_a_directory_goes_on_telling_whatever_it_is_told(silent):
    target = company.Directory(None)
    for seed in range(20):
        assert target.try_(target.make(random.Random(seed)))
