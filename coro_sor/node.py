"""The supervisor of a node: starts its worker processes, watches them, and replaces those that end."""
from __future__ import annotations

import collections
import logging
import os
import selectors
import signal
import subprocess
import time

from .addresses import free_port
from .launch import launch
from .roster import Roster, usable_cores
from .secret import private
from .solution import InputError, SolverError

__all__ = ['BUSY', 'NodeFailed', 'Supervisor', 'log']

log = logging.getLogger('coro_sor.node')

BUSY = 75
"""Exit status of a worker process whose port was taken."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds before a lost worker process is started again; doubled each time it ends within the longest."""

BUSY_TRIES = 16
"""Ports that the system offers are tried this often for one worker process."""

GRACE = 2.0
"""Seconds that worker processes have to end by themselves once their supervisor lets go of them."""


class NodeFailed(SolverError):
    """The node could not start, or its port is taken."""


class Child:
    """One worker process and its successors.

    It is waiting (`restart_at` is set), starting (`process` is set) or ready (`ready` too).
    """

    def __init__(self, number):
        self.number = number
        self.process = None
        self.port = 0
        self.ready = False
        self.born = 0.0
        self.busy = 0
        self.pause = FIRST_PAUSE
        self.restart_at = None


class Supervisor:
    """Worker processes that live as long as this object and this process do.

    Everything happens in the thread that calls `wait_until_ready` and `run`.

    Parameters
    ----------
    workers : int
        How many worker processes; None: one a core.
    address : str
        Where they listen.
    ports : (int, int) or None
        First and last port they may use; None: any that is free.
    secret : bytes
        Given to each through its stdin.
    log_dir : str or None
        Folder for worker-1.log, ...; None: they write to this process's stderr.
    watch_stdin : bool
        Whether the end of stdin ends `run`.
    options : sequence of str
        Further command line options of each.

    Attributes
    ----------
    roster : Roster
        The worker processes that are ready, for the directory.
    """

    def __init__(self, workers, address, ports, secret, log_dir=None, watch_stdin=False, options=()):
        self._address, self._secret, self._log_dir, self._options = address, secret, log_dir, options
        self.roster = Roster(address)
        workers = workers or usable_cores()
        self._range = None if ports is None else collections.deque(range(ports[0], ports[1] + 1))
        if self._range is not None and len(self._range) <= workers:
            raise InputError(f'the ports {ports[0]}-{ports[1]} are too few for {workers} workers: give at least '
                             f'{workers + 1}, a replaced worker needs another port')
        self._children = [Child(number) for number in range(1, workers + 1)]
        self._was_ready = self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._stop_asked)
        if watch_stdin:
            self._selector.register(0, selectors.EVENT_READ, self._stdin_readable)

    def __enter__(self):
        try:
            for child in self._children:
                self._launch(child)
        except BaseException:  # whatever it is, no worker process is left behind
            self.close()
            raise
        return self

    def __exit__(self, *unused):
        self.close()

    def stop(self, *unused):
        """Make `run` return; may be called from any thread and as a signal handler."""
        os.write(self._wake_write, b'.')

    def wait_until_ready(self):
        """Return True when every worker process is ready, False when asked to stop before.

        Raises
        ------
        NodeFailed
            When one ended instead.
        """
        while not (self._stopping or all(child.ready for child in self._children)):
            self._step()
        self._was_ready = True
        return not self._stopping

    def run(self):
        """Watch and replace worker processes until asked to stop."""
        while not self._stopping:
            self._step()

    def close(self):
        """End every worker process and wait for it. May be called again."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.stdin.close()
        deadline = time.monotonic() + GRACE
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
        for child in self._children:
            child.process, child.ready = None, False

    # ---- one event

    def _step(self):
        due = [child.restart_at for child in self._children if child.restart_at is not None]
        pause = max(0.0, min(due) - time.monotonic()) if due else None
        for key, _ in self._selector.select(pause):
            key.data()
        for child in self._children:
            if child.restart_at is not None and child.restart_at <= time.monotonic():
                self._launch(child)

    def _stop_asked(self):
        os.read(self._wake_read, 64)
        self._stopping = True

    def _stdin_readable(self):
        if not os.read(0, 4096):
            self._stopping = True

    # ---- a child's life

    def _launch(self, child):
        child.restart_at, child.born = None, time.monotonic()
        try:
            child.port = self._next_port()
            child.process = self._process(child)
        except OSError as problem:
            if not self._was_ready:
                raise NodeFailed(f'worker {child.number} cannot be started: {problem}') from None
            self._plan_restart(child, None, str(problem))
            return
        self._selector.register(child.process.stdout, selectors.EVENT_READ, lambda: self._hear(child))
        try:
            child.process.stdin.write(self._secret + b'\n')
        except BrokenPipeError:
            pass  # it has ended already, which its stdout tells next

    def _process(self, child):
        arguments = ['--child', '--address', self._address, '--port', str(child.port), *self._options]
        if self._log_dir is None:
            return launch(arguments)
        with open(os.path.join(self._log_dir, f'worker-{child.number}.log'), 'ab', opener=private) as file:
            return launch(arguments, stderr=file)

    def _hear(self, child):
        if not child.process.stdout.read(4096):
            self._ended(child)
            return
        child.ready, child.busy = True, 0
        self.roster.started(child.port, child.process.pid)
        if self._was_ready:
            log.info('worker %d is back: port %d, process %d', child.number, child.port, child.process.pid)

    def _ended(self, child):
        process, was_ready = child.process, child.ready
        self._selector.unregister(process.stdout)
        process.stdin.close()
        process.stdout.close()
        process.kill()  # it is gone, unless it only closed its stdout
        status = process.wait()
        child.process, child.ready = None, False
        if status == BUSY and child.busy < (BUSY_TRIES if self._range is None else len(self._range)):
            child.busy += 1
            self._launch(child)
            return
        child.busy = 0
        reason = _how_it_ended(status)
        if was_ready:
            self.roster.lost(child.port, process.pid, reason)
        elif not self._was_ready:
            raise NodeFailed(f'worker {child.number} ended before it was ready ({reason}); '
                             + ('its output is above' if self._log_dir is None else f'see {self._log_dir}'))
        self._plan_restart(child, process.pid, reason)

    def _plan_restart(self, child, pid, reason):
        if time.monotonic() - child.born > LONGEST_PAUSE:
            child.pause = FIRST_PAUSE
        log.warning('worker %d (port %d, process %s) ended: %s; starting it again on another port in %.1f s',
                    child.number, child.port, pid, reason, child.pause)
        child.restart_at = time.monotonic() + child.pause
        child.pause = min(2 * child.pause, LONGEST_PAUSE)

    def _next_port(self):
        """A port that no worker has, nor the one before had: peers mistake a successor there for the dead one."""
        taken = {child.port for child in self._children}
        while True:
            if self._range is None:
                port = free_port(self._address)
            else:
                self._range.rotate(-1)
                port = self._range[-1]
            if port not in taken:
                return port


def _how_it_ended(status):
    if status == BUSY:
        return 'no free port'
    if status >= 0:
        return f'exit status {status}'
    return 'signal %s' % next((known.name for known in signal.Signals if known == -status), -status)
