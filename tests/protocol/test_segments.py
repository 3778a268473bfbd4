"""Memory shared by processes: seen by others as it is written, written by nobody else, and gone with its processes."""
import ast
import gc
import os
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

from coro_sor.runtime import segments
from coro_sor.runtime.segments import Segment, attach, await_true

ROOT = pathlib.Path(__file__).resolve().parents[2]

WRITER = """
import gc, sys
from coro_sor.runtime.segments import Segment
segment = Segment(int(sys.argv[1]))
print(repr(segment.name), flush=True)
for line in sys.stdin:
    exec(line)
    print('done', flush=True)
"""


class Writer:
    """Another process with a segment of so many words."""

    def __init__(self, words):
        self.process = subprocess.Popen([sys.executable, '-W', 'error', '-c', WRITER, str(words)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=dict(os.environ, PYTHONPATH=str(ROOT)))
        self.name = ast.literal_eval(self.process.stdout.readline())

    def begin(self, code):
        print(code, file=self.process.stdin, flush=True)

    def run(self, code):
        self.begin(code)
        assert self.process.stdout.readline() == 'done\n'

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def writer():
    made = Writer(8)
    yield made
    made.kill()


def descriptors():
    """What the descriptors of this process are."""
    found = []
    for number in os.listdir('/proc/self/fd'):
        try:
            found.append(os.readlink('/proc/self/fd/' + number))
        except OSError:
            pass        # that of the listing itself
    return sorted(found)


def maps():
    """Mappings of segments in this process."""
    with open('/proc/self/maps', encoding='utf-8') as lines:
        return [line for line in lines if 'memfd:coro_sor' in line]


@pytest.fixture(autouse=True)
def nothing_is_left():
    files, named = descriptors(), sorted(os.listdir('/dev/shm'))
    yield
    gc.collect()
    assert descriptors() == files and maps() == []
    assert not [name for name in os.listdir('/dev/shm') if name not in named and 'coro' in name]


def test_another_process_sees_zeros_and_then_what_is_written(writer):
    seen = attach(writer.name, 8)
    assert seen.tolist() == [0.0] * 8
    writer.run('segment.array[2:5] = [1.5, -2.0, float("inf")]')
    assert seen.tolist() == [0.0, 0.0, 1.5, -2.0, np.inf, 0.0, 0.0, 0.0]
    writer.run('segment.array[2] = 7.0')
    assert seen[2] == 7.0


def test_counters_in_the_same_words_are_seen_whole(writer):
    seen = attach(writer.name, 8)
    writer.run('segment.array.view("i8")[3] = 5 << 32 | 17')
    assert seen.view(np.int64)[3] == 5 << 32 | 17


def test_nobody_else_can_write(writer):
    seen = attach(writer.name, 8)
    assert not seen.flags.writeable
    with pytest.raises(ValueError):
        seen[0] = 1.0
    with pytest.raises(ValueError):
        seen.flags.writeable = True


def test_several_may_attach_and_each_sees_the_same(writer):
    one, other = attach(writer.name, 8), attach(writer.name, 8)
    writer.run('segment.array[:] = 3.0')
    assert (one == 3.0).all() and (other == 3.0).all() and not np.shares_memory(one, other)


@pytest.mark.parametrize('words', [7, 9, 0, 1000])
def test_memory_of_another_size_is_none(writer, words):
    assert attach(writer.name, words) is None


def test_memory_with_another_token_is_none(writer):
    pid, number, token = writer.name
    assert attach((pid, number, token[::-1]), 8) is None
    assert attach((pid, number, b''), 8) is None
    assert attach((pid, number, token), 8) is not None


def test_two_segments_have_different_names():
    one, other = Segment(4), Segment(4)
    assert len({one.name, other.name}) == 2 and one.name[2] != other.name[2]
    pid, number, _ = other.name
    assert attach((pid, number, one.name[2]), 4) is None
    one.close()
    other.close()


def test_another_file_behind_the_same_number_is_none(writer, tmp_path):
    (tmp_path / 'file').write_bytes(writer.name[2] + bytes(64))
    with open(tmp_path / 'file', 'rb') as file:
        assert attach((os.getpid(), file.fileno(), writer.name[2]), 8) is None


def test_a_pipe_without_a_writer_behind_the_same_number_is_none_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    number = os.open(tmp_path / 'pipe', os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert attach((os.getpid(), number, b'x' * 16), 8) is None
    finally:
        os.close(number)


@pytest.mark.parametrize('name', [(), None, ('a', 3, b''), (1, 2), (-1, 3, b''), (2 ** 30, 3, b''), 5], ids=str)
def test_what_is_no_name_is_none(name):
    assert attach(name, 8) is None


def test_the_memory_of_a_dead_process_is_none_for_newcomers_and_stays_for_those_who_have_it(writer):
    seen = attach(writer.name, 8)
    writer.run('segment.array[1] = 4.0')
    writer.kill()
    assert attach(writer.name, 8) is None
    assert seen[1] == 4.0


def test_a_closed_segment_lets_nobody_in_but_those_who_are_in_see_on(writer):
    seen = attach(writer.name, 8)
    writer.run('segment.close()')
    assert attach(writer.name, 8) is None
    writer.run('segment.array[0] = 9.0')
    assert seen[0] == 9.0
    writer.run('segment.close()')


def test_a_segment_leaves_no_descriptor_behind_when_it_and_its_array_are_gone(writer):
    writer.run('import os; before = len(os.listdir("/proc/self/fd"))')
    writer.run('segments = [Segment(100) for _ in range(10)]; [each.close() for each in segments]; del segments')
    writer.run('gc.collect(); assert len(os.listdir("/proc/self/fd")) == before')


def test_a_child_process_does_not_inherit_it(writer):
    segment, seen = Segment(8), attach(writer.name, 8)
    code = 'import os; print([os.readlink("/proc/self/fd/" + each) for each in "3456789" ' \
           'if os.path.exists("/proc/self/fd/" + each)])'
    told = subprocess.run([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True, close_fds=False, check=True)
    assert 'memfd' not in told.stdout and len(seen) == 8
    segment.close()


def test_where_the_system_has_no_memory_left_nothing_is_left_behind(monkeypatch):
    def refuse(*unused):
        raise OSError('no memory')
    for name, module in (('mmap', segments.mmap), ('ftruncate', segments.os)):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, refuse)
            with pytest.raises(OSError, match='no memory'):
                Segment(8)


# ---- waiting

def test_what_another_process_writes_is_waited_for(writer):
    seen = attach(writer.name, 8)
    writer.begin('import time; time.sleep(0.05); segment.array[0] = 1.0')
    assert await_true(lambda: seen[0] == 1.0, 30.0)


def test_what_another_thread_does_is_waited_for():
    done = []
    thread = threading.Timer(0.01, done.append, [True])
    thread.start()
    assert await_true(lambda: done, 30.0)
    thread.join()


class Clock:
    """Time goes on by a microsecond with each look at it, and in sleep."""

    def __init__(self):
        self.time, self.slept = 0.0, []

    def monotonic(self):
        self.time += 1e-6
        return self.time

    def sleep(self, seconds):
        self.time += seconds
        self.slept.append(seconds)


def test_what_holds_already_is_not_waited_for(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(segments, 'time', clock)
    assert await_true(lambda: True, 1.0) and await_true(lambda: True, 0.0) and clock.slept == []


def test_what_never_holds_is_given_up_when_the_time_is_over(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(segments, 'time', clock)
    assert not await_true(lambda: False, 0.02)
    assert 0.02 <= clock.time < 0.021
    assert min(clock.slept) > 0 and len(clock.slept) < 1000      # after a while it sleeps


def test_it_looks_once_more_after_every_pause(monkeypatch):
    monkeypatch.setattr(segments, 'time', Clock())
    looks = iter([False] * 300 + [True])
    assert await_true(lambda: next(looks), 1.0)
