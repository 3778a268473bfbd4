"""Which versions of its halo a block may use."""
from __future__ import annotations

__all__ = ['exact', 'needs']


def exact(schedule):
    """Whether every version that a block may use is one definite sweep's."""
    return schedule != 'async'


def needs(schedule, before, sweep, max_staleness=None):
    """The version of a neighbour's slice that a block uses in a sweep.

    Parameters
    ----------
    schedule : str
        'async', 'sync' or 'ordered'.
    before : bool
        Whether the neighbour comes before the block in this sweep.
    sweep : int
        The block's sweep, from 1.
    max_staleness : int, optional
        In 'async', how many sweeps older than `sweep` a version may be.

    Returns
    -------
    int
        In 'sync' and 'ordered' exactly this version, in 'async' this one or any newer. Version 0 is where the epoch
        began.
    """
    if schedule == 'sync':
        return sweep - 1
    if schedule == 'ordered':
        return sweep if before else sweep - 1
    return 0 if max_staleness is None else max(0, sweep - max_staleness)
