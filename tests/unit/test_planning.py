"""What is decided before rows are given away: blocks, workers, numbering, schedule; and x comes back as it was."""
import sys

import numpy as np
import pytest

from coro_sor import planning
from coro_sor.options import Options
from coro_sor.partition import owner_of_blocks
from coro_sor.planning import make_plan
from coro_sor.problem import Problem
from coro_sor.problems import poisson2d
from coro_sor.rows import digest_rows
from coro_sor.solution import InputError
from coro_sor.steering import Steering
from coro_sor.wavefront import ordering_blocks, speed_up
from owners import sparse_of
from test_renumbering import dense, geometric, power_law


def plan(A, workers=2, b=None, **options):
    known = {k: options.pop(k) for k in ('x0', 'known_solution') if k in options}
    if b is None and 'known_solution' not in known:
        known['known_solution'] = 'index'
    return make_plan(Problem(A, b, **known), Options(**options), workers)


def of_ratio(ratio, symmetric=True, n=200):
    """A dense matrix whose off-diagonals in each row (and in the columns) are this part of the diagonal in sum."""
    A = np.ones((n, n)) if symmetric else np.triu(np.ones((n, n))) + 0.5
    np.fill_diagonal(A, 0)
    return A * ratio / A.sum(axis=1, keepdims=True).max() + np.eye(n)


def ring(n):
    """A dense matrix that is not strictly dominant, by nothing."""
    return 2 * np.eye(n) - np.roll(np.eye(n), 1, axis=1) - np.roll(np.eye(n), -1, axis=1)


def weak(rows):
    """The same pattern with a diagonal that is as large as all other entries of its row, but not larger."""
    rows = rows.copy()
    numbers = rows.row_numbers()
    sums = np.bincount(numbers, weights=np.where(rows.indices == numbers, 0, 1), minlength=rows.n)
    rows.data[:] = np.where(rows.indices == numbers, np.maximum(sums, 1)[numbers], -1.0)
    return rows


@pytest.fixture
def small(monkeypatch):
    """Small systems are planned as large ones are: 16 blocks, all workers, and nothing but work takes time."""
    monkeypatch.setattr(planning, 'ordering_blocks', lambda n, nonzeros, dense: 16)
    monkeypatch.setattr(planning, 'worth', lambda nonzeros, dense, workers: workers)
    monkeypatch.setattr(planning, 'pass_seconds', lambda nonzeros: np.asarray(nonzeros, dtype=float))
    monkeypatch.setattr(planning, 'WAKE', 0.0)


# ---- the schedule

SCHEDULES = [
    (of_ratio(0.5), {}, 'async', 'proven for this omega'),
    (of_ratio(0.5), {'omega': 1.3}, 'async', 'proven for this omega'),
    (of_ratio(0.5), {'omega': 1.4}, 'ordered', 'symmetric'),
    (of_ratio(0.5), {'omega': 1.4, 'plain_omega': True}, 'ordered', 'symmetric'),
    (of_ratio(1.5), {}, 'ordered', 'symmetric'),
    (ring(200), {}, 'ordered', 'symmetric'),
    (of_ratio(0.5, False), {}, 'async', 'proven for this omega'),
    (of_ratio(0.5, False).T.copy(), {}, 'async', 'proven for this omega'),
    (of_ratio(0.5, False), {'omega': 1.8}, 'async', 'proven with omega lowered'),
    (of_ratio(0.5, False), {'omega': 1.8, 'plain_omega': True}, 'ordered', 'neither symmetric nor dominant enough'),
    (of_ratio(3.0, False), {}, 'ordered', 'neither symmetric nor dominant enough'),
]


@pytest.mark.parametrize('make', [np.array, sparse_of], ids=['dense', 'sparse'])
@pytest.mark.parametrize('A, options, schedule, why', SCHEDULES)
def test_the_schedule_follows_from_what_is_proven(A, options, schedule, why, make, small):
    found = plan(make(A), **options)
    assert found.schedule == schedule and why in found.why


