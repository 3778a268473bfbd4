"""--checkpoint and --resume: refused where they make no sense, before a worker is started."""
import numpy as np
import pytest

from made_files import dense

from coro_sor.api import with_checkpoints
from coro_sor.arguments import parse
from coro_sor.checkpoint import Checkpointer
from coro_sor.cli import main
from coro_sor.options import CHECKPOINT_EVERY, Options
from coro_sor.problem import Problem


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save('A.npy', dense())
    np.save('b.npy', np.ones(6))
    np.save('x0.npy', np.ones(6))
    problem = Problem(dense(), np.ones(6))
    for name in ('c', 'other', 'x.npy', 'report'):
        assert Checkpointer(name, 1, problem, Options()).write(np.ones(6), 1, 1) == ''
    return tmp_path


SYSTEM = ['--matrix', 'A.npy', '--rhs', 'b.npy']


@pytest.mark.parametrize('arguments, text', [
    (['--resume', 'c', '--x0', 'x0.npy'], '--resume goes without --x0'),
    (['--checkpoint-every', '5'], '--checkpoint-every goes with --checkpoint'),
    (['--checkpoint', 'c', '--checkpoint-every', 'x'], 'invalid float')])
def test_options_that_contradict_each_other_are_refused(folder, capsys, arguments, text):
    with pytest.raises(SystemExit) as ended:
        parse(SYSTEM + arguments)
    assert ended.value.code == 2 and text in capsys.readouterr().err


@pytest.mark.parametrize('arguments, text', [
    (['--checkpoint', 'c', '--checkpoint-every', '0'], 'checkpoint_every = 0.0'),
    (['--checkpoint', 'missing/c'], 'folder'), (['--checkpoint', '.'], 'not a regular file'),
    (['--resume', 'missing'], 'no such file'), (['--resume', 'b.npy'], 'is not a checkpoint'),
    (['--checkpoint', 'A.npy'], 'named twice'), (['--checkpoint', 'b.npy'], 'named twice'),
    (['--checkpoint', 'x.npy', '--output', 'x.npy'], 'named twice'),
    (['--resume', 'x.npy', '--output', './x.npy'], 'named twice'),
    (['--resume', 'report', '--report', 'report'], 'named twice'),
    (['--resume', 'c', '--checkpoint', 'other', '--report', 'c'], 'named twice')])
def test_files_that_cannot_be_used_end_with_status_2_and_one_line(folder, capsys, arguments, text):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(SYSTEM + arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith('coro-sor: ') and text in error and error.count('\n') == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_checkpoint_of_another_system_ends_with_status_2(folder, capsys):
    assert main(['--matrix', 'A.npy', '--known-solution', 'ones', '--resume', 'c']) == 2
    assert 'is a checkpoint of another b' in capsys.readouterr().err


def test_without_these_options_nothing_changes():
    problem = Problem(dense(), np.ones(6))
    assert with_checkpoints(problem, Options()) == (problem, None, [])
    chosen = parse(SYSTEM)
    assert chosen.checkpoint is None is chosen.resume and chosen.checkpoint_every is None


@pytest.mark.parametrize('named', ['c', './c'])
def test_one_file_may_be_gone_on_from_and_written(folder, named):
    problem, keeper, notes = with_checkpoints(Problem(dense(), np.ones(6)), Options(), 'c', CHECKPOINT_EVERY, named)
    assert problem.x0.tolist() == [1] * 6 and keeper.every == 30
    assert len(notes) == 1 and 'goes on from sweeps 1,' in notes[0]
    assert keeper.write(np.zeros(6), 2, 1) == ''
