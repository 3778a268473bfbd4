"""When to look, and what a look found."""
import math

import numpy as np
import pytest

from coro_sor.convergence import EPS, GROWTH, Look, Outlook, combine


def part(values):
    """What an owner tells of these entries of the residual."""
    largest = float(np.abs(values).max())
    return largest, float(np.square(values / largest).sum()) if largest else 0.0


def outlook(*norms, threshold=1.0, sweeps=10.0, interval=1.0):
    """An Outlook whose looks found these norms, `sweeps` apart."""
    made = Outlook(threshold, 100.0, interval)
    for number, norm in enumerate(norms):
        made.add(Look(float(number), number * sweeps, norm, None))
    return made


# ---- combine

@pytest.mark.parametrize('scale', [1.0, 1e-200, 1e200])
def test_parts_combine_to_the_norm_of_the_whole_without_overflow_or_underflow(scale):
    values = scale * np.random.default_rng(1).standard_normal(100)
    found = combine([part(values[:30]), part(values[30:31]), part(values[31:])])
    assert found == pytest.approx(scale * np.linalg.norm(values / scale), rel=1e-14)


def test_parts_of_very_different_size_combine():
    assert combine([(1e300, 1.0), (1e-300, 5.0), (0.0, 0.0)]) == 1e300


def test_zeros_combine_to_zero():
    assert combine([(0.0, 0.0), (0.0, 0.0)]) == 0.0


def test_a_part_that_is_not_finite_gives_nan():
    assert math.isnan(combine([(1.0, 1.0), (math.nan, 0.0)]))
    assert math.isnan(combine([(math.inf, 1.0), (1.0, 1.0)]))


def test_a_norm_beyond_the_largest_double_is_infinite():
    assert combine([(1.5e308, 4.0)]) == math.inf


# ---- when

def test_a_report_below_the_threshold_is_worth_a_look_and_one_above_is_not():
    made = outlook(100.0)
    assert made.worth_a_look(1.0, 0.1, 0.0, 0.1)
    assert not made.worth_a_look(1.001, 0.1, 0.0, 0.1)


def test_incomplete_reports_are_worth_a_look_only_after_the_interval():
    made = outlook(100.0)
    assert not made.worth_a_look(None, 0.9, 0.0, 0.9)
    assert made.worth_a_look(None, 1.1, 0.0, 1.1)


def test_the_longest_pause_grows_with_the_run_and_with_what_a_look_costs():
    made = outlook(100.0)
    assert not made.worth_a_look(50.0, 19.0, 0.0, 100.0) and made.worth_a_look(50.0, 21.0, 0.0, 100.0)
    assert not made.worth_a_look(50.0, 19.0, 1.0, 30.0) and made.worth_a_look(50.0, 21.0, 1.0, 30.0)


def test_good_reports_call_for_no_look_sooner_than_the_last_took():
    assert not outlook(100.0).worth_a_look(0.5, 0.1, 0.2, 1.0)


@pytest.mark.parametrize('reported', [math.inf, math.nan, 2 * GROWTH * 100])
def test_an_explosion_is_worth_a_look_at_once(reported):
    assert outlook(100.0).worth_a_look(reported, 0.0, 10.0, 0.0)


def test_the_aim_follows_how_far_reports_were_from_the_truth():
    made = outlook()
    made.add(Look(0.0, 1.0, 10.0, 40.0))
    assert made.aim() == 4.0
    made.add(Look(1.0, 2.0, 10.0, 1e9))
    assert made.aim() == 10.0
    made.add(Look(2.0, 3.0, 10.0, 1e-9))
    assert made.aim() == 0.1
    made.restart()
    assert made.aim() == 1.0


def test_an_exploded_or_missing_report_leaves_the_aim_as_it_is():
    made = outlook()
    made.add(Look(0.0, 1.0, 10.0, math.inf))
    made.add(Look(1.0, 2.0, 0.0, 1.0))
    made.add(Look(1.0, 2.0, math.nan, 1.0))
    assert made.aim() == 1.0


# ---- what

def test_the_threshold_itself_passes_and_the_next_double_does_not():
    assert outlook(1.0).passed()
    assert not outlook(math.nextafter(1.0, 2.0) if hasattr(math, 'nextafter') else 1.0 + EPS).passed()
    assert not outlook(math.nan).passed()


