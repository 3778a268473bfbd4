"""Fingerprints: one system has one, whatever it came from; another A or another b has another."""
import numpy as np

from made_files import dense, sparse

from coro_sor.checkpoint import fingerprint
from coro_sor.problem import Problem, load_problem


def test_the_fingerprint_depends_on_the_system_only_and_not_on_pieces_files_or_types(tmp_path):
    A, b = dense(), np.arange(6.0)
    A[0, 2] = 0.0
    expected = fingerprint(Problem(A, b))
    assert len(expected) == 128 and set(expected) <= set('0123456789abcdef')
    np.save(tmp_path / 'A.npy', np.asfortranarray(A).astype('>f8'))
    np.save(tmp_path / 'b.npy', b.astype('i4')[:, None])
    entries = ''.join('%d %d %.17g\n' % (i + 1, j + 1, A[i, j]) for j in range(6) for i in range(6))
    (tmp_path / 'A.mtx').write_text('%%MatrixMarket matrix coordinate real general\n6 6 36\n' + entries)
    negative_zero = A.copy()
    negative_zero[0, 2] = -0.0
    same = [Problem(A, b, x0=b), Problem(negative_zero, b), Problem(A, -b[::-1][::-1] * -1.0),
            load_problem(tmp_path / 'A.npy', rhs=tmp_path / 'b.npy'),
            load_problem(tmp_path / 'A.mtx', rhs=tmp_path / 'b.npy')]
    for problem in same:
        for chunk_bytes in (1, 100, 4 << 20):
            assert fingerprint(problem, chunk_bytes) == expected
    assert fingerprint(Problem(sparse(), b), 1) == fingerprint(Problem(sparse(), b))


def test_a_made_problem_has_the_fingerprint_of_its_rows():
    made = load_problem(problem='poisson2d:5')
    assert fingerprint(made, 100) == fingerprint(Problem(made.all_rows(), made.b))


def test_digests_of_A_and_of_b_stand_apart():
    A, b = dense(), np.arange(6.0)
    other = A.copy()
    other[2, 3] += 1e-12
    negated = A.copy()
    negated[1] *= -1
    mine = fingerprint(Problem(A, b))
    for changed in (other, negated):
        found = fingerprint(Problem(changed, b))
        assert found[:64] != mine[:64] and found[64:] == mine[64:]
    found = fingerprint(Problem(A, b + 1e-12))
    assert found[:64] == mine[:64] and found[64:] != mine[64:]


def test_a_known_solution_stands_for_b():
    ones = fingerprint(Problem(dense(), known_solution='ones'))
    assert ones == fingerprint(Problem(dense(), known_solution=np.ones(6)))
    assert len({ones, fingerprint(Problem(dense(), known_solution='index')), fingerprint(Problem(dense(), np.ones(6)))
                }) == 3
