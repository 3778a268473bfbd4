"""The texts that name a system without a file, as ``--problem`` takes them and messages carry them."""
import os

from coro_sor.problems.dense import Gram, MMatrix, RandomDense
from coro_sor.problems.geometric import Geometric
from coro_sor.problems.grids import Grid
from coro_sor.problems.web import PageRank
from coro_sor.solution import InputError

__all__ = ['EXAMPLE_PROBLEMS', 'file_of', 'make_generator']

EXAMPLE_PROBLEMS = ('poisson2d:512', 'poisson3d:100', 'laplace9:30', 'random-dense:5000', 'gram:4000', 'm-matrix:4000',
                    'geometric:200000', 'pagerank:FILE')
"""One spec of each name."""

_SIZED = {
    'poisson2d': (lambda m: Grid(m, 2), 2, 1),
    'poisson3d': (lambda m: Grid(m, 3), 3, 1),
    'laplace9': (lambda m: Grid(m, 2, corners=True), 2, 1),
    'random-dense': (RandomDense, 1, 1),
    'gram': (Gram, 1, 1),
    'm-matrix': (MMatrix, 1, 2),
    'geometric': (Geometric, 1, 1),
}
"""By name: generator of a size, the power of the size that n is, the least size."""


def make_generator(spec):
    """The generator that a text names.

    Parameters
    ----------
    spec : str
        ``name:size`` as in `EXAMPLE_PROBLEMS`, or ``pagerank:FILE``.

    Returns
    -------
    Generator
        Its `spec` has the absolute path of a file.

    Raises
    ------
    InputError
        For a name that is not known, an impossible size, or a file that cannot be used.
    """
    name, _, argument = spec.partition(':')
    if name == 'pagerank':
        if not argument:
            raise InputError('problem %r: the file of the graph is missing; %s' % (spec, _known()))
        path = os.path.abspath(argument)
        generator, spec = PageRank(path), 'pagerank:' + path
    elif name in _SIZED:
        generator = _sized(spec, name, argument)
    else:
        raise InputError('problem %r is not known; %s' % (spec, _known()))
    generator.spec = spec
    return generator


def file_of(spec):
    """The file that a spec names; None where it names none."""
    name, _, argument = spec.partition(':')
    return argument if name == 'pagerank' and argument else None


def _sized(spec, name, argument):
    make, power, least = _SIZED[name]
    size = int(argument) if argument.isascii() and argument.isdecimal() and len(argument) < 20 else -1
    if size < least:
        raise InputError('problem %r: its size must be a whole number, at least %d; %s' % (spec, least, _known()))
    if size ** power >= 2**31:
        raise InputError('problem %r is too large: it must have less than 2**31 unknowns' % spec)
    return make(size)


def _known():
    return 'give one of %s, for example %s' % (', '.join(EXAMPLE_PROBLEMS), EXAMPLE_PROBLEMS[0])
