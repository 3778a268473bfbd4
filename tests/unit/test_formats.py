"""Files in and out: every format, and every way in which a file can be wrong."""
import gzip
import io
import os
import sys
import warnings

import numpy as np
import pytest

from shared_data import shared_file

from coro_sor.formats import (check_folder, check_output, entries, load_matrix, load_vector, npy, read_rows,
                              save_vector, write_atomically)
from coro_sor.problem import Problem
from coro_sor.solution import InputError


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


# .npy

@pytest.mark.parametrize('order', 'CF')
@pytest.mark.parametrize('dtype', ['?', 'i4', '>f4', 'f2', 'f8'])
def test_a_npy_file_is_mapped_and_not_read(tmp_path, dtype, order):
    A = np.array(full(), dtype=dtype, order=order)
    np.save(tmp_path / 'A.npy', A)
    matrix = load_matrix(tmp_path / 'A.npy')
    assert isinstance(matrix.values, np.memmap) and matrix.values.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(dense_of(matrix), A.astype(float))
    assert matrix.path == (str(tmp_path / 'A.npy') if order == 'C' else None)
    assert np.may_share_memory(Problem(matrix, np.ones(4)).original_rows(0, 4).values, matrix.values) \
        == (dtype == 'f8' and order == 'C')


def test_a_relative_name_is_made_absolute(tmp_path, monkeypatch):
    np.save(tmp_path / 'A.npy', full())
    monkeypatch.chdir(tmp_path)
    assert os.path.samefile(load_matrix('A.npy').path, tmp_path / 'A.npy') and os.path.isabs(load_matrix('A.npy').path)


@pytest.mark.parametrize('cut', [3, 7, 20, 127, 128, 130, 255])
def test_a_truncated_npy_file_is_refused(tmp_path, cut):
    np.save(tmp_path / 'A.npy', full())
    whole = (tmp_path / 'A.npy').read_bytes()
    assert len(whole) == 256
    (tmp_path / 'A.npy').write_bytes(whole[:cut])
    refused(tmp_path / 'A.npy', *(['is 130 bytes long', 'says 256', 'truncated?'] if cut == 130 else []))


def test_a_npy_file_that_is_longer_than_its_header_says_is_refused(tmp_path):
    np.save(tmp_path / 'A.npy', full())
    with open(tmp_path / 'A.npy', 'ab') as stream:
        stream.write(b'x')
    refused(tmp_path / 'A.npy', 'is 257 bytes long', 'says 256')


def test_a_garbled_npy_header_is_refused(tmp_path):
    np.save(tmp_path / 'A.npy', full())
    whole = (tmp_path / 'A.npy').read_bytes()
    for garbled in (whole.replace(b'descr', b'desxr'), whole.replace(b"'<f8'", b"'<q8'"),
                    whole[:10] + b'(' + whole[11:], whole.replace(b'(4, 4)', b'(4,-4)'),
                    whole.replace(b'(4, 4)', b'(4, 9)')):
        (tmp_path / 'A.npy').write_bytes(garbled)
        refused(tmp_path / 'A.npy')
    (tmp_path / 'A.npy').write_bytes(whole[:6] + b'\x09\x00' + whole[8:])
    refused(tmp_path / 'A.npy', 'version 9.0')


def test_a_npy_file_of_python_objects_is_refused_and_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'sprung'),)
    for name in ('A.npy', 'A.npz'):
        array = np.array([[Trap(), 1], [1, 2]], dtype=object)
        np.save(tmp_path / name, array) if name == 'A.npy' else np.savez(tmp_path / name, array)
        refused(tmp_path / name)
    refused(tmp_path / 'A.npy', 'Python objects')
    refused(tmp_path / 'A.npy', 'Python objects', load=lambda path: load_vector(path, 4))
    assert not (tmp_path / 'sprung').exists()


