"""Memory that worker processes of one machine share: nameless, so that nothing is left behind however they end."""
from __future__ import annotations

import mmap
import os
import secrets
import threading
import time

import numpy as np

__all__ = ['Segment', 'attach', 'await_true']

_NAME = 'coro_sor'
_TOKEN = 16         # bytes that tell this segment from any other behind the same path; a multiple of 8
_SPIN = 1e-3        # seconds of looks in a row before the pauses begin: a pause takes 0.1 ms, as long as a dense step
_PAUSE = 2e-5       # seconds asked for


class Segment:
    """An anonymous file in memory; others open it through /proc while it is not closed.

    Parameters
    ----------
    words : int
        float64 numbers.

    Attributes
    ----------
    array : (words,) float64 array
        Zeros at first. It stays valid when the segment is closed.
    name : tuple
        What `attach` needs to know.
    lock : lock
        Orders writes of different places for the other processes.

    Raises
    ------
    OSError
    """

    def __init__(self, words):
        token = secrets.token_bytes(_TOKEN)
        self._file = os.memfd_create(_NAME)
        try:
            os.ftruncate(self._file, _TOKEN + 8 * words)
            memory = mmap.mmap(self._file, _TOKEN + 8 * words)
        except BaseException:
            self.close()
            raise
        memory[:_TOKEN] = token
        self.array = np.frombuffer(memory, dtype=np.float64, offset=_TOKEN)
        self.name = os.getpid(), self._file, token
        self.lock = threading.Lock()

    def close(self):
        """Let nobody else in. May be called again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def attach(name, words):
    """The memory of another process's segment, read-only; None where it cannot be reached from here.

    Parameters
    ----------
    name : tuple
        Of the segment.
    words : int
        float64 numbers that it must have.
    """
    try:
        pid, number, token = name
        path = '/proc/%d/fd/%d' % (pid, number)
        # On another machine, or where the message is wrong, this may be anything: nothing else is opened.
        if not os.readlink(path).startswith('/memfd:' + _NAME):
            return None
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if os.fstat(file).st_size != _TOKEN + 8 * words:
                return None
            memory = mmap.mmap(file, _TOKEN + 8 * words, access=mmap.ACCESS_READ)
        finally:
            os.close(file)
    except (OSError, TypeError, ValueError):
        return None
    # The same numbers on another machine, or in another container, are another file.
    return np.frombuffer(memory, dtype=np.float64, offset=_TOKEN) if memory[:_TOKEN] == token else None


def await_true(condition, seconds):
    """Look again and again whether ``condition()`` holds, `seconds` long at most; returns whether it does."""
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        if waited > seconds:
            return False
        if waited < _SPIN:
            os.sched_yield()
        else:
            time.sleep(_PAUSE)
    return True