@pytest.mark.parametrize('A, options', [case[:2] for case in SCHEDULES])
def test_the_reason_agrees_with_what_is_promised_while_it_runs(A, options, small):
    found = plan(A, **options)
    steering = Steering(found.schedule, Options(**options), found.scan, 2, False)
    assert ('proven' in found.why) == steering.convergence().startswith('proven')
    if 'lowered' in found.why:
        assert found.why.endswith(' %.3g' % steering.omega)


@pytest.mark.parametrize('A, options, schedule', [case[:3] for case in SCHEDULES])
def test_one_worker_is_like_one_machine(A, options, schedule, small):
    found = plan(A, 1, **options)
    safe = schedule == 'async' and options.get('omega', 1.0) < 1.4
    assert found.schedule == ('async' if safe else 'ordered') and 'one worker' in found.why


@pytest.mark.parametrize('schedule', ['async', 'sync', 'ordered'])
@pytest.mark.parametrize('workers', [1, 2])
def test_a_schedule_that_was_asked_for_is_used(schedule, workers, small):
    for A, options, *_ in SCHEDULES:
        found = plan(A, workers, schedule=schedule, **options)
        assert (found.schedule, found.why) == (schedule, 'as asked for')


# ---- blocks and workers

@pytest.mark.parametrize('make', [np.array, sparse_of], ids=['dense', 'sparse'])
@pytest.mark.parametrize('workers, blocks, owners', [(1, 1, 1), (2, 1, 1), (2, 5, 2), (3, 3, 3), (8, 5, 5), (2, 99, 2),
                                                     (50, 99, 40)])
def test_the_user_may_say_how_many_blocks_and_then_all_workers_that_get_one_are_used(make, workers, blocks, owners):
    found = plan(make(of_ratio(0.5, n=40)), workers, blocks=blocks)
    assert len(found.block_bounds) == min(blocks, 40) + 1 and len(found.owner_bounds) == owners + 1
    assert not found.notes
    assert found.block_bounds[0] == 0 and found.block_bounds[-1] == 40 and (np.diff(found.block_bounds) > 0).all()
    assert set(found.owner_bounds) <= set(found.block_bounds) and (np.diff(found.owner_bounds) > 0).all()
    assert found.sequence.tolist() == list(range(min(blocks, 40)))


def test_blocks_have_about_equally_many_nonzeros():
    A = np.eye(100)
    A[:20] = A[:, :20] = 0.01
    A += 2 * np.eye(100)
    rows = sparse_of(A)
    found = plan(rows, 4, blocks=4)
    counts, sizes = np.diff(rows.indptr[found.block_bounds]), np.diff(found.block_bounds)
    assert counts.max() <= counts.mean() + 100 and sizes.max() > 2 * sizes.min()
    assert found.scan.nonzeros == counts.tolist()


@pytest.mark.parametrize('schedule', ['auto', 'ordered', 'async'])
def test_the_blocks_depend_on_the_system_only(schedule, small):
    found = [plan(poisson2d(20), workers, schedule=schedule) for workers in (1, 2, 3, 8)]
    assert all(each.block_bounds.tolist() == found[0].block_bounds.tolist() and len(each.block_bounds) == 17 and
               each.sequence.tolist() == found[0].sequence.tolist() for each in found)
    assert [len(each.owner_bounds) - 1 for each in found] == [1, 2, 3, 8]


@pytest.mark.parametrize('schedule, ratio', [('ordered', 0.5), ('ordered', 2.0), ('auto', 2.0)])
def test_in_exact_order_dense_blocks_have_64_rows_whoever_owns_them(schedule, ratio, small):
    for n in (640, 700, 65, 64, 63):
        for workers in (1, 2, 3):
            found = plan(of_ratio(ratio, n=n), workers, schedule=schedule)
            assert found.block_bounds.tolist() == list(range(0, n, 64)) + [n] and found.schedule == 'ordered'
            assert len(found.owner_bounds) - 1 == min(workers, len(found.block_bounds) - 1)
            assert set(found.owner_bounds) <= set(found.block_bounds)
            assert found.sequence.tolist() == list(range(len(found.block_bounds) - 1))