def test_an_empty_or_complex_matrix_in_a_npy_file_is_refused_with_its_name(tmp_path):
    for A, text in ((np.empty((0, 0)), 'empty'), (full() * 1j, 'complex'), (np.ones(3), 'square'),
                    (np.empty((0, 3)), 'square')):
        np.save(tmp_path / 'A.npy', A)
        refused(tmp_path / 'A.npy', text, load=lambda path: Problem(load_matrix(path), np.ones(1)))


# rows read by a worker

def test_read_rows_refuses_a_file_that_is_not_the_one_it_was(tmp_path):
    path = tmp_path / 'A.npy'
    for A in (full(5), np.asfortranarray(full()), full() * 1j, full()[:2]):
        np.save(path, A)
        refused(path, 'is not the 4 x 4 matrix', load=lambda path: list(read_rows(str(path), 0, 4, 4)))
    path.write_text(text_of(full()))
    refused(path, load=lambda path: list(read_rows(str(path), 0, 4, 4)))
    with pytest.raises(OSError):
        list(read_rows(str(tmp_path / 'B.npy'), 0, 4, 4))


def test_read_rows_notices_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = tmp_path / 'A.npy'
    np.save(path, full(200))
    pieces = read_rows(str(path), 0, 200, 200, chunk_bytes=80000)
    next(pieces)
    os.truncate(path, 150000)
    with pytest.raises(InputError, match='shorter'):
        list(pieces)


def test_read_rows_does_not_map_the_file(tmp_path, monkeypatch):
    np.save(tmp_path / 'A.npy', full())
    monkeypatch.setattr(npy.np, 'memmap', None)
    assert len(next(read_rows(str(tmp_path / 'A.npy'), 1, 3, 4))) == 2


# .npz

def test_a_npz_file_holds_one_dense_array(tmp_path):
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / 'A.npz', anything=full().astype('>f4'))
        np.testing.assert_array_equal(dense_of(load_matrix(tmp_path / 'A.npz')), full().astype('f4'))
    np.savez(tmp_path / 'A.npz', one=full(), two=full())
    refused(tmp_path / 'A.npz', '2 arrays', 'one, two', 'save_npz')


@pytest.mark.parametrize('name', ['csr', 'csc', 'coo', 'bsr', 'dia'])
def test_a_npz_file_of_scipy_is_read(tmp_path, name):
    sparse = pytest.importorskip('scipy.sparse')
    A = full() * (full() > 0)
    sparse.save_npz(tmp_path / 'A.npz', sparse.coo_matrix(A).asformat(name))
    matrix = load_matrix(tmp_path / 'A.npz')
    np.testing.assert_array_equal(dense_of(matrix), A)
    assert Problem(matrix, np.ones(4)).sparse and matrix.path is None


def test_a_npz_file_of_scipy_without_scipy_says_what_to_install(tmp_path, monkeypatch):
    np.savez(tmp_path / 'A.npz', format=np.array(b'csr'), shape=[2, 2], data=[1.0, 1], indices=[0, 1], indptr=[0, 1, 2])
    monkeypatch.setitem(sys.modules, 'scipy.sparse', None)
    refused(tmp_path / 'A.npz', "pip install 'coro_sor[sparse]'")


@pytest.mark.parametrize('wrong, text', [
    ({'indices': [0, 5]}, ''), ({'indptr': [0, 1, 9]}, ''), ({'shape': [2, 3]}, 'square'), ({'data': [1j, 1]}, 'real'),
    ({'format': np.array(b'xyz')}, 'damaged')])
def test_a_npz_file_of_scipy_that_contradicts_itself_is_refused(tmp_path, wrong, text):
    pytest.importorskip('scipy.sparse')
    right = dict(format=np.array(b'csr'), shape=[2, 2], data=[1.0, 1], indices=[0, 1], indptr=[0, 1, 2])
    np.savez(tmp_path / 'A.npz', **dict(right, **wrong))
    refused(tmp_path / 'A.npz', text)


