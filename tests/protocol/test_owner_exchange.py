"""What one block owner exchanges with its neighbour, by messages and through shared memory; driven by hand."""
import numpy as np
import pytest

from campaign import each_step
from coro_sor.convergence import combine
from coro_sor.holding import Holding
from coro_sor.messages import (Bind, Bound, Freeze, Looked, Report, Resume, Resumed, Share, Shown, Slices, Subscribe,
                               Subscribed, Taken, Vectors)
from coro_sor.sharing import SharedSlices
from owner_by_hand import A, B, drive, resume_until

SHARED = {'near': 'there', 'exchange': 'shared'}


def residual_norm(own, others):
    """Of the rows of owner 0."""
    return np.linalg.norm(B[:2] - A[:2] @ np.concatenate([own, others]))


def norm(looked):
    return combine([(looked.scale, looked.squares)])


def publish(hand):
    """Memory where owner 1 shows its two entries, as it writes them."""
    segment = hand.engine.publish(SharedSlices.size(1, 2))
    return segment.name, SharedSlices(segment.array, 1, 2)


def see(hand, name, entries=2):
    """What owner 0 shows, as owner 1 reads it."""
    return SharedSlices(hand.engine.attach(name, SharedSlices.size(1, entries)), 1, entries)


def bind_sharing(hand):
    """Bind so that both sides share; returns (what owner 0 shows, what owner 1 shows)."""
    name, mine = publish(hand)
    yield from hand.load()
    bind = yield from hand.post(Bind, 0, {1: hand.coro}, 0)
    subscribe = yield from hand.wait(lambda message: isinstance(message, Subscribe))
    yield from hand.send(Subscribed('s', subscribe.request, 1, 0, A.diagonal()[2:], name))
    share = yield from hand.wait(lambda message: isinstance(message, Share))
    yield from hand.send(Subscribe('s', 77, 1, 0, 0, 2, (0, 2)))
    theirs = see(hand, (yield from hand.wait(lambda message: isinstance(message, Subscribed))).segment)
    yield from hand.send(Share('s', 78, 1, 0))
    taken = yield from hand.wait(lambda message: isinstance(message, Taken))
    assert taken.request == 78
    assert (yield from hand.answer(bind, 1.0)) is None      # owner 1 has not answered yet
    yield from hand.send(Taken('s', share.request, 1))
    assert isinstance((yield from hand.answer(bind)), Bound)
    return theirs, mine


def show(hand, mine, epoch, values):
    """Freeze as owner 1: the values are in place before the word is sent."""
    mine.put(0, 0, 2, np.array(values))
    mine.mark(0, epoch, 0)
    yield from hand.send(Shown('s', epoch, 1))


# ---- sharing is agreed on

def test_no_memory_is_offered_where_the_exchange_is_by_messages():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        assert hand.offered == ()

    drive(script, near='there', exchange='messages')


def test_a_neighbour_that_never_says_that_it_sees_the_memory_gets_messages():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        assert hand.offered
        yield from hand.freeze(1)
        slices = [message for message in hand.heard if isinstance(message, Slices)]
        assert slices and not any(isinstance(message, Shown) for message in hand.heard)

    drive(script, **SHARED)


def test_memory_that_cannot_be_reached_is_done_without():
    def script(hand):
        yield from hand.load()
        yield from hand.bind(segment=('elsewhere', 0))
        assert not any(isinstance(message, Share) for message in hand.heard)
        assert norm((yield from hand.freeze(1, (1.0, 1.0)))) == pytest.approx(residual_norm([0, 0], [1, 1]))

    drive(script, **SHARED)


def test_the_same_memory_is_offered_again_until_it_is_seen_and_not_after_that():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.send(Subscribe('s', 77, 1, 0, 0, 2, (0, 2)))
        again = yield from hand.wait(lambda message: isinstance(message, Subscribed))
        assert again.segment == hand.offered
        for _ in range(2):
            yield from hand.send(Share('s', 78, 1, 0))
            taken = yield from hand.wait(lambda message: isinstance(message, Taken))
            assert taken.request == 78
        yield from hand.send(Subscribe('s', 77, 1, 0, 0, 2, (0, 2)))
        assert (yield from hand.wait(lambda message: isinstance(message, Subscribed))).segment == ()

    drive(script, **SHARED)


def test_a_subscription_in_parts_is_settled_with_the_last_one():
    def script(hand):
        yield from hand.load()
        request = yield from hand.post(Bind, 0, {1: hand.coro}, 0)
        subscribe = yield from hand.wait(lambda message: isinstance(message, Subscribe))
        yield from hand.send(Subscribed('s', subscribe.request, 1, 0, A.diagonal()[2:], ()))
        for first, entries, offered in [(0, (0, 1), False), (0, (0, 1), False), (1, np.array([1]), True)]:
            yield from hand.send(Subscribe('s', 80 + first, 1, 0, first, 2, entries))
            agreed = yield from hand.wait(lambda message: isinstance(message, Subscribed))
            assert (agreed.request, agreed.first, bool(agreed.segment)) == (80 + first, first, offered)
            assert agreed.diagonal.tolist() == [4.0]
        yield from hand.bound(request)
        yield from hand.freeze(1)
        first = next(message for message in hand.heard if isinstance(message, Slices))
        assert first.parts.tolist() == [[0, 0, 0, 2]]

    drive(script, **SHARED)


