"""Checkpoints: whole at any moment, refused where they are not, and taken up by the same system only."""
import dataclasses
import errno
import hashlib
import json
import os
import pathlib
import pickle
import random
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

from made_files import dense, sparse

from coro_sor import __version__
from coro_sor.checkpoint import (MAGIC, Checkpoint, Checkpointer, read_checkpoint, resume,
                                 write_checkpoint)
from coro_sor.formats import output
from coro_sor.options import Options
from coro_sor.problem import Problem
from coro_sor.solution import InputError

ROOT = pathlib.Path(__file__).parents[2]


def checkpoint(n=6, **fields):
    return Checkpoint(**{**dict(x=np.arange(float(n)), sweeps=12.5, residual_norm=1e-5, options={'omega': 1.5},
                                fingerprint='0' * 128, version='0.1', matrix='A.npy'), **fields})


def written(path, **fields):
    write_checkpoint(path, checkpoint(**fields))
    return path.read_bytes()


def refused(path, *texts):
    with pytest.raises(InputError) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(str(path) + ': ') and '\n' not in message
    for text in texts:
        assert text in message, message


def sealed(head, rest=b'', begin=MAGIC + b'1\n'):
    """A file with a right digest, whatever it says."""
    head = head if isinstance(head, bytes) else json.dumps(head).encode()
    body = begin + struct.pack('>L', len(head)) + head + rest
    return body + hashlib.sha256(body).digest()


def fields_of(n=2, **changes):
    plain = {field.name: getattr(checkpoint(), field.name) for field in dataclasses.fields(Checkpoint)}
    return {**{name: value for name, value in plain.items() if name != 'x'}, 'n': n, **changes}


# the file

def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    x = np.random.default_rng(1).standard_normal(1000) * np.logspace(-300, 300, 1000)
    sent = checkpoint(x=x, options=dataclasses.asdict(Options()))
    write_checkpoint(tmp_path / 'c', sent)
    back = read_checkpoint(tmp_path / 'c')
    assert back.x.tobytes() == x.tobytes() and back.x.dtype == np.float64 and back.x.flags.writeable
    for field in dataclasses.fields(Checkpoint):
        assert field.name == 'x' or getattr(back, field.name) == getattr(sent, field.name)
    assert back.told == 'sweeps 12, residual 1.000e-05, written by version 0.1'
    assert [path.name for path in tmp_path.iterdir()] == ['c']


def test_every_truncation_is_noticed(tmp_path):
    whole = written(tmp_path / 'c')
    for size in range(len(whole)):
        (tmp_path / 'c').write_bytes(whole[:size])
        refused(tmp_path / 'c')
    (tmp_path / 'c').write_bytes(whole + b'x')
    refused(tmp_path / 'c', 'damaged')


def test_every_changed_byte_is_noticed(tmp_path):
    whole = written(tmp_path / 'c')
    for place in range(len(whole)):
        wrong = bytearray(whole)
        wrong[place] ^= 1 << place % 8
        (tmp_path / 'c').write_bytes(wrong)
        refused(tmp_path / 'c')


def test_what_is_no_checkpoint_is_refused(tmp_path):
    refused(tmp_path / 'c', 'no such file', 'without --resume')
    (tmp_path / 'c').mkdir()
    refused(tmp_path / 'c', 'not a regular file')
    (tmp_path / 'c').rmdir()
    os.mkfifo(tmp_path / 'c')
    refused(tmp_path / 'c', 'not a regular file')
    (tmp_path / 'c').unlink()
    np.save(tmp_path / 'x.npy', np.ones(3))
    for content in (b'', b'text\n' * 50, (tmp_path / 'x.npy').read_bytes(), MAGIC):
        (tmp_path / 'c').write_bytes(content)
        refused(tmp_path / 'c')
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    refused(tmp_path / 'loop', 'cannot be read')


def test_a_pickle_is_refused_and_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'sprung'),)
    (tmp_path / 'c').write_bytes(pickle.dumps(Trap()))
    refused(tmp_path / 'c', 'is not a checkpoint')
    np.savez(tmp_path / 'c.npz', x=np.array([Trap()], dtype=object))
    refused(tmp_path / 'c.npz', 'is not a checkpoint')
    assert not (tmp_path / 'sprung').exists()


