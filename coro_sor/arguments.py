"""The command line's options; every default of the solver is that of `Options`."""
from __future__ import annotations

import argparse
import dataclasses
import sys

from . import __version__
from .options import CHECKPOINT_EVERY, CHOICES, NODE_PORT, Options

__all__ = ['EXAMPLES', 'Parser', 'add_advanced', 'add_method', 'add_system', 'make_parser', 'parse', 'solver_options']

EXAMPLES = """\
examples:
  solve a system from files on the cores of this machine, keep x and the report
    coro-sor --matrix A.mtx --rhs b.mtx --output x.npy --report report.json
  try a matrix that has no right-hand side: b = A x* with x* = 1, 2, ..., n
    coro-sor --matrix A.mtx --known-solution index --omega 1.8
  a well-known system that needs no file
    coro-sor --problem poisson2d:100 --omega 1.94
  several machines, after scripts/start_workers.sh on each with the same secret
    coro-sor --matrix A.npy --rhs b.npy --nodes host1,host2:51400 --output x.npy
  as many sweeps as SOR on one machine needs, on 4 workers
    coro-sor --matrix A.mtx --rhs b.mtx --local 4 --schedule ordered --omega 1.9
  go on from an earlier x, for ten minutes at most
    coro-sor --matrix A.mtx --rhs b.mtx --x0 x.npy --output x.npy --time-limit 600
  keep where it stands, and go on from there after it was cut short
    coro-sor --matrix A.npy --rhs b.npy --output x.npy --checkpoint run.ckpt
    coro-sor --matrix A.npy --rhs b.npy --output x.npy --checkpoint run.ckpt --resume run.ckpt

exit status:
  0  converged: the residual of the x that was written is within the threshold
  1  not converged; x and the report are written all the same
  2  bad input or usage, or a file cannot be written
  3  the workers could not be reached, were lost or failed
  130  ended at once by Ctrl-C (the first Ctrl-C while it iterates ends with the best x and status 1)
"""

_SOLVER = (
    ('omega', 'F', 'relaxation factor, greater than 0 and less than 2'),
    ('rtol', 'F', 'converged when ||b - A x|| <= max(rtol ||b||, atol)'),
    ('atol', 'F', 'see --rtol'),
    ('schedule', None, 'which values of the other blocks a block computes with: whatever is there, those of the last '
                       'sweep, or those that SOR on one machine would use; auto chooses by A and the workers'),
    ('order', None, 'order of updates: the same in every sweep, forward and back in turn, or a new random one every '
                    'sweep; auto tries the last on a dense symmetric A where the schedule allows, and else takes the '
                    'first'),
    ('max_staleness', 'S', 'with async: largest number of sweeps by which such values may be older (default: any)'),
    ('max_sweeps', 'N', 'end after so many sweeps (row updates / n)'),
    ('time_limit', 'SECONDS', 'end after iterating so long (default: no limit)'),
    ('blocks', 'N', 'blocks of rows (default: by the size of A; with sync one a worker); if given, all workers that '
                    'get a block are used, and --renumber auto is off'),
    ('renumber', None, 'whether a sparse A is renumbered by reverse Cuthill-McKee; auto: where ordered would be serial '
                       'else. x is returned in the order of A'),
    ('exchange', None, 'how workers of one machine exchange x; auto shares memory where it can'),
    ('exchange_every', 'ROWS', 'rows that a worker updates between two exchanges (default: by what one costs)'),
    ('storage', None, 'how workers hold A; float32 takes half the memory, and the answer is that of A all the same'),
    ('seed', 'N', 'of what is drawn at random: the order shuffled, and the vectors that test A for symmetry'),
    ('plain_omega', None, 'use omega as it is in every row, and let the run diverge if it does'),
)

