"""One block owner, driven by hand through the simulator: every transition, old epochs, repeated and unknown requests."""
import numpy as np
import pytest

from coro_sor.block import BlockOwner, _TRANSITIONS, block_owner
from coro_sor.convergence import combine
from coro_sor.messages import (Answer, Assignment, Bind, Bound, Collect, Failed, Freeze, Heartbeat, Looked, Prepare, Prepared,
                               ReadRows, Report, Resume, Resumed, Rows, RowsRead, Slices, Stop, Stopped, Subscribe,
                               Subscribed, Taken, Values, Vectors)
from coro_sor.options import Options
from coro_sor.simulation import Simulation

A = np.array([[4.0, -1, 0, -1], [-1, 4, -1, 0], [0, -1, 4, -1], [-1, 0, -1, 4]])
B = np.array([1.0, 2.0, 3.0, 4.0])
SETTINGS = {name: getattr(Options(), name) for name in (
    'panel_nonzeros', 'exchanges', 'chunk_bytes', 'report_interval', 'patience', 'lease', 'retry', 'connect_timeout',
    'delivery_timeout', 'max_staleness')}


class Hand:
    """Plays the coordinator of owner 0 (rows 0 and 1), and owner 1 as well."""

    def __init__(self, engine, coro, location, **settings):
        self.engine, self.coro, self.location = engine, coro, location
        self.settings = {**SETTINGS, **settings}
        self.number = 0
        self.heard = []

    def start(self, **assigned):
        """Start the owner."""
        assignment = {'owner': 0, 'owner_bounds': np.array([0, 2, 4]), 'block_bounds': np.array([0, 2, 4]),
                      'sparse': False, 'nonzeros': 8, 'settings': self.settings, **assigned}
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
        return (yield self.owner.deliver(Heartbeat('s', -1), timeout=1.0)) != 1

    # ---- stages of a life

    def load(self):
        assert isinstance((yield from self.ask(Rows, 0, (A[:2],))), Taken)
        assert isinstance((yield from self.ask(Vectors, 0, B[:2], np.zeros(2))), Taken)
        prepared = yield from self.ask(Prepare)
        assert isinstance(prepared, Prepared) and prepared.reads == {1: 2}

    def bind(self):
        """As owner 1 too: subscribe, and agree."""
        request = yield from self.post(Bind, {1: self.coro}, (1,))
        subscribe = yield from self.wait(lambda message: isinstance(message, Subscribe))
        assert subscribe.entries == (2, 4) and subscribe.total == 2
        yield from self.send(Subscribed('s', subscribe.request, 1, subscribe.first, A.diagonal()[2:]))
        yield from self.send(Subscribe('s', 77, 1, 0, 2, (0, 2)))
        subscribed = yield from self.wait(lambda message: isinstance(message, Subscribed))
        assert subscribed.request == 77 and subscribed.diagonal.tolist() == [4.0, 4.0]
        bound = [message for message in self.heard if isinstance(message, Bound)]     # by another link, so perhaps first
        assert bound or isinstance((yield from self.answer(request)), Bound)

    def freeze(self, epoch, values=(0.0, 0.0), schedule='sync', restore=False, sizes=False):
        request = yield from self.post(Freeze, epoch, schedule, restore, sizes)
        yield from self.slices(epoch, 0, values)
        looked = yield from self.answer(request)
        assert isinstance(looked, Looked) and looked.epoch == epoch
        return looked

    def slices(self, epoch, sweep, values=(0.0, 0.0)):
        yield from self.send(Slices('s', epoch, 1, np.array([[1, sweep, 0, 2]]), np.array(values, dtype=float)))

    def resume(self, epoch, until, keep=False):
        return (yield from self.ask(Resume, epoch, 1.0, False, until, 0.0, keep))

    def collect(self, epoch):
        return (yield from self.ask(Collect, epoch, 0, 2))


def drive(script, cost=None, **settings):
    """Run ``script(hand)`` to its end; returns its value."""
    simulation = Simulation(1, cost=cost)
    here, there = simulation.machine('here'), simulation.machine('there')
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


# ---- a life

