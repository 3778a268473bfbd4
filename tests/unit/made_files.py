"""Systems and files for tests of the formats, and what must be said of files that are wrong."""
import gzip
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from coro_sor.formats import load_matrix
from coro_sor.problem import Problem
from coro_sor.rows import SparseRows
from coro_sor.solution import InputError

__all__ = ['dense', 'dense_of', 'full', 'mtx', 'refused', 'refused_within', 'sparse', 'text_of']

_ROOT = pathlib.Path(__file__).parents[2]


def dense(n=6):
    return np.random.default_rng(1).standard_normal((n, n)).round(3) + 5 * np.eye(n)


def sparse(n=6):
    """A path's Laplacian plus 1, as CSR."""
    columns = [[j for j in (i - 1, i, i + 1) if 0 <= j < n] for i in range(n)]
    data = [3.0 if i == j else -1.0 for i in range(n) for j in columns[i]]
    return SparseRows(np.cumsum([0] + [len(row) for row in columns]), np.array(sum(columns, [])), np.array(data), n)


def full(n=4):
    return np.random.default_rng(1).standard_normal((n, n)) + n * np.eye(n)


def dense_of(matrix):
    """What a loaded matrix holds, as a plain array of its rows."""
    rows = Problem(matrix, np.ones(len(matrix.values))).original_rows(0, len(matrix.values))
    if hasattr(rows, 'values'):
        return rows.values
    dense = np.zeros((len(rows), rows.n))
    dense[rows.row_numbers(), rows.indices] = rows.data
    return dense


def text_of(A, closing='0 0 0\n'):
    i, j = np.nonzero(A)
    return '%d %d %d\n' % (*A.shape, len(i)) + ''.join(
        '%d %d %.17g\n' % (a + 1, b + 1, A[a, b]) for a, b in zip(i, j)) + closing


def refused(path, *texts, load=load_matrix):
    with pytest.raises(InputError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(str(path) + ': ') and message.count('\n') == 0
    for text in texts:
        assert text in message, message


def mtx(tmp_path, text, name='A.mtx'):
    """A file with this text, compressed where its name says so."""
    with (gzip.open if name.endswith('.gz') else open)(tmp_path / name, 'wt') as stream:
        stream.write(text)
    return tmp_path / name


_LIMITED = '''
import resource, sys
from coro_sor.formats import load_matrix, load_vector
import scipy.sparse
used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (int(sys.argv[2]) << 20),) * 2)
try:
    load_matrix(sys.argv[1])
except ValueError as error:
    print(error)
'''


def refused_within(megabytes, path, *texts):
    """A matrix is refused with these texts, by a process that can ask for so much memory only."""
    pytest.importorskip('scipy.sparse')
    done = subprocess.run([sys.executable, '-c', _LIMITED, str(path), str(megabytes)], cwd=str(_ROOT),
                          env=dict(os.environ, OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1'),
                          stdout=subprocess.PIPE, universal_newlines=True, timeout=50, check=True)
    assert done.stdout.startswith(str(path) + ': '), done.stdout
    assert 'not enough memory' not in done.stdout, done.stdout
    for text in texts:
        assert text in done.stdout, done.stdout
