"""Every default of the solver, and what values an option may take."""
from __future__ import annotations

import dataclasses
import math
import numbers
from dataclasses import dataclass

from .solution import InputError

__all__ = ['CHECKPOINT_EVERY', 'CHOICES', 'NODE_PORT', 'Options']

NODE_PORT = 51347
"""The well-known port of a node, where its directory is found."""

CHECKPOINT_EVERY = 30.0
"""Seconds between two checkpoints."""

CHOICES = {
    'schedule': ('auto', 'async', 'sync', 'ordered'),
    'order': ('auto', 'cyclic', 'symmetric', 'shuffled'),
    'exchange': ('auto', 'messages', 'shared'),
    'renumber': ('auto', 'off', 'rcm'),
    'storage': ('float64', 'float32'),
}
"""The words that an option may be."""

_KINDS = {
    'int': (int, numbers.Integral, 'must be a whole number'),
    'float': (float, numbers.Real, 'must be a number'),
    'bool': (bool, bool, 'must be True or False'),
    'str': (str, str, 'must be a word'),
}
"""By the type of a field: what its value is made, what it may be, and what to say where it isn't."""


@dataclass(frozen=True)
class Options:
    """How to solve; rejects impossible values when made.

    Raises
    ------
    InputError
        For a value outside its range; the text names the option.
    """

    omega: float = 1.0
    """Relaxation factor, within (0, 2)."""
    rtol: float = 1e-8
    """Converged when ||b - A x|| <= max(rtol ||b||, atol)."""
    atol: float = 0.0
    """See `rtol`."""
    schedule: str = 'auto'
    """'async', 'sync' or 'ordered': which versions of its halo a block may use; 'auto' chooses by A and the workers."""
    order: str = 'auto'
    """'cyclic', 'symmetric' or 'shuffled': the order of updates in a sweep; 'auto' tries."""
    exchange: str = 'auto'
    """'messages', or 'shared' memory between workers of one machine; 'auto' shares where it can."""
    renumber: str = 'auto'
    """'off', or 'rcm' to renumber a sparse A by reverse Cuthill-McKee; 'auto' where the order would be serial else."""
    storage: str = 'float64'
    """'float64', or 'float32' to hold A in half the memory; the answer is that of A as given."""
    plain_omega: bool = False
    """Whether omega is used as given, also in rows at block boundaries where that may diverge, and without guard."""
    max_staleness: int | None = None
    """In 'async', how many sweeps older than its own a block's halo may be; any if None."""
    max_sweeps: int = 1_000_000
    """Largest number of sweeps (row updates / n)."""
    time_limit: float | None = None
    """Seconds after which iterating ends; none if None."""
    blocks: int | None = None
    """Number of blocks of rows; if None it follows from the size of A, and in 'sync' from the workers."""
    seed: int = 0
    """Of what is drawn at random: the order 'shuffled', and the vectors that test A for symmetry."""
    exchange_every: int | None = None
    """Rows that an owner updates between two exchanges; chosen from what an exchange costs if None."""
    exchanges: int = 10
    """Largest number of exchanges a sweep: panels of an owner's rows."""
    panel_nonzeros: int = 1_500_000
    """Least number of nonzeros of a panel of dense rows; of sparse rows a sixteenth, which takes about as long."""
    chunk_bytes: int = 2 << 20
    """Largest part of A or of a vector in one message."""
    local_files: bool = True
    """Whether workers that see the same matrix file read their rows themselves."""
    report_interval: float = 0.2
    """Least seconds between two reports of an owner, but for the first one below its share of the threshold."""
    patience: float = 10.0
    """Seconds of silence after which a worker counts as lost, and after which a worker pauses without coordinator."""
    lease: float = 30.0
    """Seconds of the coordinator's silence after which a worker frees its memory."""
    connect_timeout: float = 10.0
    """Seconds that a node has to answer."""
    retry: float = 1.0
    """Seconds after which an unanswered request is repeated, doubled up to five times that."""
    delivery_timeout: float = 60.0
    """Seconds that one message may take over a slow link; a transfer that makes no progress ends sooner."""
    stop_timeout: float = 3.0
    """Seconds that workers have for their last words when a solve is over."""
    look_interval: float = 1.0
    """Longest pause in seconds between two looks at first; it grows with the time that the run has taken."""

    def __post_init__(self):
        self._make_plain()
        _check(0 < self.omega < 2, 'omega', self.omega, 'must be greater than 0 and less than 2')
        for name in ('rtol', 'atol'):
            _check(0 <= getattr(self, name) < math.inf, name, getattr(self, name), 'must be finite and not negative')
        _check(self.rtol > 0 or self.atol > 0, 'rtol', self.rtol, 'and atol are both 0: no iteration gets there')
        for name, words in CHOICES.items():
            _check(getattr(self, name) in words, name, getattr(self, name), 'must be one of ' + ', '.join(words))
        for name in ('max_staleness', 'blocks', 'exchange_every'):
            if getattr(self, name) is not None:
                _check_least(name, getattr(self, name), 1)
        _check(self.max_staleness is None or self.schedule == 'async', 'max_staleness', self.max_staleness,
               'goes with the schedule async only')
        if self.time_limit is not None:
            _check(0 < self.time_limit < math.inf, 'time_limit', self.time_limit,
                   'must be a positive number of seconds')
        for name in ('max_sweeps', 'exchanges', 'panel_nonzeros'):
            _check_least(name, getattr(self, name), 1)
        _check_least('chunk_bytes', self.chunk_bytes, 4096)
        _check(self.chunk_bytes <= 32 << 20, 'chunk_bytes', self.chunk_bytes, 'must be at most 32 MiB')
        _check_least('seed', self.seed, 0)
        for name in ('report_interval', 'patience', 'lease', 'connect_timeout', 'retry', 'look_interval',
                     'delivery_timeout', 'stop_timeout'):
            value = getattr(self, name)
            _check(0 < value < math.inf, name, value, 'must be a positive number of seconds')

    def _make_plain(self):
        """Numbers of any kind, NumPy's too, become int and float, which messages can hold."""
        for field in dataclasses.fields(self):
            value, kind = getattr(self, field.name), field.type.split()[0]
            if value is None and field.default is None:
                continue
            type_, wanted, must = _KINDS[kind]
            is_bool = type(value).__name__ in ('bool', 'bool_')
            _check(is_bool if kind == 'bool' else not is_bool and isinstance(value, wanted), field.name, value, must)
            object.__setattr__(self, field.name, type_(value))

    @classmethod
    def from_keywords(cls, keywords):
        """Options from a mapping; an unknown name is refused.

        Raises
        ------
        InputError
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in keywords:
            if name not in known:
                raise InputError('unknown option %r; the options are %s' % (name, ', '.join(known)))
        return cls(**keywords)


def _check(fine, name, value, must):
    # A comparison with NaN must end here as well.
    if not fine:
        raise InputError('%s = %r %s' % (name, value, must))


def _check_least(name, value, lowest):
    _check(value >= lowest, name, value, 'must be at least %d' % lowest)
