"""scan: what the one pass over A refuses, warns of and computes."""
import sys

import numpy as np
import pytest

from shared_data import shared_file

from coro_sor.formats import load_matrix, read_rows
from coro_sor.problem import Problem
from coro_sor.problems import poisson2d, random_dense
from coro_sor.rows import SparseRows, digest_rows
from coro_sor.scan import scan
from coro_sor.solution import InputError


def sparse_of(A):
    i, j = np.nonzero(A)
    return SparseRows(np.concatenate(([0], np.cumsum(np.bincount(i, minlength=len(A))))), j, A[i, j], len(A))


def both(A):
    """The same matrix as dense and as sparse input."""
    return [np.asarray(A), sparse_of(np.asarray(A))]


def scan_all(A, b=None, **options):
    n = len(A)
    if b is None and 'known_solution' not in options:
        b = np.ones(n)
    return scan(Problem(A, b, **options), [0, n])


def nonsymmetric(n=20):
    return np.random.default_rng(3).uniform(-1, 1, (n, n)) + 2 * n * np.eye(n)


@pytest.mark.parametrize('A', both(nonsymmetric()), ids=['dense', 'sparse'])
@pytest.mark.parametrize('chunk_bytes', [1, 500, 1 << 22])
def test_chunks_change_no_digest_and_rows_have_the_digest_of_their_block(A, chunk_bytes):
    problem = Problem(A, np.ones(20))
    found = scan(problem, [0, 7, 8, 20], chunk_bytes)
    assert found.digests == [digest_rows(problem.rows(0, 7)), digest_rows(problem.rows(7, 8)),
                             digest_rows([problem.rows(8, 11), problem.rows(11, 20)])]
    assert len(set(found.digests)) == 3
    assert found.bounds.tolist() == [0, 7, 8, 20] and found.nonzeros == [140, 20, 240]


@pytest.mark.parametrize('A', both(nonsymmetric()), ids=['dense', 'sparse'])
def test_any_changed_value_or_column_changes_the_digest(A):
    rows = Problem(A, np.ones(20)).rows(0, 20)
    digests = [digest_rows(rows)]
    values = rows.data if hasattr(rows, 'data') else rows.values.ravel()
    values[37] = np.nextafter(values[37], 9)
    digests.append(digest_rows(rows))
    if hasattr(rows, 'indices'):
        rows.indices[[3, 4]] = rows.indices[[4, 3]]
        digests.append(digest_rows(rows))
        rows.indptr[3] += 1
        digests.append(digest_rows(rows))
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize('dtype', ['f8', '>f4', 'i2', '?'])
def test_a_worker_that_reads_the_file_itself_gets_the_digest_of_the_scan(tmp_path, dtype):
    A = 3 * nonsymmetric()
    A[4] *= -1
    A = A.astype(dtype)
    np.save(tmp_path / 'A.npy', A)
    matrix = load_matrix(tmp_path / 'A.npy')
    problem = Problem(matrix, np.ones(20))
    found = scan(problem, [0, 3, 20], 700)
    assert problem.path == str(tmp_path / 'A.npy')
    assert found.negated.tolist() == ([] if dtype == '?' else [4])
    assert digest_rows(read_rows(problem.path, 3, 20, 20, chunk_bytes=1000)) == found.digests[1]
    pieces = list(read_rows(problem.path, 3, 20, 20, chunk_bytes=1000))
    assert len(pieces) == 3
    np.testing.assert_array_equal(np.concatenate([piece.values for piece in pieces]), problem.rows(3, 20).values)


@pytest.mark.parametrize('kind', [0, 1], ids=['dense', 'sparse'])
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_with_row_and_column(kind, value):
    A = nonsymmetric()
    A[13, 4] = A[13, 9] = A[15, 0] = value
    with pytest.raises(InputError, match=r'A: row 13, column 4 \(counted from 0\) is %s' % value):
        scan(Problem(both(A)[kind], np.ones(20)), [0, 5, 20], 400)


