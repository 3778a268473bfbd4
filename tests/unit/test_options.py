"""Options: every bad value is refused by name; numbers of any kind are taken."""
import dataclasses
import math

import numpy as np
import pytest

from coro_sor.options import CHOICES, Options
from coro_sor.solution import InputError

BAD = {
    'omega': (0, 2, -1.0, 2.5, math.nan, math.inf, '1.2', None, True, np.array([1.0, 1.5]), 1j),
    'rtol': (-1e-9, math.nan, math.inf, '1e-8', None, False),
    'atol': (-1.0, math.nan, math.inf, '0', None, True),
    **dict.fromkeys(CHOICES, ('', 'Async', 'chaotic', None, 1, True, np.array(['async', 'sync']))),
    'max_staleness': (0, -1, 1.5, '2', math.nan, True),
    'max_sweeps': (0, -5, 2.5, '10', None, math.nan, True),
    'time_limit': (0, -1.0, math.nan, math.inf, '5', True),
    **dict.fromkeys(('blocks', 'exchange_every'), (0, -2, 1.5, '4', math.nan, True)),
    'seed': (-1, 0.5, 'x', None, True),
    'exchanges': (0, 1.5, '8', None),
    'panel_nonzeros': (0, 1.5, '8', None),
    'chunk_bytes': (0, 4095, (32 << 20) + 1, 5000.0, '8192', None),
    **dict.fromkeys(('local_files', 'plain_omega'), (1, 0, 'yes', None, np.array([True, False]))),
    **dict.fromkeys(('report_interval', 'patience', 'lease', 'connect_timeout', 'retry', 'delivery_timeout',
                     'stop_timeout', 'look_interval'), (0, -1.0, math.nan, math.inf, '3', None, True)),
}


def test_bad_values_of_every_option_are_known():
    assert set(BAD) == {field.name for field in dataclasses.fields(Options)}


@pytest.mark.parametrize('name, value', [(name, value) for name in BAD for value in BAD[name]],
                         ids=lambda part: str(part)[:20])
def test_a_bad_value_is_refused_with_the_name_of_its_option(name, value):
    with pytest.raises(InputError, match=r'\b%s\b' % name):
        Options(**{name: value})


def test_two_tolerances_of_zero_are_refused():
    with pytest.raises(InputError, match='rtol'):
        Options(rtol=0, atol=0)
    assert Options(rtol=0, atol=1e-6).atol == 1e-6


@pytest.mark.parametrize('name, word', [(name, word) for name in CHOICES for word in CHOICES[name]])
def test_every_word_that_is_offered_is_taken(name, word):
    assert getattr(Options(**{name: word}), name) == word
    with pytest.raises(InputError, match='%s.*%s' % (name, ', '.join(CHOICES[name]))):
        Options(**{name: word + ' '})


def test_the_first_word_is_the_default():
    assert {name: getattr(Options(), name) for name in CHOICES} == {name: words[0] for name, words in CHOICES.items()}


def test_a_bound_on_staleness_goes_with_async_only():
    assert Options(schedule='async', max_staleness=2).max_staleness == 2
    for schedule in set(CHOICES['schedule']) - {'async'}:
        with pytest.raises(InputError, match='max_staleness'):
            Options(schedule=schedule, max_staleness=2)


def test_numbers_of_numpy_are_taken_and_become_plain():
    options = Options(omega=np.float32(1.5), rtol=np.float64(1e-6), atol=np.int64(0), time_limit=7,
                      max_sweeps=np.uint16(9), blocks=np.int64(3), max_staleness=np.int8(2), schedule=np.str_('async'),
                      exchange_every=np.int32(5), seed=np.uint64(4), local_files=np.bool_(False), plain_omega=np.True_)
    assert dataclasses.astuple(options) == dataclasses.astuple(
        Options(omega=1.5, rtol=1e-6, time_limit=7.0, max_sweeps=9, blocks=3, max_staleness=2, schedule='async',
                exchange_every=5, seed=4, local_files=False, plain_omega=True))
    assert {type(value) for value in dataclasses.astuple(options)} == {int, float, bool, str}


def test_an_unknown_option_is_refused_with_those_that_exist():
    with pytest.raises(InputError, match="'omgea'.*omega"):
        Options.from_keywords({'omgea': 1.2})
    assert Options.from_keywords({'omega': 1.2}).omega == 1.2
