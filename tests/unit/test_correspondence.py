"""What the coordinator makes of its mail, and what it tells owners of the options."""
import dataclasses
import pathlib
import re

import pytest

from coro_sor.coordinator import Coordinator
from coro_sor.correspondence import OWNER_SETTINGS, Correspondence
from coro_sor.messages import Report
from coro_sor.options import Options
from coro_sor.record import sum_by_sweep


class Clock:
    """An engine that only knows the time."""

    def now(self):
        return 0.0


def report(sweeps, squares=1.0, waiting=False, owner=0, by_sweep=(), epoch=-1):
    return Report('s', epoch, owner, sweeps, squares, tuple(by_sweep), waiting)


@pytest.fixture
def desk():
    made = Correspondence(Clock(), 's', Options(), None)
    made.expect([None])
    return made


@pytest.mark.parametrize('late', [report((3, 3), waiting=False), report((4, 3), waiting=False),
                                  report((4, 4), waiting=False)])
def test_a_report_that_was_late_on_its_way_does_not_replace_a_newer_one(desk, late):
    newest = report((4, 4), waiting=True)
    desk._take(newest)
    desk._take(late)
    assert desk.reports == {0: newest}
    again = report((4, 5), waiting=False)
    desk._take(again)
    assert desk.reports == {0: again}


def test_a_report_of_another_epoch_is_dropped(desk):
    desk._take(report((4,), epoch=3))
    assert desk.reports == {}


def test_sweeps_that_are_told_twice_count_once():
    coordinator = Coordinator.__new__(Coordinator)
    coordinator._met = {}
    for told in (report((2,), by_sweep=[(1, 4.0), (2, 2.0)]), report((2,), by_sweep=[(1, 4.0), (2, 2.0)]),
                 report((1,), owner=1, by_sweep=[(1, 5.0)])):
        coordinator.take_report(told)
    parts = [(sweep, squares) for (_, sweep), squares in coordinator._met.items()]
    assert sum_by_sweep(parts, 2) == {1: 9.0}


def test_owners_are_told_of_the_options_as_they_are():
    options = Options(exchange='messages', exchange_every=7, storage='float32', seed=5, max_staleness=3,
                      schedule='async')
    settings = Correspondence(Clock(), 's', options, None).settings()
    assert settings == {name: getattr(options, name) for name in OWNER_SETTINGS}
    assert set(OWNER_SETTINGS) <= {field.name for field in dataclasses.fields(Options)}


def test_owners_are_told_of_every_setting_that_they_look_at():
    package = pathlib.Path(__file__).parents[2] / 'coro_sor'
    looked_at = {name for path in package.glob('*.py')
                 for name in re.findall(r"settings(?:\[|\.get\()'(\w+)'", path.read_text(encoding='utf-8'))}
    assert {'exchange', 'storage', 'patience'} <= looked_at
    assert looked_at - {'whole_blocks'} == set(OWNER_SETTINGS)