@pytest.mark.parametrize('exchange', ['messages', 'shared'])
def test_a_neighbour_that_reads_nothing_hears_of_every_sweep_all_the_same(exchange):
    def script(hand):
        yield from hand.load()
        request = yield from hand.post(Bind, 0, {1: hand.coro}, 0)
        subscribe = yield from hand.wait(lambda message: isinstance(message, Subscribe))
        yield from hand.send(Subscribed('s', subscribe.request, 1, 0, A.diagonal()[2:], ()))
        yield from hand.send(Subscribe('s', 77, 1, 0, 0, 0, (0, 0)))
        agreed = yield from hand.wait(lambda message: isinstance(message, Subscribed))
        assert agreed.diagonal.tolist() == []
        if exchange == 'shared':
            theirs = see(hand, agreed.segment, 0)
            yield from hand.send(Share('s', 78, 1, 0))
            yield from hand.wait(lambda message: isinstance(message, Taken))
        yield from hand.bound(request)
        yield from hand.freeze(1)
        yield from hand.resume(1, 4)
        yield from hand.slices(1, 1, (1.0, 1.0))
        yield from hand.wait(lambda message: isinstance(message, Report) and message.waiting)
        if exchange == 'shared':
            assert theirs.version(0, 1) == 2
            return
        yield hand.coro.sleep(1.0)
        yield from hand.wait(lambda message: False, 0.1)
        told = [message.parts.tolist() for message in hand.heard if isinstance(message, Slices)]
        assert told == [[[0, 1, 0, 0]], [[0, 2, 0, 0]]]

    drive(script, near='there', exchange=exchange)


# ---- through shared memory

def test_the_frozen_x_is_shown_and_a_look_waits_until_the_neighbour_has_shown_its_own():
    def script(hand):
        theirs, mine = yield from bind_sharing(hand)
        freeze = yield from hand.post(Freeze, 1, 'sync', False, False)
        shown = yield from hand.wait(lambda message: isinstance(message, Shown))
        assert (shown.epoch, shown.owner) == (1, 0) and theirs.version(0, 1) == 0
        assert theirs.get(0, 0, 2).tolist() == [0.0, 0.0]
        assert (yield from hand.answer(freeze, 1.0)) is None
        yield from show(hand, mine, 1, [1.0, 0.5])
        assert norm((yield from hand.answer(freeze))) == pytest.approx(residual_norm([0, 0], [1, 0.5]))
        assert not any(isinstance(message, Slices) for message in hand.heard)

    drive(script, **SHARED)


@pytest.mark.parametrize('schedule', ['sync', 'ordered'])
def test_every_sweep_is_in_its_slot_and_uses_exactly_the_version_that_it_may(schedule):
    def script(hand):
        theirs, mine = yield from bind_sharing(hand)
        freeze = yield from hand.post(Freeze, 1, schedule, False, False)
        yield from show(hand, mine, 1, [0.0, 0.0])
        yield from hand.answer(freeze)
        yield from hand.resume(1, 2 * 4)
        x = np.zeros(4)
        for sweep in range(1, 5):
            for row in (0, 1):
                x[row] += (B[row] - A[row] @ x) / A[row, row]
            yield hand.coro.sleep(0.5)
            assert theirs.version(0, 1) == sweep        # and no further
            assert theirs.get(sweep, 0, 2).tolist() == pytest.approx(x[:2].tolist(), rel=1e-14)
            x[2:] = sweep, -sweep
            mine.put(sweep, 0, 2, x[2:])
            mine.mark(0, 1, sweep)
        assert not any(isinstance(message, Slices) for message in hand.heard)

    drive(script, **SHARED)


def test_a_version_of_another_epoch_is_none():
    def script(hand):
        theirs, mine = yield from bind_sharing(hand)
        freeze = yield from hand.post(Freeze, 1, 'sync', False, False)
        yield from show(hand, mine, 1, [0.0, 0.0])
        yield from hand.answer(freeze)
        mine.mark(0, 0, 7)
        yield from hand.resume(1, 2 * 4)
        yield hand.coro.sleep(0.5)
        assert theirs.version(0, 1) == 1
        mine.mark(0, 2, 7)
        yield hand.coro.sleep(0.5)
        assert theirs.version(0, 1) == 1
        mine.mark(0, 1, 1)
        yield hand.coro.sleep(0.5)
        assert theirs.version(0, 1) == 2

    drive(script, **SHARED)


