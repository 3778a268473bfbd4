"""What is decided before the rows are given away: blocks, workers, numbering, schedule; pure."""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .options import Options
from .order import Order
from .partition import deal, split_rows
from .problem import Problem
from .relaxation import nonsymmetric_cap
from .renumbering import by_colour, permute, rcm, usable_workers
from .scan import Scan, scan
from .schedule import exact
from .solution import InputError
from .wavefront import WAKE, block_graph, ordering_blocks, pass_seconds, speed_up, worth

__all__ = ['Plan', 'make_plan', 'workers_worth']

_REFERENCE = 2      # workers for which the numbering is chosen
_ENOUGH, _GOOD = 0.6 * _REFERENCE, 0.9 * _REFERENCE     # speed-up of a numbering to stay with, or to change to
_CHUNKS = 8         # ranges of rows of a system that is swept colour by colour
_DENSE_ROWS = 64    # of an ordering block: what the kernel for exact dense sweeps treats at once
_FEW = 32           # colours with a block of their own in each chunk; the rows of all others are a serial tail


@dataclass
class Plan:
    """How a system is solved.

    Attributes
    ----------
    problem : Problem
        With its rows in the order of the blocks.
    rows : (n,) array of int or None
        The user's number of each row of `problem`; None where they are the same.
    block_bounds : (B + 1,) array of int
    owner_bounds : (owners + 1,) array of int
    sequence : (B,) array of int
        The blocks in the base order of updates.
    scan : Scan
    schedule, why : str
        'async', 'sync' or 'ordered', and the reason.
    speed_up : float or None
        Of the exact order on the workers used, in theory.
    notes : list of str
        What the user should know about it.
    chunk_of : (B,) array of int or None
        Where it is swept colour by colour: the range of rows that each block is of, which goes to one worker.
    """

    problem: Problem
    block_bounds: np.ndarray
    owner_bounds: np.ndarray
    sequence: np.ndarray
    scan: Scan = None
    rows: np.ndarray = None
    schedule: str = 'async'
    why: str = ''
    speed_up: float = None
    notes: list = field(default_factory=list)
    chunk_of: np.ndarray = None

    def restore(self, x):
        """x in the user's numbering."""
        if self.rows is None:
            return x
        original = np.empty_like(x)
        original[self.rows] = x
        return original


def make_plan(problem, options, workers):
    """Read A once and decide.

    Parameters
    ----------
    problem : Problem
    options : Options
    workers : int
        How many there are.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
    """
    notes, numbers = [], None
    if options.renumber == 'rcm' and problem.sparse:
        problem, numbers = _renumbered(problem, rcm(problem.all_rows()))
        notes.append('rows were renumbered by reverse Cuthill-McKee')
    blocks = options.blocks
    if blocks is None:
        blocks = workers if options.schedule == 'sync' else ordering_blocks(problem.n, problem.nonzeros,
                                                                            not problem.sparse)
    used = _workers_worth(problem, options, workers, blocks, notes)
    if options.blocks is None and options.schedule == 'sync':
        blocks = used
    bounds = split_rows(problem.row_nonzeros(), blocks)
    fine = options.blocks is None and options.schedule in ('auto', 'ordered') and not problem.sparse
    if fine:
        # Random orders pay where many small blocks change places, and exact dense sweeps go by so many rows anyway.
        bounds = np.append(np.arange(0, problem.n, _DENSE_ROWS), problem.n)
    plan = _plan(problem, bounds, np.arange(len(bounds) - 1), used, options, numbers)
    plan.schedule, plan.why = _schedule(plan.scan, options, len(plan.owner_bounds) - 1)
    plan.notes = notes + _in_vain(problem, options, plan.schedule)
    if fine and plan.schedule != 'ordered':
        plan.block_bounds = _coarser(plan, blocks)
        plan.sequence = np.arange(len(plan.block_bounds) - 1)
    if plan.schedule == 'ordered' and problem.sparse and len(plan.block_bounds) > 2:
        plan = _more_parallel(plan, options)
    return plan


