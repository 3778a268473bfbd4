"""Problem: what may be given for A, b, x0 and x*, and the rows it serves."""
import sys

import numpy as np
import pytest

from coro_sor.csr import canonical, from_scipy
from coro_sor.formats import Matrix
from coro_sor.problem import Problem, load_problem
from coro_sor.problems import poisson2d, random_dense
from coro_sor.rows import DenseRows, SparseRows, index_dtype
from coro_sor.solution import InputError

DENSE_TYPES = ['?', 'i1', 'u1', '<i2', '>i4', 'i8', 'u8', 'f2', '>f2', 'f4', '>f4', 'f8', '>f8', 'g']


def small(n=6):
    return np.arange(n * n).reshape(n, n) % 5 + 9 * np.eye(n)


def dense_of(rows):
    """A block of sparse rows as an array."""
    dense = np.zeros((len(rows), rows.n))
    np.add.at(dense, (rows.row_numbers(), rows.indices), rows.data)
    return dense


def assert_canonical(rows):
    assert rows.data.dtype == np.float64 and rows.data.all()
    assert rows.indptr[0] == 0 and rows.indptr[-1] == len(rows.indices) == len(rows.data)
    assert all((np.diff(rows.indices[lo:hi]) > 0).all() for lo, hi in zip(rows.indptr, rows.indptr[1:]))


@pytest.mark.parametrize('order', 'CF')
@pytest.mark.parametrize('dtype', DENSE_TYPES)
def test_a_dense_matrix_of_any_real_type_and_order_is_served_as_float64(dtype, order):
    A = np.array(small() % 2 + np.eye(6) if dtype == '?' else small(), dtype=dtype, order=order)
    problem = Problem(A, np.ones(6))
    rows = problem.rows(2, 5)
    assert rows.values.dtype == np.float64 and rows.values.dtype.isnative and rows.values.flags.c_contiguous
    np.testing.assert_array_equal(rows.values, A[2:5].astype(float))
    assert (problem.n, problem.nonzeros, problem.sparse, problem.x0) == (6, 36, False, None)
    assert len(problem.warnings) == (dtype == 'g' and np.dtype('g').itemsize > 8)


def test_rows_of_a_float64_matrix_are_copies():
    A = small()
    rows = Problem(A, np.ones(6)).rows(0, 6)
    rows.values[:] = 0
    np.testing.assert_array_equal(A, small())


def test_a_list_of_lists_and_a_strided_view_are_accepted():
    assert Problem([[2, 1], [0, 3]], [1, 2]).rows(1, 2).values.tolist() == [[0.0, 3.0]]
    wide = np.arange(32.0).reshape(4, 8) + 1
    np.testing.assert_array_equal(Problem(wide[:, ::2], np.ones(4)).rows(0, 4).values, wide[:, ::2])


def test_a_longdouble_beyond_float64_is_served_as_infinity_without_a_warning_of_numpy():
    A = np.eye(2, dtype='g')
    A[0, 1] = np.finfo('f8').max
    A[0, 1] *= 4
    assert np.isinf(Problem(A, np.ones(2)).rows(0, 2).values[0, 1])


def test_a_row_with_a_negative_diagonal_entry_is_served_negated_and_the_users_array_is_left_alone():
    A = small()
    A[3] *= -1
    before = A.copy()
    for given in (A, sparse_of(A)):
        rows = Problem(given, np.ones(6)).rows(2, 5)
        np.testing.assert_array_equal(rows.values if given is A else dense_of(rows), small()[2:5])
    np.testing.assert_array_equal(A, before)


def sparse_of(A):
    i, j = np.nonzero(A)
    return SparseRows(np.concatenate(([0], np.cumsum(np.bincount(i, minlength=len(A))))), j, A[i, j], len(A))


