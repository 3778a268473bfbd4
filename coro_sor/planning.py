"""What is decided before the rows are given away: blocks, workers, numbering, schedule; pure."""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .order import Order
from .partition import deal, split_rows
from .problem import Problem
from .relaxation import nonsymmetric_cap
from .renumbering import by_colour, choose, permute, rcm
from .scan import Scan, scan
from .solution import InputError
from .wavefront import WAKE, block_graph, ordering_blocks, pass_seconds, speed_up, worth

__all__ = ['Plan', 'make_plan']

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


def make_plan(problem, options, workers, one_machine=True):
    """Read A once and decide.

    Parameters
    ----------
    problem : Problem
    options : Options
    workers : int
        How many there are.
    one_machine : bool
        Whether all of them are on one, so that they can share memory.

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
    plan = _plan(problem, bounds, np.arange(len(bounds) - 1), used, options)
    plan.rows, plan.notes = numbers, notes
    plan.schedule, plan.why = _schedule(plan.scan, options, len(plan.owner_bounds) - 1, one_machine)
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


def _workers_worth(problem, options, workers, blocks, notes):
    if options.blocks is not None:
        return min(workers, blocks)
    used = min(worth(problem.nonzeros, not problem.sparse, workers), blocks)
    if used < workers:
        notes.append('%d of %d workers are used: on so small a system more would wait for each other longer than they '
                     'compute (--blocks overrides)' % (used, workers))
    return used


def _plan(problem, bounds, sequence, workers, options, dealt=None):
    blocks = len(bounds) - 1
    dealt = deal(blocks, workers) if dealt is None else dealt
    firsts = np.flatnonzero(np.diff(dealt, prepend=-1))
    owner_bounds = np.append(bounds[firsts], problem.n)
    return Plan(problem, bounds, owner_bounds, sequence,
                scan(problem, owner_bounds, options.chunk_bytes, None, options.seed, bounds))


def _renumbered(problem, order):
    """The same system in another numbering."""
    rows = permute(problem.all_rows(), order)
    vectors = {name: None if value is None else value[order] for name, value in
               (('b', problem.b), ('x0', problem.x0), ('known_solution', problem.known_solution))}
    made = Problem(rows, **vectors)
    made.name, made.warnings = problem.name, problem.warnings
    return made, order


# ---- the schedule

def _schedule(scanned, options, owners, one_machine):
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
    x, must not depend on how many there are.
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
    choice = choose({order: found[order]}, workers)
    chosen, notes = plans[choice.order], plan.notes
    if choice.workers < workers or chosen is not plan:
        chosen = _settled(chosen, plan, choice, options)
        chosen.notes = notes + _told(choice, workers, found)
    chosen.speed_up = choice.speed_up if workers > 1 else None
    return chosen


def _by_cuthill_mckee(plan):
    problem, order = _renumbered(plan.problem, rcm(plan.problem.all_rows()))
    bounds = split_rows(problem.row_nonzeros(), len(plan.block_bounds) - 1)
    return Plan(problem, bounds, None, plan.sequence, rows=order), _graph(problem, bounds)


def _by_colour(plan):
    from .colouring import colour
    rows = plan.problem.all_rows()
    made = by_colour(rows, _CHUNKS, np.minimum(colour(rows.indptr, rows.indices, rows.n), _FEW), balanced=True)
    problem, order = _renumbered(plan.problem, made.order)
    coloured = Plan(problem, made.bounds, None, made.sequence, rows=order, chunk_of=made.chunk_of)
    return coloured, _graph(problem, made.bounds)


def _graph(problem, bounds):
    return block_graph([(0, problem.all_rows())], bounds)


def _settled(chosen, before, choice, options):
    """A plan for the chosen numbering and number of workers."""
    dealt = None
    if chosen.chunk_of is not None:
        dealt = deal(_CHUNKS, choice.workers)[chosen.chunk_of]
    made = _plan(chosen.problem, chosen.block_bounds, chosen.sequence, choice.workers, options, dealt)
    made.schedule, made.why = before.schedule, before.why
    made.rows = before.rows
    if chosen is not before:
        made.rows = chosen.rows if before.rows is None else before.rows[chosen.rows]
    return made


def _told(choice, workers, found):
    count = workers if workers in found['as it is'] else _REFERENCE
    told = ['in exact order the blocks as numbered would run at %.2f times the speed of one of %d workers'
            % (found['as it is'].get(count, 1.0), count)]
    if choice.order != 'as it is':
        told.append('%s, which makes that %.2f' % (
            {'rcm': 'rows were renumbered by reverse Cuthill-McKee', 'by colour': 'blocks are swept colour by colour'}
            [choice.order], found[choice.order].get(count, 1.0)))
    if choice.workers < workers:
        told.append('%d of %d workers are used: the rest would only wait' % (choice.workers, workers))
    return told
