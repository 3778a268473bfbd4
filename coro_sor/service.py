"""Start and stop a node in the background: what scripts/start_workers.sh and scripts/stop_workers.sh do."""
from __future__ import annotations

import argparse
import contextlib
import glob
import os
import signal
import socket
import subprocess
import sys
import time

from .launch import become, first_line, launch
from .options import NODE_PORT
from .pidfile import running_pid
from .secret import private, user_folder
from .solution import InputError
from .worker import add_node_options, protection_options

__all__ = ['main', 'start', 'stop']


def main(arguments=None):
    """``start`` or ``stop`` as the first argument, their options after it. Returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return {'start': start, 'stop': stop}[arguments[0]](arguments[1:])
    except InputError as problem:
        print(problem, file=sys.stderr)
        return 2


def start(arguments):
    """Start a node, by default in the background, and say when it is ready.

    Returns
    -------
    int
        0 when it is ready (in the foreground this process becomes the node instead), 2 for bad input, which includes a
        node that runs already, 3 where it could not start.
    """
    parser = argparse.ArgumentParser(prog='start_workers.sh', description='Start the worker processes of this '
                                     'machine, in the background, and wait until they are ready.')
    add_node_options(parser)
    parser.add_argument('--foreground', action='store_true', help='stay, and log to the terminal')
    parser.add_argument('--time-limit', type=float, default=60.0, metavar='S',
                        help='seconds that the node has to get ready (default: %(default)g)')
    chosen = parser.parse_args(arguments)
    chosen.pid_file = os.path.abspath(chosen.pid_file or _pid_file(chosen.port))
    if chosen.log_dir or not chosen.foreground:
        chosen.log_dir = os.path.abspath(chosen.log_dir or os.path.join(user_folder(), 'log', _name(chosen.port)))
    if chosen.foreground:
        become(_worker_arguments(chosen))
    return _start_detached(chosen)


def stop(arguments):
    """Stop nodes of this machine.

    Returns
    -------
    int
        0 where at least one ran and is gone, 1 where none ran.
    """
    parser = argparse.ArgumentParser(prog='stop_workers.sh', description='Stop the worker processes of this machine.')
    parser.add_argument('--port', type=int, default=NODE_PORT, metavar='P',
                        help='well-known port of the node (default: %(default)s)')
    parser.add_argument('--pid-file', metavar='FILE', help='pid file of the node, where it is not the default one')
    parser.add_argument('--all', action='store_true', help='every node of this machine with a default pid file')
    parser.add_argument('--grace', type=float, default=10.0, metavar='S',
                        help='seconds that it has to end by itself before it is killed (default: %(default)g)')
    chosen = parser.parse_args(arguments)
    paths = [chosen.pid_file or _pid_file(chosen.port)]
    if chosen.all:
        paths = sorted(glob.glob(_pid_file('*')))
    stopped = [_stop_one(path, chosen.grace) for path in paths]
    if not paths:
        print('no node runs here')
    return 0 if any(stopped) else 1


def _name(port):
    # The host is part of it, for home folders that several machines share.
    return f'node-{socket.gethostname()}-{port}'


def _pid_file(port):
    return os.path.join(user_folder(), _name(port) + '.pid')


def _start_detached(chosen):
    try:
        os.makedirs(chosen.log_dir, exist_ok=True)
        log = open(os.path.join(chosen.log_dir, 'node.log'), 'ab', opener=private)
    except OSError as problem:
        raise InputError(f'cannot log to {chosen.log_dir}: {problem.strerror}') from None
    with log:
        before = log.seek(0, os.SEEK_END)
        process = launch(_worker_arguments(chosen), stdin=subprocess.DEVNULL, stderr=log, new_session=True)
        line = first_line(process, chosen.time_limit)
    if line:
        print(line)
        return 0
    if line is None:
        process.kill()
        print(f'the node was not ready after {chosen.time_limit:g} s and was killed', file=sys.stderr)
    status = process.wait()
    with open(os.path.join(chosen.log_dir, 'node.log'), encoding='utf-8', errors='replace') as log:
        log.seek(before)
        sys.stderr.write(log.read())
    return status if status > 0 else 3


def _worker_arguments(chosen):
    ports = None if chosen.ports is None else '{}-{}'.format(*chosen.ports)
    secret_file = chosen.secret_file and os.path.abspath(chosen.secret_file)
    options = {'--workers': chosen.workers, '--address': chosen.address, '--port': chosen.port, '--ports': ports,
               '--secret-file': secret_file, '--log-dir': chosen.log_dir, '--pid-file': chosen.pid_file}
    given = [text for name, value in options.items() if value is not None for text in (name, str(value))]
    return given + protection_options(chosen)


def _stop_one(path, grace):
    pid = running_pid(path)
    if pid is None:
        print(f'no node runs here with pid file {path}')
        return False
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if running_pid(path) != pid:
                print(f'node stopped, process {pid}'
                      + (' (killed: it did not end by itself)' if number == signal.SIGKILL else ''))
                return True
            time.sleep(0.02)
    raise InputError(f'process {pid} (pid file {path}) does not end, not even when killed')


if __name__ == '__main__':
    sys.exit(main())