_ADVANCED = (
    ('patience', 'SECONDS', 'silence after which a worker counts as lost'),
    ('lease', 'SECONDS', 'silence of this program after which a worker frees its memory'),
    ('connect_timeout', 'SECONDS', 'time that a node has to answer'),
    ('delivery_timeout', 'SECONDS', 'time that one message may take over a slow link'),
    ('stop_timeout', 'SECONDS', 'time that workers have for their last words when a solve is over'),
    ('retry', 'SECONDS', 'pause before an unanswered request is repeated'),
    ('report_interval', 'SECONDS', 'least time between two reports of a worker'),
    ('look_interval', 'SECONDS', 'longest pause between two computations of the true residual, at first'),
    ('exchanges', 'N', 'largest number of exchanges a sweep'),
    ('panel_nonzeros', 'N', 'least work between two exchanges, in nonzeros of dense rows'),
    ('chunk_bytes', 'N', 'largest part of A or x in one message'),
)


class Parser(argparse.ArgumentParser):
    """Ends the process with one line and status 2 for bad usage."""

    def error(self, message):
        # Without the usage, which would push the one line that matters off the screen.
        self.exit(2, '%s: %s\n%s --help lists the options\n' % (self.prog, message, self.prog))


def make_parser():
    """The parser; what the user leaves to `Options` or `Cluster` is absent or None in its namespace."""
    parser = Parser(prog='coro-sor', usage='%(prog)s (--matrix FILE | --problem SPEC) '
                                           '[--rhs FILE | --known-solution X] [options]',
                    description='Solve A x = b by successive over-relaxation on many processes or machines.\n'
                                'A is symmetric positive definite or diagonally dominant, dense or sparse.',
                    epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
                    add_help=False)
    add_system(parser.add_argument_group('the system'))
    _add_workers(parser)
    add_method(parser.add_argument_group('how to solve'))
    _add_results(parser.add_argument_group('results'))
    _add_checkpoints(parser.add_argument_group('checkpoints'))
    advanced = parser.add_argument_group('for slow networks, and for experts')
    add_advanced(advanced)
    advanced.add_argument('--no-local-files', dest='local_files', action='store_false', default=argparse.SUPPRESS,
                          help='send every row by message, even to workers that see the same file or can make '
                               'their rows')
    return parser


def parse(arguments=None):
    """Parse `arguments` (default: those of this process); ends the process for ``--help`` and bad usage.

    Returns
    -------
    argparse.Namespace
    """
    parser = make_parser()
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments:
        parser.error('nothing to solve: name a file with --matrix, or a well-known system with --problem')
    chosen = parser.parse_args(arguments)
    if chosen.matrix is not None and chosen.rhs is None and chosen.known_solution is None:
        parser.error('--matrix needs a right-hand side: --rhs or --known-solution')
    if chosen.resume is not None and chosen.x0 is not None:
        parser.error('--resume goes without --x0: it begins with the x of the checkpoint')
    if chosen.checkpoint_every is not None and chosen.checkpoint is None:
        parser.error('--checkpoint-every goes with --checkpoint')
    for name in ('secret_file', 'address', 'certificate', 'key', 'ca', 'insecure'):
        if getattr(chosen, name) and chosen.nodes is None:
            parser.error('--%s goes with --nodes' % name.replace('_', '-'))
    return chosen


def solver_options(chosen):
    """The `Options` of a parsed command line.

    Raises
    ------
    InputError
    """
    names = [field.name for field in dataclasses.fields(Options)]
    return Options.from_keywords({name: getattr(chosen, name) for name in names if hasattr(chosen, name)})


