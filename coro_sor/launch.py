"""Starting Python processes of this package: same modules, one BLAS thread, nothing inherited by accident."""
from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time

__all__ = ['BLAS_THREADS', 'become', 'first_line', 'launch']

BLAS_THREADS = {'OPENBLAS_NUM_THREADS': '1', 'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
"""Set before numpy is imported: an idle BLAS thread that spins costs its neighbours a third of a core."""


def launch(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None, new_session=False):
    """Start ``python -m coro_sor.worker`` with `arguments`, by exec.

    It imports the same packages as this process, wherever it is started from, and works in ``/``, so that no file
    of the caller's working directory hides a module. Pipes are unbuffered.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``-m coro_sor.worker``; paths in it must be absolute.
    stdin, stdout, stderr
        As in `subprocess.Popen`.
    new_session : bool
        Whether it leads a session and a process group of its own, out of reach of this terminal's Ctrl-C.

    Returns
    -------
    subprocess.Popen
    """
    return subprocess.Popen(_command(arguments), bufsize=0, cwd='/', env=_environment(), stdin=stdin, stdout=stdout,
                            stderr=stderr, start_new_session=new_session)


def become(arguments):
    """Replace this process by what `launch` would start; does not return."""
    sys.stdout.flush()
    environment = _environment()
    os.chdir('/')
    os.execve(sys.executable, _command(arguments), environment)


def _command(arguments):
    return [sys.executable, '-m', 'coro_sor.worker', *arguments]


def _environment():
    environment = dict(os.environ, **BLAS_THREADS)
    environment['PYTHONPATH'] = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)
    return environment


def first_line(process, time_limit):
    """Wait for the first line that `process` writes to its unbuffered stdout pipe.

    Returns
    -------
    str or None
        The line without its end; '' where the process closed the pipe first; None after `time_limit` seconds.
    """
    deadline = time.monotonic() + time_limit
    text = b''
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while b'\n' not in text:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            piece = process.stdout.read(4096)
            if not piece:
                return ''
            text += piece
    return text.decode(errors='replace').splitlines()[0]
