"""What an owner's pool thread does before and after each step: wait, read the others' values, publish the own ones."""
from __future__ import annotations

__all__ = ['Hooks']

_WAIT = 0.02        # longest wait for shared memory, in seconds, before the actor looks at its mailbox again


class Hooks:
    """For one call of the pool thread, in one epoch.

    Parameters
    ----------
    engine
    sweeper : Sweeper
    incoming : Incoming
    neighbours : Neighbours
    fleeting : bool
        Whether messages with values may be lost.
    may_go_on : callable
        Whether the owner still wants steps of this epoch.

    Attributes
    ----------
    waited, exchanged : float
        Seconds spent waiting for others' values, and reading and publishing values.
    """

    def __init__(self, engine, sweeper, incoming, neighbours, fleeting, may_go_on):
        self.waited = self.exchanged = 0.0
        self._engine, self._sweeper, self._incoming, self._neighbours = engine, sweeper, incoming, neighbours
        self._fleeting, self._may_go_on = fleeting, may_go_on
        self._currents = neighbours.currents()

    def before(self, *step):
        """See `Holding.sweep`."""
        began = self._engine.now()
        if not self._may_go_on():
            return False
        lacking = self._sweeper.lacking(*step)
        if lacking is not None:
            if not self._incoming.by_message(lacking):
                self._engine.until(lambda: self._sweeper.lacking(*step) is None or not self._may_go_on(), _WAIT)
            came = self._engine.now()
            self.waited += came - began
            began = came
            if not self._may_go_on() or self._sweeper.lacking(*step) is not None:
                return False
        self._sweeper.before(*step)
        self.exchanged += self._engine.now() - began
        return True

    def after(self, *step):
        """See `Holding.sweep`."""
        began = self._engine.now()
        for owner in self._sweeper.after(*step, self._currents):
            self._neighbours.send_now(owner, self._currents[owner], self._fleeting)
        self.exchanged += self._engine.now() - began
        return self._may_go_on()
