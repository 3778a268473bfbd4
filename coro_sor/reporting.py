"""What an owner tells the coordinator about its progress, and what it counts."""
from __future__ import annotations

import math

from .messages import Report

__all__ = ['Reporter', 'beat_all', 'owner_statistics', 'peak_bytes']

_SWEEPS_A_REPORT = 10_000
_SOON = 0.05        # of the interval: least pause between two reports near the end


class Reporter:
    """Decides when a report is due and makes it when the way is free.

    Parameters
    ----------
    solve : str
    owner : int
    interval : float
        Least seconds between two reports.
    """

    def __init__(self, solve, owner, interval):
        self._solve, self._owner, self._interval = solve, owner, interval
        self._last = -math.inf
        self.begin(0, 0.0)

    def begin(self, epoch, share):
        """Begin an epoch; `share` is the sum of squares worth a report at once when first reached."""
        self._epoch, self._share = epoch, share
        self._due = False
        self._by_sweep = []
        self._content = (), -1.0, False

    def note(self, now, sweeps, squares, waiting):
        """Note how it stands.

        Parameters
        ----------
        now : float
        sweeps : tuple of int
            Of each own block.
        squares : float
            Sum of squares met in the last sweep of each block, -1 before.
        waiting : bool
            Whether the sweeps asked for are done.

        Returns
        -------
        bool
            Whether a report is due.
        """
        begins_waiting = waiting and not self._content[2]
        self._content = sweeps, squares, waiting
        # From the first time on each quarter is worth telling, or the last sweeps would wait for the interval.
        reached = 0 <= squares <= self._share and now - self._last >= self._interval * _SOON
        if reached:
            self._share = squares / 4
        # NaN compares false: overflow is told at once, like good news, and once.
        overflow = not math.isfinite(squares) and self._share != -2.0
        if overflow:
            self._share = -2.0
        self._due = self._due or reached or overflow or begins_waiting or now - self._last >= self._interval
        if self._due:
            self._last = now
        return self._due

    def note_sweep(self, sweep, squares):
        """Keep the sum of squares of one sweep, in 'sync' and 'ordered'."""
        if len(self._by_sweep) < _SWEEPS_A_REPORT:
            self._by_sweep.append((sweep, squares))

    def produce(self):
        """(Report, settle) or None; see `links.Link`."""
        if not self._due:
            return None
        self._due = False
        sweeps, squares, waiting = self._content
        told, self._by_sweep = self._by_sweep, []
        epoch = self._epoch
        report = Report(self._solve, epoch, self._owner, sweeps, squares, tuple(told), waiting)

        def settle(delivered):
            if not delivered and epoch == self._epoch:
                self._by_sweep = told + self._by_sweep
                self._due = True
        return report, settle


def peak_bytes():
    """Largest memory that this process has held, in bytes; None where the system doesn't tell.

    Not getrusage: a process begins there with the size of the one that started it.
    """
    try:
        with open('/proc/self/status', encoding='ascii', errors='replace') as status:
            for line in status:
                if line.startswith('VmHWM:'):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return None


def beat_all(engine, owner, coro=None):
    """Actor: the heartbeat of an owner as long as it lives; a message ends a pause early."""
    while owner.alive:
        yield coro.receive(timeout=owner.beat(), alarm_value=None)
    return True


def owner_statistics(holding, link, received, seconds, parts, past):
    """What an owner did, as the report has it.

    Parameters
    ----------
    holding : Holding
    link : Link
        To the coordinator.
    received : int
        Messages.
    seconds : (float, float, float)
        Of its sweeper: computing, waiting, exchanging values.
    past : dict of str to int
        Numbers to be added.
    parts : iterable
        What else has ``statistics()``; numbers of the same name are added. None is left out.

    Returns
    -------
    dict
    """
    told = {'blocks': list(holding.blocks), 'block_halos': list(holding.block_halos),
            'rows': holding.stop - holding.start, 'nonzeros': holding.nonzeros,
            'row_updates': 0, 'seconds_computing': seconds[0], 'seconds_waiting': seconds[1],
            'seconds_exchanging': seconds[2],
            'messages_sent': link.messages, 'messages_received': received, 'slices_superseded': 0,
            'peak_memory': peak_bytes()}
    for counted in (past, *(part.statistics() for part in parts if part is not None)):
        for name, value in counted.items():
            told[name] = told.get(name, 0) + value
    return told
