"""What a solve begins with, and what changes when it goes wrong: each transition, the trial of orders, the promises."""
import math
import types

import pytest

from coro_sor.convergence import GROWTH, Look, Outlook
from coro_sor.options import Options
from coro_sor.steering import Steering


def scan(symmetric=True, row_ratio=2.0, column_ratio=2.0):
    return types.SimpleNamespace(symmetric=symmetric, row_ratio=row_ratio, column_ratio=column_ratio)


def steering(schedule='async', owners=2, sparse=False, scanned=None, **options):
    return Steering(schedule, Options(**options), scanned or scan(), owners, sparse)


def outlook(*looks, threshold=1e-6):
    """An Outlook after looks of (residual norm, energy)."""
    made = Outlook(threshold, 10.0, 1.0)
    for number, (norm, energy) in enumerate(looks):
        made.add(Look(float(number), 10.0 * number, norm, None, energy))
    return made


FINE = outlook((1.0, 0.0), (0.5, -1.0))
NOT_YET = outlook((1.0, 0.0), (50.0, -1.0))        # the residual may rise where the energy falls
ROSE = outlook((1.0, 0.0), (0.5, 1.0))
OVERFLOWED = outlook((1.0, 0.0), (math.nan, math.nan))
EXPLODED = outlook((1.0, math.nan), (2 * GROWTH, math.nan))
RESIDUAL_ROSE = outlook((1.0, math.nan), (200.0, math.nan))


# ---- what it begins with

@pytest.mark.parametrize('symmetric, plain, capped', [(True, False, True), (True, True, False), (False, False, False)])
def test_omega_is_lowered_row_by_row_for_symmetric_matrices_unless_it_is_to_be_plain(symmetric, plain, capped):
    assert steering(scanned=scan(symmetric), plain_omega=plain).capped is capped


@pytest.mark.parametrize('schedule, owners, blocks, lowered', [
    ('async', 2, None, True), ('sync', 2, None, True), ('ordered', 2, None, False), ('ordered', 2, 8, False),
    ('async', 1, 8, False), ('sync', 1, None, False), ('sync', 1, 8, True)])
def test_omega_is_lowered_for_nonsymmetric_matrices_only_where_blocks_are_swept_side_by_side(schedule, owners, blocks,
                                                                                            lowered):
    made = steering(schedule, owners, scanned=scan(False, 0.5, 3.0), omega=1.9, blocks=blocks)
    assert (made.omega < 4 / 3) is lowered and (made.omega == 1.9) is not lowered
    assert made.convergence().startswith('proven') is lowered


def test_omega_is_lowered_as_a_whole_for_nonsymmetric_dominant_matrices_unless_it_is_to_be_plain():
    dominant = scan(False, 0.5, 3.0)
    assert 1.32 < steering(scanned=dominant, omega=1.9).omega < 4 / 3
    assert steering(scanned=dominant, omega=1.2).omega == 1.2
    assert steering(scanned=dominant, omega=1.9, plain_omega=True).omega == 1.9
    assert steering(scanned=scan(False, 1.0, 3.0), omega=1.9).omega == 1.9
    assert steering(scanned=scan(True, 0.5, 0.5), omega=1.9).omega == 1.9


# ---- the order of updates

@pytest.mark.parametrize('order', ['cyclic', 'symmetric', 'shuffled'])
def test_an_order_that_was_asked_for_is_used_and_nothing_is_tried(order):
    made = steering('ordered', order=order)
    assert (made.order, made.why_order, made.trial) == (order, 'as asked for', None)


@pytest.mark.parametrize('made, why', [
    (steering('ordered', sparse=True), 'sparse'),
    (steering('ordered', scanned=scan(row_ratio=0.9)), 'strictly diagonally dominant'),
    (steering('ordered', scanned=scan(column_ratio=0.9)), 'strictly diagonally dominant'),
    (steering('async'), 'only ordered'), (steering('sync'), 'only ordered'),
    (steering('ordered', scanned=scan(symmetric=False)), 'only ordered')])
def test_where_a_shuffle_does_not_help_the_order_is_cyclic_and_nothing_is_tried(made, why):
    assert made.order == 'cyclic' and made.trial is None and why in made.why_order


@pytest.mark.parametrize('schedule, owners', [('ordered', 4), ('ordered', 1), ('async', 1), ('sync', 1)])
def test_a_dense_symmetric_matrix_is_tried_shuffled_first(schedule, owners):
    made = steering(schedule, owners)
    assert made.order == 'shuffled' and 1 <= made.trial <= 20 and made.why_order == 'being tried'


def look(sweeps, norm):
    return Look(0.0, sweeps, norm, None)


