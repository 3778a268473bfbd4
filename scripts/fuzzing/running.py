"""Runs a target on many inputs, in a child process that may crash."""
from __future__ import annotations

import contextlib
import mmap
import os
import random
import resource
import shlex
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings

from . import targets

__all__ = ['Done', 'once', 'run', 'with_atheris']

_MEMORY = 1 << 30       # bytes that one target may ask for beyond what the program has at its start
_PATIENCE = 5           # seconds for one input
_STATE = struct.Struct('=QQQ')      # inputs begun, accepted, finds


class Hang(BaseException):
    """An input took too long; no Exception, so that nobody takes it for damage to a file."""


class Done:
    """What came out of a run."""

    def __init__(self, name, inputs, accepted, seconds, finds):
        self.name, self.inputs, self.accepted, self.seconds, self.finds = name, inputs, accepted, seconds, finds

    def __str__(self):
        text = '%-10s %8d inputs, %d accepted, %.0f a second, %d finds' % (
            self.name, self.inputs, self.accepted, self.inputs / max(self.seconds, 1e-9), len(self.finds))
        return '\n'.join([text] + ['    ' + find for find in self.finds])


def run(name, seed=0, inputs=10000, seconds=None, finds='finds', most=20):
    """Try inputs 0 .. `inputs` of a target.

    Parameters
    ----------
    name : str
    seed, inputs : int
    seconds : float, optional
        Ends sooner then.
    finds : str
        Folder for what was found; made when there is something.
    most : int
        Finds after which it ends.

    Returns
    -------
    Done
    """
    began = time.monotonic()
    end = began + seconds if seconds else None
    state, told = mmap.mmap(-1, _STATE.size), []
    with _folder() as folder:
        while True:
            first, _, found = _STATE.unpack(state[:])
            if first >= inputs or found >= most or (end and time.monotonic() > end):
                break
            status = _in_child(lambda: _try_all(name, seed, inputs, end, finds, most, folder, state))
            begun, accepted, found = _STATE.unpack(state[:])
            if status == 0:
                break
            # The child died of input begun - 1: go on behind it.
            _note(finds, name, seed, begun - 1, folder, 'the process ended with status %d' % status)
            state[:] = _STATE.pack(begun, accepted, found + 1)
        begun, accepted, _ = _STATE.unpack(state[:])
        prefix = '%s-%d-' % (name, seed)
        told = sorted(each for each in os.listdir(finds) if each.startswith(prefix) and each.endswith('.txt')) \
            if os.path.isdir(finds) else []
    lines = []
    for each in told:
        with open(os.path.join(finds, each)) as stream:
            lines.append('%s: %s' % (os.path.join(finds, each), stream.readline().strip()))
    return Done(name, begun, accepted, time.monotonic() - began, lines)


def once(name, seed, number):
    """Try one input here; exceptions come out."""
    with _folder() as folder, _watched():
        target = targets.make(name, folder)
        made = target.make(_draw(seed, number))
        print(repr(made)[:2000], flush=True)
        print('accepted' if _limited(target, made) else 'refused')
    return 0


def with_atheris(name, seconds=None):
    """Let atheris, a fuzzer led by coverage, make the inputs; never returns."""
    try:
        import atheris
    except ImportError:
        sys.exit('atheris is not there; to get it: pip install atheris')
    with atheris.instrument_imports(include=['coro_sor']):
        target = targets.make(name, tempfile.mkdtemp(dir=_memory()))

    def try_one(data):
        # Each input begins a random valid one, so that structure does not have to be found by chance.
        made = target.from_bytes(data) if len(data) % 2 else target.make(random.Random(data))
        target.try_(made)
    limit = ['-max_total_time=%d' % seconds] if seconds else []
    atheris.Setup([sys.argv[0], '-timeout=%d' % _PATIENCE, '-rss_limit_mb=2048', *limit], try_one)
    atheris.Fuzz()


# ---- in the child

def _try_all(name, seed, inputs, end, finds, most, folder, state):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    target = targets.make(name, folder)
    begun, accepted, found = _STATE.unpack(state[:])
    with _watched():
        for number in range(begun, inputs):
            if found >= most or (end and time.monotonic() > end):
                break
            state[:] = _STATE.pack(number + 1, accepted, found)
            made = target.make(_draw(seed, number))
            try:
                accepted += _limited(target, made)
            except (Exception, Hang, SystemExit):
                found += 1
                _note(finds, name, seed, number, folder, traceback.format_exc(), made)
            state[:] = _STATE.pack(number + 1, accepted, found)


def _limited(target, made):
    """Try one input with a limit on time."""
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
    try:
        return bool(target.try_(made))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextlib.contextmanager
def _watched():
    """Warnings are errors, and memory and time have limits, inside."""
    def ring(*unused):
        raise Hang('more than %d seconds' % _PATIENCE)
    before = signal.signal(signal.SIGALRM, ring)
    with open('/proc/self/statm') as stream:
        used = int(stream.read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, limits[1]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGALRM, before)


def _in_child(function):
    """Run in a fork; 0, or the status that it ended with (negative: a signal)."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT:
        raise KeyboardInterrupt
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


# ---- inputs and finds

def _draw(seed, number):
    return random.Random(seed << 40 | number)


def _note(finds, name, seed, number, folder, text, made=None):
    """Write what was found, and the input that did it."""
    os.makedirs(finds, exist_ok=True)
    base = os.path.join(finds, '%s-%d-%d' % (name, seed, number))
    last = text.strip().splitlines()[-1]
    command = shlex.join([sys.executable, 'scripts/fuzz.py', name, '--seed', str(seed), '--only', str(number)])
    with open(base + '.txt', 'w', errors='backslashreplace') as stream:
        stream.write('%s\n%s\n\n%s\n' % (last, command, text))
    if made is None:
        made = targets.make(name, folder).make(_draw(seed, number))
    with open(base + '.input', 'wb') as stream:
        stream.write(made if isinstance(made, (bytes, bytearray)) else repr(made).encode('utf-8', 'backslashreplace'))


def _memory():
    return '/dev/shm' if os.path.isdir('/dev/shm') else None


@contextlib.contextmanager
def _folder():
    folder = tempfile.mkdtemp(prefix='coro_sor-fuzz-', dir=_memory())
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