@pytest.mark.parametrize('kind', [0, 1], ids=['dense', 'sparse'])
def test_a_zero_or_missing_diagonal_entry_is_refused_with_its_row(kind):
    A = nonsymmetric()
    A[11, 11] = A[12, 12] = 0
    with pytest.raises(InputError, match=r'A: row 11 \(counted from 0\) has a zero or missing diagonal'):
        scan(Problem(both(A)[kind], np.ones(20)), [0, 5, 20], 400)


def test_an_empty_row_and_a_zero_stored_on_the_diagonal_are_refused_with_their_row():
    empty = SparseRows(np.array([0, 1, 1, 2]), np.array([0, 2]), np.ones(2), 3)
    stored = SparseRows(np.array([0, 1, 2, 3]), np.array([0, 1, 2]), np.array([1.0, 0, 1]), 3)
    for A in (empty, stored):
        with pytest.raises(InputError, match='row 1 '):
            scan_all(A)


@pytest.mark.parametrize('kind', [0, 1], ids=['dense', 'sparse'])
def test_a_negative_diagonal_entry_in_a_symmetric_matrix_is_refused_with_its_row(kind):
    A = random_dense(20, 1)
    A[6, 6] *= -1
    with pytest.raises(InputError, match='row 6 .* negative diagonal entry .* symmetric, so not positive definite$'):
        scan_all(both(A)[kind])
    with pytest.raises(InputError, match='row 0 .*solve .-A. x = -b'):
        scan_all(both(-random_dense(20, 1))[kind])


@pytest.mark.parametrize('kind', [0, 1], ids=['dense', 'sparse'])
def test_in_other_matrices_the_row_and_its_entry_of_b_are_negated_and_reported(kind):
    A = nonsymmetric()
    A[[2, 9]] *= -1
    b = np.arange(20.0) + 1
    problem = Problem(both(A)[kind], b)
    found = scan(problem, [0, 20])
    assert found.negated.tolist() == [2, 9] and not found.symmetric and (found.diagonal > 0).all()
    assert any('2 rows' in text and 'row 2' in text for text in found.warnings)
    x = np.linalg.solve(A, b)
    np.testing.assert_allclose(problem.rows(0, 20).matvec(x), found.b, rtol=1e-10)
    assert problem.b.tolist() == b.tolist() and scan(problem, [0, 20]).b.tolist() == found.b.tolist()
    known = scan_all(both(A)[kind], known_solution=x)
    np.testing.assert_allclose(known.b, found.b, rtol=1e-10)


@pytest.mark.parametrize('kind', [0, 1], ids=['dense', 'sparse'])
@pytest.mark.parametrize('scale', [1.0, 1e300, 1e-300])
def test_symmetry_is_seen_at_any_scale(kind, scale):
    A = random_dense(60, 2) * scale
    assert scan_all(both(A)[kind], np.zeros(60)).symmetric
    A[7, 30] *= 1 + 1e-6
    found = scan_all(both(A)[kind], np.zeros(60))
    assert not found.symmetric and 'not symmetric' in found.warnings[0]


def test_symmetry_is_seen_at_the_edge_of_the_smallest_numbers():
    A = poisson2d(300)
    A.data *= 1e-305
    assert scan_all(A).symmetric


def test_sums_that_overflow_are_not_taken_for_infinity():
    A = np.full((30, 30), 1.7e308)
    np.fill_diagonal(A, np.finfo(float).max)
    for given in both(A):
        found = scan_all(given)
        assert found.symmetric and not found.warnings and found.row_ratio == found.column_ratio == np.inf


def test_symmetry_is_not_lost_to_rounding_in_badly_scaled_or_large_matrices():
    scale = np.logspace(-6, 6, 700)
    A = random_dense(700, 3) * scale
    A = np.tril(A * scale[:, None])
    A = A + np.tril(A, -1).T
    for given in both(A) + [poisson2d(120)]:
        assert scan_all(given).symmetric


