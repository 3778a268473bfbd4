"""What all measurements share: rounds of runs in turn, medians, tables, and the time of our sweeps and solves."""
import contextlib
import math
import os
import platform
import statistics
import sys
import tempfile

import numpy as np

import coro_sor
from measuring import Measurer

__all__ = ['Bench', 'ENDLESS', 'PEERS', 'Table', 'iterating', 'median_of', 'measured', 'numbers', 'time_sweep', 'words']

PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'peers')

# Only time ends these sweeps: no residual passes, and x moves so slowly that it does not come down to rounding either.
ENDLESS = dict(rtol=1e-300, look_interval=1e9, omega=1e-3)


class Bench:
    """Settings, a folder for systems on disk, clusters of workers, and a `Measurer`.

    Parameters
    ----------
    chosen : argparse.Namespace
    folder : str
    stack : contextlib.ExitStack
        Ends what is started here.
    """

    def __init__(self, chosen, folder, stack):
        self.chosen, self.folder = chosen, folder
        self._stack, self._clusters = stack, {}
        measurer = Measurer(chosen.tries, chosen.others)
        self.undisturbed, self.others = measurer.undisturbed, measurer.others

    def value(self, measure, *arguments, **keywords):
        """What ``measure(*arguments, **keywords)`` returns in its least disturbed try."""
        return self.undisturbed(lambda watch: measure(*arguments, **keywords))[0]

    def cluster(self, workers):
        """A cluster of that many workers; the same for all measurements."""
        if workers not in self._clusters:
            self._clusters[workers] = self._stack.enter_context(coro_sor.Cluster(workers=workers))
        return self._clusters[workers]


def measured(measure, chosen):
    """Everything that ``measure(bench)`` returns, and on what machine."""
    result = {'python': platform.python_version(), 'numpy': np.__version__, 'cores': os.cpu_count(),
              'machine': platform.processor() or platform.machine(), 'load': os.getloadavg()}
    with contextlib.ExitStack() as stack:
        bench = Bench(chosen, stack.enter_context(tempfile.TemporaryDirectory()), stack)
        result.update(measure(bench))
    if bench.others:
        print('\nOther programs took %.2f cores meanwhile (median of all measurements; at most %.2f).'
              % (statistics.median(bench.others), max(bench.others)))
    return result


def median_of(rounds, value):
    """Median of ``value(round)``; None where a round has none, infinity where most of them failed."""
    found = [value(each) for each in rounds]
    return None if None in found else statistics.median(found)


def numbers(text):
    """Whole numbers of a text such as ``1,2``."""
    return [int(part) for part in text.split(',')]


def words(text):
    """Words of a text such as ``async,ordered``."""
    return text.split(',')


# ---- our sweeps and solves


def time_sweep(cluster, problem, seconds, watch, **settings):
    """Seconds of a sweep of ours, sweeping for `seconds`.

    Parameters
    ----------
    cluster : coro_sor.Cluster
    problem : coro_sor.Problem
    seconds : float
    watch : callable
        Called when sweeping begins and ends; see `Measurer.undisturbed`.
    **settings
        Options.

    Returns
    -------
    dict
    """
    phases = [None]

    def observe(record):
        if 'iterate' in (phases[-1], record.phase) and record.phase != phases[-1]:
            watch()
        phases.append(record.phase)

    solution = cluster.solve(problem, observe=observe, time_limit=seconds, **dict(ENDLESS, **settings))
    report = solution.report
    if solution.status is not coro_sor.Status.TIME_LIMIT:
        sys.exit('%s ended with %s: %s' % (problem.name, solution.status, report['failure'] or report['advice']))
    workers = report['workers']
    neighbours, sent = max(1, len(workers) - 1), sum(worker['slices_sent'] for worker in workers)
    return {
        'sweeps': report['sweeps'], 'seconds': report['seconds']['iterate'] / report['sweeps'], 'workers': len(workers),
        'computing': sum(worker['seconds_computing'] for worker in workers) / len(workers) / report['sweeps'],
        # The smaller of what was sent and what was applied: a message may bring several panels, or come to nothing.
        'exchanges': min(min(worker['slices_applied'], sent - worker['slices_sent']) / max(1, worker['sweeps'])
                         for worker in workers) / neighbours, 'notes': report['notes']}


def iterating(solution):
    """Seconds that a solve took, start-up apart; infinity where it did not converge."""
    seconds = solution.report['seconds']
    return seconds['iterate'] + seconds['verify'] if solution.converged else math.inf


# ---- tables


class Table:
    """Prints a line as soon as it is known.

    Parameters
    ----------
    columns : list of (str, str, str)
        Name of the value, title and format of each; a value that is None is shown as ``-``.
    """

    def __init__(self, columns):
        self._columns = columns
        self._widths = [max(int(form[1:].lstrip('-').rstrip('sdfg').partition('.')[0]), len(title))
                        for _, title, form in columns]
        print(' '.join(self._placed(title, form, width) for (_, title, form), width in zip(columns, self._widths)))

    @staticmethod
    def _placed(text, form, width):
        return text.ljust(width) if form.startswith('%-') else text.rjust(width)

    def show(self, values):
        """Print a line of a mapping's values."""
        cells = ['-' if values.get(name) is None else form % values[name] for name, _, form in self._columns]
        print(' '.join(self._placed(cell.strip(), form, width)
                       for cell, (_, _, form), width in zip(cells, self._columns, self._widths)).rstrip(), flush=True)
