"""An owner that is asked for what makes no sense: the part of the block owner that says so."""
from __future__ import annotations

from .messages import Bind, Collect, Freeze, MakeRows, Prepare, ReadRows, Resume, Rows, Vectors
from .refusals import Refusals
from .schedule import exact
from .sweeping_owner import SweepingOwner

__all__ = ['RefusingOwner']

_EPOCHS = 1 << 16       # that pass while an owner stands still, at most
_REQUESTS = 1 << 40     # of all solves of a coordinator's process, at most
_UPDATES = 1 << 60      # of rows in a solve, at most


class RefusingOwner(SweepingOwner):
    """Judges messages by the state of the block owner, and changes nothing."""

    def __init__(self, engine, solve, assignment):
        super().__init__(engine, solve, assignment)
        self._refusals = Refusals('owner')

    def refuse(self, message, reason):
        """Drop a message; whoever needs it done will repeat it or ask for something else."""
        self._refusals.note(message, reason)

    def outdated(self, request):
        """Whether a request is of an old epoch, or comes too early: it will be repeated."""
        if isinstance(request, Bind):
            return request.epoch <= self._epoch
        if isinstance(request, Freeze):
            return request.epoch <= self._epoch or isinstance(self._freeze, Bind)
        looking = self._freeze is not None
        if isinstance(request, Vectors):
            return looking
        if isinstance(request, Resume) and not exact(self._schedule):
            looking = not self._frozen      # without a stalled neighbour's slices 'async' may go on
        return request.epoch != self._epoch or looking or self._state != 'FROZEN'

    def fault(self, request):
        """Why a request of the coordinator can't be meant for this owner; empty where it can."""
        if request.request > self._forgotten + _REQUESTS:
            return 'request %d comes out of turn' % request.request
        if isinstance(request, (Rows, ReadRows, MakeRows, Vectors, Prepare)):
            return self.loading_fault(request)
        if isinstance(request, (Bind, Freeze)) and self.is_far(request.epoch):
            return 'epoch %d does not follow %d' % (request.epoch, self._epoch)
        if isinstance(request, Bind):
            return self._binding_fault(request.peers, request.updates)
        rows = self.holding.start, self.holding.stop
        if isinstance(request, Collect) and not rows[0] <= request.start < request.stop <= rows[1]:
            return 'rows %d to %d are not all of %d to %d' % (request.start, request.stop, *rows)
        return ''

    def is_far(self, epoch):
        """Whether an epoch is one that no coordinator has reached while this owner stood still."""
        return epoch > self._epoch + _EPOCHS

    def _binding_fault(self, peers, updates):
        if not 0 <= updates < _UPDATES:
            return '%d row updates cannot have been done' % updates
        if self._reads is None:
            return 'it is not known yet what is read'
        if not set(self._reads) <= set(peers):
            return 'not all that is read from is there'
        known = len(self.holding.assignment.owner_bounds) - 1
        return '' if all(peer < known and peer != self.index for peer in peers) else 'there are no such owners'

    def values_fault(self, message):
        """Why `Slices` or `Shown` can't be meant for this owner; empty where they can."""
        if self._neighbours is None or self.is_far(message.epoch):
            return 'epoch %d does not follow %d' % (message.epoch, self._epoch)
        return self._incoming.fault(message)

    def agreement_fault(self, message):
        """The same for what neighbours say before values are exchanged."""
        return 'there are no neighbours yet' if self._neighbours is None else self._neighbours.fault(message)