def test_the_best_look_is_the_smallest_finite_one():
    made = outlook()
    assert [made.add(Look(0.0, 0.0, norm, None)) for norm in (5.0, 7.0, math.nan, 5.0, 4.0)] \
        == [True, False, False, False, True]
    assert made.best.residual_norm == 4.0


def test_growth_diverges_only_beyond_what_sor_shows_where_it_converges():
    assert not outlook(10.0, 1000.0).diverging()
    assert outlook(10.0, 1.01 * GROWTH * 10.0).diverging()
    assert outlook(10.0, math.nan).diverging() and outlook(10.0, math.inf).diverging()


def test_a_start_close_to_the_solution_may_still_grow():
    assert not outlook(1e-9, 100.0, threshold=1.0).diverging()


# ---- what SOR never does where it converges

def looked(*looks, threshold=1.0):
    """An Outlook after looks of (residual norm, energy)."""
    made = Outlook(threshold, 100.0, 1.0)
    for number, (norm, energy) in enumerate(looks):
        made.add(Look(float(number), 10.0 * number, norm, None, energy))
    return made


@pytest.mark.parametrize('before, last, rose', [
    (0.0, -1.0, False), (-1.0, -1.0, False), (-1.0, -2.0, False), (5.0, 4.9, False), (1.0, 1.0 + 1e-10, False),
    (-1.0, -1.0 + 1e-10, False), (-1.0, -1.0 + 1e-8, True), (-1.0, -0.999, True), (-1.0, 1.0, True),
    (0.0, 1e-300, True), (-1e300, -1e299, True), (-1e-200, -0.9e-200, True)])
def test_energy_that_rose_by_more_than_rounding_is_what_sor_never_shows(before, last, rose):
    assert looked((10.0, before), (10.0, last)).rose() is rose


def test_a_residual_that_grew_while_the_energy_fell_is_no_sign():
    assert not looked((10.0, 0.0), (5.0, -1.0), (5000.0, -2.0)).rose()


def test_a_residual_that_fell_while_the_energy_rose_is_one():
    assert looked((10.0, 0.0), (5.0, 1.0)).rose()


def test_without_energies_a_residual_a_hundred_times_the_best_is_a_sign():
    nan = math.nan
    assert not looked((10.0, nan), (5.0, nan), (499.0, nan)).rose()
    assert looked((10.0, nan), (5.0, nan), (501.0, nan)).rose()
    assert looked((5.0, nan), (400.0, nan), (501.0, nan)).rose()
    assert not looked((501.0, nan), (5.0, nan)).rose()


def test_without_energies_nothing_near_the_threshold_is_a_sign():
    assert not looked((1e-9, math.nan), (99.0, math.nan), threshold=1.0).rose()
    assert looked((1e-9, math.nan), (101.0, math.nan), threshold=1.0).rose()


def test_an_energy_that_is_missing_once_leaves_it_to_the_residual():
    assert not looked((10.0, math.nan), (9.0, 5.0)).rose() and not looked((10.0, 5.0), (9.0, math.nan)).rose()
    assert looked((10.0, math.nan), (1001.0, -5.0)).rose() and looked((10.0, 5.0), (1001.0, math.nan)).rose()
    assert not looked((10.0, math.inf), (9.0, math.inf)).rose()


@pytest.mark.parametrize('norm', [math.nan, math.inf])
@pytest.mark.parametrize('energy', [math.nan, -1.0])
def test_a_residual_that_overflowed_is_a_sign(norm, energy):
    assert looked((10.0, 0.0), (norm, energy)).rose()


def test_one_look_is_no_sign_and_only_the_last_two_looks_count():
    assert not looked().rose() and not looked((math.nan, 0.0)).rose() and not looked((10.0, 5.0)).rose()
    assert not looked((10.0, 0.0), (10.0, 5.0), (10.0, 4.0)).rose()
    assert looked((10.0, 0.0), (10.0, -5.0), (10.0, -4.0)).rose()


FLOOR = 20.0 * EPS      # rows of 100 entries, and |A| |x| + |b| of norm 1


