"""Solve A x = b by asynchronous successive over-relaxation, on one machine or many.

    import coro_sor
    solution = coro_sor.solve(A, b)

Names are loaded when first used, so that a process which must choose its number of BLAS threads can do so before NumPy
is imported.
"""
import importlib

__version__ = '0.1.0'

_HOMES = {
    'solve': 'api', 'Cluster': 'api',
    'Problem': 'problem', 'load_problem': 'problem',
    'Options': 'options',
    'InputError': 'solution', 'Solution': 'solution', 'SolverError': 'solution', 'Status': 'solution',
    'Unreachable': 'solution', 'WorkerFailed': 'solution',
}

__all__ = ['__version__', *_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError('module %r has no attribute %r' % (__name__, name))
    return getattr(importlib.import_module('.' + _HOMES[name], __name__), name)


def __dir__():
    return __all__
