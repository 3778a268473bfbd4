"""An owner's neighbours: whom it reads from, who reads from it, and the ways between them."""
from __future__ import annotations

from .links import Link
from .messages import Share, Subscribe, Subscribed, Taken
from .outgoing import Outgoing
from .partition import Reads
from .peers import pair
from .sharing import SharedSlices
from .solution import Unreachable

__all__ = ['Neighbours', 'Untimely']

_EPOCHS = 2         # kept of an owner, so that one that is wrong about the epoch can't drive out what is needed
_ANSWERS = {Subscribe: Subscribed, Share: Taken}


class Untimely:
    """Requests of neighbours that came before this owner was bound to them: of each owner those of its newest epochs.

    What finds no room will be repeated.

    Parameters
    ----------
    owners : int
        How many there are.
    most : int
        Requests that one of them makes at most.
    """

    def __init__(self, owners, most):
        self._kept, self._owners, self._most = {}, owners, most     # by owner and epoch, and then by request

    def keep(self, message):
        """Keep a request that carries an epoch."""
        if not 0 <= message.owner < self._owners:
            return
        epochs = self._kept.setdefault(message.owner, {})
        if message.epoch not in epochs and len(epochs) >= _EPOCHS and message.epoch > min(epochs):
            del epochs[min(epochs)]
        if message.epoch in epochs or len(epochs) < _EPOCHS:
            kept = epochs.setdefault(message.epoch, {})
            if len(kept) < self._most:
                kept[message.request] = message

    def take(self, epoch):
        """What was kept for an epoch; what was kept for older ones is forgotten."""
        found = [message for epochs in self._kept.values() for message in epochs.get(epoch, {}).values()]
        self._kept = {owner: {of: kept for of, kept in epochs.items() if of > epoch}
                      for owner, epochs in self._kept.items()}
        return found