@pytest.mark.parametrize('name', ['bcsstk01', 'bcsstk02', 'gr_30_30', '494_bus', 'ani3_crop', 'vem1', 'poisson274'])
def test_the_real_matrices_are_seen_as_symmetric_without_a_warning(name):
    found = scan(Problem(load_matrix(shared_file(name + '.mtx')), known_solution='index'), [0, 40, 48]
                 if name == 'bcsstk01' else [0, len(load_matrix(shared_file(name + '.mtx')).values)])
    assert found.symmetric and not found.warnings and not len(found.negated)


@pytest.mark.parametrize('kind', [0, 1], ids=['dense', 'sparse'])
def test_the_numbers_are_those_of_numpy(kind):
    A = nonsymmetric()
    found = scan(Problem(both(A)[kind], known_solution='index'), [0, 9, 20], 600)
    sizes = np.abs(A)
    off = sizes - np.diag(A.diagonal())
    np.testing.assert_array_equal(found.diagonal, A.diagonal())
    np.testing.assert_allclose(found.b, A @ np.arange(1, 21), rtol=1e-13)
    np.testing.assert_allclose([found.b_norm, found.row_ratio, found.column_ratio], [
        np.linalg.norm(found.b), (off.sum(axis=1) / A.diagonal()).max(), (off.sum(axis=0) / A.diagonal()).max()],
        rtol=1e-12)


@pytest.mark.parametrize('kind', [0, 1], ids=['dense', 'sparse'])
@pytest.mark.parametrize('entry, fine', [(3.4028235e38, True), (3.4028236e38, False), (1e39, False), (1e-37, True),
                                         (1.2e-38, True), (1.1e-38, False), (1e-46, False)])
def test_a_diagonal_that_float32_cannot_hold_is_refused_where_it_must(entry, fine, kind):
    problem = Problem(both(np.diag([1.0, 1.0, entry, 1.0]))[kind], np.ones(4))
    assert scan(problem, [0, 4]).symmetric
    if fine:
        assert scan(problem, [0, 4], storage='float32').symmetric
    else:
        with pytest.raises(InputError, match='row 2 .*beyond the range of float32'):
            scan(problem, [0, 4], storage='float32')


@pytest.mark.parametrize('kind', [0, 1], ids=['dense', 'sparse'])
@pytest.mark.parametrize('entry, fine', [(-1e38, True), (-1e39, False), (1e-46, True)])
def test_other_entries_must_not_overflow_in_float32_but_may_vanish(entry, fine, kind):
    A = np.eye(4)
    A[1, 3] = A[3, 1] = entry
    problem = Problem(both(A)[kind], np.ones(4))
    if fine:
        assert scan(problem, [0, 4], storage='float32').symmetric
    else:
        with pytest.raises(InputError, match='row 1 .*beyond the range of float32'):
            scan(problem, [0, 4], storage='float32')


def test_rows_are_called_by_the_numbers_given():
    A = nonsymmetric()
    A[[2, 9]] *= -1
    A[5, 5] = 1e-20
    found = scan(Problem(A, np.ones(20)), [0, 20], numbers=np.arange(20)[::-1])
    assert any('first is row 10,' in text for text in found.warnings)
    assert any('row 14 ' in text for text in found.warnings)
    A[3, 1] = np.nan
    with pytest.raises(InputError, match='row 16, column 18 '):
        scan(Problem(A, np.ones(20)), [0, 20], numbers=np.arange(20)[::-1])


# ---- which blocks read from each other

@pytest.mark.parametrize('chunk_bytes', [1, 200, 1 << 22])
@pytest.mark.parametrize('owners', [[0, 20], [0, 7, 20], [0, 3, 7, 12, 20]], ids=str)
def test_the_graph_of_the_ordering_blocks_does_not_depend_on_how_rows_come(chunk_bytes, owners):
    A = np.where(np.random.default_rng(5).random((20, 20)) < 0.06, 1.0, 0.0) + 9 * np.eye(20)
    A[18, 1] = 1.0
    blocks = [0, 3, 7, 12, 20]
    found = scan(Problem(sparse_of(A), np.ones(20)), owners, chunk_bytes, blocks=blocks)
    expected = [[i != j and (A[blocks[i]:blocks[i + 1], blocks[j]:blocks[j + 1]].any() or
                             A[blocks[j]:blocks[j + 1], blocks[i]:blocks[i + 1]].any()) for j in range(4)]
                for i in range(4)]
    assert found.graph.tolist() == expected and not np.all(expected)
    assert found.bounds.tolist() == owners