@pytest.mark.parametrize('compressed', [False, True])
def test_a_truncated_or_garbled_npz_file_is_refused(tmp_path, compressed):
    (np.savez_compressed if compressed else np.savez)(tmp_path / 'A.npz', full(20))
    whole = (tmp_path / 'A.npz').read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xff
    for wrong in (whole[:100], whole[:-5], bytes(flipped)):
        (tmp_path / 'A.npz').write_bytes(wrong)
        refused(tmp_path / 'A.npz', 'damaged')


# the original's text format

@pytest.mark.parametrize('name', ['A.txt', 'A.dat', 'A', 'A.mtx', 'A.1', 'A.txt.gz'])
def test_the_original_text_format_is_read_under_any_suffix(tmp_path, name):
    A = full()
    A[0, 2] = A[3, 1] = 0
    with (gzip.open if name.endswith('.gz') else open)(tmp_path / name, 'wt') as stream:
        stream.write(text_of(A))
    matrix = load_matrix(tmp_path / name)
    np.testing.assert_array_equal(dense_of(matrix), A)
    assert isinstance(matrix.values, np.ndarray) and matrix.path is None


def test_a_mostly_empty_text_matrix_becomes_sparse(tmp_path):
    A = np.diag(np.arange(1.0, 9))
    A[7, 0] = -2
    (tmp_path / 'A').write_text(text_of(A))
    matrix = load_matrix(tmp_path / 'A')
    np.testing.assert_array_equal(dense_of(matrix), A)
    assert Problem(matrix, np.ones(8)).sparse and Problem(matrix, np.ones(8)).nonzeros == 9


@pytest.mark.parametrize('n', [2, 7])
def test_text_entries_come_in_any_order_with_duplicates_zeros_spaces_and_blank_lines(tmp_path, n):
    extra = ''.join('%d %d 1\n' % (k, k) for k in range(3, n + 1))
    (tmp_path / 'A').write_bytes(('  %d\t%d %d  \r\n2 2 1e0\r\n\r\n 1\t1   +4 \n2 1 -.5\n2 2 1\n1 2 0\n%s0 0 0\n\n'
                                  % (n, n, n + 3, extra)).encode())
    expected = np.eye(n)
    expected[:2, :2] = [[4, 0], [-.5, 2]]
    np.testing.assert_array_equal(dense_of(load_matrix(tmp_path / 'A')), expected)


def test_the_last_line_of_a_text_file_needs_no_line_end(tmp_path):
    (tmp_path / 'A').write_text('1 1 1\n1 1 5\n0 0 0')
    assert dense_of(load_matrix(tmp_path / 'A')).tolist() == [[5]]


@pytest.mark.parametrize('size', [1, 5, 20, 64])
def test_blocks_are_cut_at_lines_whatever_their_size(size):
    lines = ['%d %d %d.5' % (k, k + 1, k) for k in range(1, 30)]
    found = list(entries.blocks(io.BytesIO('\n'.join(lines).encode()), 'name', 2, entries.ENTRY, size=max(size, 16)))
    assert [entry.tolist() for block in found for entry in block.entries] == [(k, k + 1, k + .5) for k in range(1, 30)]
    assert 'line 30:' in str(found[-1].fault(len(found[-1].entries) - 1, ''))


TEXT = ['3 3 4', '1 1 2', '2 2 2.5', '', '3 3 2', '3 1 -1', '0 0 0', '']


