#!/usr/bin/env python3
"""Starts workers, solves and stops them, over and over, and checks that nothing hangs and nothing is left behind.

    python scripts/soak.py                  1,000 times in one process
    python scripts/soak.py -n 100 --processes       each time in an interpreter of its own

After every time no process may be left; open files and threads may not become more, nor memory grow for ever. A time
that takes longer than --limit is a hang: it is shown what was running, all of it is ended, and the exit status is 1.
"""
import os

os.environ.update(OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')   # read when numpy is imported

import argparse  # noqa: E402
import contextlib  # noqa: E402
import ctypes  # noqa: E402
import faulthandler  # noqa: E402
import signal  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

_SUBREAPER = 36         # of prctl: orphans become children of this process, so that none can hide
_GONE = 10.0            # seconds that what was stopped has to disappear
_SETTLED = 20           # times after which caches are warm and growth counts
_MEMORY = 32 << 20      # bytes that memory may grow by meanwhile


class Left(Exception):
    """Something was left behind."""


def solve_once(number):
    """Start two workers, solve a small system on them, stop them."""
    import numpy as np

    import coro_sor
    from coro_sor.problems import poisson2d, random_dense
    A = random_dense(60 + number % 40, number) if number % 2 else poisson2d(8 + number % 5)
    schedule = ('async', 'sync', 'ordered')[number % 3]
    with coro_sor.Cluster(workers=2) as cluster:
        solution = cluster.solve(A, known_solution='index', schedule=schedule)
    if not solution.converged or np.abs(solution.x - np.arange(1, len(solution.x) + 1)).max() > 1e-3:
        raise Left('time %d did not solve its system: %s' % (number, solution.status))


def solve_in_a_process(number, limit):
    """The same in a fresh interpreter."""
    command = [sys.executable, os.path.abspath(__file__), '--only', str(number), '--limit', str(limit)]
    process = subprocess.Popen(command)
    if process.wait() != 0:
        raise Left('time %d ended with status %d' % (number, process.returncode))


# ---- what is there


def processes():
    """Descriptions of all processes that descend from this one, by process id; reaps orphans that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    parents, described = {}, {}
    for pid in map(int, filter(str.isdigit, os.listdir('/proc'))):
        with contextlib.suppress(OSError):      # it has just ended
            fields = _read(pid, 'stat').rpartition(')')[2].split()
            parents[pid] = int(fields[1])
            described[pid] = 'state %s, waiting in %s, %s' % (fields[0], _read(pid, 'wchan') or '-',
                                                              _read(pid, 'cmdline').replace('\0', ' '))
    ours, before = {os.getpid()}, 0
    while len(ours) > before:
        before = len(ours)
        ours.update(pid for pid, parent in parents.items() if parent in ours)
    return {pid: described[pid] for pid in sorted(ours - {os.getpid()})}


def _read(pid, name):
    with open('/proc/%d/%s' % (pid, name)) as file:
        return file.read()


def open_files():
    """Number of open files of this process."""
    return len(os.listdir('/proc/self/fd')) - 1     # one is that of listing them


def memory():
    """Resident bytes of this process."""
    return int(_read(os.getpid(), 'statm').split()[1]) * os.sysconf('SC_PAGE_SIZE')


def check_processes():
    """Wait until no process is left.

    Raises
    ------
    Left
    """
    end = time.monotonic() + _GONE
    while True:
        left = processes()
        if not left:
            return
        if time.monotonic() > end:
            raise Left('still there %g s later:\n%s' % (_GONE, '\n'.join('%d: %s' % item for item in left.items())))
        time.sleep(0.02)


class Watchdog:
    """Ends this process when it is not patted for `limit` seconds, and says what was running."""

    def __init__(self, limit):
        self._limit, self._patted = limit, time.monotonic()
        self._number = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def pat(self, number):
        """A new time begins."""
        self._patted, self._number = time.monotonic(), number

    def _watch(self):
        while time.monotonic() - self._patted <= self._limit:
            time.sleep(0.2)
        print('\nHANG in time %d, after %g s. Threads of this process:' % (self._number, self._limit), flush=True)
        faulthandler.dump_traceback(file=sys.stdout, all_threads=True)
        left = processes()
        print('Its processes:')
        for pid, description in left.items():
            print('%d: %s' % (pid, description))
        sys.stdout.flush()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os._exit(1)


# ---- the soak


class Soak:
    """Counts, compares, prints.

    Parameters
    ----------
    chosen : argparse.Namespace
    """

    def __init__(self, chosen):
        self._chosen = chosen
        self._times, self._files, self._threads, self._memory = [], [], [], []

    def run(self):
        """All the times, each checked."""
        watchdog = Watchdog(self._chosen.limit + (_GONE if self._chosen.processes else 0))
        for number in range(self._chosen.times):
            watchdog.pat(number)
            began = time.monotonic()
            if self._chosen.processes:
                solve_in_a_process(number, self._chosen.limit)
            else:
                solve_once(number)
            self._times.append(time.monotonic() - began)
            check_processes()
            self._files.append(open_files())
            self._threads.append(threading.active_count())
            self._memory.append(memory())
            if (number + 1) % self._chosen.every == 0:
                self._print(number + 1)
        self._check_growth()

    def _print(self, count):
        print('%5d times, %.2f s each, slowest %.2f s; %d open files, %d threads, %.1f MiB'
              % (count, statistics.median(self._times), max(self._times), self._files[-1], self._threads[-1],
                 self._memory[-1] / 2 ** 20), flush=True)

    def _check_growth(self):
        settled = min(_SETTLED, len(self._times) - 1)
        for name, counts in (('open files', self._files), ('threads', self._threads)):
            if counts[-1] > counts[settled]:
                raise Left('%s became more: %d, then %d' % (name, counts[settled], counts[-1]))
        grown = self._memory[-1] - self._memory[settled]
        print('memory grew by %.1f MiB in the last %d times' % (grown / 2 ** 20, len(self._times) - settled - 1))
        if grown > _MEMORY:
            raise Left('more than %d MiB is not kept by accident' % (_MEMORY >> 20))


def main():
    parser = argparse.ArgumentParser(description='Start, solve and stop, over and over.')
    parser.add_argument('-n', '--times', type=int, default=1000, metavar='N')
    parser.add_argument('--processes', action='store_true', help='each time in a fresh interpreter')
    parser.add_argument('--limit', type=float, default=60.0, metavar='SECONDS', help='a time that takes longer hangs')
    parser.add_argument('--every', type=int, default=25, metavar='N', help='times between two lines of progress')
    parser.add_argument('--only', type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        if chosen.only is None:
            Soak(chosen).run()
        else:
            Watchdog(chosen.limit)
            solve_once(chosen.only)
    except Left as problem:
        print('FAILED: %s' % problem, flush=True)
        return 1
    if chosen.only is None:
        print('all %d times went well' % chosen.times)
    return 0


if __name__ == '__main__':
    sys.exit(main())