def _coarser(plan, blocks):
    """About so many blocks, each a part of one owner's rows."""
    owners = len(plan.owner_bounds) - 1
    return np.unique(np.concatenate([first + split_rows(int(stop - first), max(1, round(blocks / owners)))
                                     for first, stop in zip(plan.owner_bounds[:-1], plan.owner_bounds[1:])]))


def workers_worth(problem, options, workers):
    """How many of so many workers are worth using for a system of this size."""
    if options.blocks is not None:
        return min(workers, options.blocks)
    return worth(problem.nonzeros, not problem.sparse, workers)


def _workers_worth(problem, options, workers, blocks, notes):
    used = min(workers_worth(problem, options, workers), blocks)
    if used < workers and options.blocks is None:
        notes.append('%d of %d workers are used: on so small a system more would wait for each other longer than they '
                     'compute (--blocks overrides)' % (used, workers))
    return used


def _in_vain(problem, options, schedule):
    """Notes on options that have no effect on this system, or no good one."""
    notes = []
    if options.renumber == 'rcm' and not problem.sparse:
        notes.append('--renumber rcm has no effect: A is dense')
    if exact(schedule):
        notes += ['--%s has no effect in %s: a block is exchanged when its sweep is done'
                  % (name.replace('_', '-'), schedule) for name in ('exchange_every', 'exchanges', 'panel_nonzeros')
                  if getattr(options, name) != getattr(Options, name)]
    if options.order == 'symmetric' and problem.sparse:
        notes.append('a sparse block is swept colour by colour, so that in symmetric order its first and last colours '
                     'come twice in a row (both colours of a grid): cyclic is mostly faster')
    return notes


def _plan(problem, bounds, sequence, workers, options, rows, dealt=None):
    blocks = len(bounds) - 1
    dealt = deal(blocks, workers) if dealt is None else dealt
    firsts = np.flatnonzero(np.diff(dealt, prepend=-1))
    owner_bounds = np.append(bounds[firsts], problem.n)
    found = scan(problem, owner_bounds, options.chunk_bytes, None, options.seed, bounds, rows, options.storage)
    return Plan(problem, bounds, owner_bounds, sequence, found, rows)


def _renumbered(problem, order):
    """The same system in another numbering."""
    rows = permute(problem.all_rows(), order)
    vectors = {name: None if value is None else value[order] for name, value in
               (('b', problem.b), ('x0', problem.x0), ('known_solution', problem.known_solution))}
    made = Problem(rows, **vectors)
    made.name, made.warnings = problem.name, problem.warnings
    return made, order


# ---- the schedule

def _schedule(scanned, options, owners):
    if options.schedule != 'auto':
        return options.schedule, 'as asked for'
    ratio = min(scanned.row_ratio, scanned.column_ratio)
    safe = ratio < 1 and options.omega < 2 / (1 + ratio)
    if owners == 1:
        return ('async' if safe else 'ordered'), 'one worker: SOR as on one machine'
    if safe:
        return 'async', 'A is strictly diagonally dominant: proven for this omega, and nobody waits'
    if scanned.symmetric:
        return 'ordered', 'A is symmetric: as many sweeps as on one worker, proven where it is positive definite'
    if ratio < 1 and not options.plain_omega:
        return 'async', 'A is strictly diagonally dominant: proven with omega lowered to %.3g' \
            % nonsymmetric_cap(options.omega, scanned.row_ratio, scanned.column_ratio)
    return 'ordered', 'A is neither symmetric nor dominant enough for this omega: SOR as on one worker'


# ---- the wavefront

def _speed(graph, nonzeros, dealt, sequence, options, delay):
    orders = Order('cyclic' if options.order == 'auto' else options.order, options.seed, sequence)
    return speed_up(graph, pass_seconds(nonzeros), dealt, [orders.blocks(sweep) for sweep in range(1, 9)], delay)


def _nonzeros(problem, bounds):
    return np.diff(np.concatenate(([0], np.cumsum(problem.row_nonzeros())))[bounds])