@pytest.mark.parametrize('changes, texts', [
    ({1: '1 x 2'}, ['line 2:', "'1 x 2'", 'i j value']),
    ({2: '2 2'}, ['line 3:', "'2 2'"]),
    ({2: '2 2 2 2'}, ['line 3:']),
    ({4: '3 3 2.5abc'}, ['line 5:', 'abc']),
    ({4: '3 3 1_0'}, ['line 5:']),
    ({4: '3.0 3 1'}, ['line 5:']),
    ({4: '3 99999999999999999999 1'}, ['line 5:']),
    ({4: '\x80\x81 3 1'}, ['line 5:']),
    ({4: '4 3 2'}, ['line 5:', '(4, 3) is outside the 3 x 3']),
    ({4: '3 4 2'}, ['line 5:', '(3, 4) is outside the 3 x 3']),
    ({0: '3 3 5', 4: '4 3 2'}, ['line 5:', '(4, 3) is outside']),
    ({5: '3 0 2'}, ['line 6:', '(3, 0) is outside']),
    ({5: '-1 1 2'}, ['line 6:', '(-1, 1) is outside']),
    ({0: '3 3 5'}, ['line 7:', '0 0 0 after 4 of the 5 entries']),
    ({0: '3 3 3'}, ['line 6:', 'more entries than the 3']),
    ({6: '', 7: ''}, ['4 of 4 entries', 'no closing 0 0 0', 'truncated?']),
    ({5: '3', 6: None, 7: None}, ['line 6:', "'3'", 'truncated?']),
    ({5: None, 6: None, 7: None}, ['3 of 4 entries', 'truncated?']),
    ({7: '1 1 1'}, ['line 8:', 'after the closing']),
    ({7: '1 1 1\n'}, ['line 8:', 'after the closing']),
    ({7: 'end'}, ['line 8:']),
    ({0: '3 4 4'}, ['line 1:', '3 x 4', 'square']),
    ({0: '0 0 0'}, ['line 1:', 'empty']),
    ({0: '3 3 2'}, ['line 1:', 'a diagonal entry is missing']),
    ({0: '3 3'}, ['line 1:', "'3 3'", 'no known format', '.npy']),
    ({0: '3 3 -4'}, ['line 1:', 'no known format']),
    ({0: 'a matrix'}, ['line 1:', "'a matrix'"]),
])
@pytest.mark.parametrize('size', [20, 8 << 20])
def test_a_text_file_that_is_wrong_is_refused_with_its_line(tmp_path, monkeypatch, changes, texts, size):
    monkeypatch.setattr(entries.blocks, '__defaults__', (size,))
    lines = [changes.get(k, line) for k, line in enumerate(TEXT)]
    (tmp_path / 'A.txt').write_bytes('\n'.join(line for line in lines if line is not None).encode('latin-1'))
    refused(tmp_path / 'A.txt', *texts)


def test_the_text_file_that_the_wrong_ones_are_made_of_is_right(tmp_path):
    (tmp_path / 'A.txt').write_text('\n'.join(TEXT))
    np.testing.assert_array_equal(dense_of(load_matrix(tmp_path / 'A.txt')), [[2, 0, 0], [0, 2.5, 0], [-1, 0, 2]])


def test_more_text_in_a_block_of_its_own_after_the_closing_line_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(entries.blocks, '__defaults__', (16,))
    (tmp_path / 'A').write_text('1 1 1\n1 1 5\n0 0 0\n' + ' ' * 14 + '\n' + '\n' * 40 + '1 1 1\n')
    refused(tmp_path / 'A', 'line 45:', 'after the closing')


def test_a_header_that_announces_more_than_memory_holds_is_refused(tmp_path):
    (tmp_path / 'A').write_text('%d %d %d\n1 1 1\n0 0 0\n' % (2**31, 2**31, 2**62))
    refused(tmp_path / 'A', 'memory')
    (tmp_path / 'A').write_text('%d %d %d\n1 1 1\n0 0 0\n' % (2**50, 2**50, 2**50))
    refused(tmp_path / 'A', 'line 3:', '1 of the')
    (tmp_path / 'A.mtx').write_text('%%%%MatrixMarket matrix array real general\n%d %d\n1\n' % (2**40, 2**40))
    refused(tmp_path / 'A.mtx', 'memory')


def test_a_binary_file_without_line_ends_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(entries.blocks, '__defaults__', (64,))
    (tmp_path / 'A').write_bytes(b'2 2 2\n' + b'\x00\x01' * 500)
    refused(tmp_path / 'A', 'line 2 is too long')