@pytest.mark.parametrize('schedule', ['auto', 'async'])
@pytest.mark.parametrize('workers', [1, 2, 3, 5])
def test_in_async_dense_blocks_are_few_and_each_has_one_owner(schedule, workers, small):
    found = plan(of_ratio(0.5, n=1000), workers, schedule=schedule)
    blocks = len(found.block_bounds) - 1
    assert found.schedule == 'async' and 15 <= blocks <= 17 and (np.diff(found.block_bounds) > 0).all()
    assert set(found.owner_bounds) <= set(found.block_bounds) and len(found.owner_bounds) == workers + 1
    assert np.ptp(np.diff(found.owner_bounds)) < 128 and found.sequence.tolist() == list(range(blocks))
    assert found.scan.bounds.tolist() == found.owner_bounds.tolist()


@pytest.mark.parametrize('workers', [1, 2, 5])
def test_in_sync_each_worker_has_one_block(workers, small):
    found = plan(poisson2d(20), workers, schedule='sync')
    assert found.block_bounds.tolist() == found.owner_bounds.tolist() and len(found.owner_bounds) == workers + 1


@pytest.mark.parametrize('schedule', ['auto', 'async', 'sync', 'ordered'])
@pytest.mark.parametrize('A', [poisson2d(20), of_ratio(0.5, n=100), of_ratio(2.0, n=100)],
                         ids=['grid', 'dominant', 'dense'])
def test_a_small_system_is_solved_by_one_worker_and_it_says_so(A, schedule):
    found = plan(A, 8, schedule=schedule)
    assert found.scan.bounds.tolist() == found.owner_bounds.tolist() == [0, found.problem.n]
    assert len(found.block_bounds) == (3 if found.schedule == 'ordered' and not found.problem.sparse else 2)
    assert len(found.notes) == 1 and found.notes[0].startswith('1 of 8 workers are used: on so small a system')
    assert '--blocks' in found.notes[0]


def test_a_large_system_is_solved_by_all_workers_and_nothing_is_said():
    found = plan(poisson2d(300), 2)
    assert len(found.owner_bounds) == 3 and found.notes == [] and found.schedule == 'ordered'
    assert len(found.block_bounds) - 1 == ordering_blocks(90_000, 5 * 90_000 - 1200, False) >= 4
    assert found.speed_up > 1.2


def test_a_system_that_cannot_be_solved_is_refused():
    A = of_ratio(0.5)
    A[7, 7] = 0
    with pytest.raises(InputError, match='row 7 '):
        plan(A)


# ---- the rows in another numbering

def solve(found):
    """x of a plan's own problem, by elimination; its scan must be of that problem."""
    rows, cuts = found.problem.rows(0, found.problem.n), zip(found.owner_bounds[:-1], found.owner_bounds[1:])
    assert found.scan.digests == [digest_rows(found.problem.rows(int(lo), int(hi))) for lo, hi in cuts]
    return np.linalg.solve(dense(rows) if found.problem.sparse else rows.values, found.scan.b)


def close(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.abs(other).max())


@pytest.mark.parametrize('workers', [1, 3])
def test_renumbered_rows_give_the_x_of_the_user(workers, small):
    pytest.importorskip('scipy')
    A, x0 = weak(geometric(300, 2)), np.arange(300.0)
    values = dense(A) + np.eye(300)
    b = np.cos(x0)
    found = plan(sparse_of(values), workers, b, x0=x0, renumber='rcm')
    order = found.rows
    assert sorted(order) == list(range(300)) and order.tolist() != list(range(300))
    assert (dense(found.problem.all_rows()) == values[order][:, order]).all()
    assert (found.problem.b == b[order]).all() and (found.problem.x0 == order).all() and found.problem.path is None
    close(found.restore(solve(found)), np.linalg.solve(values, b))
    assert any('renumbered by reverse Cuthill-McKee' in note for note in found.notes)


