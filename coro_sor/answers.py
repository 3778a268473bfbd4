"""Which answers fit a request: what an owner says is looked at before the coordinator reckons with it."""
from __future__ import annotations

import math

from .messages import (Bind, Bound, Collect, Freeze, Looked, MakeRows, Prepare, Prepared, ReadRows, Resume, Resumed,
                       Rows, RowsRead, Stop, Stopped, Taken, Values, Vectors)

__all__ = ['answer_fault', 'statistics_fault']

_ANSWERS = {Rows: Taken, Vectors: Taken, ReadRows: RowsRead, MakeRows: RowsRead, Prepare: Prepared, Bind: Bound,
            Freeze: Looked, Resume: Resumed, Collect: Values, Stop: Stopped}

_MOST = 2.0 ** 62       # squares of the entries of a residual, each at most 1

_LISTS = ('blocks', 'block_halos')
_ALWAYS = {*_LISTS, 'rows', 'nonzeros', 'row_updates', 'seconds_computing', 'seconds_waiting', 'seconds_exchanging',
           'messages_sent', 'messages_received', 'slices_superseded', 'peak_memory'}
_BOUND = {'neighbours', 'neighbours_shared', 'bytes_sent', 'bytes_received', 'slices_sent', 'slices_applied',
          'mean_staleness', 'largest_staleness'}


def answer_fault(request, answer, owners):
    """Why an answer does not fit; empty where it does.

    Parameters
    ----------
    request : Request
        What was asked.
    answer : Answer
        With its number.
    owners : int
        How many there are.
    """
    kind = type(answer)
    if kind is not _ANSWERS[type(request)]:
        return 'it does not answer %s' % type(request).__name__
    if kind is Looked:
        right = answer.epoch == request.epoch and answer.updates >= 0 and not (
            answer.scale < 0 or answer.squares < 0 or answer.squares > _MOST)
    elif kind is Values:
        right = (answer.epoch, answer.start, len(answer.values)) == (
            request.epoch, request.start, request.stop - request.start)
    elif kind is Prepared:
        right = all(owner < owners and owner != answer.owner for owner in answer.reads)
    elif kind is Resumed:
        right = answer.lowered >= 0 and math.isfinite(answer.lowest)
    else:
        return statistics_fault(answer.statistics) if kind is Stopped else ''
    return '' if right else 'it says what cannot be'


def statistics_fault(told):
    """Why `Stopped.statistics` are not what an owner counts; empty where they are."""
    names = _ALWAYS | (_BOUND if 'neighbours' in told else set())
    if told.keys() != names or any(
            isinstance(value, list) != (name in _LISTS) or value is None and name != 'peak_memory'
            for name, value in told.items()):
        return 'other statistics'
    sent = told.get('slices_sent', 0)
    return '' if min(sent, told['rows']) >= 0 and (not sent or told['neighbours'] >= 1) else 'impossible statistics'