# Matrix Market

def mtx(tmp_path, text, name='A.mtx'):
    with (gzip.open if name.endswith('.gz') else open)(tmp_path / name, 'wt') as stream:
        stream.write(text)
    return tmp_path / name


@pytest.mark.parametrize('name', ['A.mtx', 'A.mtx.gz', 'A.txt'])
@pytest.mark.parametrize('banner, body, expected', [
    ('coordinate real general', '2 2 3\n1 1 2.5\n2 2 3\n2 1 -1e-3\n', [[2.5, 0], [-1e-3, 3]]),
    ('coordinate real symmetric', '2 2 3\n1 1 2\n2 1 -1\n2 2 3', [[2, -1], [-1, 3]]),
    ('coordinate real symmetric', '2 2 3\n1 1 2\n1 2 -1\n2 2 3', [[2, -1], [-1, 3]]),
    ('coordinate integer general', '2 2 4\n1 1 2\n2 2 3\n1 1 5\n1 2 0\n', [[7, 0], [0, 3]]),
    ('coordinate pattern general', '2 2 3\n1 1\n2 1\n2 2\n', [[1, 0], [1, 1]]),
    ('coordinate pattern symmetric', '2 2 3\n1 1\n2 1\n2 2\n', [[1, 1], [1, 1]]),
    ('array real general', '2 2\n1\n2\n3\n4\n', [[1, 3], [2, 4]]),
    ('array integer general', '2 2\n1\n2\n3\n4\n', [[1, 3], [2, 4]]),
    ('array real symmetric', '3 3\n1\n2\n3\n4\n5\n6\n', [[1, 2, 3], [2, 4, 5], [3, 5, 6]]),
    ('COORDINATE Real General', '% a comment\n\n%\n1 1 1\n1 1 9\n', [[9]]),
])
def test_every_kind_of_real_matrix_market_file_is_read(tmp_path, name, banner, body, expected):
    path = mtx(tmp_path, '%%MatrixMarket matrix ' + banner + '\n% made by hand\n' + body, name)
    np.testing.assert_array_equal(dense_of(load_matrix(path)), expected)


@pytest.mark.parametrize('name', ['bcsstk01', 'bcsstk02', 'gr_30_30', '494_bus', 'ani3_crop', 'vem1', 'poisson274'])
def test_real_matrix_market_files_are_read_as_scipy_reads_them(name):
    read = pytest.importorskip('scipy.io').mmread
    matrix = load_matrix(shared_file(name + '.mtx'))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # scipy 1.18 announces another type of result
        expected = read(shared_file(name + '.mtx'))
    np.testing.assert_array_equal(dense_of(matrix), expected.toarray())
    assert isinstance(matrix.values, np.ndarray) == (name == 'bcsstk02')


@pytest.mark.parametrize('symmetry', ['general', 'symmetric'])
@pytest.mark.parametrize('shape', ['sparse', 'dense'])
def test_what_scipy_writes_is_read(tmp_path, symmetry, shape):
    io_, sparse = pytest.importorskip('scipy.io'), pytest.importorskip('scipy.sparse')
    A = full(9) * (np.abs(full(9)) > 1)
    A = A if symmetry == 'general' else A + A.T
    io_.mmwrite(str(tmp_path / 'A.mtx'), A if shape == 'dense' else sparse.coo_matrix(A), symmetry=symmetry,
                precision=17)
    np.testing.assert_array_equal(dense_of(load_matrix(tmp_path / 'A.mtx')), A)


MTX = ['%%MatrixMarket matrix coordinate real general', '% comment', '2 2 3', '1 1 2', '2 2 3', '2 1 -1', '']