def add_system(group):
    """Add the options that name A, b and where to start."""
    from .problems import EXAMPLE_PROBLEMS      # here, because NumPy must not be imported with this module
    which = group.add_mutually_exclusive_group(required=True)
    which.add_argument('--matrix', metavar='FILE',
                       help='A: .npy, .npz, .mtx, .mtx.gz, or text with a first line "n n nonzeros"')
    which.add_argument('--problem', metavar='SPEC',
                       help='instead of a file, a well-known system with a right-hand side of its own, of which each '
                            'worker makes its own rows: %s' % ', '.join(EXAMPLE_PROBLEMS))
    right = group.add_mutually_exclusive_group()
    right.add_argument('--rhs', metavar='FILE', help='b: .npy, .mtx, .mtx.gz, or text with one number a line')
    right.add_argument('--known-solution', metavar='FILE|index|ones',
                       help='instead of b: b = A x*, and the error against x* is reported; index: x* = 1, 2, ..., n')
    group.add_argument('--x0', metavar='FILE', help='where to start (default: zeros)')


def _add_workers(parser):
    group = parser.add_argument_group('the workers')
    where = group.add_mutually_exclusive_group()
    where.add_argument('--local', metavar='N', type=int,
                       help='start N worker processes here, for this solve (default: one a core)')
    where.add_argument('--nodes', metavar='HOST[:PORT],...', type=lambda text: text.split(','),
                       help='use the machines where start_workers.sh runs (default port: %d)' % NODE_PORT)
    group.add_argument('--secret-file', metavar='FILE',
                       help='the secret that the nodes were started with (default: the variable CORO_SOR_SECRET, else '
                            '~/.coro_sor/secret)')
    group.add_argument('--address', metavar='A', help='address of this machine under which the nodes reach it')
    for name, what in (('certificate', "this machine's certificate, with which it uses TLS (PEM)"),
                       ('key', 'its private key'), ('ca', 'certificate of the authority that signed those of all')):
        group.add_argument('--' + name, metavar='FILE', help=what)
    group.add_argument('--insecure', action='store_true',
                       help='without TLS, leave out the keyed hash of what goes to nodes, which must run with '
                            '--insecure too: whoever can change traffic on the network can then change values and '
                            'give orders')


def _add_results(group):
    group.add_argument('--output', metavar='FILE', help='write x: .npy, .mtx or .txt')
    group.add_argument('--report', metavar='FILE', help='write all that is known about the run: JSON')
    loud = group.add_mutually_exclusive_group()
    loud.add_argument('-q', '--quiet', action='store_true', help='print nothing but errors')
    loud.add_argument('-v', '--verbose', action='store_true', help='print every look at the true residual, log lines, '
                                                                   'and tracebacks of errors')
    group.add_argument('--version', action='version', version='coro_sor ' + __version__)
    group.add_argument('-h', '--help', action='help', help='print this and end')


def _add_checkpoints(group):
    group.add_argument('--checkpoint', metavar='FILE', help='write x now and then; killed at any moment, FILE is whole')
    group.add_argument('--checkpoint-every', metavar='SECONDS', type=float,
                       help='time between two of them (default: %.10g)' % CHECKPOINT_EVERY)
    group.add_argument('--resume', metavar='FILE',
                       help='begin with the x of a checkpoint of the same A and b; may be the FILE of --checkpoint')


def add_method(group):
    """Add the options that say how to solve."""
    for name, metavar, text in _SOLVER:
        _add_field(group, name, metavar, text)


def add_advanced(group):
    """Add those for slow networks, and for experts."""
    for name, metavar, text in _ADVANCED:
        _add_field(group, name, metavar, text)


def _add_field(group, name, metavar, text):
    """An option that is a field of `Options`: its type and default are the field's."""
    field = next(field for field in dataclasses.fields(Options) if field.name == name)
    if field.type == 'bool':
        group.add_argument('--' + name.replace('_', '-'), action='store_true', default=argparse.SUPPRESS, help=text)
        return
    kind = float if 'float' in field.type else int if 'int' in field.type else str
    if field.default is not None:
        text += ' (default: %s)' % (field.default if kind is str else '%.10g' % field.default)
    group.add_argument('--' + name.replace('_', '-'), metavar=metavar or '|'.join(CHOICES[name]), type=kind,
                       default=argparse.SUPPRESS, choices=CHOICES.get(name), help=text)