@pytest.mark.parametrize('content, text', [
    (sealed(fields_of(), bytes(16), MAGIC + b'2\n'), 'another version'),
    (sealed(fields_of(), bytes(8)), 'truncated'),
    (sealed(fields_of(n=2**62), bytes(16)), 'truncated'),
    (sealed(fields_of(n=0)), 'truncated'), (sealed(fields_of(n=-2), bytes(16)), 'truncated'),
    (sealed(fields_of(n=True), bytes(8)), 'truncated'), (sealed(fields_of(n='2'), bytes(16)), 'truncated'),
    (sealed({}), 'other fields'), (sealed([]), 'head'), (sealed(b'{"n":'), 'head'), (sealed(b'\xff'), 'head'),
    (sealed(b'[' * 60000), 'head'), (MAGIC + b'1\n' + b'\xff\xff\xff\xff' + bytes(99), 'head is said'),
    (sealed({'n': 2}, bytes(16)), 'other fields'), (sealed(fields_of(y=1), bytes(16)), 'other fields'),
    (sealed(fields_of(x=[1, 2]), bytes(16)), 'other fields'),
    (sealed(fields_of(), np.array([1, np.nan]).tobytes()), 'x of a checkpoint'),
    (sealed(fields_of(), np.array([1, -np.inf]).tobytes()), 'x of a checkpoint'),
    (sealed(fields_of(sweeps=-1), bytes(16)), 'sweeps of'), (sealed(fields_of(sweeps=True), bytes(16)), 'sweeps of'),
    (sealed(fields_of(residual_norm=float('nan')), bytes(16)), 'residual norm of'),
    (sealed(fields_of(residual_norm=None), bytes(16)), 'residual norm of'),
    (sealed(fields_of(options=[]), bytes(16)), 'options of'), (sealed(fields_of(version=1), bytes(16)), 'version of'),
    (sealed(fields_of(matrix=None), bytes(16)), 'matrix of'), (sealed(fields_of(fingerprint=''), bytes(16)), 'fingerp'),
])
def test_a_checkpoint_that_is_whole_but_wrong_is_refused(tmp_path, content, text):
    (tmp_path / 'c').write_bytes(content)
    refused(tmp_path / 'c', text)


def test_the_checkpoint_that_the_wrong_ones_are_made_of_is_right(tmp_path):
    (tmp_path / 'c').write_bytes(sealed(fields_of(), bytes(16)))
    assert read_checkpoint(tmp_path / 'c').x.tolist() == [0, 0]


def test_a_checkpoint_that_shrinks_while_it_is_read_is_refused(tmp_path, monkeypatch):
    written(tmp_path / 'c')
    size = os.path.getsize(tmp_path / 'c')
    monkeypatch.setattr(os, 'fstat', lambda descriptor: os.stat_result((0,) * 6 + (size,) + (0,) * 3))
    os.truncate(tmp_path / 'c', size - 40)
    refused(tmp_path / 'c', 'became shorter')


def test_too_little_memory_is_an_input_error(tmp_path, monkeypatch):
    written(tmp_path / 'c')

    def exhausted(*unused):
        raise MemoryError
    monkeypatch.setattr(np, 'empty', exhausted)
    refused(tmp_path / 'c', 'memory')


# a run

def test_what_a_run_wrote_is_gone_on_from(tmp_path):
    problem = Problem(dense(), np.arange(6.0))
    keeper = Checkpointer(tmp_path / 'c', 2, problem, Options(omega=1.5))
    assert keeper.every == 2.0 and not list(tmp_path.iterdir())
    assert keeper.write(np.ones(6), 7, 0.5) == '' == keeper.write(np.arange(6.0), 8.25, 0.25)
    found = read_checkpoint(tmp_path / 'c')
    assert (found.sweeps, found.residual_norm, found.version, found.matrix) == (8.25, 0.25, __version__, 'A')
    assert Options(**found.options) == Options(omega=1.5)
    resumed, told = resume(problem, tmp_path / 'c')
    assert resumed.x0.tolist() == list(range(6)) and problem.x0 is None
    assert resumed.b is problem.b and resumed.all_rows() is problem.all_rows()
    assert told == '%s: goes on from sweeps 8, residual 2.500e-01, written by version %s' % (
        tmp_path / 'c', __version__)


@pytest.mark.parametrize('A, b, text', [
    (dense(7), np.arange(7.0), 'of another A: its x has 6 entries'),
    (dense() + np.eye(6), np.arange(6.0), 'of another A (that of A)'), (sparse(), np.arange(6.0), 'of another A ('),
    (dense(), np.ones(6), 'of another b ('), (sparse(), np.ones(6), 'of another A and another b (')])
def test_another_system_is_refused_and_told_what_differs(tmp_path, A, b, text):
    problem = Problem(dense(), np.arange(6.0))
    assert Checkpointer(tmp_path / 'c', 1, problem, Options()).write(np.ones(6), 1, 1) == ''
    with pytest.raises(InputError) as caught:
        resume(Problem(A, b), tmp_path / 'c')
    assert text in str(caught.value) and str(tmp_path / 'c') in str(caught.value)


def test_an_x0_beside_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match='either x0 or a checkpoint'):
        resume(Problem(dense(), np.ones(6), x0=np.ones(6)), tmp_path / 'c')


@pytest.mark.parametrize('every', [0, -1, float('nan'), float('inf'), True, '30', None])
def test_a_pause_that_is_no_time_is_refused(tmp_path, every):
    with pytest.raises(InputError, match='checkpoint_every'):
        Checkpointer(tmp_path / 'c', every, Problem(dense(), np.ones(6)), Options())