class Neighbours:
    """All other owners that this one exchanges entries with, from one `Bind` to the next.

    Parameters
    ----------
    engine
    solve : str
    epoch : int
        Of the `Bind`.
    holding : Holding
    incoming : Incoming
    settings : dict
        Of the assignment.

    Attributes
    ----------
    outgoings : dict of int to Outgoing
        By owner.
    """

    def __init__(self, engine, solve, epoch, holding, incoming, settings):
        self._engine, self._solve, self._holding, self._incoming = engine, solve, holding, incoming
        self._epoch, self._settings = epoch, settings
        self._index = holding.assignment.owner
        self._limit = settings['chunk_bytes'] // 8
        self.outgoings, self._links = {}, {}
        self._since = engine.now()
        self._unsubscribed = set()      # neighbours that have not said all that they want
        self._unagreed = {}             # own requests that were not answered
        self._segments = {}             # made for readers, by owner
        self._held = []

    # ---- making acquaintance

    def meet(self, peers, reads):
        """Begin to connect to all neighbours and to subscribe to what is read from them, until `settled`.

        Parameters
        ----------
        peers : dict of int to reference
            All that read from here or are read from. Each side subscribes to the other, if need be to nothing: in
            'sync' and 'ordered' both must hear how far the other is.
        reads : dict of int to Reads
        """
        self._unsubscribed = set(peers)
        for owner, reference in peers.items():
            location = reference.location
            here = pair(location) == self._engine.location
            if not here:
                self._engine.hold(location)
                self._held.append(location)
            outgoing = self.outgoings[owner] = Outgoing(self._solve, self._index, self._holding, self._limit)
            self._links[owner] = Link(self._engine, reference, self._settings['retry'],
                                      self._settings['delivery_timeout'], outgoing.produce, here)
        for owner in peers:
            self._subscribe(owner, reads.get(owner, Reads((0, 0))))

    def _subscribe(self, owner, read):
        for first in range(0, read.size, self._limit) or (0,):
            last = min(first + self._limit, read.size)
            entries = (read.key.start + first, read.key.start + last) if isinstance(read.key, slice) \
                else read.key[first:last]
            self._ask(owner, Subscribe, first, read.size, entries)

    def _ask(self, owner, kind, *content):
        number = Link.number()
        self._unagreed[number] = owner, kind, content
        self._links[owner].ask(kind(self._solve, number, self._index, self._epoch, *content))

    def fault(self, message):
        """Why a neighbour's request, or answer to an own one, makes no sense here; empty where it does."""
        if message.owner not in self._links:
            return 'owner %d is no neighbour' % message.owner
        if isinstance(message, Subscribe):
            read = Reads(message.entries)
            return 'a part of %d entries' % read.size if read.size > self._limit else \
                self.outgoings[message.owner].fault(message.first, message.total, message.entries)
        asked = self._unagreed.get(message.request)
        if isinstance(message, Share) or asked is None:
            return ''       # an answer may come twice
        owner, kind, content = asked
        if owner != message.owner or type(message) is not _ANSWERS[kind]:
            return 'request %d is another one' % message.request
        if kind is Subscribe and (message.first, len(message.diagonal)) != (content[0], Reads(content[2]).size):
            return 'other entries were asked for'
        return ''

    def take(self, message):
        """Take a neighbour's request, or its answer to an own one, without a `fault`."""
        if isinstance(message, Subscribe):
            self._take_subscription(message)
        elif isinstance(message, Share):
            self._take_share(message)
        else:
            self._take_agreement(message)

    def _take_subscription(self, message):
        """A neighbour says what it reads; answered with the diagonal there, which it needs to relax safely."""
        outgoing = self.outgoings[message.owner]
        entries = message.entries if isinstance(message.entries, tuple) else message.entries.astype('i8')
        segment = ()
        if outgoing.subscribe(message.first, message.total, entries):
            self._unsubscribed.discard(message.owner)
            segment = self._offer(message.owner, outgoing)
        diagonal = self._holding.diagonal[self._holding.own_key(Reads(entries))].copy()
        self._links[message.owner].tell(
            Subscribed(self._solve, message.request, self._index, message.first, diagonal, segment))

    def _offer(self, owner, outgoing):
        """The name of shared memory for a reader; empty where there is none."""
        if self._settings['exchange'] == 'messages' or outgoing.shares:
            return ()
        if owner not in self._segments:
            self._segments[owner] = self._engine.publish(
                SharedSlices.size(len(self._holding.blocks), outgoing.entries))
        segment = self._segments[owner]
        return segment.name if segment else ()

    def _take_share(self, message):
        outgoing, segment = self.outgoings[message.owner], self._segments.get(message.owner)
        if segment is not None and not outgoing.shares:
            outgoing.share(SharedSlices(segment.array, len(self._holding.blocks), outgoing.entries, segment.lock))
            segment.close()
        self._links[message.owner].tell(Taken(self._solve, message.request, self._index))

    def _take_agreement(self, message):
        """A neighbour has noted what is read from it, or that its shared memory is."""
        asked = self._unagreed.pop(message.request, None)
        if asked is None:
            return
        owner, _, content = asked
        self._links[owner].answered(message.request)
        if isinstance(message, Subscribed):
            first, size, _ = content
            if size:
                start = self._holding.keys[owner].start + first
                self._holding.diagonal[start:start + len(message.diagonal)] = message.diagonal
            if message.segment:
                self._attach(owner, message.segment, size)

    def _attach(self, owner, name, entries):
        blocks = self._holding.blocks_of(owner)
        array = self._engine.attach(name, SharedSlices.size(blocks, entries))
        if array is not None:
            self._incoming.share(owner, SharedSlices(array, blocks, entries))
            self._ask(owner, Share)

    def unreachable(self):
        """The exception that ends the owner where a neighbour's process has not answered for too long; else None."""
        # Of a neighbour that is lost the coordinator would have told by then.
        patience = self._settings['connect_timeout'] + 2 * self._settings['patience']
        if self._engine.now() - self._since <= patience:
            return None
        return next((Unreachable('owner %d cannot reach owner %d at %s:%d, in %g s'
                                 % (self._index, owner, *pair(link.reference.location), patience))
                     for owner, link in self._links.items() if not link.connected), None)

    @property
    def settled(self):
        """Whether all is agreed on both sides."""
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

    def currents(self):
        """What waits to be sent in this epoch, by owner; for the pool thread to keep."""
        return {owner: outgoing.current for owner, outgoing in self.outgoings.items()}

    def send_now(self, owner, current, fleeting):
        """From the pool thread: let a message leave that waits in `current`.

        Parameters
        ----------
        owner : int
        current : object
            Of `currents`: an epoch that begins meanwhile is left alone.
        fleeting : bool
            Whether to send only where the way is free, and though it may be lost; else it will be delivered.
        """
        link = self._links[owner]
        if not fleeting:
            link.poke()
        elif link.free():
            message = self.outgoings[owner].produce_fleeting(current)
            if message is not None:
                link.send(message)

    def close(self):
        """Send nothing more."""
        for link in self._links.values():
            link.close()
        for segment in self._segments.values():
            if segment:
                segment.close()
        for location in self._held:
            self._engine.release(location)

    def statistics(self):
        """What was sent, as the report has it."""
        outgoings = self.outgoings.values()
        return {'neighbours': len(self._links), 'messages_sent': sum(link.messages for link in self._links.values()),
                'bytes_sent': sum(each.bytes for each in outgoings),
                'slices_sent': sum(each.sent for each in outgoings),
                'slices_superseded': sum(each.superseded for each in outgoings)}
