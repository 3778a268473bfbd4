"""Which file is what, vectors in, and what is written."""
import gzip
import os

import numpy as np
import pytest

from made_files import full, mtx, refused, text_of

from coro_sor.formats import check_folder, check_output, load_matrix, load_vector, save_vector, write_atomically
from coro_sor.solution import InputError

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