def test_a_life_from_loading_to_the_end():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        looked = yield from hand.freeze(1)
        assert combine([(looked.scale, looked.squares)]) == pytest.approx(np.linalg.norm(B[:2])) and not looked.updates
        resumed = yield from hand.resume(1, 2)
        assert isinstance(resumed, Resumed) and (resumed.lowered, resumed.lowest) == (0, 1.0)
        report = yield from hand.wait(lambda message: isinstance(message, Report) and message.waiting)
        assert report.sweeps == (1,) and report.by_sweep[0][0] == 1
        looked = yield from hand.freeze(2, (0.5, 0.5), sizes=True)
        x = [0.25, 2.25 / 4]
        size = np.linalg.norm(np.abs(A[:2]) @ np.array(x + [0.5, 0.5]) + np.abs(B[:2]))
        assert looked.updates == 2 and looked.size == pytest.approx(size)
        r = B[:2] - A[:2] @ np.array(x + [0.5, 0.5])
        assert combine([(looked.scale, looked.squares)]) == pytest.approx(np.linalg.norm(r))
        values = yield from hand.collect(2)
        assert isinstance(values, Values) and values.values.tolist() == x and values.epoch == 2
        stopped = yield from hand.ask(Stop)
        assert isinstance(stopped, Stopped) and stopped.statistics['row_updates'] == 2
        assert (yield from hand.is_gone())

    assert drive(script)[1] == []


def test_the_frozen_slice_goes_to_the_neighbour_and_then_every_sweep():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1)
        yield from hand.resume(1, 4)
        yield from hand.slices(1, 1, (1.0, 1.0))
        yield from hand.wait(lambda message: isinstance(message, Report) and message.waiting)
        sent = [message for message in hand.heard if isinstance(message, Slices)]
        sent += [(yield from hand.wait(lambda message: isinstance(message, Slices)))] if len(sent) < 3 else []
        assert [message.parts.tolist() for message in sent] == [[[0, sweep, 0, 2]] for sweep in (0, 1, 2)]
        assert all(message.epoch == 1 and message.owner == 0 for message in sent)

    drive(script)


# ---- repeated, old and early

def test_every_request_may_be_repeated_and_is_answered_again_without_being_carried_out_again():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1)
        freeze = Freeze('s', hand.number, 1, 'sync', False, False)
        again = yield from _repeated(hand, freeze)
        assert isinstance(again, Looked)
        yield from hand.resume(1, 2)
        resume = Resume('s', hand.number, 1, 1.0, False, 2, 0.0, False)
        yield from hand.wait(lambda message: isinstance(message, Report) and message.waiting)
        assert isinstance((yield from _repeated(hand, resume)), Resumed)
        assert (yield from hand.freeze(2)).updates == 2
        values = yield from hand.collect(2)
        collect = Collect('s', hand.number, 2, 0, 2)
        assert (yield from _repeated(hand, collect)).values.tolist() == values.values.tolist()
        assert (yield from _repeated(hand, freeze)) is None        # its answer is not waited for any more
        for late in (Rows('s', 1, 0, (9 * A[:2],)), Vectors('s', 2, 0, 9 * B[:2], B[:2]), Prepare('s', 3)):
            assert (yield from _repeated(hand, late)) is None
        assert (yield from hand.collect(2)).values.tolist() == values.values.tolist()

    drive(script)


def _repeated(hand, request):
    yield from hand.send(request)
    return (yield from hand.answer(request, 1.0))


def test_rows_that_come_twice_are_taken_once():
    def script(hand):
        first = yield from hand.post(Rows, 0, (A[:2],))
        assert isinstance((yield from hand.answer(first)), Taken)
        again = yield from _repeated(hand, Rows('s', first.request, 0, (np.zeros((2, 4)),)))
        assert isinstance(again, Taken)
        yield from hand.ask(Vectors, 0, B[:2], np.zeros(2))
        yield from hand.ask(Prepare)
        yield from hand.bind()
        looked = yield from hand.freeze(1, (1.0, 1.0))
        assert combine([(looked.scale, looked.squares)]) == pytest.approx(np.linalg.norm(B[:2] - A[:2, 2:].sum(axis=1)))

    drive(script)


@pytest.mark.parametrize('kind, content', [(Freeze, (1, 'sync', False, False)), (Freeze, (2, 'sync', False, False)),
                                           (Resume, (1, 1.0, False, 9, 0.0, False)), (Collect, (1, 0, 2))],
                         ids=['an older freeze', 'the same freeze by another number', 'resume', 'collect'])
def test_requests_of_an_older_epoch_are_dropped(kind, content):
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1)
        yield from hand.freeze(2)
        old = yield from hand.post(kind, *content)
        assert (yield from hand.answer(old, 1.0)) is None
        assert (yield from hand.collect(2)).values.tolist() == [0.0, 0.0]

    drive(script)


