"""What happened in a simulated run, second by second, short enough to read."""
from __future__ import annotations

__all__ = ['Timeline']

_MOST = 12              # lines of one kind
_PHASES = {'load': 'finds the workers and checks A', 'distribute': 'gives the workers their rows',
           'iterate': 'sweeps', 'recover': 'replaces lost workers', 'collect': 'collects x'}


class Timeline:
    """An observer of a run, as `coordinate` takes it.

    Parameters
    ----------
    world : World
        Its clock and what befalls its machines.
    """

    def __init__(self, world):
        self._world = world
        self._entries = []              # (seconds, kind, text)
        self._phase = None
        self._looks = self._recoveries = self._notes = 0

    def observe(self, record):
        """To be called by the coordinator."""
        now = self._world.simulation.now
        if record.phase != self._phase and record.phase in _PHASES:
            if record.phase != 'iterate' or self._phase != 'iterate':
                self._add(now, record.phase, 'the coordinator ' + _PHASES[record.phase])
            self._phase = record.phase
        for look in record.looks[self._looks:]:
            self._add(now, 'look', _look(look))
        for recovery in record.recoveries[self._recoveries:]:
            self._add(now, 'recovery', 'the rows of worker %d went to %s on %s' % (
                recovery['worker'], recovery['address'], recovery['node']))
        self._looks, self._recoveries = len(record.looks), len(record.recoveries)

    def _add(self, now, kind, text):
        self._entries.append((now, kind, text))

    def lines(self, record):
        """The lines, oldest first; of many of one kind the first and the last.

        Parameters
        ----------
        record : Record or None
            The finished one.
        """
        if record is not None:
            self.observe(record)
        entries = self._entries + [(seconds, text.partition(' ')[0] + text.rpartition(' ')[2], text)
                                   for seconds, text in self._world.happened]
        shown = []
        for kind in dict.fromkeys(kind for _, kind, _ in entries):
            shown += _shortened([entry for entry in entries if entry[1] == kind])
        if record is not None:
            shown.append((self._world.simulation.now, 'end', 'the run ends: %s' % record.status))
        shown.sort(key=lambda entry: entry[0])
        return ['%12.6f s  %s' % (seconds, text) for seconds, _, text in shown]


def _look(look):
    if look.get('residual_norm') is None:
        return 'look: %s' % look['found']
    return 'look: residual %.3e after %.6g sweeps: %s' % (look['residual_norm'], look['sweeps'], look['found'])


def _shortened(entries):
    if len(entries) <= _MOST:
        return entries
    half = _MOST // 2
    left_out = entries[half:-half]
    return entries[:half] + [(left_out[0][0], left_out[0][1], '... and %d more like it until %.6f s'
                              % (len(left_out), left_out[-1][0]))] + entries[-half:]