@pytest.mark.parametrize('changes, texts', [
    ({0: '%%MatrixMarkt matrix coordinate real general'}, ['line 1:', 'no known format']),
    ({0: '%MatrixMarket matrix coordinate real general'}, ['line 1:', 'no known format']),
    ({0: '%%MatrixMarket matrix coordinat real general'}, ['line 1:', 'banner']),
    ({0: '%%MatrixMarket matrix coordinate real'}, ['line 1:', 'banner']),
    ({0: '%%MatrixMarket vector coordinate real general'}, ['line 1:', 'banner']),
    ({0: '%%MatrixMarket matrix array pattern general'}, ['line 1:', 'banner']),
    ({0: '%%MatrixMarket matrix coordinate complex general'}, ['line 1:', 'complex', 'only real']),
    ({0: '%%MatrixMarket matrix coordinate complex hermitian'}, ['line 1:', 'only real']),
    ({0: '%%MatrixMarket matrix coordinate real skew-symmetric'}, ['line 1:', 'skew-symmetric']),
    ({0: '%%MatrixMarket matrix coordinate pattern general'}, ['line 4:', 'i j"']),
    ({0: '%%MatrixMarket matrix array real general'}, ['line 3:', '"rows columns"']),
    ({2: '2 2'}, ['line 3:', 'rows columns entries']),
    ({2: '2 2 x'}, ['line 3:']),
    ({2: '2 3 3'}, ['2 x 3', 'square']),
    ({2: '0 0 0'}, ['line 3:']),
    ({2: '2 2 1'}, ['diagonal entry is missing']),
    ({2: '2 2 2'}, ['line 6:', 'more than the 2']),
    ({2: '2 2 4'}, ['3 of 4 entries', 'truncated?']),
    ({3: '3 1 2'}, ['line 4:', '(3, 1) is outside the 2 x 2']),
    ({4: '2 0 2'}, ['line 5:', '(2, 0) is outside']),
    ({4: '2 2 1D5'}, ['line 5:', '1D5']),
    ({4: '2 2 3 4'}, ['line 5:']),
    ({4: '2 2 3x'}, ['line 5:']),
    ({5: '2 1 ', 6: None}, ['line 6:', 'truncated?']),
    ({2: None, 3: None, 4: None, 5: None, 6: None}, ['truncated?']),
])
def test_a_matrix_market_file_that_is_wrong_is_refused_with_its_line(tmp_path, changes, texts):
    lines = [changes.get(k, line) for k, line in enumerate(MTX)]
    refused(mtx(tmp_path, '\n'.join(line for line in lines if line is not None)), *texts)


def test_the_matrix_market_file_that_the_wrong_ones_are_made_of_is_right(tmp_path):
    assert dense_of(load_matrix(mtx(tmp_path, '\n'.join(MTX)))).tolist() == [[2, 0], [-1, 3]]


def test_a_symmetric_file_that_stores_both_triangles_is_refused(tmp_path):
    body = '3 3 5\n1 1 2\n2 2 2\n3 3 2\n3 1 -1\n1 3 -1\n'
    refused(mtx(tmp_path, '%%MatrixMarket matrix coordinate real symmetric\n' + body), 'line 7:', 'both triangles')


@pytest.mark.parametrize('cut', [5, 12, 40, 60])
def test_a_truncated_gz_file_is_refused(tmp_path, cut):
    path = mtx(tmp_path, '\n'.join(MTX), 'A.mtx.gz')
    path.write_bytes(path.read_bytes()[:cut])
    refused(path, 'damaged or truncated')


def test_a_garbled_gz_file_is_refused(tmp_path):
    path = mtx(tmp_path, '\n'.join(MTX), 'A.mtx.gz')
    whole = gzip.compress('\n'.join(MTX).encode())
    for place in (10, len(whole) - 6):  # the type of the first compressed block, and the checksum
        garbled = bytearray(whole)
        garbled[place] |= 6
        garbled[place] ^= 8
        path.write_bytes(garbled)
        refused(path, 'damaged')


# names and what is behind them