@pytest.mark.parametrize('shuffled, cyclic, best', [(0.1, 0.5, 'shuffled'), (0.5, 0.1, 'cyclic'),
                                                    (0.5, math.nan, 'shuffled'), (math.nan, 0.5, 'cyclic'),
                                                    (math.inf, 3.0, 'cyclic')])
def test_the_order_that_left_less_of_the_residual_in_a_sweep_is_kept(shuffled, cyclic, best):
    made = steering('ordered')
    made.note_trial(look(0, 100.0), look(2, 100.0 * shuffled ** 2))
    assert made.order == 'cyclic' and made.trial
    made.note_trial(look(2, 10.0), look(8, 10.0 * cyclic ** 6))
    assert made.order == best and made.trial is None
    for factor, order in ((shuffled, 'shuffled'), (cyclic, 'cyclic')):
        if math.isfinite(factor):
            assert '%.2f of the residual in %s order' % (factor, order) in made.why_order


def test_the_rate_of_a_sweep_counts_not_that_of_the_whole_trial():
    made = steering('ordered')
    made.note_trial(look(0, 1.0), look(10, 0.1))      # 0.79 a sweep
    made.note_trial(look(10, 0.1), look(11, 0.05))    # 0.5 a sweep
    assert made.order == 'cyclic'


def test_looks_without_sweeps_between_them_decide_nothing():
    made = steering('ordered')
    made.note_trial(look(5, 1.0), look(5, 1.0))
    assert made.order == 'shuffled' and made.trial


def test_after_the_trial_no_look_changes_the_order():
    made = steering('ordered')
    made.note_trial(look(0, 1.0), look(6, 0.1))
    made.note_trial(look(6, 0.1), look(12, 0.09))
    why = made.why_order
    made.note_trial(look(12, 0.09), look(18, 1e-9))
    assert made.order == 'shuffled' and made.why_order == why and made.trial is None


# ---- when it goes wrong

@pytest.mark.parametrize('schedule', ['async', 'sync', 'ordered'])
@pytest.mark.parametrize('plain', [False, True])
@pytest.mark.parametrize('found', [FINE, NOT_YET], ids=['falls', 'residual rises'])
def test_what_goes_well_goes_on(schedule, plain, found):
    made = steering(schedule, plain_omega=plain, omega=1.5)
    assert made.react(found) == 'go on'
    assert (made.schedule, made.omega, made.notes, made.why_schedule) == (schedule, 1.5, [], None)


@pytest.mark.parametrize('schedule', ['async', 'sync'])
@pytest.mark.parametrize('found', [ROSE, OVERFLOWED, EXPLODED], ids=['rose', 'overflowed', 'exploded'])
def test_first_omega_is_lowered_and_then_it_is_ordered(schedule, found):
    made = steering(schedule, omega=1.8)
    assert made.react(found) == 'go back'
    assert made.schedule == schedule and made.omega == pytest.approx(1.4) and made.capped and not made.why_schedule
    assert len(made.notes) == 1 and 'energy rose in %s:' % schedule in made.notes[0] and '1.4' in made.notes[0]
    assert made.react(found) == 'go back'
    assert (made.schedule, made.omega, made.capped) == ('ordered', 1.8, False)
    assert made.why_schedule == 'the energy rose in %s' % schedule
    assert len(made.notes) == 2 and 'rose in %s again' % schedule in made.notes[1]


def test_what_goes_well_between_two_rises_does_not_count_as_a_new_beginning():
    made = steering(omega=1.8)
    assert [made.react(found) for found in (ROSE, FINE, FINE, ROSE)] == ['go back', 'go on', 'go on', 'go back']
    assert made.schedule == 'ordered'


@pytest.mark.parametrize('omega, lowered', [(1.8, 1.4), (1.2, 1.1), (1.0, 0.75), (0.4, 0.3)])
def test_lowered_omega_lies_halfway_to_one_or_below_it(omega, lowered):
    made = steering(omega=omega)
    made.react(ROSE)
    assert made.omega == pytest.approx(lowered)


def test_a_nonsymmetric_matrix_is_judged_by_its_residual():
    made = steering(scanned=scan(False), omega=1.8)
    assert made.react(outlook((1.0, math.nan), (50.0, math.nan))) == 'go on'
    assert made.react(RESIDUAL_ROSE) == 'go back' and 'residual rose' in made.notes[0]
    assert made.react(RESIDUAL_ROSE) == 'go back' and made.schedule == 'ordered'
    assert made.react(RESIDUAL_ROSE) == 'go on'         # SOR's own may rise so far
    assert made.react(EXPLODED) == 'give up'
    assert made.react(OVERFLOWED) == 'give up'
    assert len(made.notes) == 2


