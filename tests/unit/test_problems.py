"""The well-known systems are what they say, row by row."""
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from shared_data import shared_file

from coro_sor.formats import load_matrix
from coro_sor.problem import Problem, load_problem
from coro_sor.problems import (EXAMPLE_PROBLEMS, file_of, geometric, gram, laplace9, m_matrix, make_generator, pagerank,
                               poisson2d, poisson3d, random_dense)
from coro_sor.rows import digest_rows
from coro_sor.scan import scan
from coro_sor.solution import InputError

GRAPH = b"""# from\tto
7 7
7 30
30\t-2   # twice, see below

-2 7
30 -2
-2 5
"""
SPECS = ['poisson2d:9', 'poisson2d:1', 'poisson3d:5', 'laplace9:7', 'random-dense:70', 'gram:67', 'm-matrix:61',
         'geometric:300', 'pagerank']


@pytest.fixture(scope='module')
def graph(tmp_path_factory):
    path = tmp_path_factory.mktemp('graph') / 'graph.txt'
    path.write_bytes(GRAPH)
    return path


@pytest.fixture
def generator(request, graph):
    """Of the spec that it is parametrized with; rows are made by three, so that small systems need several pieces."""
    made = make_generator('pagerank:%s' % graph if request.param == 'pagerank' else request.param)
    made._step = 3
    return made


every_generator = pytest.mark.parametrize('generator', SPECS, indirect=True)


def dense_of(rows):
    if not hasattr(rows, 'indptr'):
        return np.asarray(rows)
    dense = np.zeros((len(rows), rows.n))
    np.add.at(dense, (rows.row_numbers(), rows.indices), rows.data)
    return dense


def points(n, seed):
    rng = np.random.default_rng(seed)
    return rng.random((n, 2)), rng.standard_normal(n)


def distances(places):
    return np.hypot(*(places[:, None] - places).T)


# ---- what they are

@pytest.mark.parametrize('m', [1, 2, 3, 4])
def test_the_poisson_systems_are_the_sums_of_second_differences_along_each_axis(m):
    one, unit = 2 * np.eye(m) - np.eye(m, k=1) - np.eye(m, k=-1), np.eye(m)
    np.testing.assert_array_equal(dense_of(poisson2d(m)), np.kron(one, unit) + np.kron(unit, one))
    three = np.kron(np.kron(one, unit), unit) + np.kron(np.kron(unit, one), unit) + np.kron(np.kron(unit, unit), one)
    np.testing.assert_array_equal(dense_of(poisson3d(m)), three)


@pytest.mark.parametrize('m', [1, 2, 5])
def test_the_nine_point_laplacian_joins_all_points_that_touch(m):
    near = np.eye(m) + np.eye(m, k=1) + np.eye(m, k=-1)
    np.testing.assert_array_equal(dense_of(laplace9(m)), 9 * np.eye(m * m) - np.kron(near, near))


def test_laplace9_with_30_points_a_side_is_gr_30_30():
    there, here = Problem(load_matrix(shared_file('gr_30_30.mtx')), np.ones(900)).rows(0, 900), laplace9(30)
    for name in ('indptr', 'indices', 'data'):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))


def test_random_dense_is_symmetric_dominant_and_repeatable():
    A = random_dense(30, 5)
    np.testing.assert_array_equal(A, A.T)
    np.testing.assert_array_equal(A, random_dense(30, 5))
    assert (2 * A.diagonal() > np.abs(A).sum(axis=1)).all() and (A != random_dense(30, 6)).any()


def test_random_dense_is_as_random_as_independent_entries_would_be():
    n = 400
    A = random_dense(n)
    off = A[np.triu_indices(n, 1)]
    assert abs(off.mean()) < 0.01 and abs(off.var() - 1 / 3) < 0.01 and off.min() < -0.99 and off.max() > 0.99
    np.fill_diagonal(A, 0)
    # Wigner's semicircle ends at 2 sigma sqrt(n); any pattern in the entries would stick out.
    assert 1.8 * math.sqrt(n / 3) < np.abs(np.linalg.eigvalsh(A)).max() < 2.2 * math.sqrt(n / 3)