@pytest.mark.parametrize('name', ['A.npy', 'A.npz', 'A.txt', 'A.mtx', 'A.mtx.gz'])
def test_a_missing_file_an_empty_one_and_a_folder_are_refused(tmp_path, name):
    for load in (load_matrix, lambda path: load_vector(path, 3)):
        refused(tmp_path / name, 'no such file', load=load)
        (tmp_path / name).write_bytes(b'')
        refused(tmp_path / name, 'is empty', load=load)
        (tmp_path / name).unlink()
        (tmp_path / name).mkdir()
        refused(tmp_path / name, 'is a folder', load=load)
        (tmp_path / name).rmdir()


def test_a_file_that_cannot_be_opened_or_read_is_refused_with_the_reason(tmp_path):
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    refused(tmp_path / 'loop', 'cannot be read', 'symbolic')
    (tmp_path / 'file').write_text('x')
    refused(tmp_path / 'file' / 'below', 'cannot be read', 'Not a directory')
    if os.geteuid():
        (tmp_path / 'file').chmod(0)
        refused(tmp_path / 'file', 'cannot be read', 'Permission')


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'A.npy')
    refused(tmp_path / 'A.npy', 'not a regular file')


@pytest.mark.parametrize('kind, name, says', [
    ('text', 'A.npy', 'is named .npy'), ('text', 'A.npz', 'is named .npz'), ('text', 'A.mtx.gz', 'is named .gz'),
    ('npy', 'A.mtx', 'ends in .npy'), ('npy', 'A.npz', 'ends in .npy'), ('npy', 'A.txt', 'ends in .npy'),
    ('npz', 'A.npy', 'ends in .npz'), ('npz', 'A.mtx', 'ends in .npz'), ('gz', 'A.mtx', 'ends in .gz'),
    ('gz', 'A.npy', 'ends in .gz')])
def test_a_misnamed_file_is_refused_and_told_its_name(tmp_path, kind, name, says):
    path = tmp_path / name
    if kind == 'text':
        path.write_text(text_of(full()))
    elif kind == 'gz':
        path.write_bytes(gzip.compress(text_of(full()).encode()))
    else:
        with open(path, 'wb') as stream:
            (np.save if kind == 'npy' else np.savez)(stream, full())
    refused(path, says)


# vectors in

def test_a_vector_is_read_from_each_format(tmp_path):
    x = np.array([1.5, -2, 3e-200])
    np.save(tmp_path / 'x.npy', x)
    np.save(tmp_path / 'column.npy', x[:, None].astype('>f8'))
    np.save(tmp_path / 'row.npy', x[None])
    (tmp_path / 'x.txt').write_text('1.5\n\n -2 \r\n3e-200')
    mtx(tmp_path, '%%MatrixMarket matrix array real general\n3 1\n1.5\n-2\n3e-200\n', 'x.mtx')
    mtx(tmp_path, '%%MatrixMarket matrix array real general\n1 3\n1.5\n-2\n3e-200\n', 'row.mtx')
    mtx(tmp_path, '%%MatrixMarket matrix coordinate real general\n3 1 3\n1 1 1.5\n3 1 3e-200\n2 1 -2\n', 'x.mtx.gz')
    for name in ('x.npy', 'column.npy', 'row.npy', 'x.txt', 'x.mtx', 'row.mtx', 'x.mtx.gz'):
        found = load_vector(tmp_path / name, 3)
        assert found.tolist() == x.tolist() and found.dtype == np.float64 and not isinstance(found, np.memmap)
    mtx(tmp_path, '%%MatrixMarket matrix coordinate real general\n400 1 1\n7 1 2\n', 'few.mtx')
    assert load_vector(tmp_path / 'few.mtx', 400).sum() == 2