def _measured(plan, graph, workers, options):
    """Speed-up of a plan's order by number of workers, and that of two workers without any delay."""
    nonzeros, chunks = _nonzeros(plan.problem, plan.block_bounds), plan.chunk_of

    def dealt(count):
        return deal(len(nonzeros), count) if chunks is None else deal(_CHUNKS, count)[chunks]
    counts = {_REFERENCE, workers, *(2 ** k for k in range(1, workers.bit_length()))}
    found = {count: _speed(graph, nonzeros, dealt(count), plan.sequence, options, WAKE)
             for count in sorted(counts) if 1 < count <= (len(nonzeros) if chunks is None else _CHUNKS)}
    return found, _speed(graph, nonzeros, dealt(_REFERENCE), plan.sequence, options, 0.0)


def _more_parallel(plan, options):
    """The plan itself, or one with the rows renumbered or on fewer workers where it would be nearly serial.

    The numbering is chosen for a number of workers that is always the same, because the order of updates, and with it
    x, must not depend on how many there are. Where the user has said how many blocks, all workers are used.
    """
    workers = len(plan.owner_bounds) - 1
    found, ideal, plans = {}, {}, {'as it is': plan}
    found['as it is'], ideal['as it is'] = _measured(plan, plan.scan.graph, workers, options)
    wanted = _ENOUGH
    for name, make in (('rcm', _by_cuthill_mckee), ('by colour', _by_colour)):
        if max(ideal.values()) >= wanted or options.renumber != 'auto' or options.blocks is not None:
            break
        wanted = _GOOD
        try:
            plans[name], graph = make(plan)
        except InputError:
            continue        # scipy is missing, and nobody has asked for what needs it
        found[name], ideal[name] = _measured(plans[name], graph, workers, options)
    order = max(ideal, key=ideal.get)       # the first among equals
    usable = usable_workers(found[order], workers)
    used = workers if options.blocks is not None else usable
    chosen, notes = plans[order], plan.notes
    if usable < workers or chosen is not plan:
        notes = notes + _told(order, used, workers, found)
    if used < workers or chosen is not plan:
        chosen = _settled(chosen, plan, used, options)
    chosen.notes, chosen.speed_up = notes, found[order].get(used, 1.0) if workers > 1 else None
    return chosen


def _by_cuthill_mckee(plan):
    problem, order = _renumbered(plan.problem, rcm(plan.problem.all_rows()))
    bounds = split_rows(problem.row_nonzeros(), len(plan.block_bounds) - 1)
    return Plan(problem, bounds, None, plan.sequence, rows=order), _graph(problem, bounds)


def _by_colour(plan):
    from .colouring import colour
    rows = plan.problem.all_rows()
    made = by_colour(rows, _CHUNKS, np.minimum(colour(rows.indptr, rows.indices, rows.n), _FEW))
    problem, order = _renumbered(plan.problem, made.order)
    coloured = Plan(problem, made.bounds, None, made.sequence, rows=order, chunk_of=made.chunk_of)
    return coloured, _graph(problem, made.bounds)


def _graph(problem, bounds):
    return block_graph([(0, problem.all_rows())], bounds)


def _settled(chosen, before, workers, options):
    """A plan for the chosen numbering and number of workers."""
    dealt = None
    if chosen.chunk_of is not None:
        dealt = deal(_CHUNKS, workers)[chosen.chunk_of]
    rows = before.rows
    if chosen is not before:
        rows = chosen.rows if before.rows is None else before.rows[chosen.rows]
    made = _plan(chosen.problem, chosen.block_bounds, chosen.sequence, workers, options, rows, dealt)
    made.schedule, made.why = before.schedule, before.why
    return made


def _told(order, used, workers, found):
    count = workers if workers in found['as it is'] else _REFERENCE
    told = ['in exact order, with rows as they are numbered, %d workers would be %.2f times as fast as one'
            % (count, found['as it is'].get(count, 1.0))]
    if order != 'as it is':
        told.append('%s, which makes them %.2f times as fast as one' % (
            {'rcm': 'rows were renumbered by reverse Cuthill-McKee', 'by colour': 'blocks are swept colour by colour'}
            [order], found[order].get(count, 1.0)))
    if used < workers:
        told.append('%d of %d workers are used: the rest would only wait' % (used, workers))
    elif order == 'as it is':
        told.append('all of them are used because --blocks was given')
    return told
