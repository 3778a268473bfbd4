"""A node of this machine alone that lives as long as the process that made it."""
from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import weakref

from ..launch import first_line, launch
from ..secret import new_secret
from ..solution import Unreachable

__all__ = ['LocalNode']

GRACE = 5.0
"""Seconds that the node has to end by itself."""


class LocalNode:
    """Worker processes on loopback, started when made and ended by `close`, at exit, or with this process.

    It is also a context manager. The node's output goes to an unnamed file, so nothing is left behind.

    Parameters
    ----------
    workers : int, optional
        How many worker processes; one a core by default.
    address : str
        Loopback address that they listen at.
    time_limit : float
        Seconds that they have to get ready.
    secret : bytes, optional
        What a peer must know; made for this node if not given.

    Attributes
    ----------
    location : (str, int)
        Address and port of the node's directory.
    secret : bytes
        What a peer must know.
    pid : int
        Process id of the node's supervisor.

    Raises
    ------
    Unreachable
        Where they do not get ready; the text ends with the last line that the node wrote.
    """

    def __init__(self, workers=None, address='127.0.0.1', time_limit=60.0, secret=None):
        self.secret = secret or new_secret()
        arguments = ['--address', address, '--port', '0', '--secret-file', '-', '--watch-stdin',
                     '--data-dir', '/']        # on loopback, for this user alone: whatever the user may read
        if workers is not None:
            arguments += ['--workers', str(workers)]
        self._log = tempfile.TemporaryFile()
        process = launch(arguments, stderr=self._log, new_session=True)
        self.pid = process.pid
        self._end = weakref.finalize(self, _end, process, self._log)
        try:
            self.location = address, self._ready_port(process, time_limit)
        except BaseException:  # Ctrl-C too must leave no process behind
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        """End the node and wait until it is gone. May be called again."""
        self._end()

    def _ready_port(self, process, time_limit):
        try:
            process.stdin.write(self.secret + b'\n')
            line = first_line(process, time_limit)
        except BrokenPipeError:
            line = ''
        if line is None:
            raise Unreachable(f'the local workers were not ready after {time_limit:g} s{self._last_words()}')
        if not line.startswith('ready '):
            raise Unreachable(f'the local workers could not start{self._last_words()}')
        return int(line.split()[1])

    def _last_words(self):
        # pread, because the node writes at the offset of the very same open file.
        size = os.fstat(self._log.fileno()).st_size
        lines = os.pread(self._log.fileno(), 4000, max(0, size - 4000)).decode(errors='replace').split('\n')
        lines = [line.strip() for line in lines if line.strip()]
        return ': ' + lines[-1] if lines else ''


def _end(process, log):
    process.stdin.close()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # it leads its group, and has not been waited for
        process.wait()
    process.stdout.close()
    log.close()
