"""The command line: arguments -> options -> solve -> files and exit status."""
from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import time
import traceback

from .arguments import parse, solver_options
from .launch import BLAS_THREADS
from .monitor.progress import LogLines, Progress
from .monitor.summary import summary_lines
from .solution import InputError, SolverError, Status

__all__ = ['main']

_NOT_CONVERGED, _BAD_INPUT, _NO_WORKERS, _INTERRUPTED = 1, 2, 3, 130

_INTERRUPTION = 'coro-sor: interrupted: nothing was written'


def main(arguments=None):
    """Solve what the command line says.

    Parameters
    ----------
    arguments : list of str, optional
        Those of this process if not given.

    Returns
    -------
    int
        Exit status: 0 converged, 1 not converged, 2 bad input or usage, 3 workers out of reach, lost or failed, 130
        ended at once by Ctrl-C.
    """
    began = time.monotonic()
    # Modules that import NumPy are imported below, because BLAS reads this when it is loaded.
    os.environ.update(BLAS_THREADS)
    chosen = parse(arguments)
    progress = Progress(wanted=not chosen.quiet)
    try:
        with _log_lines(progress, chosen.verbose):
            solution = _solve(chosen, progress)
            status = _write_files(chosen, solution)
        return _tell(chosen, solution, time.monotonic() - began, status)
    except KeyboardInterrupt:
        print(_INTERRUPTION, file=sys.stderr)
        return _INTERRUPTED
    except InputError as error:
        _complain(error, chosen.verbose)
        return _BAD_INPUT
    except (SolverError, OSError) as error:
        _complain(error, chosen.verbose)
        return _NO_WORKERS
    except Exception as error:      # a person is told of a mistake in the program in one line as well
        _complain('unexpected %s: %s; -v shows where' % (type(error).__name__, error), chosen.verbose)
        return _NO_WORKERS


def _solve(chosen, progress):
    """The `Solution`; what can be refused is refused before workers are started."""
    options = solver_options(chosen)
    _check_files(chosen)
    with progress, _ctrl_c(progress):
        progress.enter('read')
        from .api import Cluster, parse_nodes, with_checkpoints
        from .options import CHECKPOINT_EVERY
        from .problem import load_problem
        if chosen.nodes is not None:
            parse_nodes(chosen.nodes)
        problem = load_problem(chosen.matrix, problem=chosen.problem, rhs=chosen.rhs,
                               known_solution=chosen.known_solution, x0=chosen.x0)
        every = CHECKPOINT_EVERY if chosen.checkpoint_every is None else chosen.checkpoint_every
        problem, keeper, notes = with_checkpoints(problem, options, chosen.checkpoint, every, chosen.resume)
        for text in () if chosen.quiet else notes:
            progress.say(text)
        progress.enter('start')
        with Cluster(workers=chosen.local, nodes=chosen.nodes, secret_file=chosen.secret_file, address=chosen.address,
                     certificate=chosen.certificate, key=chosen.key, ca=chosen.ca, insecure=chosen.insecure) as cluster:
            progress.enter(None)
            solution = cluster.solve_problem(problem, options, progress.observe, keeper, notes)
    solution.report['seconds'] = {**progress.seconds, **solution.report['seconds']}
    return solution


def _check_files(chosen):
    from .formats import check_folder, check_output
    from .problems import file_of
    if chosen.output is not None:
        check_output(chosen.output)
    for path in (chosen.report, chosen.checkpoint):
        if path is not None:
            check_folder(path)
    written = [os.path.realpath(path) for path in (chosen.output, chosen.report, chosen.checkpoint) if path is not None]
    system = chosen.matrix if chosen.problem is None else file_of(chosen.problem)
    read = [os.path.realpath(path) for path in (system, chosen.rhs, chosen.known_solution) if path is not None]
    # A checkpoint may take the place of the one that the run goes on from, nothing else may.
    kept = None if chosen.checkpoint is None else os.path.realpath(chosen.checkpoint)
    if chosen.resume is not None and os.path.realpath(chosen.resume) != kept:
        read.append(os.path.realpath(chosen.resume))
    for path in written:
        if path in read or written.count(path) > 1:
            raise InputError('%s: is named twice on the command line; write to a file of its own' % path)


def _write_files(chosen, solution):
    """Write x and the report; the exit status."""
    from .formats import save_vector, write_atomically
    status = {Status.CONVERGED: 0, Status.WORKERS_LOST: _NO_WORKERS}.get(solution.status, _NOT_CONVERGED)
    try:
        if chosen.output is not None:
            save_vector(chosen.output, solution.x)
    except (OSError, InputError) as error:      # the report is worth having all the same
        _complain('%s: cannot be written: %s' % (chosen.output, getattr(error, 'strerror', None) or error),
                  chosen.verbose)
        status = _BAD_INPUT
    try:
        if chosen.report is not None:
            with write_atomically(chosen.report) as stream:
                stream.write(json.dumps(solution.report, indent=1, allow_nan=False).encode() + b'\n')
    except OSError as error:
        _complain('%s: cannot be written: %s' % (chosen.report, error.strerror or error), chosen.verbose)
        status = _BAD_INPUT
    return status


def _tell(chosen, solution, total, status):
    """Print what came out of it."""
    report = solution.report
    if report['failure'] is not None:
        _complain(report['failure']['text'], False)
        if chosen.verbose:
            sys.stderr.write(report['failure']['traceback'])
    if not chosen.quiet:
        lines = summary_lines(report, chosen.problem or os.path.basename(chosen.matrix), total, chosen.verbose)
        if status != _BAD_INPUT:
            written = [path for path in (chosen.output, chosen.report) if path is not None]
            lines += ['', 'written: %s' % ', '.join(written)] if written else []
        try:
            print('\n'.join(lines), flush=True)
        except BrokenPipeError:
            # Whoever read it has enough; the flush at exit must find another place to write to.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _complain(error, verbose):
    if verbose and sys.exc_info()[0] is not None:
        traceback.print_exc()
    print('coro-sor: %s' % error, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _log_lines(progress, verbose):
    """Log records of coro_sor go to the terminal in a way that spares the line of progress."""
    handler, log = LogLines(progress, verbose), logging.getLogger('coro_sor')
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO if verbose else logging.WARNING)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


@contextlib.contextmanager
def _ctrl_c(progress):
    """The first Ctrl-C is a KeyboardInterrupt, the second one ends the process.

    Where Ctrl-C is ignored, or handled by a caller, that stays so.
    """
    def interrupt(*unused):
        if progress.stop():
            raise KeyboardInterrupt
        # Raised a second time, it might meet the clean-up after the first. Local workers end with this process.
        progress.abandon()
        os.write(2, b'%s\n' % _INTERRUPTION.encode())
        os._exit(_INTERRUPTED)

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