def test_slices_of_an_older_epoch_are_dropped():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1)
        freeze = yield from hand.post(Freeze, 2, 'sync', False, False)
        yield from hand.slices(1, 0, (9.0, 9.0))
        assert (yield from hand.answer(freeze, 1.0)) is None       # still incomplete
        yield from hand.slices(2, 0, (1.0, 1.0))
        looked = yield from hand.answer(freeze)
        assert combine([(looked.scale, looked.squares)]) == pytest.approx(np.linalg.norm(B[:2] - A[:2, 2:].sum(axis=1)))

    drive(script)


def test_slices_of_a_newer_epoch_are_kept_until_it_begins():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1)
        yield from hand.slices(2, 0, (1.0, 1.0))
        yield from hand.slices(1, 0, (7.0, 7.0))
        looked = yield from hand.ask(Freeze, 2, 'sync', False, False)
        assert combine([(looked.scale, looked.squares)]) == pytest.approx(np.linalg.norm(B[:2] - A[:2, 2:].sum(axis=1)))

    drive(script)


def test_a_resume_that_overtakes_its_freeze_or_its_look_is_dropped_and_may_be_repeated():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1)
        resume = yield from hand.post(Resume, 2, 1.0, False, 2, 0.0, False)
        assert (yield from hand.answer(resume, 1.0)) is None
        yield from hand.post(Freeze, 2, 'sync', False, False)
        assert (yield from _repeated(hand, Resume('s', hand.number + 1, 2, 1.0, False, 2, 0.0, False))) is None
        yield from hand.slices(2, 0)
        yield from hand.wait(lambda message: isinstance(message, Looked))
        hand.number += 1
        assert isinstance((yield from hand.resume(2, 2)), Resumed)

    drive(script)


def test_in_async_a_frozen_owner_may_go_on_without_its_neighbours_slices():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1, schedule='async')
        yield from hand.post(Freeze, 2, 'async', False, False)
        assert isinstance((yield from hand.resume(2, 6)), Resumed)
        report = yield from hand.wait(lambda message: isinstance(message, Report) and message.waiting)
        assert report.epoch == 2 and report.sweeps == (3,)

    drive(script)


# ---- freezing

@pytest.mark.parametrize('schedule', ['async', 'sync', 'ordered'])
def test_a_freeze_in_the_middle_of_a_panel_waits_for_it_and_counts_it(schedule):
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1, schedule=schedule)
        yield from hand.resume(1, 200)
        yield hand.coro.sleep(1.0)
        looked = yield from hand.freeze(2, schedule=schedule)
        assert looked.updates == 2
        assert (yield from hand.collect(2)).values.tolist() == [0.25, 0.5625]

    drive(script, cost=lambda function, args: 3.0 if function.__name__ == 'sweep' else 1e-4)


def test_the_best_x_is_kept_and_restored():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1, schedule='async')
        yield from hand.resume(1, 2, keep=True)
        yield from hand.wait(lambda message: isinstance(message, Report) and message.waiting)
        yield from hand.freeze(2, schedule='async')
        assert (yield from hand.collect(2)).values.any()
        yield from hand.freeze(3, schedule='async', restore=True)
        assert not (yield from hand.collect(3)).values.any()

    drive(script)


def test_sweeps_are_counted_over_all_epochs():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1, schedule='async')
        yield from hand.resume(1, 4)
        yield from hand.wait(lambda message: isinstance(message, Report) and message.waiting)
        yield from hand.freeze(2, schedule='async')
        yield from hand.resume(2, 4)
        report = yield from hand.wait(lambda message: isinstance(message, Report))
        assert report.waiting and report.sweeps == (0,) and report.epoch == 2
        assert (yield from hand.freeze(3, schedule='async')).updates == 4

    drive(script)


# ---- what must not be

def reach(hand, state):
    """Bring the owner into a state."""
    if state != 'LOADING':
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1, schedule='async')
    if state == 'SWEEPING':
        yield from hand.resume(1, 10 ** 9)


REQUESTS = {Rows: (0, (A[:2],)), ReadRows: ('nowhere.npy',), Vectors: (0, B[:2], B[:2]), Prepare: (), Bind: ({}, ()),
            Freeze: (9, 'async', False, False), Resume: (1, 1.0, False, 9, 0.0, False), Collect: (1, 0, 2), Stop: ()}
DROPPED = {('LOADING', Resume), ('LOADING', Collect), ('SWEEPING', Resume), ('SWEEPING', Collect)}


@pytest.mark.parametrize('state, kind', [(state, kind) for state in ('LOADING', 'FROZEN', 'SWEEPING')
                                         for kind in REQUESTS if (state, kind) not in _TRANSITIONS],
                         ids=lambda part: getattr(part, '__name__', part))