def test_a_known_solution_is_renumbered_too(small):
    pytest.importorskip('scipy')
    values = dense(weak(geometric(300, 2))) + np.eye(300)
    found = plan(sparse_of(values), renumber='rcm', known_solution='index')
    close(found.restore(solve(found)), np.arange(1, 301))
    assert found.restore(found.problem.known_solution).tolist() == list(range(1, 301))


def test_a_renumbered_problem_keeps_its_name_and_its_warnings(small):
    pytest.importorskip('scipy')
    problem = Problem(poisson2d(8), known_solution='ones')
    problem.name, problem.warnings = 'plate.mtx', ['odd']
    found = make_plan(problem, Options(renumber='rcm'), 2)
    assert found.problem.name == 'plate.mtx' and 'odd' in found.scan.warnings and found.rows is not None
    assert problem.all_rows() is not found.problem.all_rows()


@pytest.mark.parametrize('n', [50, 200])
def test_a_full_pattern_stored_as_sparse_rows_can_be_renumbered(n, small):
    pytest.importorskip('scipy')
    A = of_ratio(2.0, n=n) + np.diag(np.arange(float(n)))
    found = plan(sparse_of(A), renumber='rcm')
    assert sorted(found.rows) == list(range(n)) and len(found.owner_bounds) == 2
    close(found.restore(solve(found)), np.arange(1, n + 1))


def test_rows_that_keep_their_numbers_keep_the_x():
    x = np.arange(200.0)
    found = plan(of_ratio(0.5), renumber='rcm')
    assert found.rows is None and found.restore(x) is x and not any('renumbered' in note for note in found.notes)


def spoilt(how):
    """A mesh in random order with something wrong in row 7; None where nothing is."""
    values = dense(weak(geometric(900, 3)))
    column = np.flatnonzero(values[7])[-1]
    assert column != 7
    if how == 'negative':
        values[7, 7] *= -1
    elif how == 'negated':
        values[7] *= -1
    elif how == 'tiny':
        values[7, 7] = 1e-13
    else:
        values[7, 7 if how == 'zero' else column] = {'zero': 0.0, 'NaN': np.nan, 'huge': 1e39}[how]
    return sparse_of(values), column


@pytest.mark.parametrize('renumber', ['auto', 'off', 'rcm'])
@pytest.mark.parametrize('how, text', [('zero', 'row 7 '), ('NaN', 'row 7, column %d '), ('negative', 'row 7 '),
                                       ('huge', 'row 7 ')])
def test_errors_name_the_row_as_the_user_numbers_it(how, text, renumber, small):
    pytest.importorskip('scipy')
    A, column = spoilt(how)
    with pytest.raises(InputError) as caught:
        plan(A, 2, np.ones(900), renumber=renumber, storage='float32')
    assert (text % column if '%' in text else text) in str(caught.value)


@pytest.mark.parametrize('renumber', ['auto', 'off', 'rcm'])
@pytest.mark.parametrize('how, text', [('negated', 'the first is row 7,'), ('tiny', 'row 7 ')])
def test_warnings_name_the_row_as_the_user_numbers_it(how, text, renumber, small):
    pytest.importorskip('scipy')
    found = plan(spoilt(how)[0], 2, np.ones(900), renumber=renumber)
    assert any(text in warning for warning in found.scan.warnings)
    assert (found.rows is None) == (renumber == 'off')


def test_where_x_known_makes_b_overflow_the_row_is_the_users(small):
    pytest.importorskip('scipy')
    known = np.ones(900)
    A, column = spoilt('huge')
    known[column] = 1e300
    with pytest.raises(InputError, match='overflows in row 7 '):
        plan(A, 2, known_solution=known, renumber='rcm')


# ---- what has no effect

