"""The Python interface: `solve`, and `Cluster` for several solves on the same workers."""
from __future__ import annotations

import numbers

from .addresses import outward_address, own_address, resolve
from .checkpoint import Checkpointer, resume as resume_from
from .coordinator import coordinate
from .messages import MESSAGES, Cancel
from .options import CHECKPOINT_EVERY, NODE_PORT, Options
from .problem import Problem
from .report import make_solution
from .runtime import Engine, register, tls_files
from .runtime.local import LocalNode
from .secret import find_secret, new_secret
from .solution import InputError

__all__ = ['Cluster', 'solve']


def solve(A, b=None, *, x0=None, known_solution=None, omega=Options.omega, rtol=Options.rtol, atol=Options.atol,
          schedule=Options.schedule, workers=None, nodes=None, secret_file=None, address=None, certificate=None,
          key=None, ca=None, insecure=False, observe=None, checkpoint=None, checkpoint_every=CHECKPOINT_EVERY,
          resume=None, **options):
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
    schedule : {'auto', 'async', 'sync', 'ordered'}
        Which values of the other blocks a block computes with: whatever is there, those of the last sweep, or those
        that SOR on one machine would use; 'auto' chooses by A and the workers.
    workers : int, optional
        Local worker processes; one a core by default.
    nodes : list of str, optional
        ``host`` or ``host:port`` of machines where start_workers.sh runs, instead of local workers.
    secret_file : str, optional
        What start_workers.sh uses on those machines; by default the environment variable CORO_SOR_SECRET, else
        ~/.coro_sor/secret.
    address : str, optional
        Address of this machine under which the nodes reach it.
    certificate, key, ca : str, optional
        PEM files with which to use TLS towards the nodes: this machine's certificate, its private key, and the
        certificate of the authority that signed those of all.
    insecure : bool
        Without TLS, leave out the keyed hash of what goes to the nodes, where they run with --insecure too: whoever can
        change traffic on the network can then change values and give orders.
    observe : callable, optional
        ``observe(record)`` a few times a second while it runs; see `coro_sor.record.Record`. What it raises ends the
        solve.
    checkpoint : str or path-like, optional
        File that x is written to now and then; killed at any moment, it is whole.
    checkpoint_every : float
        Seconds between two times.
    resume : str or path-like, optional
        Such a file, of the same A and b, instead of x0; may be the same. The report's notes say what was found.
    **options
        The other fields of `coro_sor.options.Options`, which says more of each. Those that most may need:

        * ``order``: of updates, 'cyclic', 'symmetric', 'shuffled' or 'auto', which tries on a dense symmetric A.
        * ``max_sweeps``, ``time_limit``: when to give up, in sweeps (row updates / n) and in seconds of iterating.
        * ``blocks``: number of blocks of rows; by default it follows from A, and in 'sync' from the workers.
        * ``renumber``: 'off', 'rcm' (reverse Cuthill-McKee, for sparse A) or 'auto', where 'ordered' would be serial
          else and ``blocks`` is not given; x comes back in the order of A.
        * ``exchange``: 'messages', 'shared' (memory, between workers of one machine) or 'auto'.
        * ``storage``: 'float64', or 'float32' to hold A in half the memory; the answer is that of A as given.
        * ``plain_omega``: True uses omega as it is in every row, without a guard.
        * ``max_staleness``: in 'async', how many sweeps older than its own the values may be that a block uses.
        * ``seed``: of what is drawn at random.

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
    problem, keeper, notes = with_checkpoints(problem, settings, checkpoint, checkpoint_every, resume)
    with Cluster(workers=workers, nodes=nodes, secret_file=secret_file, address=address, certificate=certificate,
                 key=key, ca=ca, insecure=insecure) as cluster:
        return cluster.solve_problem(problem, settings, observe, keeper, notes)


def as_problem(A, b=None, x0=None, known_solution=None):
    """The Problem itself, or one made of arrays."""
    if not isinstance(A, Problem):
        return Problem(A, b, x0=x0, known_solution=known_solution)
    if not (b is None and x0 is None and known_solution is None):
        raise InputError('the Problem has its own b, x0 and known_solution: give none')
    return A


def with_checkpoints(problem, options, checkpoint=None, every=CHECKPOINT_EVERY, resume=None):
    """What checkpoints make of a problem.

    Parameters
    ----------
    problem : Problem
    options : Options
    checkpoint, every, resume
        As `solve` has them.

    Returns
    -------
    problem : Problem
        The same, or with the x of the file `resume` as its x0.
    keeper : Checkpointer or None
    notes : list of str
        What was found in the file.

    Raises
    ------
    InputError
        See `checkpoint.Checkpointer` and `checkpoint.resume`.
    """
    keeper = None if checkpoint is None else Checkpointer(checkpoint, every, problem, options)
    if resume is None:
        return problem, keeper, []
    problem, found = resume_from(problem, resume)
    return problem, keeper, [found]


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
    secret_file, address, certificate, key, ca, insecure
        As in `solve`.

    Raises
    ------
    InputError
        For a node that is named twice or has no address, an address that is not this machine's, or a secret file or
        certificate that can't be used.
    Unreachable
        Where local workers could not be started.

    Notes
    -----
    A process has one runtime: all its clusters of remote nodes share one secret, address and certificate, and its local
    clusters one secret, so a process uses either local workers or remote nodes.
    """

    def __init__(self, workers=None, nodes=None, *, secret_file=None, address=None, certificate=None, key=None, ca=None,
                 insecure=False):
        if nodes is not None and workers is not None:
            raise InputError('give either workers (local) or nodes, not both')
        if nodes is None and (insecure or any((certificate, key, ca))):
            raise InputError('certificate, key, ca and insecure go with nodes: local workers are on loopback')
        tls = tls_files(certificate, key, ca)
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
            secret, _ = find_secret(secret_file)
        register(MESSAGES)
        try:
            self._engine = Engine.start_runtime(own, secret=secret, tls=tls, insecure=insecure)
        except BaseException:       # whatever it is, no worker is left behind
            self.close()
            raise
        if nodes is not None:       # by which their certificates may know them
            self._engine.call_by_name({ip: name.partition(':')[0] for name, (ip, _) in self._nodes})

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        """End local workers; remote nodes go on. May be called again."""
        self._closed = True
        if self._local is not None:
            self._local.close()

    def solve(self, A, b=None, *, x0=None, known_solution=None, observe=None, checkpoint=None,
              checkpoint_every=CHECKPOINT_EVERY, resume=None, **options):
        """As `coro_sor.solve`, on these workers."""
        settings = Options.from_keywords(options)
        problem, keeper, notes = with_checkpoints(as_problem(A, b, x0, known_solution), settings, checkpoint,
                                                  checkpoint_every, resume)
        return self.solve_problem(problem, settings, observe, keeper, notes)

    def solve_problem(self, problem, options, observe=None, keeper=None, notes=()):
        """Solve a `Problem` with `Options`; `keeper` is its `Checkpointer`, `notes` go to the front of the report's.

        Ctrl-C ends it with status CANCELLED and the best x; a second one raises KeyboardInterrupt.
        """
        if self._closed:
            raise InputError('this Cluster is closed: make another one')
        task = self._engine.launch(coordinate, problem, options, self._nodes, observe, keeper)
        try:
            record = task.wait()
        except KeyboardInterrupt:
            task.reference.send(Cancel(''))
            record = task.wait()
        solution = make_solution(record)
        solution.report['notes'][:0] = notes
        return solution


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
        if not host or (colon and not (port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536)):
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