@pytest.mark.parametrize('text, says', [
    ('1\n2\n', 'ends after 2 of 3'), ('1\n2\n\n3\n4\n', 'line 5: more than the 3'), ('1\n2 3\n', "line 2: '2 3'"),
    ('1\n2\nx3\n', "line 3: 'x3'"), ('1\nnan\n3\n', 'entry 1 (counted from 0) is nan'), ('1\n2\n-inf', 'entry 2'),
    ('%%MatrixMarket matrix array real general\n2 1\n1\n2\n', '3 numbers'),
    ('%%MatrixMarket matrix array real general\n3 3\n1\n2\n', '3 numbers'),
    ('%%MatrixMarket matrix array real general\n3 1\n1\n2\n', '2 of 3')])
def test_a_vector_file_that_is_wrong_is_refused_with_its_line_or_entry(tmp_path, text, says):
    (tmp_path / 'x.txt').write_text(text)
    refused(tmp_path / 'x.txt', says, load=lambda path: load_vector(path, 3))


def test_a_binary_vector_file_that_is_wrong_is_refused(tmp_path):
    for x, says in ((np.ones(4), '(4,); 3 numbers'), (np.ones((3, 3)), '3 numbers'), (np.ones(3) * 1j, 'real'),
                    (np.array(['a', 'b', 'c']), 'real'), (np.array([1, np.nan, 2], 'f4'), 'entry 1')):
        np.save(tmp_path / 'x.npy', x)
        refused(tmp_path / 'x.npy', says, load=lambda path: load_vector(path, 3))
    np.savez(tmp_path / 'x.npz', np.ones(3))
    refused(tmp_path / 'x.npz', 'must be .npy', load=lambda path: load_vector(path, 3))


# output

@pytest.mark.parametrize('name', ['x.npy', 'x.mtx', 'x.txt', 'X.TXT'])
def test_a_saved_vector_is_read_back_exactly(tmp_path, name):
    x = np.random.default_rng(1).standard_normal(50) * np.logspace(-300, 300, 50)
    (tmp_path / name).write_text('old')
    save_vector(tmp_path / name, x)
    assert load_vector(tmp_path / name, 50).tobytes() == x.tobytes()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    save_vector(tmp_path / name, x[:1])
    assert load_vector(tmp_path / name, 1) == x[:1]


def test_text_output_has_one_number_a_line(tmp_path):
    save_vector(tmp_path / 'x.txt', [0.1, 2])
    assert (tmp_path / 'x.txt').read_text() == '0.10000000000000001\n2\n'


def test_an_output_that_cannot_be_written_is_refused_beforehand(tmp_path):
    with pytest.raises(InputError, match='must end in one of .npy, .mtx, .txt'):
        check_output(tmp_path / 'x.csv')
    with pytest.raises(InputError, match='folder .*missing does not exist'):
        check_output(tmp_path / 'missing' / 'x.npy')
    (tmp_path / 'x.npy').mkdir()
    with pytest.raises(InputError, match='not a regular file'):
        check_output(tmp_path / 'x.npy')
    with pytest.raises(InputError, match='not a regular file'):
        check_folder('/dev/null')
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(InputError, match='cannot be written'):
            check_folder(tmp_path / 'report.json')


def test_checking_an_output_leaves_nothing_behind(tmp_path):
    check_output(tmp_path / 'x.npy')
    check_folder(tmp_path / 'report.json')
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_keeps_the_old_file_and_leaves_no_other(tmp_path):
    (tmp_path / 'x.txt').write_text('old')
    with pytest.raises(KeyboardInterrupt):
        with write_atomically(tmp_path / 'x.txt') as stream:
            stream.write(b'half')
            raise KeyboardInterrupt
    assert (tmp_path / 'x.txt').read_text() == 'old' and len(list(tmp_path.iterdir())) == 1


def test_output_through_a_link_replaces_what_the_link_names(tmp_path):
    (tmp_path / 'there').mkdir()
    (tmp_path / 'x.txt').symlink_to(tmp_path / 'there' / 'real.txt')
    save_vector(tmp_path / 'x.txt', [1])
    assert (tmp_path / 'x.txt').is_symlink() and (tmp_path / 'there' / 'real.txt').read_text() == '1\n'