@pytest.mark.parametrize('dtype', ['?', 'i1', 'u2', 'i8', 'f4', '>f8', 'f2'])
def test_csr_arrays_of_any_real_type_are_served_canonical(dtype):
    given = SparseRows(np.array([0, 2, 3, 4], 'u8'), np.array([2, 0, 1, 2], '>i2'), np.ones(4, dtype), 3)
    problem = Problem(given, np.ones(3))
    rows = problem.rows(0, 3)
    assert_canonical(rows)
    np.testing.assert_array_equal(dense_of(rows), [[1, 0, 1], [0, 1, 0], [0, 0, 1]])
    assert rows.indices.dtype == rows.indptr.dtype == np.int32
    assert (problem.sparse, problem.nonzeros) == (True, 4)


def test_duplicates_are_summed_and_zeros_dropped():
    given = SparseRows(np.array([0, 5, 8]), np.array([1, 0, 1, 0, 1, 1, 0, 1]),
                       np.array([1, 2, 3, 4, -4, 7, 0, 0.5]), 2)
    problem = Problem(given, np.ones(2))
    rows = problem.rows(0, 2)
    assert_canonical(rows)
    np.testing.assert_array_equal(dense_of(rows), [[6, 0], [0, 7.5]])
    assert problem.nonzeros == 2
    assert given.data[0] == 1 and given.indices[0] == 1


def test_zeros_stored_in_canonical_places_are_dropped_too():
    given = SparseRows(np.array([0, 2, 3]), np.array([0, 1, 1]), np.array([2.0, 0, 3]), 2)
    assert Problem(given, np.ones(2)).rows(0, 2).indices.tolist() == [0, 1]


def test_csr_of_scipy_is_not_copied_either():
    sparse = pytest.importorskip('scipy.sparse')
    given = sparse.csr_matrix(small())
    kept = from_scipy(given, 'A')
    assert np.shares_memory(kept.data, given.data) and np.shares_memory(kept.indices, given.indices)


def test_canonical_float64_csr_is_not_copied_until_rows_are_served():
    given = poisson2d(4)
    kept = canonical(given, 'A')
    assert np.shares_memory(kept.data, given.data) and np.shares_memory(kept.indices, given.indices)
    rows = Problem(given, np.ones(16)).rows(3, 7)
    assert not np.shares_memory(rows.data, given.data) and not np.shares_memory(rows.indices, given.indices)


@pytest.mark.parametrize('name', ['csr', 'csc', 'coo', 'bsr', 'dia', 'lil', 'dok'])
def test_every_scipy_format_is_accepted(name):
    sparse = pytest.importorskip('scipy.sparse')
    A = small() * (small() % 3 > 0) + np.eye(6)
    for make in (sparse.coo_matrix, sparse.coo_array):
        rows = Problem(make(A).asformat(name), np.ones(6)).rows(1, 6)
        assert_canonical(rows)
        np.testing.assert_array_equal(dense_of(rows), A[1:])


def test_scipy_duplicates_are_summed_in_float64_and_the_users_matrix_is_left_alone():
    sparse = pytest.importorskip('scipy.sparse')
    entries = (np.array([100, 100, 100, 1, 1], 'i1'), ([0, 0, 0, 1, 0], [0, 0, 0, 1, 1]))
    coo = sparse.coo_matrix(entries, shape=(2, 2))
    np.testing.assert_array_equal(dense_of(Problem(coo, [1, 1]).rows(0, 2)), [[300, 1], [0, 1]])
    csr = sparse.csr_matrix((np.ones(4), [1, 0, 0, 1], [0, 3, 4]), shape=(2, 2))
    np.testing.assert_array_equal(dense_of(Problem(csr, [1, 1]).rows(0, 2)), [[2, 1], [0, 1]])
    assert csr.indices.tolist() == [1, 0, 0, 1]


def test_row_numbers_are_int64_only_where_they_must_be():
    assert index_dtype(2**31 - 1) == np.int32 and index_dtype(2**31) == np.int64
    given = SparseRows(np.array([0, 1, 2], np.int64), np.array([0, 1], np.int64), np.ones(2), 2)
    rows = Problem(given, np.ones(2)).rows(0, 2)
    assert rows.indptr.dtype == rows.indices.dtype == np.int32


