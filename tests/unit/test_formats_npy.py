"""numpy's .npy files: mapped or read in pieces, and every way in which one can be wrong."""
import os

import numpy as np
import pytest

from made_files import dense_of, full, refused, refused_within, text_of

from coro_sor.formats import load_matrix, load_vector, npy, read_rows
from coro_sor.problem import Problem
from coro_sor.solution import InputError

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


def npy_file(path, header, body=bytes(128), version=b'\x01\x00', length=None):
    """A .npy file with this header, true or not."""
    width = 4 if version[0] == 2 else 2
    length = len(header) if length is None else length
    path.write_bytes(b'\x93NUMPY' + version + length.to_bytes(width, 'little') + header + body)
    return path


RIGHT = b"{'descr': '<f8', 'fortran_order': False, 'shape': (4, 4), }\n"


@pytest.mark.parametrize('header', [
    RIGHT, b"{'shape':(4,4),'fortran_order':False,'descr':'<f8'}", b" { 'descr' : '=f8', 'fortran_order': True , "
    b"'shape': ( 4 , 4 , ) , } ", b"{'descr': 'f8', 'fortran_order': False, 'shape': (4, 4)}" + b' ' * 900])
@pytest.mark.parametrize('version', [b'\x01\x00', b'\x02\x00'])
def test_a_npy_header_is_read_as_other_programs_write_it(tmp_path, header, version):
    assert load_matrix(npy_file(tmp_path / 'A.npy', header, version=version)).values.shape == (4, 4)


@pytest.mark.parametrize('old, new', [
    (b"'<f8'", b"[('a', '<f8')]"), (b"'<f8'", b"'<f8' + ''"), (b"'<f8'", b"'<q8'"), (b"'<f8'", b"'|S0'"),
    (b"'<f8'", b"'<f3'"), (b"'<f8'", b"'" + b'x' * 300 + b"'"), (b'False', b'None'), (b'False', b'0'),
    (b"'fortran_order': False, ", b''), (b'{', b"{'descr': '<f8', "), (b'}', b''), (b'}', b"'more': 1}"),
    (b'(4, 4)', b'(4, -4)'), (b'(4, 4)', b'(4L, 4L)'), (b'(4, 4)', b'(4 4)'), (b'(4, 4)', b'(16)'), (b'(4, 4)', b'16'),
    (b'(4, 4)', b'(4, , 4)'), (b'(4, 4)', b'(True, 4)'), (b'(4, 4)', b'(%d, 0)' % 2**62), (b'(4, 4)', b'(' * 5000),
    (b'(4, 4)', b'(%s)' % (b'1, ' * 40)), (b'(4, 4)', b'[4, 4]'), (b'(4, 4)', b'__import__("os").abort()'),
    (b'(4, 4)', b'(%s,)' % (b'9' * 5000))])
def test_a_npy_header_that_is_not_plain_is_refused_and_never_evaluated(tmp_path, old, new):
    refused(npy_file(tmp_path / 'A.npy', RIGHT.replace(old, new)), 'header is damaged')


@pytest.mark.parametrize('version, length', [(b'\x02\x00', 2**32 - 1), (b'\x01\x00', 65535), (b'\x02\x00', 9999)])
def test_a_npy_header_that_lies_about_its_length_costs_no_memory(tmp_path, version, length):
    refused_within(64, npy_file(tmp_path / 'A.npy', RIGHT, version=version, length=length), '%d bytes' % length)


def test_a_npy_header_that_promises_more_than_the_file_has_costs_no_memory(tmp_path):
    wide = RIGHT.replace(b'(4, 4)', b'(%d, %d)' % (2**40, 2**40))
    refused_within(64, npy_file(tmp_path / 'A.npy', wide), 'truncated?')


@pytest.mark.parametrize('shape', [(), (4,), (4, 4, 4), (0, 4), (2, 8)])
def test_an_array_that_is_no_matrix_is_refused(tmp_path, shape):
    np.save(tmp_path / 'A.npy', np.zeros(shape))
    np.savez(tmp_path / 'A.npz', np.zeros(shape))
    for name in ('A.npy', 'A.npz'):
        refused(tmp_path / name, 'its shape is %s; it must be square' % (shape,))


def test_what_cannot_be_mapped_is_refused(tmp_path, monkeypatch):
    np.save(tmp_path / 'A.npy', full())

    def failing(*unused):
        raise OSError('no address space')
    monkeypatch.setattr(npy.np, 'memmap', failing)
    refused(tmp_path / 'A.npy', 'cannot be mapped')


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


def test_read_rows_refuses_a_pipe_and_does_not_wait_for_its_writer(tmp_path):
    os.mkfifo(tmp_path / 'A.npy')
    refused(tmp_path / 'A.npy', 'not a regular file', load=lambda path: list(read_rows(str(path), 0, 4, 4)))


def test_read_rows_refuses_a_file_that_goes_away_between_two_looks(tmp_path, monkeypatch):
    path = tmp_path / 'A.npy'
    np.save(path, full())
    found = os.stat(path)
    path.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(os, 'stat', lambda *unused: found)
        with pytest.raises(OSError):
            next(read_rows(str(path), 0, 4, 4))
    refused(path, 'cannot be read', load=lambda path: npy.read_header(str(path)))
