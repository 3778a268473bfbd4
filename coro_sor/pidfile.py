"""The pid file of a node: locked while the node runs, so that it is released however the node ends."""
from __future__ import annotations

import fcntl
import os

from .solution import InputError

__all__ = ['PidFile', 'running_pid']


class PidFile:
    """A context in which this process holds `path` locked with its process id in it; the file is removed at its end.

    Parameters
    ----------
    path : str
        Its folder exists.

    Raises
    ------
    InputError
        On entry, where another process holds it or the file cannot be written.
    """

    def __init__(self, path):
        self._path = path
        self._file = None

    def __enter__(self):
        try:
            self._file = _locked(self._path)
            if self._file is None:
                raise InputError(f'a node runs here already, process {running_pid(self._path)} '
                                 f'(pid file {self._path}): stop it first, or give another --port')
            self._file.truncate(0)
            self._file.write(f'{os.getpid()}\n')
            self._file.flush()
        except OSError as problem:
            raise InputError(f'the pid file {self._path} cannot be written: {problem.strerror}') from None
        return self

    def __exit__(self, *unused):
        os.unlink(self._path)  # before the lock is released, so that nobody's new file is removed
        self._file.close()


def running_pid(path):
    """The process id of the node that holds the pid file `path`; None where no node does."""
    try:
        with open(path, encoding='ascii') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
    except FileNotFoundError:
        pass
    return None


def _locked(path):
    """The file at `path`, open and locked; None where another process holds it."""
    while True:
        file = open(path, 'a+', encoding='ascii')
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        try:
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        except FileNotFoundError:
            pass
        file.close()  # its last holder removed it between our open and our lock