@pytest.mark.parametrize('schedule', ['async', 'sync', 'ordered'])
@pytest.mark.parametrize('option', ['exchange_every', 'exchanges', 'panel_nonzeros'])
@pytest.mark.parametrize('A', [poisson2d(20), of_ratio(2.0)], ids=['sparse', 'dense'])
def test_options_of_the_exchange_that_have_no_effect_are_told(A, option, schedule, small):
    text = '--%s has no effect in %s' % (option.replace('_', '-'), schedule)
    found = plan(A, 2, schedule=schedule, **{option: 7})
    assert [note.startswith(text) for note in found.notes] == ([] if schedule == 'async' else [True])
    assert plan(A, 2, schedule=schedule).notes == []


@pytest.mark.parametrize('A, notes', [(of_ratio(2.0), ['--renumber rcm has no effect: A is dense']),
                                      (poisson2d(20), ['rows were renumbered by reverse Cuthill-McKee'])])
def test_renumbering_a_dense_matrix_has_no_effect_and_it_says_so(A, notes, small):
    pytest.importorskip('scipy')
    assert plan(A, 2, renumber='rcm').notes == notes


@pytest.mark.parametrize('schedule', ['async', 'sync', 'ordered'])
def test_symmetric_order_is_advised_against_where_rows_are_swept_by_colour(schedule, small):
    assert any('cyclic is mostly faster' in note for note in plan(poisson2d(20), order='symmetric',
                                                                  schedule=schedule).notes)
    assert not plan(of_ratio(2.0), order='symmetric', schedule=schedule).notes
    assert not plan(poisson2d(20), order='cyclic', schedule=schedule).notes


# ---- how parallel the exact order is

SERIAL = 'in exact order, with rows as they are numbered, %d workers would be 1.00 times as fast as one'


def simulated(found):
    """The speed-up of the blocks as they were dealt out."""
    counts = found.problem.row_nonzeros()
    weights = [counts[lo:hi].sum() for lo, hi in zip(found.block_bounds[:-1], found.block_bounds[1:])]
    return speed_up(found.scan.graph, weights, np.array(owner_of_blocks(found.block_bounds, found.owner_bounds)),
                    found.sequence)


@pytest.mark.parametrize('A', [poisson2d(20), weak(geometric(900, 3)), weak(power_law(600, 3, 1))],
                         ids=['grid', 'mesh', 'power law'])
@pytest.mark.parametrize('workers', [2, 3, 5, 8, 12])
def test_the_speed_up_that_is_told_is_that_of_the_blocks_as_they_are_dealt_out(A, workers, small):
    found = plan(A, workers, np.ones(A.n))
    assert found.speed_up == pytest.approx(simulated(found)) and len(found.owner_bounds) - 1 <= workers
    assert len(found.owner_bounds) - 1 == workers or '%d of %d workers' % (len(found.owner_bounds) - 1, workers) \
        in found.notes[-1]


def test_a_grid_stays_as_it_is(small):
    for workers, least in ((2, 1.9), (4, 3.5), (8, 6.0)):
        found = plan(poisson2d(20), workers)
        assert found.rows is None and found.speed_up > least and found.notes == []


def test_a_randomly_numbered_mesh_is_renumbered(small):
    pytest.importorskip('scipy')
    A = weak(geometric(900, 3))
    found = plan(A, 2, np.ones(900))
    assert found.rows is not None and len(found.owner_bounds) == 3 and found.schedule == 'ordered' and found.why
    assert found.speed_up > 1.4 and len(found.block_bounds) == 17 and found.chunk_of is None
    assert found.notes == [SERIAL % 2,
                           'rows were renumbered by reverse Cuthill-McKee, which makes them %.2f times as fast as one'
                           % found.speed_up]
    assert (dense(found.problem.all_rows()) == dense(A)[found.rows][:, found.rows]).all()


def test_where_scipy_is_missing_only_what_needs_it_is_left_out(small, monkeypatch):
    for name in ('scipy', 'scipy.sparse', 'scipy.sparse.csgraph'):
        monkeypatch.setitem(sys.modules, name, None)
    found = plan(weak(geometric(900, 3)), 2, np.ones(900))
    assert found.speed_up > 1.4 and any('colour by colour' in note for note in found.notes)
    with pytest.raises(InputError, match='sparse'):
        plan(weak(geometric(900, 3)), 2, np.ones(900), renumber='rcm')


