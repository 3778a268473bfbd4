"""One node: ``python -m coro_sor.worker`` runs its supervisor, and with ``--child`` one of its worker processes."""
from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import os
import signal
import sys
import threading
import traceback

from .addresses import outward_address, own_address
from .folders import allow_only
from .launch import BLAS_THREADS
from .node import BUSY, NodeFailed, Supervisor, log
from .options import NODE_PORT
from .pidfile import PidFile
from .secret import checked_secret, find_secret
from .solution import InputError, SolverError

__all__ = ['add_node_options', 'main', 'protection_options']


def add_node_options(parser):
    """Add the options that say what a node is to an `argparse.ArgumentParser`."""
    add = parser.add_argument
    add('--workers', type=_positive, metavar='N', help='worker processes (default: one a core)')
    add('--address', metavar='A', help='address or name under which other machines reach this one '
                                       '(default: its address towards the outside)')
    add('--port', type=_port, default=NODE_PORT, metavar='P',
        help='well-known port of the node (default: %(default)s; 0: any free one)')
    add('--ports', type=_ports, metavar='A-B', help='ports of the worker processes (default: any free ones)')
    add('--secret-file', metavar='FILE', help='secret shared by all machines, readable by its owner alone '
                                              '(default: the variable CORO_SOR_SECRET, else ~/.coro_sor/secret, made '
                                              'where missing)')
    add('--data-dir', metavar='DIR', action='append', default=[],
        help='folder from which workers may read their rows themselves; may be given several times (default: none)')
    for name, what in (('certificate', "this node's certificate, with which it uses TLS (PEM)"),
                       ('key', 'its private key'), ('ca', 'certificate of the authority that signed those of all')):
        add('--' + name, metavar='FILE', help=what)
    add('--insecure', action='store_true',
        help='without TLS, leave out the keyed hash of what leaves the machine: whoever can change traffic on the '
             'network can then change values and give orders')
    add('--log-dir', metavar='DIR', help='folder for the output of the worker processes')
    add('--pid-file', metavar='FILE', help='file that is locked, and holds the process id, while the node runs')