def test_the_m_matrix_has_no_positive_off_diagonal_entry_and_dominance_1_05():
    A = m_matrix(50, 3)
    np.testing.assert_array_equal(A, A.T)
    off = A - np.diag(A.diagonal())
    assert (off <= 0).all() and off.min() < -0.95
    np.testing.assert_allclose(A.diagonal(), -1.05 * off.sum(axis=1), rtol=1e-15)
    np.testing.assert_array_equal(A, m_matrix(50, 3))
    assert (A != m_matrix(50, 4)).any()


def test_the_gram_matrix_is_that_of_a_gaussian_kernel_on_random_points():
    places, b = points(40, 0)
    expected = np.exp(-distances(places)**2 / (2 * 0.1**2)) + np.eye(40)
    np.testing.assert_allclose(gram(40), expected, rtol=1e-12)
    np.testing.assert_array_equal(make_generator('gram:40').rhs(), b)
    np.testing.assert_array_equal(gram(40), gram(40).T)


@pytest.mark.parametrize('n, seed', [(1, 0), (2, 0), (17, 1), (400, 2), (1500, 0)])
def test_the_geometric_graph_joins_exactly_the_points_that_are_near(n, seed):
    near = distances(points(n, seed)[0]) <= math.sqrt(8 / (math.pi * n))
    np.fill_diagonal(near, False)
    expected = np.where(near, -1.0, 0) + np.diag(near.sum(axis=1) + 0.01)
    np.testing.assert_array_equal(dense_of(geometric(n, seed)), expected)


def test_the_geometric_graph_has_about_8_neighbours_a_point_and_random_numbers():
    n = 20000
    made = make_generator('geometric:%d' % n)
    A = made.rows(0, n)
    assert 7.6 < A.nonzeros / n - 1 < 8.2
    assert np.abs(A.indices - A.row_numbers()).mean() > 0.25 * n
    np.testing.assert_array_equal(made.rhs(), points(n, 0)[1])


def test_the_pagerank_system_counts_arcs_once_keeps_loops_and_bears_nodes_without_arcs(graph):
    # Nodes -2, 5, 7, 30: -2 -> 7 and 5; 7 -> 7 and 30; 30 -> -2.
    P = np.array([[0, 0.5, 0.5, 0], [0, 0, 0, 0], [0, 0, 0.5, 0.5], [1, 0, 0, 0]])
    np.testing.assert_allclose(dense_of(pagerank(graph)), np.eye(4) - 0.85 * P.T, rtol=1e-15)
    np.testing.assert_allclose(dense_of(pagerank(str(graph), 0.5)), np.eye(4) - 0.5 * P.T, rtol=1e-15)
    np.testing.assert_allclose(make_generator('pagerank:%s' % graph).rhs(), 0.15 / 4, rtol=1e-15)


def test_the_pagerank_of_a_real_graph_is_what_was_published():
    path = shared_file('as20graph.txt')
    A, b = pagerank(path), make_generator('pagerank:' + path).rhs()
    assert (A.n, A.nonzeros) == (6474, 31618)
    x = b.copy()
    for _ in range(200):
        x += b - A.matvec(x)
    nodes = np.unique(np.loadtxt(path, dtype=int))
    top = np.argsort(-x)[:5]
    assert nodes[top].tolist() == [701, 1239, 3561, 7018, 1]
    published = [0.0496689165, 0.0242463478, 0.0223646987, 0.0129093661, 0.0116900521]
    np.testing.assert_allclose(x[top], published, atol=1e-10)
    assert x.sum() == pytest.approx(1, abs=1e-10)


# ---- generators