def test_in_async_what_the_neighbour_writes_is_used_without_a_word():
    def script(hand):
        theirs, mine = yield from bind_sharing(hand)
        freeze = yield from hand.post(Freeze, 1, 'async', False, False)
        yield from show(hand, mine, 1, [0.0, 0.0])
        yield from hand.answer(freeze)
        yield from hand.resume(1, 2 * 10 ** 5)
        yield hand.coro.sleep(0.5)
        mine.put(0, 0, 2, np.array([2.0, 3.0]))
        yield hand.coro.sleep(1.0)
        expected = np.linalg.solve(A[:2, :2], B[:2] - A[:2, 2:] @ [2.0, 3.0])
        assert theirs.get(0, 0, 2).tolist() == pytest.approx(expected.tolist())

    drive(script, each_step(1e-2), **SHARED)


def test_a_word_of_an_older_epoch_is_dropped_and_one_of_a_newer_is_kept():
    def script(hand):
        theirs, mine = yield from bind_sharing(hand)
        yield from show(hand, mine, 1, [1.0, 1.0])
        assert norm((yield from hand.ask(Freeze, 1, 'sync', False, False))) == pytest.approx(
            residual_norm([0, 0], [1, 1]))
        freeze = yield from hand.post(Freeze, 2, 'sync', False, False)
        yield from hand.send(Shown('s', 1, 1))
        assert (yield from hand.answer(freeze, 1.0)) is None
        yield from show(hand, mine, 2, [3.0, 1.0])
        yield from hand.send(Shown('s', 2, 1))
        assert norm((yield from hand.answer(freeze))) == pytest.approx(residual_norm([0, 0], [3, 1]))

    drive(script, **SHARED)


# ---- the frozen x is one x

@pytest.mark.parametrize('near', ['here', 'there'])
def test_what_the_pool_thread_writes_late_is_not_taken_for_the_frozen_x(near, monkeypatch):
    """Values of the older epoch reach x after the neighbour's frozen ones have come in."""
    sweep = Holding.sweep

    def late(self, *args):
        squares = sweep(self, *args)
        if simulation[0].now > 2.0:
            self.x[2:] = 9.0
        return squares

    simulation = []
    monkeypatch.setattr(Holding, 'sweep', late)

    def script(hand):
        simulation.append(hand.engine.simulation)
        if near == 'there':
            _, mine = yield from bind_sharing(hand)
        else:
            yield from hand.load()
            yield from hand.bind()
        freeze = yield from hand.post(Freeze, 1, 'async', False, False)
        yield from (show(hand, mine, 1, [0.0, 0.0]) if near == 'there' else hand.slices(1, 0))
        yield from hand.answer(freeze)
        yield from hand.resume(1, 2 * 10 ** 6)
        yield hand.coro.sleep(1.0)
        freeze = yield from hand.post(Freeze, 2, 'async', False, False)
        yield from (show(hand, mine, 2, [1.0, 2.0]) if near == 'there' else hand.slices(2, 0, (1.0, 2.0)))
        looked = yield from hand.answer(freeze, 30.0)
        own = (yield from hand.collect(2)).values
        assert isinstance(looked, Looked) and hand.engine.simulation.now > 3.0
        assert norm(looked) == pytest.approx(residual_norm(own, [1, 2]))

    for seed in range(6):
        del simulation[:]
        drive(script, each_step(1e-4, late=3.0), seed, near, exchange='shared')


def test_a_frozen_owner_takes_another_right_hand_side_and_start():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1)
        vectors = yield from hand.post(Vectors, 0, 10 * B[:2], np.array([1.0, 2.0]))
        assert isinstance((yield from hand.answer(vectors)), Taken)
        looked = yield from hand.freeze(2, (0.0, 0.0))
        assert norm(looked) == pytest.approx(np.linalg.norm(10 * B[:2] - A[:2, :2] @ [1.0, 2.0]))
        yield from hand.send(vectors)                               # late, and forgotten by now
        assert isinstance((yield from hand.resume(2, 2)), Resumed)
        yield from hand.wait(lambda message: isinstance(message, Report) and message.waiting)
        yield from hand.freeze(3)
        x0 = 1.0 + (10 * B[0] - A[0, :2] @ [1.0, 2.0]) / 4
        x1 = 2.0 + (10 * B[1] - A[1, :2] @ [x0, 2.0]) / 4
        assert (yield from hand.collect(3)).values.tolist() == pytest.approx([x0, x1])

    drive(script)


def test_the_order_of_updates_goes_on_where_the_turn_says():
    def script(hand):
        yield from hand.load()
        yield from hand.bind()
        yield from hand.freeze(1)
        yield from hand.ask(Resume, 1, *resume_until(2, order='symmetric', turn=1))
        yield from hand.wait(lambda message: isinstance(message, Report) and message.waiting)
        yield from hand.freeze(2)
        x1 = B[1] / 4
        assert (yield from hand.collect(2)).values.tolist() == [(B[0] + x1) / 4, x1]

    drive(script)
