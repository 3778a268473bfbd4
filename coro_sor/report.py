"""The report of a solve: a dict of plain values, ready for JSON."""
from __future__ import annotations

import math
import traceback

import numpy as np

from . import __version__
from .solution import Solution

__all__ = ['SCHEMA', 'make_report', 'make_solution']

SCHEMA = 1
"""Version of the report's fields; raised when one changes its meaning or goes."""


def make_solution(record):
    """The user's `Solution` of a finished `Record`."""
    return Solution(record.x, record.status, record.residual_norm, record.sweeps, make_report(record))


def make_report(record):
    """What the user gets to know.

    Returns
    -------
    dict
        ``schema``, ``version``: of this report and of coro_sor. ``status``, ``advice``. ``matrix`` (its file), ``n``,
        ``nonzeros``, ``schedule`` (the one that it ended with), ``why_schedule``, ``order``, ``why_order`` (of
        updates), ``convergence`` (whether theory promises it), ``speed_up`` (of ordered on these workers, in theory;
        null where it was not needed), ``omega``, ``omega_used``, ``rtol``, ``atol``, ``threshold``.
        ``residual_norm``, ``relative_residual``: of the returned x, computed by the owners of the rows; null with
        ``residual_reason`` where nothing was computed yet. ``error``: 2-norm and largest entry of x - x*, and relative
        2-norm, where x* is known. ``sweeps``: row updates / n. ``sweeps_needed``: in sync and ordered, the first sweep
        whose reported residual, put right by the last look, was within the threshold. ``history``: [seconds, reported
        residual norm, lowest, highest sweep] now and then. ``looks``: seconds, sweeps, reported and true residual norm
        of each look, and what it found. ``seconds``: by phase, load (check A, find the workers), distribute, iterate,
        verify, collect. ``blocks``: number of blocks. ``rows_lowered``, ``lowest_omega``: rows whose omega was lowered
        at block boundaries. ``warnings``, ``notes``: lines of text. ``failure``: text and traceback of a lost or
        failed worker, else null. ``workers``: one entry an owner, with ``node``, ``address``, ``pid``, ``blocks``,
        ``rows``, ``nonzeros``, ``rows_came`` (file: read by the worker itself; messages), ``halo_entries`` (entries of
        x read from others), ``sweeps``, ``seconds_computing``, ``seconds_waiting``, ``messages_sent``,
        ``messages_received``, ``bytes_sent``, ``bytes_received`` (of slices), ``slices_sent``, ``slices_applied``
        (parts that went into x), ``slices_superseded`` (replaced by newer ones before they were sent),
        ``mean_staleness``, ``largest_staleness`` (sweeps), ``peak_memory`` (bytes).
    """
    options, scan = record.options, record.scan
    report = {
        'schema': SCHEMA, 'version': __version__, 'status': str(record.status), 'advice': record.status.advice,
        'matrix': record.problem.name, 'n': record.problem.n,
        'nonzeros': record.problem.nonzeros, 'schedule': record.schedule,
        **_method(record),
        'omega': options.omega, 'rtol': options.rtol, 'atol': options.atol, 'threshold': record.threshold,
        **_residual(record), 'error': _error(record), 'sweeps': record.sweeps, 'sweeps_needed': record.sweeps_needed,
        'history': [list(entry) for entry in record.history], 'looks': record.looks, 'seconds': record.seconds,
        'blocks': len(record.plan.block_bounds) - 1 if record.plan else 0,
        'rows_lowered': sum(lowered for lowered, _ in record.lowered.values()),
        'lowest_omega': min((lowest for _, lowest in record.lowered.values()), default=options.omega),
        'warnings': list(scan.warnings if scan else record.problem.warnings),
        'notes': list(record.notes), 'failure': _failure(record.failure), 'recoveries': record.recoveries,
        'workers': [dict(owner) for owner in record.owners]}
    return _plain(report)


def _method(record):
    if record.steering is None:
        return {}
    plan, steering = record.plan, record.steering
    return {'why_schedule': steering.why_schedule or plan.why, 'order': steering.order, 'why_order': steering.why_order,
            'corrections': record.corrections, 'convergence': steering.convergence(), 'speed_up': plan.speed_up,
            'omega_used': steering.omega}


def _residual(record):
    norm = record.residual_norm
    fields = {'residual_norm': norm, 'relative_residual': None}
    if norm is None:
        fields['residual_reason'] = 'nothing was computed yet'
    elif record.scan.b_norm:
        fields['relative_residual'] = norm / record.scan.b_norm
    else:
        fields['relative_residual'] = 0.0 if norm == 0.0 else None
    return fields


def _error(record):
    known = record.problem.known_solution
    if known is None:
        return None
    difference = record.x - known
    norm, size = float(np.linalg.norm(difference)), float(np.linalg.norm(known))
    return {'norm': norm, 'relative': norm / size if size else None, 'largest': float(np.abs(difference).max())}


def _failure(error):
    if error is None:
        return None
    told = error.traceback or ''.join(traceback.format_exception(type(error), error, error.__traceback__))
    return {'text': str(error), 'traceback': told}


def _plain(value):
    """Plain JSON: NaN and infinities become None, NumPy's scalars Python's."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
