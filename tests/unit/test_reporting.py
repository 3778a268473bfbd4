"""When an owner reports, and what."""
import math
import types

import pytest

from coro_sor.reporting import Reporter, owner_statistics, peak_bytes


def reporter(share=1.0, interval=0.2):
    made = Reporter('s', 3, interval)
    made.begin(1, share)
    return made


def taken(made, delivered=True):
    """The report that is due."""
    report, settle = made.produce()
    settle(delivered)
    return report


def test_a_report_says_how_it_stands_when_it_is_made_not_when_it_fell_due():
    made = reporter()
    assert made.note(0.0, (1, 1), 9.0, False)
    assert made.note(0.1, (2, 2), 8.0, False)
    report = taken(made)
    assert (report.owner, report.epoch, report.sweeps, report.squares, report.waiting) == (3, 1, (2, 2), 8.0, False)
    assert made.produce() is None


def test_running_flat_out_it_reports_no_faster_than_the_interval():
    made = reporter()
    count = 0
    for step in range(10_000):
        made.note(step * 1e-3, (step,), 5.0, False)
        while made.produce():
            count += 1
    assert 45 <= count <= 50


def test_the_first_sum_below_the_share_is_told_at_once_and_then_every_quarter():
    made = reporter()
    made.note(0.0, (1,), 5.0, False)
    taken(made)
    assert not made.note(0.02, (2,), 1.1, False)
    assert made.note(0.03, (3,), 1.0, False)
    taken(made)
    assert not made.note(0.05, (4,), 0.3, False)
    assert made.note(0.07, (5,), 0.25, False)


def test_good_news_keep_a_least_pause_too():
    made = reporter()
    times = [step * 1e-4 for step in range(1, 1000) if made.note(step * 1e-4, (step,), 0.2 ** step, False)
             and made.produce()]
    assert len(times) <= 11 and all(later - earlier > 0.0099 for earlier, later in zip(times, times[1:]))


def test_before_every_block_has_swept_nothing_counts_as_good():
    made = reporter()
    made.note(0.0, (0,), -1.0, False)
    taken(made)
    assert not made.note(0.1, (0,), -1.0, False)


@pytest.mark.parametrize('squares', [math.nan, math.inf])
def test_overflow_is_told_at_once_and_once(squares):
    made = reporter()
    made.note(0.0, (1,), 5.0, False)
    taken(made)
    assert made.note(0.001, (2,), squares, False)
    taken(made)
    assert not made.note(0.002, (3,), squares, False)


def test_the_end_of_the_sweeps_asked_for_is_told_at_once_and_once():
    made = reporter()
    made.note(0.0, (1,), 5.0, False)
    taken(made)
    assert made.note(0.001, (2,), 5.0, True)
    assert taken(made).waiting
    assert not made.note(0.002, (2,), 5.0, True)


def test_a_report_that_failed_is_due_again_with_all_its_sweeps():
    made = reporter()
    made.note_sweep(1, 4.0)
    made.note(0.0, (1,), 4.0, False)
    assert taken(made, delivered=False).by_sweep == ((1, 4.0),)
    made.note_sweep(2, 3.0)
    assert taken(made).by_sweep == ((1, 4.0), (2, 3.0))
    assert made.produce() is None


def test_a_report_that_failed_is_not_due_again_in_the_next_epoch():
    made = reporter()
    made.note_sweep(1, 4.0)
    made.note(0.0, (1,), 4.0, False)
    report, settle = made.produce()
    made.begin(2, 1.0)
    settle(False)
    assert made.produce() is None
    made.note(1.0, (1,), 9.0, False)
    assert taken(made).by_sweep == ()


def test_sweeps_that_nobody_fetches_fill_no_memory():
    made = reporter()
    for sweep in range(1, 30_001):
        made.note_sweep(sweep, 1.0)
    made.note(0.0, (30_000,), 1.0, False)
    assert len(taken(made).by_sweep) == 10_000


def test_the_peak_memory_is_that_of_this_process():
    found = peak_bytes()
    assert found is None or 10 << 20 < found < 100 << 30


class Part:
    """Something that counts."""

    def __init__(self, **counts):
        self._counts = counts

    def statistics(self):
        return self._counts


def test_what_an_owner_did_is_added_up_over_its_parts():
    holding = types.SimpleNamespace(blocks=range(3, 5), block_halos=[7, 9], start=10, stop=30, nonzeros=99)
    parts = [Part(slices_superseded=2, bytes_sent=50), None, Part(slices_superseded=3, row_updates=400)]
    told = owner_statistics(holding, types.SimpleNamespace(messages=6), 8, (1.5, 0.25, 0.125), parts,
                            {'bytes_sent': 8})
    peak = told.pop('peak_memory')
    assert peak is None or peak > 0
    assert told == {
        'blocks': [3, 4], 'block_halos': [7, 9], 'rows': 20, 'nonzeros': 99, 'row_updates': 400, 'bytes_sent': 58,
        'seconds_computing': 1.5, 'seconds_waiting': 0.25, 'seconds_exchanging': 0.125, 'messages_sent': 6,
        'messages_received': 8, 'slices_superseded': 5}


def test_an_owner_that_never_swept_has_done_nothing():
    holding = types.SimpleNamespace(blocks=[0], block_halos=[], start=0, stop=4, nonzeros=16)
    told = owner_statistics(holding, types.SimpleNamespace(messages=0), 1, (0.0, 0.0, 0.0), [None, None, None],
                            {})
    assert told['row_updates'] == told['slices_superseded'] == 0