def test_no_progress_at_the_level_of_rounding_is_stagnation():
    assert outlook(1.0, 0.5 * FLOOR, 0.5 * FLOOR, 0.5 * FLOOR, threshold=1e-30).stagnated(1.0)


def test_without_the_size_of_the_terms_nothing_is_called_stagnation():
    assert not outlook(1.0, 0.5 * FLOOR, 0.5 * FLOOR, 0.5 * FLOOR, threshold=1e-30).stagnated(math.nan)


def test_a_threshold_that_is_not_finite_is_never_passed():
    assert not outlook(math.inf, threshold=math.inf).passed() and not outlook(1.0, threshold=math.inf).passed()


@pytest.mark.parametrize('norms', [(0.5 * FLOOR, 0.5 * FLOOR), (1.0, 0.5 * FLOOR, 0.2 * FLOOR, 0.2 * FLOOR),
                                   (1.0, 5 * FLOOR, 5 * FLOOR, 5 * FLOOR)],
                         ids=['two looks only', 'progress', 'far above rounding'])
def test_anything_else_is_no_stagnation(norms):
    assert not outlook(*norms, threshold=1e-30).stagnated(1.0)


def test_looks_without_sweeps_between_them_say_nothing_of_progress():
    assert not outlook(1.0, *[0.5 * FLOOR] * 3, threshold=1e-30, sweeps=1.0).stagnated(1.0)


def test_sweeps_to_go_are_few_at_first_and_then_follow_the_rate():
    assert outlook(1e6).sweeps_to_go() == 4
    assert outlook(1e6, 1e5).sweeps_to_go() == 20         # done so far: no further than twice that in one go
    assert outlook(1e6, 1e5, 1e1).sweeps_to_go() == math.ceil(math.log(1e1) / (math.log(1e4) / 10))


def test_sweeps_to_go_are_cautious_where_there_is_no_rate():
    assert outlook(1e6, 1e7).sweeps_to_go() == 4
    assert outlook(1e6, math.nan, sweeps=100.0).sweeps_to_go() == 25
    assert outlook(1e6, 0.5, sweeps=100.0).sweeps_to_go() == 25
    assert outlook(1e6, 1e5, threshold=0.0, sweeps=100.0).sweeps_to_go() == 25


def test_sweeps_to_go_are_bounded():
    assert outlook(1e6, 1e6 - 1, sweeps=1e7).sweeps_to_go() == 10_000


def look(energy, residual=1.0, sweeps=10.0):
    return Look(0.0, sweeps, residual, None, energy)


def test_of_a_symmetric_matrix_the_lower_energy_is_better_though_the_residual_has_grown():
    assert look(-2.0, 60.0).better_than(look(-1.0, 1.0)) and not look(-1.0, 1.0).better_than(look(-2.0, 60.0))


def test_energies_that_rounding_hides_are_left_to_the_residuals():
    assert look(-1.0, 0.5).better_than(look(-1.0 - 1e-15, 1.0))
    assert not look(-1.0, math.nan).better_than(look(-1.0, 1.0)) and look(-1.0, 1.0).better_than(look(-1.0, math.nan))


def test_an_energy_that_falls_while_x_grows_without_bounds_is_not_better():
    made = outlook()
    assert made.add(look(-1.0, 1.0)) and made.add(look(-2.0, 0.9 * GROWTH)) and not made.add(look(-9.0, 1.1 * GROWTH))


def test_a_rise_of_the_energy_within_its_rounding_is_none():
    made = outlook()
    made.add(look(-1.0))
    made.add(look(-0.99))
    assert made.rose()
    made.allow_for_rounding(1e14)
    assert not made.rose()


def test_after_a_loss_no_look_is_compared_with_those_before():
    made = outlook()
    made.add(look(-2.0, sweeps=10.0))
    made.begin_anew()
    assert made.add(look(-1.0, sweeps=20.0)) and not made.rose() and math.isnan(made.seconds_to_go())
    made.add(look(-0.5, sweeps=30.0))
    assert made.rose()


def test_the_time_left_follows_from_the_last_rate_and_pace():
    made = Outlook(1.0, 5.0, 1.0)
    for number, norm in enumerate((1e6, 1e4)):
        made.add(Look(3.0 * number, 10.0 * number, norm, None))
    assert made.seconds_to_go() == pytest.approx(6.0)
