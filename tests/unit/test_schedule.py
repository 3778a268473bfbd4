"""Which version of a neighbour's slice a block may use."""
import pytest

from coro_sor.schedule import exact, needs


@pytest.mark.parametrize('sweep', [1, 2, 7])
def test_sync_uses_exactly_the_sweep_before_whoever_comes_first(sweep):
    assert needs('sync', True, sweep) == needs('sync', False, sweep) == sweep - 1


@pytest.mark.parametrize('sweep', [1, 2, 7])
def test_ordered_uses_this_sweep_of_those_before_and_the_last_of_those_after(sweep):
    assert needs('ordered', True, sweep) == sweep
    assert needs('ordered', False, sweep) == sweep - 1


def test_async_uses_any_version():
    assert all(needs('async', before, sweep) == 0 for before in (False, True) for sweep in (1, 50))


@pytest.mark.parametrize('before', [False, True])
@pytest.mark.parametrize('bound', [1, 2, 3])
def test_bounded_async_uses_none_older_than_its_bound_and_never_waits_for_less_than_the_frozen_x(bound, before):
    assert [needs('async', before, sweep, bound) for sweep in range(1, 6)] == [max(0, sweep - bound)
                                                                              for sweep in range(1, 6)]


def test_all_schedules_but_async_use_exact_versions():
    assert [exact(schedule) for schedule in ('async', 'sync', 'ordered')] == [False, True, True]