def test_a_place_that_cannot_be_written_is_refused_beforehand(tmp_path):
    with pytest.raises(InputError, match='does not exist'):
        Checkpointer(tmp_path / 'missing' / 'c', 1, Problem(dense(), np.ones(6)), Options())


def test_an_x_that_is_not_finite_never_replaces_a_good_one(tmp_path):
    keeper = Checkpointer(tmp_path / 'c', 1, Problem(dense(), np.ones(6)), Options())
    assert keeper.write(np.ones(6), 1, 1) == ''
    assert 'no checkpoint was written: the x of' in keeper.write(np.full(6, np.nan), 2, 1)
    assert 'residual norm' in keeper.write(np.ones(6), 2, float('inf'))
    assert read_checkpoint(tmp_path / 'c').sweeps == 1


def test_a_full_disk_is_told_and_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    keeper = Checkpointer(tmp_path / 'c', 1, Problem(dense(), np.ones(6)), Options())
    assert keeper.write(np.ones(6), 1, 1) == ''

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as patched:
        patched.setattr(output.os, 'fsync', full)
        assert keeper.write(np.ones(6), 2, 1) == '%s: no checkpoint could be written: No space left on device' % (
            tmp_path / 'c')
    assert read_checkpoint(tmp_path / 'c').sweeps == 1 and len(list(tmp_path.iterdir())) == 1
    assert keeper.write(np.ones(6), 3, 1) == '' and read_checkpoint(tmp_path / 'c').sweeps == 3


def test_a_write_that_the_system_cuts_short_keeps_the_old_checkpoint(tmp_path):
    """With a limit on the size of files, which a process meets in the middle of a write, as on a full disk."""
    program = ('import resource, signal, sys, numpy as np\n'
               'from coro_sor.checkpoint import *\nfrom coro_sor.options import Options\n'
               'from coro_sor.problem import load_problem\n'
               'signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n'
               'problem = load_problem(problem="poisson2d:100")\n'
               'keeper = Checkpointer(sys.argv[1], 1, problem, Options())\n'
               'assert keeper.write(np.ones(10000), 1, 1) == ""\n'
               'resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))\n'
               'print(keeper.write(np.ones(10000), 2, 1))\n')
    done = subprocess.run([sys.executable, '-c', program, str(tmp_path / 'c')], cwd=str(ROOT), stdout=subprocess.PIPE,
                          timeout=60, check=True)
    assert b'no checkpoint could be written: File too large' in done.stdout
    assert read_checkpoint(tmp_path / 'c').sweeps == 1 and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_goes_away_in_mid_run_is_told(tmp_path):
    (tmp_path / 'there').mkdir()
    keeper = Checkpointer(tmp_path / 'there' / 'c', 1, Problem(dense(), np.ones(6)), Options())
    (tmp_path / 'there').rmdir()
    assert 'No such file or directory' in keeper.write(np.ones(6), 1, 1)


WRITER = '''
import sys, numpy as np
from coro_sor.checkpoint import *
for count in range(1 << 40):
    x = np.full(30000, float(count))
    write_checkpoint(sys.argv[1], Checkpoint(x, count, 0.0, {}, '0' * 128, 'v', 'A'))
    if count == 0:
        print('begun', flush=True)
'''


@pytest.mark.timeout(120)
def test_a_writer_that_is_killed_at_any_moment_leaves_a_whole_checkpoint_and_nothing_piles_up(tmp_path):
    draw, path, found = random.Random(1), tmp_path / 'c', []
    for _ in range(30):
        with subprocess.Popen([sys.executable, '-c', WRITER, str(path)], cwd=str(ROOT),
                              stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b'begun\n'
            time.sleep(draw.uniform(0, 0.03))
            child.send_signal(signal.SIGKILL)
        checkpoint = read_checkpoint(path)
        assert (checkpoint.x == checkpoint.sweeps).all()
        found.append(checkpoint.sweeps)
        assert {each.name for each in tmp_path.iterdir()} <= {'c', 'c.coro_sor.tmp'}
    assert max(found) > 0
    write_checkpoint(path, checkpoint)
    assert [each.name for each in tmp_path.iterdir()] == ['c']


def test_a_file_that_promises_a_large_x_costs_no_memory(tmp_path):
    """The address space is limited to little more than what is in use."""
    (tmp_path / 'c').write_bytes(sealed(fields_of(n=2**32), bytes(16)))
    program = ('import resource, sys\nfrom coro_sor.checkpoint import read_checkpoint\n'
               'used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()\n'
               'resource.setrlimit(resource.RLIMIT_AS, (used + (8 << 20),) * 2)\n'
               'try:\n    read_checkpoint(sys.argv[1])\nexcept ValueError as error:\n    print(error)\n')
    done = subprocess.run([sys.executable, '-c', program, str(tmp_path / 'c')], cwd=str(ROOT), stdout=subprocess.PIPE,
                          timeout=60, check=True)
    assert b'truncated' in done.stdout
