"""An owner's neighbours: whom it reads from, who reads from it, and the links to them."""
from __future__ import annotations

from .exchange import Outgoing
from .links import Link, reach
from .messages import Subscribe, Subscribed
from .partition import Reads
from .solution import Unreachable

__all__ = ['Neighbours']


class Neighbours:
    """All other owners that this one exchanges entries with.

    Parameters
    ----------
    engine
    solve : str
    holding : Holding
    make_link : callable
        ``make_link(reference, produce)`` gives a Link.
    settings : dict
        Of the assignment.

    Attributes
    ----------
    outgoings : dict of int to Outgoing
        By owner.
    readers : frozenset of int
        Owners that read from here.
    """

    def __init__(self, engine, solve, holding, make_link, settings):
        self._engine, self._solve, self._holding = engine, solve, holding
        self._make_link, self._settings = make_link, settings
        self._index = holding.assignment.owner
        self._limit = settings['chunk_bytes'] // 8
        self.outgoings, self._links = {}, {}
        self.readers = frozenset()
        self._unsubscribed = set()      # readers that have not said all that they want
        self._unagreed = {}             # own subscriptions that were not answered
        self._held = []
        self._early = []                # subscriptions that came before the neighbours were known

    # ---- making acquaintance

    def meet(self, coro, peers, readers, reads):
        """Connect to all neighbours and subscribe to what is read from them.

        Parameters
        ----------
        coro
            The owner's coroutine.
        peers : dict of int to reference
        readers : iterable of int
        reads : dict of int to Reads

        Raises
        ------
        Unreachable
        """
        self.readers, self._unsubscribed = frozenset(readers), set(readers)
        for owner, reference in peers.items():
            location = reference.location
            self._engine.hold(location)
            self._held.append(location)
            if not (yield from reach(self._engine, coro, location, self._settings['connect_timeout'])):
                raise Unreachable('owner %d cannot reach owner %d at %s:%d'
                                  % (self._index, owner, location.addr, location.port))
            outgoing = self.outgoings[owner] = Outgoing(self._solve, self._index, self._holding, self._limit)
            self._links[owner] = self._make_link(reference, outgoing.produce)
        for owner, read in reads.items():
            self._subscribe(owner, read)
        early, self._early = self._early, []
        for message in early:
            self.take_subscription(message)
        return True

    def _subscribe(self, owner, read):
        for first in range(0, read.size, self._limit):
            last = min(first + self._limit, read.size)
            entries = (read.key.start + first, read.key.start + last) if isinstance(read.key, slice) \
                else read.key[first:last]
            number = Link.number()
            self._unagreed[number] = owner, Reads(entries)
            self._links[owner].ask(Subscribe(self._solve, number, self._index, first, read.size, entries))

    def take_subscription(self, message):
        """A neighbour says what it reads; answered with the diagonal there, which it needs to relax safely."""
        if message.owner not in self._links:
            self._early.append(message)
            return
        entries = message.entries if isinstance(message.entries, tuple) else message.entries.astype('i8')
        if self.outgoings[message.owner].subscribe(message.first, message.total, entries):
            self._unsubscribed.discard(message.owner)
        diagonal = self._holding.diagonal[Reads(entries).key].copy()
        self._links[message.owner].tell(Subscribed(self._solve, message.request, self._index, message.first, diagonal))

    def take_agreement(self, message):
        """A neighbour has noted what is read from it."""
        asked = self._unagreed.pop(message.request, None)
        if asked:
            self._links[asked[0]].answered(message.request)
            self._holding.diagonal[asked[1].key] = message.diagonal

    @property
    def settled(self):
        """Whether all subscriptions, own and others', are in place."""
        return not self._unsubscribed and not self._unagreed

    # ---- sending

    def begin(self, epoch):
        """Begin an epoch: nothing of the older one is sent any more."""
        for outgoing in self.outgoings.values():
            outgoing.begin(epoch)

    def send_frozen(self):
        """Send all the x that the epoch begins with."""
        for outgoing in self.outgoings.values():
            outgoing.send_frozen()
        self.wake()

    def wake(self):
        """Let the links look for something to send."""
        for link in self._links.values():
            link.wake()

    def passer(self, fleeting):
        """What lets the neighbours have the panels of this epoch, for use in the pool thread.

        Parameters
        ----------
        fleeting : bool
            Whether to send them at once, though they may be lost; else `wake` has them delivered.

        Returns
        -------
        callable
            ``pass_on(block, panel, sweep)`` notes that a panel is done and sends what is newest where the way is free,
            else with a later panel. An epoch that begins meanwhile is left alone.
        """
        ways = [(self._links[owner], outgoing, outgoing.current) for owner, outgoing in self.outgoings.items()]

        def pass_on(block, panel, sweep):
            for link, outgoing, current in ways:
                outgoing.send_newest(block, panel, sweep, current)
                if fleeting and link.free():
                    message = outgoing.produce_fleeting(current)
                    if message is not None:
                        link.send(message)
        return pass_on

    def close(self):
        """Send nothing more."""
        for link in self._links.values():
            link.close()
        for location in self._held:
            self._engine.release(location)

    def statistics(self):
        """What was sent, as the report has it."""
        outgoings = self.outgoings.values()
        return {'messages_sent': sum(link.messages for link in self._links.values()),
                'bytes_sent': sum(each.bytes for each in outgoings),
                'slices_sent': sum(each.sent for each in outgoings),
                'slices_superseded': sum(each.superseded for each in outgoings)}
