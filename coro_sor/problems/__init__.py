"""Well-known systems of any size: A as a function's result, or rows that each process makes for itself.

``poisson2d(512)`` and the other functions give all of A; ``make_generator('poisson2d:512')`` gives a `Generator`, whose
rows any process can make piece by piece from that text.
"""
from coro_sor.problems.dense import gram, m_matrix, random_dense
from coro_sor.problems.generator import Generator
from coro_sor.problems.geometric import geometric
from coro_sor.problems.grids import laplace9, poisson2d, poisson3d
from coro_sor.problems.specs import EXAMPLE_PROBLEMS, file_of, make_generator
from coro_sor.problems.web import pagerank

__all__ = ['EXAMPLE_PROBLEMS', 'Generator', 'file_of', 'geometric', 'gram', 'laplace9', 'm_matrix', 'make_generator',
           'pagerank', 'poisson2d', 'poisson3d', 'random_dense']