@pytest.mark.parametrize('A, text', [
    (np.ones((2, 3)), r'shape is \(2, 3\); it must be square'),
    (np.ones(4), 'square'),
    (np.ones((2, 2, 2)), 'square'),
    (np.float64(3), 'square'),
    (np.empty((0, 0)), 'empty'),
    (np.eye(2) * 1j, 'complex128; only real'),
    (np.array([[1, None], [2, 3]]), 'object; only real'),
    (np.array([['1', '2'], ['3', '4']]), 'only real'),
    (np.zeros((2, 2), 'm8[s]'), 'only real'),
    ([[1, 2], [3]], 'no array of numbers'),
    (np.ma.masked_equal(np.eye(2), 0), 'masked'),
    (SparseRows(np.array([0, 1]), np.array([0]), np.ones(1), 2), 'square'),
    (SparseRows(np.array([0]), np.array([], int), np.ones(0), 0), 'empty'),
    (SparseRows(np.array([0, 1]), np.array([0]), np.ones(1) * 1j, 1), 'complex'),
    (SparseRows(np.array([0, 1, 2]), np.array([0, 2]), np.ones(2), 2), r'row 1 \(counted from 0\) has column 2'),
    (SparseRows(np.array([0, 1, 2]), np.array([0, -1]), np.ones(2), 2), 'row 1 .* has column -1'),
    (SparseRows(np.array([0, 2, 1]), np.array([0, 1]), np.ones(2), 2), 'indptr must'),
    (SparseRows(np.array([1, 1, 2]), np.array([0, 1]), np.ones(2), 2), 'indptr must'),
    (SparseRows(np.array([0, 1, 3]), np.array([0, 1]), np.ones(2), 2), 'indptr must'),
    (SparseRows(np.array([0, 1, 2]), np.array([0.0, 1]), np.ones(2), 2), 'integer'),
])
def test_a_matrix_that_cannot_be_solved_is_refused(A, text):
    with pytest.raises(InputError, match='^A: .*' + text):
        Problem(A, np.ones(2))


def test_a_scipy_matrix_that_is_not_square_real_or_in_range_is_refused():
    sparse = pytest.importorskip('scipy.sparse')
    broken = sparse.coo_matrix(np.eye(2))
    broken.col[1] = 7
    for A, text in ((sparse.csr_matrix((2, 3)), 'square'), (sparse.csc_matrix(np.eye(2) * 1j), 'real'),
                    (broken, 'outside')):
        with pytest.raises(InputError, match=text):
            Problem(A, np.ones(2))


@pytest.mark.parametrize('name', ['b', 'x0', 'known_solution'])
@pytest.mark.parametrize('value, text', [
    (np.ones(3), r'shape is \(3,\); A has 2 rows'),
    (np.ones((1, 2)), 'A has 2 rows'),
    (np.array([1, np.nan]), r'entry 1 \(counted from 0\) is nan'),
    (np.array([-np.inf, 1]), 'entry 0 .* is -inf'),
    (np.array([1, 1j]), 'only real'),
    (np.array([1, None]), 'only real'),
])
def test_a_vector_of_another_length_or_with_nan_is_refused_by_its_name(name, value, text):
    arguments = {'b': np.ones(2), name: value}
    if name == 'known_solution':
        del arguments['b']
    with pytest.raises(InputError, match='^%s: .*%s' % (name, text)):
        Problem(np.eye(2), **arguments)


def test_vectors_are_taken_as_float64_copies_of_n_entries():
    b = np.ones((3, 1), '>f4')
    problem = Problem(np.eye(3), b, x0=[1, 2, 3])
    b[:] = 0
    assert problem.b.tolist() == [1, 1, 1] and problem.b.dtype == np.float64 and problem.x0.tolist() == [1, 2, 3]


def test_a_known_solution_is_given_by_name_or_as_an_array():
    assert Problem(np.eye(3), known_solution='index').known_solution.tolist() == [1, 2, 3]
    assert Problem(np.eye(3), known_solution='ones').known_solution.tolist() == [1, 1, 1]
    assert Problem(np.eye(3), known_solution=[3, 1, 2]).known_solution.tolist() == [3, 1, 2]
    with pytest.raises(InputError, match="'twos' is neither"):
        Problem(np.eye(3), known_solution='twos')