def test_a_request_that_its_state_does_not_know_ends_the_owner_with_a_word_or_is_dropped_as_untimely(state, kind):
    def script(hand):
        yield from reach(hand, state)
        yield from hand.post(kind, *REQUESTS[kind])
        failed = yield from hand.wait(lambda message: isinstance(message, Failed), 1.0)
        if (state, kind) in DROPPED:
            assert failed is None
        else:
            assert failed.text == 'RuntimeError: %s in state %s' % (kind.__name__, state)
            assert 'Traceback' in failed.traceback and failed.owner == 0
            assert (yield from hand.is_gone())

    assert drive(script, cost=lambda function, args: 1e-2)[1] == []


@pytest.mark.parametrize('state', ['LOADING', 'FROZEN', 'SWEEPING'])
def test_a_stop_ends_it_in_every_state(state):
    def script(hand):
        yield from reach(hand, state)
        stopped = yield from hand.ask(Stop)
        assert isinstance(stopped, Stopped) and stopped.statistics['rows'] == 2
        yield hand.coro.sleep(1.0)
        assert (yield from hand.is_gone())

    assert drive(script, cost=lambda function, args: 1e-2)[1] == []


def test_a_stop_ends_it_while_it_waits_for_its_neighbours():
    def script(hand):
        yield from hand.load()
        yield from hand.post(Bind, {1: hand.coro}, (1,))
        assert isinstance((yield from hand.ask(Stop)), Stopped)

    assert drive(script)[1] == []


def test_messages_of_another_solve_are_dropped():
    def script(hand):
        yield from hand.send(Stop('another', 1))
        yield from hand.send(Prepare('another', 2))
        yield from hand.load()
        assert not (yield from hand.is_gone())

    drive(script)


def test_a_file_that_cannot_be_read_is_no_failure():
    def script(hand):
        read = yield from hand.ask(ReadRows, '/nowhere/A.npy')
        assert isinstance(read, RowsRead) and read.digest == '' and 'nowhere' in read.reason
        yield from hand.load()

    drive(script)


@pytest.mark.parametrize('start, stop', [(1, 3), (2, 4), (1, 1)])
def test_rows_of_others_cannot_be_collected(start, stop):
    def script(hand):
        yield from reach(hand, 'FROZEN')
        yield from hand.post(Collect, 1, start, stop)
        failed = yield from hand.wait(lambda message: isinstance(message, Failed))
        assert 'rows %d to %d' % (start, stop) in failed.text

    drive(script)


# ---- silence

def test_without_the_coordinator_it_pauses_after_the_patience_and_ends_after_the_lease(monkeypatch):
    swept = []
    stepped = BlockOwner.stepped
    monkeypatch.setattr(BlockOwner, 'stepped', lambda self, *args: swept.append(self._engine.now()) or stepped(self, *args))
    times = []

    def script(hand):
        yield from reach(hand, 'SWEEPING')
        times.append(hand.engine.simulation.now)
        yield hand.coro.sleep(4.0)
        assert not (yield from hand.is_gone())      # which it hears: the silence begins anew
        times.append(hand.engine.simulation.now)
        yield hand.coro.sleep(6.0)
        count = len(swept)
        yield hand.coro.sleep(2.0)
        assert len(swept) == count > 0
        assert not (yield from hand.is_gone())
        yield hand.coro.sleep(0.5)
        assert len(swept) > count                   # heard again: on it goes
        yield hand.coro.sleep(20.0)
        assert (yield from hand.is_gone())

    assert drive(script, cost=lambda function, args: 0.05, patience=5.0, lease=15.0)[1] == []


def test_a_long_computation_of_its_own_is_no_silence_of_the_coordinator():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        assert (yield from hand.freeze(1))

    def freeze_slowly(function, args):
        return 4.9 if function.__name__ == 'residual' else 1e-4

    drive(script, cost=freeze_slowly, patience=1.0, lease=2.0)


def test_it_tells_that_it_lives_several_times_a_patience_whatever_it_computes():
    def script(hand):
        yield from hand.ask(Rows, 0, (A[:2],))
        yield from hand.ask(Vectors, 0, B[:2], np.zeros(2))
        prepare = yield from hand.post(Prepare)
        beats = []
        yield from hand.wait(lambda message: beats.append(hand.engine.now()) or isinstance(message, Prepared), 100.0)
        assert len(beats) >= 30 and max(np.diff(beats)) <= 1.1 and prepare.request == hand.number

    drive(script, cost=lambda function, args: 30.0, patience=5.0, lease=15.0)
