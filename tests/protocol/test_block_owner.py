"""One block owner, driven by hand through the simulator: every transition, old epochs, repeated requests, silence."""
import numpy as np
import pytest

from campaign import each_step
from coro_sor.block import _TRANSITIONS
from coro_sor.convergence import combine
from coro_sor.messages import (Bind, Collect, Failed, Freeze, Looked, MakeRows, Prepare, ReadRows, Report,
                               Resume, Resumed, Rows, RowsRead, Slices, Stop, Stopped, Taken, Values, Vectors)
from coro_sor.problems import gram, make_generator
from coro_sor.rows import digest_rows
from owner_by_hand import A, B, drive, resume_until


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
        resume = Resume('s', hand.number, 1, *resume_until(2))
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
                                           (Resume, (1, *resume_until(9))), (Collect, (1, 0, 2))],
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
        resume = yield from hand.post(Resume, 2, *resume_until(2))
        assert (yield from hand.answer(resume, 1.0)) is None
        yield from hand.post(Freeze, 2, 'sync', False, False)
        assert (yield from _repeated(hand, Resume('s', hand.number + 1, 2, *resume_until(2)))) is None
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
def test_a_freeze_waits_for_the_step_that_has_begun_and_counts_it_and_no_other_step_is_begun(schedule):
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1, schedule=schedule)
        yield from hand.resume(1, 200)
        yield hand.coro.sleep(1.0)
        looked = yield from hand.freeze(2, schedule=schedule)
        x = (yield from hand.collect(2)).values.tolist()
        assert x == ([0.25, 0.5625] if looked.updates else [0.0, 0.0])
        return looked.updates, bool(hand.engine.simulation.now > 3.0)

    counts = {drive(script, each_step(1e-4, sweep=3.0), seed)[0] for seed in range(8)}
    assert (2, True) in counts and counts <= {(0, True), (2, True)}


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

REQUESTS = {Rows: (0, (A[:2],)), ReadRows: ('nowhere.npy',), MakeRows: ('gram:4',),
            Vectors: (0, B[:2], B[:2]), Prepare: (), Bind: (0, {}, 0),
            Freeze: (9, 'async', False, False), Resume: (1, *resume_until(9)), Collect: (1, 0, 2), Stop: ()}
@pytest.mark.parametrize('state, kind', [(state, kind) for state in ('LOADING', 'FROZEN', 'SWEEPING')
                                         for kind in REQUESTS if (state, kind) not in _TRANSITIONS],
                         ids=lambda part: getattr(part, '__name__', part))
def test_a_request_that_its_state_does_not_know_is_refused_and_the_owner_goes_on(state, kind):
    def script(hand):
        yield from hand.reach(state)
        refused = yield from hand.post(kind, *REQUESTS[kind])
        assert (yield from hand.answer(refused, 1.0)) is None
        assert not any(isinstance(message, Failed) for message in hand.heard)
        if state == 'LOADING':
            yield from hand.load()
        else:
            assert isinstance((yield from hand.freeze(2)), Looked)
        assert isinstance((yield from hand.ask(Stop)), Stopped)

    assert drive(script, cost=each_step(1e-2))[1] == []


@pytest.mark.parametrize('state', ['LOADING', 'FROZEN', 'SWEEPING'])
def test_a_stop_ends_it_in_every_state(state):
    def script(hand):
        yield from hand.reach(state)
        stopped = yield from hand.ask(Stop)
        assert isinstance(stopped, Stopped) and stopped.statistics['rows'] == 2
        yield hand.coro.sleep(1.0)
        assert (yield from hand.is_gone())

    assert drive(script, cost=each_step(1e-2))[1] == []


def test_a_stop_ends_it_while_it_waits_for_its_neighbours():
    def script(hand):
        yield from hand.load()
        yield from hand.post(Bind, 0, {1: hand.coro}, 0)
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


def test_it_makes_its_own_rows_from_a_spec():
    def script(hand):
        made = yield from hand.ask(MakeRows, 'gram:4')
        assert isinstance(made, RowsRead)
        assert (made.digest, made.reason) == (digest_rows(make_generator('gram:4').rows(0, 2)), '')
        yield from hand.ask(Vectors, 0, B[:2], np.zeros(2))
        yield from hand.ask(Prepare)
        yield from hand.bind(gram(4).diagonal())
        looked = yield from hand.freeze(1, (1.0, 1.0))
        expected = np.linalg.norm(B[:2] - gram(4)[:2, 2:].sum(axis=1))
        assert combine([(looked.scale, looked.squares)]) == pytest.approx(expected)

    drive(script)


@pytest.mark.parametrize('spec, reason', [('pagerank:/nowhere/graph.txt', '/nowhere/graph.txt: there is no such file'),
                                          ('gram:5', '5 unknowns here, 4 there'), ('unheard-of:4', 'not known'),
                                          ('poisson2d:2', '')])
def test_rows_that_cannot_be_made_are_no_failure_and_may_come_by_message(spec, reason):
    def script(hand):
        answer = yield from hand.ask(MakeRows, spec)
        assert isinstance(answer, RowsRead) and answer.digest == '' and answer.reason and reason in answer.reason
        yield from hand.load()

    drive(script)


@pytest.mark.parametrize('start, stop', [(1, 3), (2, 4), (1, 1)])
def test_rows_of_others_cannot_be_collected(start, stop, caplog):
    def script(hand):
        yield from hand.reach('FROZEN')
        refused = yield from hand.post(Collect, 1, start, stop)
        assert (yield from hand.answer(refused, 1.0)) is None
        assert len((yield from hand.collect(1)).values) == 2

    drive(script)
    assert [record.getMessage() for record in caplog.records if record.name == 'coro_sor.owner'] == [
        'Collect was refused: rows %d to %d are not all of 0 to 2' % (start, stop)]