@every_generator
def test_rows_are_the_same_bit_for_bit_however_they_are_cut(generator):
    n = generator.n
    whole = digest_rows(generator.rows(0, n))

    @settings(max_examples=20, deadline=None)
    @given(st.sets(st.integers(0, n)), st.integers(1, 40))
    def check(cuts, step):
        generator._step = step
        bounds = sorted(cuts | {0, n})
        assert digest_rows([generator.rows(lo, hi) for lo, hi in zip(bounds, bounds[1:])]) == whole

    check()
    assert len(generator.rows(n // 2, n // 2)) == 0


@every_generator
def test_rows_are_canonical_with_a_positive_diagonal(generator):
    rows = generator.rows(0, generator.n)
    assert (rows.diagonal(0) > 0).all()
    given_again = Problem(rows if generator.sparse else rows.values, np.ones(generator.n)).rows(0, generator.n)
    assert digest_rows(given_again) == digest_rows(rows)
    if generator.sparse:
        assert rows.indices.dtype == rows.indptr.dtype == np.int32 and rows.data.dtype == np.float64


@every_generator
def test_nonzeros_are_known_before_rows_are_made(generator):
    n, rows = generator.n, generator.rows(0, generator.n)
    assert generator.nonzeros == rows.nonzeros
    if generator.sparse:
        np.testing.assert_array_equal(generator.row_nonzeros(), np.diff(rows.indptr))
        np.testing.assert_array_equal(generator.row_nonzeros(n // 3, n - 1), np.diff(rows.indptr)[n // 3:n - 1])
    else:
        assert generator.row_nonzeros() == n


@every_generator
def test_another_process_makes_the_same_rows_from_the_spec(generator):
    again = make_generator(generator.spec)
    assert again.spec == generator.spec
    assert digest_rows(again.rows(0, again.n)) == digest_rows(generator.rows(0, generator.n))
    np.testing.assert_array_equal(again.rhs(), generator.rhs())


@pytest.mark.parametrize('spec, function', [
    ('poisson2d:6', lambda: poisson2d(6)), ('poisson3d:3', lambda: poisson3d(3)), ('laplace9:5', lambda: laplace9(5)),
    ('random-dense:9', lambda: random_dense(9)), ('gram:9', lambda: gram(9)), ('m-matrix:9', lambda: m_matrix(9)),
    ('geometric:50', lambda: geometric(50))])
def test_a_spec_and_its_function_are_the_same_system(spec, function):
    made = make_generator(spec)
    np.testing.assert_array_equal(dense_of(function()), dense_of(Problem(made).all_rows()))


@pytest.mark.parametrize('spec, b', [
    ('poisson2d:5', np.ones(25)), ('poisson3d:2', np.ones(8)), ('laplace9:4', np.ones(16)),
    ('random-dense:6', np.random.default_rng(0).standard_normal(6)),
    ('m-matrix:6', np.random.default_rng(0).standard_normal(6))])
def test_a_system_has_a_right_hand_side_of_its_own(spec, b):
    np.testing.assert_array_equal(make_generator(spec).rhs(), b)


# ---- what is refused

@pytest.mark.parametrize('spec, text', [
    ('', 'not known'), ('poisson', 'not known'), ('poisson4d:3', 'not known'), ('POISSON2D:3', 'not known'),
    ('poisson2d', 'whole number, at least 1'), ('poisson2d:', 'whole number'), ('poisson2d:0', 'whole number'),
    ('poisson2d:-3', 'whole number'), ('poisson2d:3.5', 'whole number'), ('poisson2d: 3', 'whole number'),
    ('poisson2d:1_0', 'whole number'), ('poisson2d:3:4', 'whole number'), ('gram:\u0663', 'whole number'),
    ('m-matrix:1', 'at least 2'), ('poisson2d:' + '9' * 5000, 'whole number'), ('pagerank', 'is missing'),
    ('pagerank:', 'is missing')])
def test_a_spec_that_is_none_is_refused_with_all_names_and_an_example(spec, text):
    with pytest.raises(InputError) as error:
        make_generator(spec)
    assert text in str(error.value) and 'for example poisson2d:512' in str(error.value)
    assert all(example in str(error.value) for example in EXAMPLE_PROBLEMS)


@pytest.mark.parametrize('spec', ['poisson2d:46341', 'poisson3d:1291', 'gram:2147483648'])
def test_a_system_whose_rows_cannot_be_numbered_in_32_bits_is_refused(spec):
    with pytest.raises(InputError, match='too large'):
        make_generator(spec)


@pytest.mark.parametrize('content, text', [
    (b'1 2\n3 x\n', "line 2: '3 x' is not"), (b'# one\n1 2 3\n', 'line 2'), (b'1 2\n\n1.5 2\n', 'line 3'),
    (b'# nothing\n', 'holds no arc'), (b'', 'is empty'), (b'\x93NUMPY\x01', 'npy'), (None, 'no such file')])
def test_a_graph_that_cannot_be_read_is_refused_with_its_line(content, text, tmp_path):
    path = tmp_path / 'graph.txt'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match='graph.txt: .*' + text):
        pagerank(path)


def test_the_spec_of_a_graph_holds_its_absolute_path(graph, monkeypatch):
    monkeypatch.chdir(graph.parent)
    made = make_generator('pagerank:graph.txt')
    assert made.spec == 'pagerank:%s' % graph and file_of(made.spec) == str(graph)
    assert file_of('pagerank:') is None and file_of('gram:4') is None


# ---- in a Problem

@every_generator
def test_a_generated_problem_serves_the_rows_of_the_same_problem_in_memory(generator):
    problem = Problem(generator)
    rows = generator.rows(0, generator.n)
    stored = Problem(rows if generator.sparse else rows.values, generator.rhs())
    for name in ('n', 'nonzeros', 'sparse', 'path'):
        assert getattr(problem, name) == getattr(stored, name), name
    assert problem.spec == problem.name == generator.spec and stored.spec is None
    np.testing.assert_array_equal(problem.b, stored.b)
    np.testing.assert_array_equal(problem.row_nonzeros(), stored.row_nonzeros())
    assert digest_rows(problem.rows(1, problem.n)) == digest_rows(stored.rows(1, problem.n))
    np.testing.assert_array_equal(dense_of(problem.all_rows()), dense_of(stored.all_rows()))
    for chunk_bytes in (1, 700, 1 << 20):
        assert list(problem.cuts(0, problem.n, chunk_bytes)) == list(stored.cuts(0, problem.n, chunk_bytes))


@every_generator
def test_the_scan_finds_in_a_generated_problem_what_it_finds_in_memory(generator):
    n, rows = generator.n, generator.rows(0, generator.n)
    bounds = sorted({0, n // 3, n})
    here = scan(Problem(generator), bounds, 500)
    there = scan(Problem(rows if generator.sparse else rows.values, generator.rhs()), bounds, 500)
    assert (here.digests, here.nonzeros, here.symmetric) == (there.digests, there.nonzeros, there.symmetric)
    assert here.symmetric != generator.spec.startswith('pagerank')
    assert len(here.negated) == 0
    np.testing.assert_array_equal(here.b, there.b)
    if not generator.spec.startswith(('gram', 'laplace', 'poisson')):
        assert min(here.row_ratio, here.column_ratio) < 1


def test_a_right_hand_side_or_a_known_solution_may_be_given_all_the_same(tmp_path):
    assert Problem(make_generator('gram:3'), [1, 2, 3]).b.tolist() == [1, 2, 3]
    problem = load_problem(problem='poisson2d:2', known_solution='index', x0=None)
    assert problem.b is None and problem.known_solution.tolist() == [1, 2, 3, 4]
    np.save(tmp_path / 'b.npy', np.arange(4))
    assert load_problem(problem='poisson2d:2', rhs=tmp_path / 'b.npy').b.tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match='there are both'):
        Problem(make_generator('gram:2'), [1, 2], known_solution='ones')
    with pytest.raises(InputError, match='5 numbers|b.npy'):
        load_problem(problem='gram:5', rhs=tmp_path / 'b.npy')


@pytest.mark.parametrize('arguments', [{}, {'matrix': 'A.npy', 'problem': 'gram:3'}])
def test_either_a_matrix_or_a_problem_must_be_given(arguments):
    with pytest.raises(InputError, match='either a matrix or a problem'):
        load_problem(**arguments)


def test_examples_name_every_system_once():
    names = [example.partition(':')[0] for example in EXAMPLE_PROBLEMS]
    assert len(set(names)) == len(names) == 8
    for example in EXAMPLE_PROBLEMS[:-1]:
        assert make_generator(example).spec == example