@pytest.mark.parametrize('arguments', [{}, {'b': np.ones(2), 'known_solution': 'ones'}])
def test_exactly_one_of_b_and_a_known_solution_must_be_given(arguments):
    with pytest.raises(InputError, match='either b or a known solution'):
        Problem(np.eye(2), **arguments)


@pytest.mark.parametrize('start, stop', [(-1, 2), (1, 3), (2, 1)])
def test_rows_outside_the_matrix_cannot_be_asked_for(start, stop):
    with pytest.raises(ValueError, match='of 2'):
        Problem(np.eye(2), np.ones(2)).rows(start, stop)


@pytest.mark.parametrize('A', [random_dense(40, 1), poisson2d(7)], ids=['dense', 'sparse'])
@pytest.mark.parametrize('chunk_bytes', [1, 700, 1 << 20])
def test_cuts_cover_the_rows_once_in_pieces_of_the_wanted_size(A, chunk_bytes):
    problem = Problem(A, np.ones(len(A)))
    cuts = list(problem.cuts(3, 38, chunk_bytes))
    assert [lo for lo, _ in cuts] + [38] == [3] + [hi for _, hi in cuts]
    for lo, hi in cuts:
        assert hi - lo == 1 or problem.rows(lo, hi).nbytes <= chunk_bytes + 12
        assert hi == 38 or problem.rows(lo, hi + 1).nbytes > chunk_bytes * 0.7
    assert len(cuts) == {1: 35, 1 << 20: 1}.get(chunk_bytes, len(cuts))


def test_one_row_is_a_problem():
    for A in ([[2]], poisson2d(1)):
        problem = Problem(A, [1])
        assert problem.n == problem.nonzeros == 1 and problem.rows(0, 1).diagonal(0)[0] in (2, 4)


@pytest.mark.parametrize('with_scipy', [True, False])
def test_rows_multiply_slice_and_know_their_diagonal(with_scipy, monkeypatch):
    if not with_scipy:
        monkeypatch.setitem(sys.modules, 'scipy.sparse', None)
    A = small(7) * (small(7) % 3 > 0)
    A[3, 3] = A[5] = 0
    x = np.arange(7.0) - 3
    for rows in (DenseRows(A[2:]), sparse_of(A)[2:7]):
        np.testing.assert_allclose(rows.matvec(x), A[2:] @ x, rtol=1e-14, atol=1e-13)
        np.testing.assert_allclose(rows[1:4].matvec(x), A[3:6] @ x, rtol=1e-14, atol=1e-13)
        np.testing.assert_array_equal(rows.diagonal(2), A.diagonal()[2:])
        assert len(rows) == 5 and rows.n == 7 and len(rows[3:3]) == 0 and rows[3:3].nonzeros == 0
    assert DenseRows(A).nbytes == 8 * 49
    assert sparse_of(A).nbytes == 8 * 8 + 16 * np.count_nonzero(A)


def test_load_problem_reads_every_vector_from_its_file(tmp_path):
    np.save(tmp_path / 'A.npy', small(3))
    np.save(tmp_path / 'b.npy', [1, 2, 3])
    (tmp_path / 'x0.txt').write_text('4\n5\n6\n')
    problem = load_problem(tmp_path / 'A.npy', rhs=tmp_path / 'b.npy', x0=tmp_path / 'x0.txt')
    assert problem.b.tolist() == [1, 2, 3] and problem.x0.tolist() == [4, 5, 6]
    assert problem.path == problem.name == str(tmp_path / 'A.npy')
    assert load_problem(tmp_path / 'A.npy', known_solution=tmp_path / 'x0.txt').known_solution.tolist() == [4, 5, 6]
    assert load_problem(tmp_path / 'A.npy', known_solution='index').known_solution.tolist() == [1, 2, 3]
    with pytest.raises(InputError, match=r'b\.npy: .*4 numbers|A\.npy'):
        np.save(tmp_path / 'A.npy', small(4))
        load_problem(tmp_path / 'A.npy', rhs=tmp_path / 'b.npy')


def test_errors_name_the_file_the_matrix_came_from():
    with pytest.raises(InputError, match='^some.npy: .*square'):
        Problem(Matrix(np.ones((2, 3)), 'some.npy'), np.ones(2))
