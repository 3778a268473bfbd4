"""Files of text: the original's format and Matrix Market, and every way in which one can be wrong."""
import gzip
import io
import warnings

import numpy as np
import pytest

from made_files import dense_of, full, mtx, refused, refused_within, text_of
from shared_data import shared_file

from coro_sor.formats import entries, load_matrix, load_vector
from coro_sor.problem import Problem

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


@pytest.mark.parametrize('sizes', [(2**31, 2**59), (2**50, 2**50), (10000, 10**8)])
@pytest.mark.parametrize('name', ['A', 'A.gz'])
def test_a_header_that_announces_more_than_the_file_can_hold_is_refused_before_memory_is_asked_for(tmp_path, sizes,
                                                                                                   name):
    n, count = sizes
    refused_within(64, mtx(tmp_path, '%d %d %d\n1 1 1\n0 0 0\n' % (n, n, count), name), 'announces %d' % count,
                   'truncated?')


@pytest.mark.parametrize('first, second', [
    ('array real general', '%d %d' % (2**40, 2**40)), ('array real symmetric', '20000 20000'),
    ('coordinate real general', '%d %d %d' % (2**31, 2**31, 2**31)),
    ('coordinate pattern symmetric', '9999 9999 9999')])
def test_the_same_holds_for_matrix_market(tmp_path, first, second):
    text = '%%MatrixMarket matrix ' + first + '\n' + second + '\n1 1 1\n'
    refused_within(64, mtx(tmp_path, text), 'announces')


def test_what_fails_while_a_file_is_read_is_an_input_error_with_its_name(tmp_path, monkeypatch):
    path = mtx(tmp_path, '2 2 2\n1 1 1\n2 2 1\n0 0 0\n')
    for error, text in ((OSError(5, 'Input/output error'), 'cannot be read: Input/output'), (MemoryError(), 'memory')):
        def failing(*unused):
            raise error
        monkeypatch.setattr(entries, 'Block', failing)
        refused(path, text)


def test_what_a_file_can_just_hold_is_read(tmp_path):
    refused(mtx(tmp_path, '3 3 9\n1 1 1\n'), 'announces 9 entries, more than a file of 12 bytes')
    assert dense_of(load_matrix(mtx(tmp_path, '3 3 9\n' + ''.join(
        '%d %d 1\n' % (i, j) for i in (1, 2, 3) for j in (1, 2, 3)) + '0 0 0'))).tolist() == [[1] * 3] * 3
    path = mtx(tmp_path, '%%MatrixMarket matrix array real general\n2000 1\n' + '0\n' * 2000, 'x.mtx.gz')
    assert load_vector(path, 2000).shape == (2000,)


@pytest.mark.parametrize('text, says', [
    ('1 1 1\n1 1 5\n0 0 0\n' + '\n' * 4000000, 'is longer than 1 entries can be'),
    ('%%MatrixMarket matrix array real general\n1 1\n' + ' ' * 4000000, 'longer than'),
    ('%%MatrixMarket matrix coordinate real general\n' + '% more\n' * 3000000 + '1 1 1\n1 1 1\n', 'comments'),
    ('1 1 1\n' + '1 1 5\n' * 100000, 'more entries than the 1')])
def test_a_compressed_file_that_goes_on_beyond_what_its_header_promises_is_refused(tmp_path, text, says):
    path = mtx(tmp_path, text, 'A.mtx.gz')
    assert path.stat().st_size < 1 << 18
    refused(path, says)


def test_a_vector_that_goes_on_is_refused(tmp_path):
    refused(mtx(tmp_path, '1\n2\n' + '\n' * 4000000, 'x.gz'), 'longer than 2 entries', load=lambda path:
            load_vector(path, 2))


@pytest.mark.parametrize('count', ['9' * 19, '9' * 5000])
def test_a_count_beyond_all_reason_is_refused(tmp_path, count):
    refused(mtx(tmp_path, '%s %s %s\n' % (count, count, count)), 'line 1:')
    banner = '%%MatrixMarket matrix array real general\n'
    refused(mtx(tmp_path, banner + '%s %s\n' % (count, count)), 'line 2:')


@pytest.mark.parametrize('text', ['1\x85 1 1', '1\xa01 1', '1\x1c1 1', '1 1\x0b1', '1 1 1\r', '1\r1 1', '\x85',
                                  '1 1 "1"', '1 1 1\x00', '1 1 \xb2'])
def test_what_only_numpy_takes_for_a_space_or_a_digit_is_refused(tmp_path, text):
    path = tmp_path / 'A'
    path.write_bytes('2 2 2\n1 1 1\n{}\n2 2 2\n0 0 0\n'.format(text).replace('\r\n', '\rx\n').encode('latin-1'))
    refused(path, 'line')


def test_a_binary_file_without_line_ends_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(entries.blocks, '__defaults__', (64,))
    (tmp_path / 'A').write_bytes(b'2 2 2\n' + b'\x00\x01' * 500)
    refused(tmp_path / 'A', 'line 2 is too long')


# Matrix Market

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
