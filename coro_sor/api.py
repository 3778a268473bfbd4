"""The Python interface: `solve`, and `Cluster` for several solves on the same workers."""
from __future__ import annotations

import numbers

from .addresses import outward_address, own_address, resolve
from .coordinator import coordinate
from .messages import MESSAGES, Cancel
from .options import NODE_PORT, Options
from .problem import Problem
from .report import make_solution
from .runtime import Engine, register
from .runtime.local import LocalNode
from .secret import default_secret_file, load_secret, new_secret
from .solution import InputError

__all__ = ['Cluster', 'solve']


def solve(A, b=None, *, x0=None, known_solution=None, omega=Options.omega, rtol=Options.rtol, atol=Options.atol,
          schedule=Options.schedule, workers=None, nodes=None, secret_file=None, address=None, observe=None, **options):
    """Solve A x = b by successive over-relaxation.

    Parameters
    ----------
    A : (n, n) array, scipy.sparse matrix or array, or Problem
        Symmetric positive definite or diagonally dominant. Not changed.
    b : (n,) array, optional
        Right-hand side. Not given where A is a Problem, or with `known_solution`.
    x0 : (n,) array, optional
        Start; zeros if not given.
    known_solution : (n,) array, 'index' or 'ones', optional
        Instead of b: b = A x*, and the error against x* is reported.
    omega : float
        Relaxation factor within (0, 2).
    rtol, atol : float
        Converged when ||b - A x|| <= max(rtol ||b||, atol), computed for the x that is returned.
    schedule : {'async', 'sync', 'ordered'}
    workers : int, optional
        Local worker processes; one a core by default.
    nodes : list of str, optional
        ``host`` or ``host:port`` of machines where start_workers.sh runs, instead of local workers.
    secret_file : str, optional
        What start_workers.sh uses on those machines; ~/.coro_sor/secret by default.
    address : str, optional
        Address of this machine under which the nodes reach it.
    observe : callable, optional
        ``observe(record)`` a few times a second while it runs; see `coro_sor.record.Record`. What it raises ends the
        solve.
    **options
        The other fields of `Options`.

    Returns
    -------
    Solution
        ``solution.x``, ``solution.converged``, ``solution.status``, ``solution.residual_norm``, ``solution.report``.

    Raises
    ------
    InputError
        For a bad system or option.
    Unreachable
        Where a node does not answer.
    """
    settings = Options.from_keywords(dict(options, omega=omega, rtol=rtol, atol=atol, schedule=schedule))
    problem = as_problem(A, b, x0, known_solution)
    with Cluster(workers=workers, nodes=nodes, secret_file=secret_file, address=address) as cluster:
        return cluster.solve_problem(problem, settings, observe)


def as_problem(A, b=None, x0=None, known_solution=None):
    """The Problem itself, or one made of arrays."""
    if not isinstance(A, Problem):
        return Problem(A, b, x0=x0, known_solution=known_solution)
    if not (b is None and x0 is None and known_solution is None):
        raise InputError('the Problem has its own b, x0 and known_solution: give none')
    return A


class Cluster:
    """Worker processes for any number of solves, one after the other.

    >>> with Cluster(workers=2) as cluster:
    ...     solution = cluster.solve(A, b)

    Parameters
    ----------
    workers : int, optional
        Local worker processes, started now and ended by `close`; one a core by default.
    nodes : list of str, optional
        Machines where start_workers.sh runs, instead.
    secret_file, address : str, optional
        As in `solve`.

    Raises
    ------
    InputError
        For a node that is named twice or has no address, an address that is not this machine's, or a secret file that
        can't be used.
    Unreachable
        Where local workers could not be started.

    Notes
    -----
    A process has one runtime: all its clusters of remote nodes share one secret and one address, and its local
    clusters one secret, so a process uses either local workers or remote nodes.
    """

    def __init__(self, workers=None, nodes=None, *, secret_file=None, address=None):
        if nodes is not None and workers is not None:
            raise InputError('give either workers (local) or nodes, not both')
        self._local, self._closed = None, False
        if nodes is None:
            if workers is not None and (isinstance(workers, bool) or not isinstance(workers, numbers.Integral)
                                        or workers < 1):
                raise InputError('workers = %r must be a whole number, at least 1' % (workers,))
            self._local = LocalNode(workers, secret=_local_secret())
            self._nodes, own, secret = [('local', self._local.location)], '127.0.0.1', self._local.secret
        else:
            self._nodes = parse_nodes(nodes)
            own = own_address(address) if address else outward_address(
                next((ip for _, (ip, _) in self._nodes if not ip.startswith('127.')), '127.0.0.1'))
            secret = load_secret(secret_file or default_secret_file())
        register(MESSAGES)
        try:
            self._engine = Engine.start_runtime(own, secret=secret)
        except BaseException:       # whatever it is, no worker is left behind
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        """End local workers; remote nodes go on. May be called again."""
        self._closed = True
        if self._local is not None:
            self._local.close()

    def solve(self, A, b=None, *, x0=None, known_solution=None, observe=None, **options):
        """As `coro_sor.solve`, on these workers."""
        settings = Options.from_keywords(options)
        return self.solve_problem(as_problem(A, b, x0, known_solution), settings, observe)

    def solve_problem(self, problem, options, observe=None):
        """Solve a `Problem` with `Options`.

        Ctrl-C ends it with status CANCELLED and the best x; a second one raises KeyboardInterrupt.
        """
        if self._closed:
            raise InputError('this Cluster is closed: make another one')
        task = self._engine.launch(coordinate, problem, options, self._nodes, observe)
        try:
            record = task.wait()
        except KeyboardInterrupt:
            task.reference.send(Cancel(''))
            record = task.wait()
        return make_solution(record)


def parse_nodes(nodes):
    """[(name, (address, port)), ...] of ``host`` or ``host:port`` texts, a list or joined by commas.

    Raises
    ------
    InputError
        For a name without an address, a bad port, or a node that is named twice.
    """
    parsed, seen = [], {}
    for text in nodes.split(',') if isinstance(nodes, str) else nodes:
        host, colon, port = text.strip().partition(':')
        if not host or (colon and not (port.isdecimal() and 0 < int(port) < 65536)):
            raise InputError('node %r is neither host nor host:port' % text)
        location = resolve(host), int(port) if colon else NODE_PORT
        if location in seen:
            raise InputError('node %r is named twice: it is %r again' % (text, seen[location]))
        seen[location] = text
        parsed.append((text.strip(), location))
    if not parsed:
        raise InputError('no node is named')
    return parsed


_secrets = []


def _local_secret():
    """The secret of this process's local workers: its one runtime keeps it."""
    if not _secrets:
        _secrets.append(new_secret())
    return _secrets[0]
