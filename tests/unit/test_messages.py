"""Messages refuse what makes no sense, and both wires can carry all of them."""
import dataclasses
import inspect

import numpy as np
import pytest

from coro_sor import messages
from coro_sor.messages import MESSAGES, Answer, Assignment, Cancel, Message, Request, Slices


def assignment(owner=0, owner_bounds=(0, 4, 8), block_bounds=(0, 2, 4, 8)):
    return Assignment(owner, 1, np.array(owner_bounds), np.array(block_bounds), False, 0,
                      np.arange(len(block_bounds) - 1), {})


@pytest.mark.parametrize('wrong', [
    {'owner': 2}, {'owner': -1}, {'block_bounds': (0, 4, 4, 8)}, {'block_bounds': (1, 4, 8)}, {'block_bounds': (0,)},
    {'owner_bounds': (0, 3, 8)}, {'block_bounds': (0, 4, 2, 8)}], ids=str)
def test_an_assignment_whose_bounds_make_no_sense_is_refused(wrong):
    assignment()
    with pytest.raises(ValueError):
        assignment(**wrong)


@pytest.mark.parametrize('parts, values', [
    ([[0, 1, 0, 3]], [1.0, 2.0]), ([[0, 1, 3, 0]], []), ([[0, -1, 0, 1]], [1.0]), ([[0, 1, 0]], []),
    ([0, 1, 0, 1], [1.0])])
def test_slices_whose_values_do_not_fit_their_parts_are_refused(parts, values):
    with pytest.raises(ValueError):
        Slices('s', 1, 0, np.array(parts, dtype=np.int64), np.array(values))


def test_slices_of_another_type_are_refused():
    with pytest.raises(ValueError):
        Slices('s', 1, 0, np.array([[0, 1, 0, 1]], dtype=np.int32), np.array([1.0]))
    with pytest.raises(ValueError):
        Slices('s', 1, 0, np.array([[0, 1, 0, 1]], dtype=np.int64), np.array([1.0], dtype=np.float32))


def test_every_message_is_registered_but_the_users_own_wish_to_end():
    kinds = {kind for _, kind in inspect.getmembers(messages, inspect.isclass) if issubclass(kind, Message)}
    assert kinds - set(MESSAGES.values()) == {Message, Request, Answer, Cancel}
    assert all(MESSAGES[name].__name__ == name for name in MESSAGES)


@pytest.mark.parametrize('kind', MESSAGES.values(), ids=lambda kind: kind.__name__)
def test_every_message_is_frozen_and_says_who_sends_it_and_what_each_field_is(kind):
    assert kind.__dataclass_params__.frozen
    assert '->' in kind.__doc__ or kind.__name__ == 'Heartbeat'
    lines = inspect.getsource(kind).splitlines()
    for field in dataclasses.fields(kind):
        at = [number for number, line in enumerate(lines) if line.strip().startswith(field.name + ':')]
        assert not at or lines[at[0] + 1].strip().startswith('"""'), field.name
