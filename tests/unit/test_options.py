"""Options: every bad value is refused by name; numbers of any kind are taken."""
import dataclasses
import math

import numpy as np
import pytest

from coro_sor.options import Options
from coro_sor.solution import InputError

BAD = {
    'omega': (0, 2, -1.0, 2.5, math.nan, math.inf, '1.2', None, True, np.array([1.0, 1.5]), 1j),
    'rtol': (-1e-9, math.nan, math.inf, '1e-8', None, False),
    'atol': (-1.0, math.nan, math.inf, '0', None, True),
    'schedule': ('', 'Async', 'chaotic', None, 1, np.array(['async', 'sync'])),
    'max_staleness': (0, -1, 1.5, '2', math.nan, True),
    'max_sweeps': (0, -5, 2.5, '10', None, math.nan, True),
    'time_limit': (0, -1.0, math.nan, math.inf, '5', True),
    'blocks': (0, -2, 1.5, '4', True),
    'seed': (-1, 0.5, 'x', None, True),
    'exchanges': (0, 1.5, '8', None),
    'panel_nonzeros': (0, 1.5, '8', None),
    'chunk_bytes': (0, 4095, (32 << 20) + 1, 5000.0, '8192', None),
    'local_files': (1, 0, 'yes', None),
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


def test_a_bound_on_staleness_goes_with_async_only():
    assert Options(max_staleness=2).max_staleness == 2
    for schedule in ('sync', 'ordered'):
        with pytest.raises(InputError, match='max_staleness'):
            Options(schedule=schedule, max_staleness=2)


def test_numbers_of_numpy_are_taken_and_become_plain():
    options = Options(omega=np.float32(1.5), rtol=np.float64(1e-6), atol=np.int64(0), time_limit=7,
                      max_sweeps=np.uint16(9), blocks=np.int64(3), max_staleness=np.int8(2), local_files=np.bool_(False))
    assert dataclasses.astuple(options) == dataclasses.astuple(
        Options(omega=1.5, rtol=1e-6, time_limit=7.0, max_sweeps=9, blocks=3, max_staleness=2, local_files=False))
    assert {type(value) for value in dataclasses.astuple(options)} == {int, float, bool, str}


def test_an_unknown_option_is_refused_with_those_that_exist():
    with pytest.raises(InputError, match="'omgea'.*omega"):
        Options.from_keywords({'omgea': 1.2})
    assert Options.from_keywords({'omega': 1.2}).omega == 1.2