def test_a_power_law_graph_is_swept_colour_by_colour(small):
    values = dense(weak(power_law(600, 3, 1))) + np.eye(600)
    np.fill_diagonal(values, np.diag(values) - 1.5)
    found = plan(sparse_of(values), 4, np.ones(600))
    blocks = len(found.block_bounds) - 1
    assert found.speed_up > 2.4 and len(found.owner_bounds) == 5 and blocks > 16
    assert sorted(found.sequence) == list(range(blocks)) and found.sequence.tolist() != list(range(blocks))
    assert any('colour by colour, which makes them %.2f' % found.speed_up in note for note in found.notes)
    assert found.scan.graph.shape == (blocks, blocks) and set(found.owner_bounds) <= set(found.block_bounds)
    close(found.restore(solve(found)), np.linalg.solve(values, np.ones(600)))


def test_where_nothing_may_be_renumbered_fewer_workers_are_used(small):
    found = plan(weak(geometric(900, 3)), 4, np.ones(900), renumber='off')
    assert found.rows is None and len(found.owner_bounds) == 2 and len(found.block_bounds) == 17
    assert found.schedule == 'ordered' and found.speed_up == 1.0 and len(found.scan.digests) == 1
    assert found.notes == [SERIAL % 4, '1 of 4 workers are used: the rest would only wait']


@pytest.mark.parametrize('renumber', ['auto', 'off'])
@pytest.mark.parametrize('workers, blocks, owners', [(4, 16, 4), (4, 3, 3)])
def test_where_the_user_says_how_many_blocks_the_rows_stay_as_they_are_and_all_workers_are_used(
        workers, blocks, owners, renumber, small):
    found = plan(weak(geometric(900, 3)), workers, np.ones(900), blocks=blocks, renumber=renumber)
    assert found.rows is None and len(found.owner_bounds) == owners + 1 and len(found.block_bounds) == blocks + 1
    assert found.schedule == 'ordered' and found.speed_up == pytest.approx(1.0)
    assert found.notes == [SERIAL % owners, 'all of them are used because --blocks was given']


def test_where_renumbering_was_asked_for_and_does_not_help_enough_fewer_workers_are_used(small):
    pytest.importorskip('scipy')
    values = dense(weak(power_law(600, 3, 1))) + 0.001 * np.eye(600)
    found = plan(sparse_of(values), 8, np.ones(600), schedule='ordered', renumber='rcm')
    assert len(found.owner_bounds) < 9 and len(found.block_bounds) == 17 and found.rows is not None
    assert (dense(found.problem.all_rows()) == values[found.rows][:, found.rows]).all()
    close(found.restore(solve(found)), np.linalg.solve(values, np.ones(600)))


def test_where_blocks_take_turns_one_worker_does_as_well(small, monkeypatch):
    monkeypatch.setattr(planning, 'ordering_blocks', lambda n, nonzeros, dense: 2)
    found = plan(poisson2d(20), 2, renumber='off')
    assert len(found.owner_bounds) == 2 and len(found.block_bounds) == 3 and 'only wait' in found.notes[-1]


@pytest.mark.parametrize('order, parallel', [('cyclic', True), ('auto', True), ('symmetric', False)])
def test_the_order_of_updates_counts(order, parallel, small):
    found = plan(poisson2d(20), 2, order=order, renumber='off')
    assert (len(found.owner_bounds) == 3) is parallel


@pytest.mark.parametrize('schedule', ['async', 'sync'])
def test_only_exact_order_is_renumbered_by_itself(schedule, small):
    found = plan(weak(geometric(900, 3)), 4, np.ones(900), schedule=schedule)
    assert found.rows is None and found.speed_up is None and len(found.owner_bounds) == 5


def test_dense_rows_need_no_other_numbering(small):
    found = plan(of_ratio(2.0), 4)
    assert found.schedule == 'ordered' and found.speed_up is None and found.notes == []