@pytest.mark.parametrize('schedule, owners', [('ordered', 4), ('async', 1), ('sync', 1)])
def test_energy_that_rises_in_exact_order_proves_that_there_is_no_solution_to_find(schedule, owners):
    made = steering(schedule, owners)
    assert made.react(ROSE) == 'give up'
    assert made.notes == ['the energy rose in exact order: A is not positive semidefinite']


@pytest.mark.parametrize('found', [OVERFLOWED, EXPLODED])
def test_an_explosion_in_exact_order_proves_nothing_and_ends_it(found):
    made = steering('ordered')
    assert made.react(found) == 'give up' and made.notes == []


@pytest.mark.parametrize('found', [OVERFLOWED, EXPLODED])
@pytest.mark.parametrize('plain', [False, True])
def test_an_explosion_in_exact_order_of_a_dominant_matrix_asks_for_an_omega_that_is_proven_once(found, plain):
    made = steering('ordered', scanned=scan(False, 0.5, 7.0), omega=1.9, plain_omega=plain)
    assert made.react(RESIDUAL_ROSE) == 'go on' and made.omega == 1.9
    if not plain:
        assert made.react(found) == 'go back' and 1.3 < made.omega < 4 / 3 and made.schedule == 'ordered'
        assert len(made.notes) == 1 and 'the residual rose in exact order' in made.notes[0]
    assert made.react(found) == 'give up' and len(made.notes) == (0 if plain else 1)


@pytest.mark.parametrize('schedule', ['async', 'sync', 'ordered'])
def test_plain_omega_has_no_guard_and_ends_where_it_diverges(schedule):
    made = steering(schedule, plain_omega=True, omega=1.8)
    for found in (ROSE, RESIDUAL_ROSE):
        assert made.react(found) == 'go on'
    for found in (EXPLODED, OVERFLOWED):
        assert made.react(found) == 'give up'
    assert (made.schedule, made.omega, made.notes) == (schedule, 1.8, [])


# ---- what is promised

DOMINANT = scan(True, 0.5, 0.5)
ONE_SIDED = scan(False, 0.5, 7.0)


@pytest.mark.parametrize('made, begins', [
    (steering('async', scanned=DOMINANT, omega=1.3),
     'proven: A is strictly diagonally dominant, and omega is below 1.33'),
    (steering('sync', scanned=DOMINANT, omega=1.0), 'proven: A is strictly'),
    (steering('ordered', scanned=DOMINANT, omega=1.0), 'proven: A is strictly'),
    (steering('async', scanned=DOMINANT, omega=1.4),
     'heuristic: async may diverge for this A; the guard watches the energy'),
    (steering('async', scanned=ONE_SIDED, omega=1.9), 'proven: A is strictly'),        # for omega was lowered
    (steering('async', scanned=ONE_SIDED, omega=1.9, plain_omega=True), 'heuristic: async'),
    (steering('async', scanned=scan(False)), 'heuristic: async may diverge for this A; the guard watches the residual'),
    (steering('sync', scanned=scan(True)), 'proven where A is positive definite: omega is lowered'),
    (steering('sync', scanned=scan(True), plain_omega=True), 'heuristic: sync'),
    (steering('sync', scanned=scan(False)), 'heuristic: sync'),
    (steering('ordered', scanned=scan(True)), 'proven where A is positive definite: SOR'),
    (steering('async', 1, scanned=scan(True)), 'proven where A is positive definite: SOR'),
    (steering('async', 1, scanned=scan(True), blocks=5), 'proven where A is positive definite: SOR'),
    (steering('sync', 1, scanned=scan(True), blocks=5), 'proven where A is positive definite: omega is lowered'),
    (steering('sync', 1, scanned=scan(True), blocks=5, plain_omega=True), 'heuristic: sync'),
    (steering('ordered', scanned=scan(False)), 'heuristic: A is neither symmetric nor dominant enough'),
])
def test_it_says_whether_theory_promises_convergence(made, begins):
    assert made.convergence().startswith(begins)


@pytest.mark.parametrize('omega, ratio, text', [
    (1.0, 0.5, '1.333'), (1.0, 1 - 1e-5, '1.00001'), (1.0, 1 - 2e-16, '1'), (1.3333333, 0.5, '1.33333333')])
def test_the_bound_that_it_names_lies_above_omega(omega, ratio, text):
    found = steering(scanned=scan(True, ratio, 2.0), omega=omega).convergence().rpartition(' ')[2]
    assert found.startswith(text) and float(found) > omega


def test_it_promises_what_holds_in_the_end():
    made = steering('async', scanned=scan(True), omega=1.5)
    assert made.convergence().startswith('heuristic')
    made.react(ROSE)
    assert made.convergence().startswith('heuristic')
    made.react(ROSE)
    assert made.convergence().startswith('proven where A is positive definite')


def test_without_a_guard_it_promises_none():
    assert steering('async', plain_omega=True).convergence().endswith('; there is no guard')
