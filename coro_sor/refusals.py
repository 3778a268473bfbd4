"""What an actor does with messages that it cannot obey: it drops them, and tells the log."""
from __future__ import annotations

import logging

__all__ = ['Refusals']


class Refusals:
    """Tells the log of messages that were refused, once of each class: no sender can fill a disk.

    Parameters
    ----------
    actor : str
        The log's name below that of the package.
    """

    def __init__(self, actor):
        self._log, self._told = logging.getLogger('coro_sor.' + actor), set()

    def note(self, message, reason):
        """A message was refused."""
        kind = type(message).__name__
        if kind not in self._told:
            self._told.add(kind)
            self._log.warning('%s was refused: %s', kind, reason)
