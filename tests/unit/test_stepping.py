"""What the pool thread does around each step: waits for memory, never for messages, and publishes at once."""
import pytest

from coro_sor.stepping import Hooks

STEP = (2, 1, 7)        # block, panel, sweep


class Fakes:
    """Engine, sweeper, incoming and neighbours in one; everything that happens is noted, and takes a second."""

    def __init__(self, lacking=None, by_message=False, arrives=None, wanted=lambda: True, readers=()):
        self.log, self.time = [], 0.0
        self._lacking, self._by_message, self._arrives = lacking, by_message, arrives
        self._wanted, self._readers = wanted, readers

    def hooks(self, fleeting=True):
        return Hooks(self, self, self, self, fleeting, self._wanted)

    # engine
    def now(self):
        return self.time

    def until(self, condition, seconds):
        assert 0 < seconds <= 0.1
        self.log.append('waits')
        for _ in range(10):
            if condition():
                return
            self.time += 1.0
            self._let_arrive()

    def _let_arrive(self):
        if self._arrives is not None and self.time >= self._arrives:
            self._lacking = None

    # sweeper
    def lacking(self, *step):
        assert step == STEP
        return self._lacking

    def before(self, *step):
        assert step == STEP
        self.time += 0.5
        self.log.append('takes')

    def after(self, *step):
        *step, currents = step
        assert tuple(step) == STEP and currents == {0: 'outbox 0', 3: 'outbox 3'}
        self.time += 0.25
        self.log.append('gives')
        return self._readers

    # incoming
    def by_message(self, block):
        assert block == 5
        return self._by_message

    # neighbours
    def currents(self):
        return {0: 'outbox 0', 3: 'outbox 3'}

    def send_now(self, owner, current, fleeting):
        self.log.append((owner, current, fleeting))


def test_a_step_that_lacks_nothing_takes_what_came_in_and_begins():
    fakes = Fakes()
    hooks = fakes.hooks()
    assert hooks.before(*STEP) is True
    assert fakes.log == ['takes'] and (hooks.waited, hooks.exchanged) == (0.0, 0.5)


def test_nothing_is_taken_once_the_owner_wants_no_more_steps():
    fakes = Fakes(wanted=lambda: False)
    assert fakes.hooks().before(*STEP) is False and fakes.log == []


def test_what_comes_by_message_is_left_to_the_actor_at_once():
    fakes = Fakes(lacking=5, by_message=True)
    hooks = fakes.hooks()
    assert hooks.before(*STEP) is False
    assert fakes.log == [] and hooks.exchanged == 0.0


def test_what_comes_through_memory_is_waited_for():
    fakes = Fakes(lacking=5, arrives=3.0)
    hooks = fakes.hooks()
    assert hooks.before(*STEP) is True
    assert fakes.log == ['waits', 'takes'] and (hooks.waited, hooks.exchanged) == (3.0, 0.5)


def test_a_wait_that_was_in_vain_ends_the_call_and_takes_nothing():
    fakes = Fakes(lacking=5)
    hooks = fakes.hooks()
    assert hooks.before(*STEP) is False
    assert fakes.log == ['waits'] and (hooks.waited, hooks.exchanged) == (10.0, 0.0)


def test_a_wait_ends_when_the_owner_wants_no_more_steps_and_takes_nothing_even_if_it_came():
    fakes = Fakes(lacking=5, arrives=4.0, wanted=lambda: fakes.time < 4.0)
    hooks = fakes.hooks()
    assert hooks.before(*STEP) is False
    assert fakes.log == ['waits'] and hooks.waited == 4.0


@pytest.mark.parametrize('fleeting', [False, True])
def test_what_a_step_has_changed_leaves_at_once_for_those_that_need_a_message(fleeting):
    fakes = Fakes(readers=[3])
    hooks = fakes.hooks(fleeting)
    assert hooks.after(*STEP) is True
    assert fakes.log == ['gives', (3, 'outbox 3', fleeting)] and hooks.exchanged == 0.25


def test_what_was_changed_is_given_away_also_where_no_more_steps_are_wanted():
    fakes = Fakes(wanted=lambda: False, readers=[0, 3])
    assert fakes.hooks().after(*STEP) is False
    assert fakes.log == ['gives', (0, 'outbox 0', True), (3, 'outbox 3', True)]
