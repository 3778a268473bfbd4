"""The block owner: the actor that holds rows, sweeps them, and exchanges x with its neighbours.

    LOADING -> FROZEN <-> SWEEPING        (any state -> STOPPED)

A freeze begins an epoch: the owner stops writing, sends its neighbours the frozen slices, waits for theirs, and
computes the residual of that one x. Resumed, it sweeps on from there. Messages of an older epoch are dropped. Where a
neighbour was lost, the coordinator binds the owner anew, in whatever state it is.
"""
from __future__ import annotations

import collections
import math
import traceback
import types

from .incoming import Early, Incoming
from .links import Link
from .messages import (Bind, Bound, Collect, Failed, Freeze, Heartbeat, Looked, MakeRows, Message, Prepare, ReadRows,
                       Request, Resume, Resumed, Rows, Share, Shown, Slices, Stop, Stopped, Subscribe, Subscribed,
                       Taken, Values, Vectors)
from .neighbours import Neighbours, Untimely
from .order import Order
from .refusing_owner import RefusingOwner
from .reporting import Reporter, beat_all, owner_statistics
from .schedule import exact
from .sweeping import Sweeper, sweep_all
from .sweeping_owner import PARKED, Broken

__all__ = ['BlockOwner', 'block_owner']

_ANSWERS = 10_000       # kept at most: who is asked more between two freezes has long been heard

_TRANSITIONS = {
    ('LOADING', Rows): 'LOADING', ('LOADING', ReadRows): 'LOADING', ('LOADING', MakeRows): 'LOADING',
    ('LOADING', Vectors): 'LOADING',
    ('LOADING', Prepare): 'LOADING',
    ('LOADING', Bind): 'FROZEN', ('FROZEN', Bind): 'FROZEN', ('SWEEPING', Bind): 'FROZEN',
    ('FROZEN', Freeze): 'FROZEN', ('FROZEN', Resume): 'SWEEPING', ('FROZEN', Collect): 'FROZEN',
    ('FROZEN', Vectors): 'FROZEN',
    ('SWEEPING', Freeze): 'FROZEN',
    ('LOADING', Stop): 'STOPPED', ('FROZEN', Stop): 'STOPPED', ('SWEEPING', Stop): 'STOPPED',
}


def block_owner(engine, solve, coordinator, assignment, coro=None):
    """Actor: owns the rows that `assignment` says until it is stopped or the coordinator is silent for the lease.

    Parameters
    ----------
    engine
        Engine it runs on.
    solve : str
        Id of the solve.
    coordinator : reference
    assignment : Assignment
    """
    owner = None
    engine.hold(coordinator.location)
    try:
        # Until it was held, the end of an earlier solve may have disconnected the coordinator.
        yield engine.connect(coordinator.location, assignment.settings['connect_timeout'])
        owner = BlockOwner(engine, solve, coordinator, assignment, coro)
        yield from owner.live()
    except Exception as error:      # whatever it is, the user must hear of it
        failure = Failed(solve, assignment.owner, assignment.incarnation, '%s: %s' % (type(error).__name__, error),
                         traceback.format_exc())
        for _ in range(10):
            if (yield coordinator.deliver(failure, timeout=2.0)) == 1:
                break
            yield coro.sleep(0.2)
    if owner is not None:
        owner.end()
    engine.release(coordinator.location)
    return True