def main(arguments=None):
    """Run a node or, with ``--child``, one worker process of it.

    Returns
    -------
    int
        Exit status: 0 after a stop that was asked for, 2 for bad input, 3 where the node could not start.
    """
    parser = argparse.ArgumentParser(prog='python -m coro_sor.worker', description='Run one node until it is stopped: '
                                     'worker processes, and the directory where they are found.')
    add_node_options(parser)
    parser.add_argument('--watch-stdin', action='store_true',
                        help='stop at the end of standard input; print "ready PORT" when ready; '
                             'with --secret-file -, its first line is the secret')
    parser.add_argument('--child', action='store_true', help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.child:
        return _run_child(chosen)
    return _run_node(chosen)


def protection_options(chosen):
    """The command line options that a process of the same node needs to read and talk as this one; absolute paths."""
    files = [part for name in ('certificate', 'key', 'ca') if getattr(chosen, name) is not None
             for part in ('--' + name, os.path.abspath(getattr(chosen, name)))]
    folders = [part for folder in chosen.data_dir for part in ('--data-dir', os.path.abspath(folder))]
    return files + folders + ['--insecure'] * chosen.insecure


def _run_node(chosen):
    try:
        with contextlib.ExitStack() as stack:
            _run_supervisor(chosen, stack)
    except SolverError as problem:
        print(f'coro_sor node: {problem}', file=sys.stderr, flush=True)
        return 2 if isinstance(problem, InputError) else 3
    except ImportError as problem:
        print(f'coro_sor node: {sys.executable}: {problem}; install coro_sor there, or set PYTHON to another Python',
              file=sys.stderr, flush=True)
        return 3
    return 0


def _run_supervisor(chosen, stack):
    ready = _set_up_process()
    address = own_address(chosen.address or outward_address())
    if chosen.pid_file:
        stack.enter_context(PidFile(os.path.abspath(chosen.pid_file)))
    secret, origin = _secret(chosen.secret_file)
    _check_protection(chosen)
    supervisor = Supervisor(chosen.workers, address, chosen.ports, secret, _folder(chosen.log_dir), chosen.watch_stdin,
                            protection_options(chosen))
    signal.signal(signal.SIGTERM, supervisor.stop)
    signal.signal(signal.SIGINT, supervisor.stop)
    stack.enter_context(supervisor)
    # The worker processes are starting by now; what follows takes as long as they do.
    from .directory import make_directory
    engine = _start_engine(chosen, address, secret)
    if not supervisor.wait_until_ready():
        return
    engine.serve('directory', make_directory(supervisor.roster))
    port = engine.location[1]
    count = len(supervisor.roster.children)
    line = f'ready {port}' if chosen.watch_stdin else f'node {address}:{port} ready, {count} workers, secret {origin}'
    os.write(ready, f'{line}\n'.encode())
    supervisor.run()
    log.info('stopped')


def _secret(path):
    """(the secret, where it is from)"""
    if path == '-':
        return checked_secret(_line_from_stdin(), 'the first line of standard input'), 'from standard input'
    return find_secret(path, make=True)


def _check_protection(chosen):
    for folder in chosen.data_dir:
        if not os.path.isdir(folder):
            raise InputError(f'--data-dir {folder} is no folder')
    if chosen.insecure and chosen.certificate is None:
        log.warning('--insecure: whoever can change traffic on the network can change values and give orders')
    _tls(chosen)        # here, before worker processes are started in vain


def _folder(path):
    if path is None:
        return None
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as problem:
        raise InputError(f'the folder {path} cannot be made: {problem.strerror}') from None
    return os.path.abspath(path)


def _start_engine(chosen, address, secret):
    from .messages import MESSAGES
    from .runtime import codec
    from .runtime.engine import Engine
    codec.register(MESSAGES)
    port = chosen.port
    try:
        return Engine.start_runtime(address, port, secret=secret, insecure=chosen.insecure,
                                    tls=_tls(chosen))
    except OSError as problem:
        if problem.errno != errno.EADDRINUSE:
            raise
        raise NodeFailed(f'port {port} at {address} is in use: does a node run here already? '
                         f'Stop it or give another --port') from None


def _tls(chosen):
    given = chosen.certificate, chosen.key, chosen.ca
    if not any(given):
        return None
    from .runtime.tls import tls_files
    return tls_files(*given)


def _set_up_process():
    """A descriptor of stdout for the process's one line; whatever else is printed or logged goes to stderr.

    It's never closed, so that its end tells the end of the process.
    """
    os.environ.update(BLAS_THREADS)
    ready = os.dup(1)
    os.dup2(2, 1)
    logging.basicConfig(format='%(asctime)s %(message)s', level=logging.INFO)
    return ready


def _line_from_stdin():
    """The first line of stdin, and not a byte more."""
    with open(0, 'rb', buffering=0, closefd=False) as stdin:
        return stdin.readline().strip()


# ---- a worker process


def _run_child(chosen):
    ready = _set_up_process()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor
    signal.signal(signal.SIGTERM, lambda *unused: os._exit(0))
    secret = _line_from_stdin()
    watch = threading.Thread(target=_end_with_supervisor, daemon=True)
    watch.start()
    try:
        engine = _start_engine(chosen, chosen.address, secret)
    except NodeFailed:
        return BUSY
    allow_only(chosen.data_dir)
    from .block import block_owner
    engine.serve('block_owner', block_owner)
    os.write(ready, b'ready %d\n' % engine.location[1])
    watch.join()
    return 0


def _end_with_supervisor():
    """The supervisor never writes again, so stdin ends when the supervisor does, however that happens."""
    while os.read(0, 4096):
        pass
    os._exit(0)


# ---- arguments


def _positive(text):
    return _whole(text, 1, 4096)


def _port(text):
    return _whole(text, 0, 65535)


def _ports(text):
    first, _, last = text.partition('-')
    first, last = _whole(first, 1, 65535), _whole(last, 1, 65535)
    if first > last:
        raise argparse.ArgumentTypeError(f'{text}: the first port is above the last')
    return first, last


def _whole(text, lowest, highest):
    if not (text.isdecimal() and lowest <= int(text) <= highest):
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number from {lowest} to {highest}')
    return int(text)


if __name__ == '__main__':
    try:
        status = main()
    except Exception:  # the engine's threads would keep a process alive that has just failed
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
