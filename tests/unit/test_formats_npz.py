"""Archives of arrays, dense ones and scipy's, and every way in which one can be wrong."""
import io
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from made_files import dense_of, full, refused, refused_within

from coro_sor.formats import load_matrix, matrices, npz
from coro_sor.problem import Problem

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
    np.savez(tmp_path / 'A.npz', format=np.array(b'dia'), shape=[2, 2], data=[[1.0, 1]], offsets=[0])
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


def zipped(path, members, compression=zipfile.ZIP_DEFLATED):
    """A .npz file of (name, bytes)."""
    with zipfile.ZipFile(path, 'w', compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def saved(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def relabelled(path, before, after):
    """Put the size `after` wherever the archive's directories say `before`."""
    whole = path.read_bytes()
    old, new = before.to_bytes(4, 'little'), after.to_bytes(4, 'little')
    assert whole.count(old) in (2, 4)       # four, where what is compressed is as long as what is not
    path.write_bytes(whole.replace(old, new))
    return path


def test_a_matrix_that_compresses_well_is_read(tmp_path):
    np.savez_compressed(tmp_path / 'A.npz', np.eye(1000))
    assert (tmp_path / 'A.npz').stat().st_size < 100000
    assert (load_matrix(tmp_path / 'A.npz').values == np.eye(1000)).all()


@pytest.mark.parametrize('compression, text', [(zipfile.ZIP_STORED, 'larger than it'),
                                               (zipfile.ZIP_DEFLATED, 'promises to unpack')])
def test_a_member_that_promises_what_the_file_cannot_hold_costs_no_memory(tmp_path, compression, text):
    header = saved(np.zeros((16384, 16384), '|u1')[:0])[:128].replace(b'(0, 16384)', b'(%d, %d)' % (20000, 20000))
    path = zipped(tmp_path / 'A.npz', [('A.npy', header + bytes(1000))], compression)
    refused_within(64, path, 'its header', 'says')
    refused_within(64, relabelled(path, len(header) + 1000, len(header) + 20000**2), text)


def test_a_member_that_unpacks_to_more_than_it_promises_is_refused_and_costs_no_memory(tmp_path):
    content = saved(np.eye(4)) + bytes(50 << 20)
    path = zipped(tmp_path / 'A.npz', [('A.npy', content)])
    tracemalloc.start()
    try:
        refused(path, 'is %d bytes long, but its header' % len(content))
        refused(relabelled(path, len(content), 256), 'damaged')
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_a_member_that_ends_before_what_it_promises_is_refused(tmp_path):
    """Its real size is changed in the directories and in the header, so that nothing but the content tells."""
    content = saved(np.eye(4)).replace(b'(4, 4)', b'(8, 8)')
    path = zipped(tmp_path / 'A.npz', [('A.npy', content)])
    refused(relabelled(path, len(content), len(content) + 384), 'truncated')


def test_members_that_share_their_bytes_are_refused(tmp_path):
    """A small file could unpack to any size otherwise: each entry of its directory names the same bytes."""
    path = zipped(tmp_path / 'A.npz', [('A.npy', saved(np.random.default_rng(1).random((9, 9))))])
    whole = path.read_bytes()
    start, end = whole.index(b'PK\x01\x02'), whole.index(b'PK\x05\x06')
    entry, last = whole[start:end], bytearray(whole[end:])
    last[8:12] = (5).to_bytes(2, 'little') * 2
    last[12:16] = (5 * len(entry)).to_bytes(4, 'little')
    path.write_bytes(whole[:start] + entry * 5 + bytes(last))
    refused(path, 'larger than it')


def test_a_compression_that_numpy_does_not_use_is_refused(tmp_path):
    refused(zipped(tmp_path / 'A.npz', [('A.npy', saved(full()))], zipfile.ZIP_BZIP2), 'does not use')
    path = zipped(tmp_path / 'A.npz', [('A.npy', saved(full()))])
    whole = bytearray(path.read_bytes())
    whole[whole.index(b'PK\x01\x02') + 8] |= 1     # encrypted
    path.write_bytes(whole)
    refused(path, 'encrypted')


def test_an_archive_of_no_array_or_of_very_many_is_refused(tmp_path):
    refused(zipped(tmp_path / 'A.npz', []), 'holds 0 arrays')
    refused(zipped(tmp_path / 'A.npz', [('%d.npy' % k, b'') for k in range(1000)]), 'holds 1000 arrays (0, 1, 2, 3)')


def test_too_little_memory_for_an_archive_is_an_input_error(tmp_path, monkeypatch):
    def exhausted(*unused, **named):
        raise MemoryError
    np.savez(tmp_path / 'A.npz', full())
    with monkeypatch.context() as patched:
        patched.setattr(npz, 'parse_header', exhausted)
        refused(tmp_path / 'A.npz', 'memory')
    sparse = pytest.importorskip('scipy.sparse')
    sparse.save_npz(tmp_path / 'A.npz', sparse.csr_matrix(full()))
    monkeypatch.setattr(matrices, 'canonical', exhausted)
    refused(tmp_path / 'A.npz', 'memory')


def sparse_file(path, form, **arrays):
    pytest.importorskip('scipy.sparse')
    np.savez(path, format=np.array(form.encode()), **{name: np.array(array) for name, array in arrays.items()})
    return path


@pytest.mark.parametrize('form', ['csr', 'csc', 'bsr'])
@pytest.mark.parametrize('wrong', [{'indptr': [0, 10**6, 2]}, {'indptr': [0, -1, 2]}, {'indptr': [5, 1, 2]},
                                   {'indptr': [0, -(2**31), 2]}, {'indptr': [0, 2**31, -1]}, {'indptr': [0, 10**6, 0]},
                                   {'indices': [0, 7]}, {'indices': [0, -1]}, {'indptr': [0, 1]}, {'indptr': []}])
def test_indices_that_would_lead_scipy_beyond_its_arrays_are_refused(tmp_path, form, wrong):
    right = dict(shape=[2, 2], indices=[0, 1], indptr=[0, 1, 2], data=[1.0, 1] if form != 'bsr' else [[[1.0]], [[1.0]]])
    assert dense_of(load_matrix(sparse_file(tmp_path / 'A.npz', form, **right))).tolist() == [[1, 0], [0, 1]]
    refused(sparse_file(tmp_path / 'A.npz', form, **dict(right, **wrong)))


@pytest.mark.parametrize('form, arrays', [
    ('coo', dict(row=[0, 1], col=[0, 1], data=[1.0, 1])), ('dia', dict(offsets=[0], data=[[1.0, 1]])),
    ('bsr', dict(indices=[], indptr=[0, 0], data=np.zeros((0, 2**20, 2**20), 'u1')))])
def test_a_sparse_shape_that_its_entries_cannot_fill_costs_no_memory(tmp_path, form, arrays):
    shape = [2**40, 2**40]
    refused_within(64, sparse_file(tmp_path / 'A.npz', form, shape=shape, **arrays), 'a diagonal entry is missing')


@pytest.mark.parametrize('arrays, text', [
    (dict(shape=[2.0, 2.0]), 'its shape is of type float64'), (dict(shape=[2, 2, 2]), '(2, 2, 2); it must be square'),
    (dict(shape=['2', '2']), 'its shape is of type'), (dict(shape=2), 'square'), (dict(row=None), "damaged: 'row'"),
    (dict(row=[0, 5]), 'damaged')])
def test_a_coordinate_file_of_scipy_that_is_wrong_is_refused(tmp_path, arrays, text):
    right = dict(shape=[2, 2], row=[0, 1], col=[0, 1], data=[1.0, 1])
    arrays = {name: array for name, array in dict(right, **arrays).items() if array is not None}
    refused(sparse_file(tmp_path / 'A.npz', 'coo', **arrays), text)