class BlockOwner(RefusingOwner):
    """State of one owner; the actor's coroutines share it, all in one thread."""

    def __init__(self, engine, solve, coordinator, assignment, coro):
        super().__init__(engine, solve, assignment)
        self._coro, self._settings = coro, assignment.settings
        self._state = 'LOADING'
        self._epoch = -1                # the first binding is epoch 0
        self._answers = {}              # of requests that must not be carried out twice
        self._forgotten = 0             # the coordinator waits for no answer to requests numbered below
        self._freeze = None             # the request that waits for its look
        limit = self._settings['chunk_bytes'] // 8
        # Of each of the others a subscription in parts, and word that it shares memory.
        self._untimely = Untimely(len(assignment.owner_bounds) - 1, len(self.holding.b) // limit + 2)
        self._early = Early()
        self._heard = engine.now()
        self._parked = self._paused = False
        self._bound_in = -1
        self._busy = False
        self._bounded = self._settings['max_staleness'] is not None     # then neighbours wait for slices: lose none
        self.alive = True
        self.computed = self.waited = self.exchanged = 0.0
        self._received = 0
        self._past = collections.Counter()      # what was told by messages of earlier bindings
        self._incoming = self._neighbours = None
        self._sweeper = self._sweeping = None
        self._schedule, self._frozen = 'async', True
        self._reporter = Reporter(solve, self.index, self._settings['report_interval'])
        self._coordinator = Link(engine, coordinator, self._settings['retry'], self._settings['delivery_timeout'],
                                 self._reporter.produce)
        self._beating = engine.spawn(beat_all, self)

    # ---- the mailbox

    def live(self):
        """Take messages until stopped."""
        while self._state != 'STOPPED':
            message = yield self._coro.receive()
            if isinstance(message, Broken):
                raise message.error
            if message is _EXPIRED:
                return False
            if message is PARKED:
                yield from self._look_if_complete()
            elif isinstance(message, Message) and message.solve == self._solve:
                self._received += 1
                yield from self._take(message)
        return True

    def _take(self, message):
        if isinstance(message, (Slices, Shown)):
            yield from self._take_slices(message)
        elif isinstance(message, (Subscribe, Share)) and message.epoch != self._bound_in:
            if message.epoch > self._bound_in:
                self._untimely.keep(message)
        elif isinstance(message, (Subscribe, Subscribed, Share, Taken)):
            self._agree(message)
            self._finish_binding()
        elif isinstance(message, Request) or isinstance(message, Heartbeat) and message.owner == -1:
            self._heard = self._engine.now()
            if self._paused:
                self._paused = False
                self.wake_sweeper()
            if not isinstance(message, Heartbeat):
                yield from self._obey(message)
        else:
            self.refuse(message, 'it is for no owner')

    def _obey(self, request):
        if request.request < self._forgotten:
            return
        if request.request in self._answers:
            answer = self._answers[request.request]
            if answer is not None:
                self._coordinator.tell(answer)
            return
        if isinstance(request, (Bind, Freeze, Resume, Collect, Vectors)) and self.outdated(request):
            return
        after = _TRANSITIONS.get((self._state, type(request)))
        fault = 'not in state %s' % self._state if after is None else self.fault(request)
        if fault:
            self.refuse(request, fault)
            return
        if len(self._answers) >= _ANSWERS:
            del self._answers[next(iter(self._answers))]
        self._answers[request.request] = None
        self._busy = True
        self._state, before = after, self._state
        answer = _HANDLERS[type(request)](self, request, before)
        if isinstance(answer, types.GeneratorType):
            answer = yield from answer
        self._busy = False
        self._heard = self._engine.now()
        if isinstance(answer, Values):
            del self._answers[request.request]      # large, and as easily made again
            self._coordinator.tell(answer)
        elif answer is not None:
            self._answer(answer)

    def _answer(self, answer):
        self._answers[answer.request] = answer
        self._coordinator.tell(answer)

    # ---- neighbours

    def _bind(self, request, before):
        self._begin(request)
        if self._sweeping is not None:
            yield from self.until_parked()
            self._part()
        self._incoming = Incoming(self.holding.x, self._reads, self.holding.keys, self.holding.bounds, self._owners)
        self._neighbours = Neighbours(self._engine, self._solve, request.epoch, self.holding, self._incoming,
                                      self._settings)
        self._bound_in = request.epoch
        self._neighbours.meet(request.peers, self._reads)
        self._watched = [block for block, owner in enumerate(self._owners) if owner in request.peers]
        for message in self._untimely.take(request.epoch):
            self._agree(message)
        if self._sweeping is None:
            self._sweeper = Sweeper(self.holding, self._incoming, self._neighbours.outgoings,
                                    self._settings['max_staleness'])
            self._sweeper.updates = request.updates
            self._sweeping = self._engine.spawn(sweep_all, self)
        self._sweeper.bind(self._incoming, self._neighbours.outgoings)
        self._finish_binding()
        return None

    def _part(self):
        """Send no neighbour anything more, and forget the x that was kept: that of a lost owner is gone."""
        self.holding.reveal()
        self.holding.forget()
        self._neighbours.close()
        for told in (self._neighbours.statistics(), self._incoming.statistics()):
            self._past.update({name: count for name, count in told.items() if not name.startswith('neighbours')})

    def _agree(self, message):
        fault = self.agreement_fault(message)
        if fault:
            self.refuse(message, fault)
        else:
            self._neighbours.take(message)

    def _finish_binding(self):
        if isinstance(self._freeze, Bind) and self._neighbours.settled:
            bind, self._freeze = self._freeze, None
            self._answer(Bound(self._solve, bind.request, self.index))

    # ---- freezing and looking

    def _begin(self, request):
        self._epoch, self._freeze = request.epoch, request
        self._forgotten = request.request
        self._answers = {request.request: None}

    def _begin_epoch(self, request, before):
        self._begin(request)
        self._schedule = request.schedule
        self._incoming.begin(request.schedule, self._watched if exact(request.schedule) else (), request.epoch)
        self._frozen = False
        self._reporter.begin(request.epoch, -1.0)
        self._neighbours.begin(request.epoch)
        yield from self._look_if_complete()
        return None

    def _look_if_complete(self):
        """Once nothing here writes: send the frozen x; once the others' is here: compute the residual."""
        if not isinstance(self._freeze, Freeze) or not self._parked:
            return
        if not self._frozen:
            self._frozen = True
            self.holding.reveal()
            if self._freeze.restore:
                self.holding.restore()
            self._neighbours.send_frozen()
            for message in self._early.take(self._epoch):
                self._take_values(message)
        if self._incoming.complete():
            freeze = self._freeze
            self._busy = True
            scale, squares, energy = yield self.pool.compute(self.holding.residual)
            sizes = (yield self.pool.compute(self.holding.size)) if freeze.sizes else (math.nan, math.nan)
            self._busy = False
            if self._freeze is freeze:
                self._freeze = None
                self._answer(Looked(self._solve, freeze.request, self.index, freeze.epoch, scale, squares, energy,
                                    *sizes, self._sweeper.updates, self.holding.digest()))

    def _take_slices(self, message):
        fault = self.values_fault(message) if message.epoch >= self._epoch else ''
        # Until it is parked, the pool thread may still write values of the older epoch into the same places of x.
        if fault:
            self.refuse(message, fault)
        elif message.epoch > self._epoch or message.epoch == self._epoch and not self._frozen:
            self._early.keep(message, self._incoming.entries(message.owner))
        elif message.epoch == self._epoch and self._epoch:
            self._take_values(message)
            if self._freeze is not None:
                yield from self._look_if_complete()
            else:
                self.wake_sweeper()

    def _take_values(self, message):
        if isinstance(message, Shown):
            self._incoming.take_shown(message.owner)
        else:
            self._incoming.take(message)

    def _resume(self, request, before):
        self._freeze = None
        if request.keep:
            self.holding.keep()
        self.holding.order = Order(request.order, self._settings['seed'], self.holding.assignment.sequence)
        lowered, lowest = yield self.pool.compute(self.holding.relax, self._schedule, request.omega, request.capped)
        rows = self.holding.stop - self.holding.start
        self._sweeper.begin(self._schedule, (request.until - self._sweeper.updates) // rows,
                            request.turn)
        self._reporter.begin(self._epoch, request.share)
        if self._sweeper.done:
            self.note_progress()
        self.wake_sweeper()
        return Resumed(self._solve, request.request, self.index, lowered, lowest)

    def _collect(self, request, before):
        return Values(self._solve, request.request, self.index, self._epoch, request.start,
                      self.holding.entries(request.start, request.stop))

    def _stop(self, request, before):
        if before == 'SWEEPING':
            yield from self.until_parked()
        stopped = Stopped(self._solve, request.request, self.index, owner_statistics(
            self.holding, self._coordinator, self._received, (self.computed, self.waited, self.exchanged),
            (self._neighbours, self._incoming, self._sweeper), self._past))
        for _ in range(3):
            if (yield self._coordinator.reference.deliver(stopped, timeout=self._settings['patience'])) == 1:
                break
        return None

    # ---- the rest

    def beat(self):
        """Tell that it lives, and judge the coordinator's silence; returns the seconds until the next time."""
        self._coordinator.tell_newest(Heartbeat(self._solve, self.index, self.holding.assignment.incarnation))
        unreachable = self._neighbours and self._neighbours.unreachable()
        if unreachable:
            self._coro.send(Broken(unreachable))
        silence = 0.0 if self._busy else self._engine.now() - self._heard
        if silence > self._settings['patience']:
            self._paused = True
        if silence > self._settings['lease']:
            self._coro.send(_EXPIRED)
        return self._settings['patience'] / 5

    def end(self):
        """Send nothing more and let the memory go."""
        self._state, self.alive = 'STOPPED', False
        self.pool.close()
        self._coordinator.close()
        if self._neighbours is not None:
            self._neighbours.close()
        self.wake_sweeper()
        self._beating.send(True)


_EXPIRED = object()

_HANDLERS = {
    Rows: BlockOwner.load_rows, ReadRows: BlockOwner.read_file, MakeRows: BlockOwner.make_rows,
    Vectors: BlockOwner.load_vectors,
    Prepare: BlockOwner.prepare, Bind: BlockOwner._bind, Freeze: BlockOwner._begin_epoch, Resume: BlockOwner._resume,
    Collect: BlockOwner._collect, Stop: BlockOwner._stop,
}
