"""Who used the processors while something was measured."""
import contextlib
import os
import time

import numpy as np

__all__ = ['Measurer', 'Window']


class Measurer:
    """Measures again what other programs disturbed.

    Parameters
    ----------
    tries : int
        At most, of one measurement.
    limit : float
        Cores that other programs may take.

    Attributes
    ----------
    others : list of float
        Cores that they took in each measurement that counts.
    """

    def __init__(self, tries, limit):
        self.others = []
        self._tries, self._limit = tries, limit

    def undisturbed(self, measure):
        """What `measure(watch)` returns and the `Window` of it, for the least disturbed of several tries.

        It calls `watch` when the time that it measures begins and when it ends; if never, the whole call counts.
        """
        tries = []
        while len(tries) < self._tries and not (tries and tries[-1][1].others <= self._limit):
            moments, whole = [], [_moment()]
            value = measure(lambda: moments.append(_moment()))
            whole.append(_moment())
            tries.append((value, Window(*np.subtract((moments or whole)[-1], (moments or whole)[0]).tolist())))
        value, window = min(tries, key=lambda each: each[1].others)
        self.others.append(window.others)
        return value, window


class Window:
    """Seconds that passed, and cores that this benchmark and other programs took meanwhile."""

    def __init__(self, seconds, all_used, used):
        self.seconds, self.used, self.others = seconds, used, (all_used - used) / seconds


_TICKS = os.sysconf('SC_CLK_TCK')


def _moment():
    return time.monotonic(), _used_by_all(), _used_by_us()


def _used_by_all():
    """Seconds of processor time used on this machine, or taken from it by its host."""
    with open('/proc/stat') as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS


def _used_by_us():
    """Seconds of processor time used by this process and all that it started."""
    parents, times = {}, {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError):      # it has just ended: its parent has its time
            with open('/proc/%s/stat' % pid) as file:
                fields = file.read().rpartition(')')[2].split()
            parents[int(pid)] = int(fields[1])
            times[int(pid)] = sum(map(int, fields[11:15])) / _TICKS
    ours, before = {os.getpid()}, 0
    while len(ours) > before:
        before = len(ours)
        ours.update(pid for pid, parent in parents.items() if parent in ours)
    return sum(times[pid] for pid in ours)