def test_there_is_no_graph_where_none_is_wanted_or_the_matrix_is_dense():
    assert scan_all(sparse_of(nonsymmetric())).graph is None
    assert scan(Problem(nonsymmetric(), np.ones(20)), [0, 20], blocks=[0, 9, 20]).graph is None


def test_wanting_a_graph_changes_nothing_else():
    problem = Problem(poisson2d(9), known_solution='index')
    found, alone = scan(problem, [0, 50, 81], blocks=[0, 20, 50, 81]), scan(problem, [0, 50, 81])
    assert found.digests == alone.digests and (found.b == alone.b).all() and found.nonzeros == alone.nonzeros
    assert found.graph.tolist() == [[False, True, False], [True, False, True], [False, True, False]]


# ---- warnings

def test_the_warning_for_a_nonsymmetric_matrix_says_whether_it_is_dominant():
    A = nonsymmetric()
    assert 'strictly diagonally dominant by' in scan_all(A).warnings[0]
    A[:, 3] *= 9
    assert 'dominant by columns' in scan_all(A).warnings[0]
    assert 'dominant by rows' in scan_all(A.T.copy()).warnings[0]
    assert 'may not converge' in scan_all(A - 38 * np.eye(20)).warnings[0]


@pytest.mark.parametrize('kind', [0, 1], ids=['dense', 'sparse'])
def test_a_tiny_diagonal_entry_is_a_warning_with_its_row(kind):
    A = np.eye(5)
    A[2, 2] = 1e-13
    A[2, 4] = A[4, 2] = 1
    found = scan_all(both(A)[kind])
    assert len(found.warnings) == 1 and 'row 2 ' in found.warnings[0] and '1e-12' in found.warnings[0]
    A[2, 2] = 1e-11
    assert not scan_all(both(A)[kind]).warnings


def test_the_norm_of_b_neither_overflows_nor_underflows():
    for scale in (1e300, 1e-300):
        np.testing.assert_allclose(scan_all(np.eye(4), np.full(4, scale)).b_norm, 2 * scale, rtol=1e-14)
    assert scan_all(np.eye(4), np.zeros(4)).b_norm == 0


def test_a_right_hand_side_that_overflows_is_refused_with_its_row():
    A = np.diag([1.0, 1e200, 1])
    with pytest.raises(InputError, match='overflows in row 1 '):
        scan_all(A, known_solution=np.full(3, 1e200))


def test_one_row_scans():
    for A in both([[3.0]]):
        found = scan_all(A, known_solution='index')
        assert found.symmetric and found.b.tolist() == [3] and found.row_ratio == 0 and found.nonzeros == [1]


def test_the_problems_own_warnings_are_passed_on():
    if np.dtype('g').itemsize == 8:
        pytest.skip('longdouble is float64 here')
    assert 'float64' in scan_all(np.eye(2, dtype='g')).warnings[0]


def test_progress_is_told_after_each_piece_and_may_end_the_pass():
    told = []
    scan(Problem(np.eye(10), np.ones(10)), [0, 4, 10], 240, told.append)
    assert told == [3, 4, 7, 10]

    def stop(rows):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        scan(Problem(np.eye(10), np.ones(10)), [0, 10], 240, stop)


def test_a_sparse_matrix_scans_the_same_without_scipy(monkeypatch):
    problem = Problem(poisson2d(9), known_solution='index')
    found = scan(problem, [0, 50, 81])
    monkeypatch.setitem(sys.modules, 'scipy.sparse', None)
    alone = scan(problem, [0, 50, 81])
    assert alone.digests == found.digests and alone.symmetric
    np.testing.assert_allclose(alone.b, found.b, rtol=1e-13)
