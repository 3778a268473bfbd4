"""A block owner whose coordinator falls silent, and what is no silence; driven by hand through the simulator."""
import numpy as np

from campaign import each_step
from coro_sor.block import BlockOwner
from coro_sor.messages import Prepare, Prepared, Rows, Vectors
from owner_by_hand import A, B, drive


def test_without_the_coordinator_it_pauses_after_the_patience_and_ends_after_the_lease(monkeypatch):
    swept = []
    stepped = BlockOwner.stepped
    monkeypatch.setattr(BlockOwner, 'stepped',
                        lambda self, *args: swept.append(self._engine.now()) or stepped(self, *args))
    times = []

    def script(hand):
        yield from hand.reach('SWEEPING')
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

    assert drive(script, cost=each_step(0.05), patience=5.0, lease=15.0)[1] == []


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

    drive(script, cost=each_step(30.0), patience=5.0, lease=15.0)
