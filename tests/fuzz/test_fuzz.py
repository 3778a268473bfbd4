"""Made-up input: what reads it gives a value or a clean refusal, and the fuzzer would notice anything else."""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

TARGETS = ['npy', 'npz', 'mtx', 'mtx.gz', 'text', 'vectors', 'graph', 'checkpoint', 'options', 'codec', 'frames']


def fuzz(*arguments, program=('scripts/fuzz.py',)):
    """(exit status, output) of a run in a process of its own: it forks, and changes what it tries."""
    done = subprocess.run([sys.executable, *program, *arguments], cwd=str(ROOT), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, timeout=55,
                          env=dict(os.environ, PYTHONPATH=str(ROOT) + os.pathsep + str(ROOT / 'scripts')))
    return done.returncode, done.stdout


@pytest.mark.parametrize('target', TARGETS)
def test_thousands_of_inputs_are_accepted_or_refused_cleanly(tmp_path, target):
    status, output = fuzz(target, '--inputs', '2000', '--seed', '7', '--finds', str(tmp_path))
    assert status == 0, output
    count, accepted = int(output.split()[1]), int(output.split()[3])
    # A target that accepts nothing, or everything, tries nothing.
    assert count == 2000 and 100 < accepted < 1500, output


PLANTED = {
    'an exception': ('npy', 'from coro_sor.formats import npy; npy._shape = eval', 'SyntaxError'),
    'a warning': ('npy', 'from coro_sor.formats import npy\n'
                  'npy._oriented = lambda piece, lo: npy.DenseRows(piece.astype(float)).oriented(lo)[0]',
                  'RuntimeWarning'),
    'a message without end': ('mtx', 'from coro_sor.formats import mtx; mtx.quoted = lambda text: repr(text * 999)',
                              'a message of'),
    'memory': ('text', 'from coro_sor.formats import triplets\n'
               'triplets.check_room = lambda *unused: None', 'not enough memory'),
    'a hang': ('checkpoint', 'running._PATIENCE = 0.2; from coro_sor import checkpoint; import itertools\n'
               'def wait(found): sum(itertools.repeat(0, int(found.sweeps == 0) * 10**9)); return True\n'
               'checkpoint.Checkpoint.told = property(wait)', 'Hang'),
    'a crash': ('vectors', 'import os; from fuzzing import texts\n'
                'texts.load_vector = lambda path, n: os.kill(os.getpid(), 11)', 'ended with status -11'),
    'a request that nobody may make': ('codec', 'from coro_sor.runtime import codec\n'
                                       'codec._REQUESTS["send_file"] = {}', 'send_file'),
    'a frame of a stranger': ('frames', 'from coro_sor.runtime import sealing\n'
                              'sealing.Agreement.fault = lambda *unused: ""', 'from a stranger'),
}


@pytest.mark.parametrize('what', PLANTED)
def test_a_planted_fault_is_found_and_told_how_to_replay(tmp_path, what):
    target, change, told = PLANTED[what]
    program = ('import sys\nfrom fuzzing import running\n%s\n'
               'done = running.run(%r, 7, 3000, 20, sys.argv[1], most=1)\n'
               'print(done); sys.exit(len(done.finds) > 0)' % (change, target))
    status, output = fuzz(str(tmp_path), program=('-c', program))
    assert status == 1 and told in output, output
    text = next(tmp_path.glob('*.txt')).read_text()
    assert 'scripts/fuzz.py %s --seed 7 --only ' % target in text.splitlines()[1]
    assert len(list(tmp_path.glob('*.input'))) == 1


def test_an_input_depends_on_seed_and_number_only():
    outputs = [fuzz('npz', '--seed', seed, '--only', number)[1] for seed, number in (
        ('1', '5'), ('1', '5'), ('1', '6'), ('2', '5'))]
    assert outputs[0] == outputs[1] and len(set(outputs)) == 3
