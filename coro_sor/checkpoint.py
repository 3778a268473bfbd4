"""x and where it stood, on disk: written while a run is on, read to go on after it was cut short.

A file is ``MAGIC | length of the head (4 bytes, big-endian) | head (JSON) | x (float64, little-endian) | SHA-256 of all
before``. Nothing in it is ever executed, and a byte that is missing or changed is noticed.
"""
from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
import numbers
import os
import stat
import struct
from dataclasses import dataclass

import numpy as np

from . import __version__
from .formats import check_folder, write_atomically
from .rows import DenseRows, RowsDigest, digest_vector
from .solution import InputError

__all__ = ['MAGIC', 'Checkpoint', 'Checkpointer', 'fingerprint', 'read_checkpoint', 'resume', 'write_checkpoint']

MAGIC = b'coro_sor checkpoint '
"""How every checkpoint begins; the version of the format and a line end follow."""

_FORMAT = b'1\n'
_LENGTH = struct.Struct('>L')
_HEAD_LIMIT = 1 << 16
_DIGEST = hashlib.sha256().digest_size
_FINGERPRINT = 128      # hexadecimal digits: half of them of A, half of b


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint holds; rejects what is none when made.

    Raises
    ------
    InputError
        For a field that is not what it should be.
    """

    x: np.ndarray
    """(n,) float64, finite, in the user's numbering."""
    sweeps: float
    """Row updates / n of the run that wrote it."""
    residual_norm: float
    """||b - A x|| of this x."""
    options: dict
    """The fields of `Options` of that run, plain JSON."""
    fingerprint: str
    """`fingerprint` of its system."""
    version: str
    """Of coro_sor."""
    matrix: str
    """What errors called A: a file or a spec."""

    def __post_init__(self):
        _check(isinstance(self.x, np.ndarray) and self.x.ndim == 1 and self.x.dtype == np.float64, 'x')
        _check(len(self.x) > 0 and bool(np.isfinite(self.x).all()), 'x')
        for name in ('sweeps', 'residual_norm'):
            value = getattr(self, name)
            _check(type(value) in (int, float) and 0 <= value < math.inf, name)
        _check(type(self.options) is dict, 'options')
        for name in ('fingerprint', 'version', 'matrix'):
            _check(type(getattr(self, name)) is str, name)
        _check(len(self.fingerprint) == _FINGERPRINT, 'fingerprint')

    @property
    def told(self):
        """One line for the user: where the run stood."""
        return 'sweeps %d, residual %.3e, written by version %s' % (self.sweeps, self.residual_norm, self.version)


def _check(fine, name):
    if not fine:
        raise InputError('the %s of a checkpoint is not what it should be' % name.replace('_', ' '))


def fingerprint(problem, chunk_bytes=4 << 20):
    """Digest of a system, the same whatever file or call it came from.

    Parameters
    ----------
    problem : Problem
        Only A and b count; for b = A x* the known solution x* does in its place. A dense and a sparse A differ.
    chunk_bytes : int
        About the size of a piece in which A is read; no influence on the result.

    Returns
    -------
    str
        64 hexadecimal digits of A (with its size) and 64 of b.
    """
    digest = RowsDigest()
    for lo, hi in problem.cuts(0, problem.n, chunk_bytes):
        rows = problem.original_rows(lo, hi)
        # Some formats keep the sign of a zero and others do not; adding 0 removes it.
        digest.update(DenseRows(rows.values + 0.0) if isinstance(rows, DenseRows) else rows)
    kind, vector = ('b', problem.b) if problem.b is not None else ('x*', problem.known_solution)
    parts = ('A %d %s' % (problem.n, digest.hexdigest()), '%s %s' % (kind, digest_vector(vector + 0.0)))
    return ''.join(hashlib.sha256(part.encode()).hexdigest() for part in parts)


# ---- the file

def write_checkpoint(path, checkpoint):
    """Write a `Checkpoint`; killed at any moment, the old file or the new one is whole.

    Raises
    ------
    OSError
        Where writing fails; the old file is then still there.
    """
    fields = {field.name: getattr(checkpoint, field.name) for field in dataclasses.fields(Checkpoint)
              if field.name != 'x'}
    head = json.dumps(dict(fields, n=len(checkpoint.x)), allow_nan=False).encode()
    x = np.ascontiguousarray(checkpoint.x, dtype='<f8')
    digest = hashlib.sha256()
    with write_atomically(path, 0o600) as stream:
        for part in (MAGIC + _FORMAT + _LENGTH.pack(len(head)) + head, x.view(np.uint8).data):
            digest.update(part)
            stream.write(part)
        stream.write(digest.digest())


def read_checkpoint(path):
    """Read a `Checkpoint`.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Checkpoint

    Raises
    ------
    InputError
        Where the file is missing, damaged, something else, or of another version of the format. No more memory is
        asked for than the file is long.
    """
    path = os.path.abspath(os.fspath(path))
    try:
        # Asked before opening, because opening a pipe would wait for its writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InputError('%s: is not a regular file' % path)
        with open(path, 'rb') as stream:
            head, digest = _read_head(stream, path)
            x = _read_x(stream, path, head, digest)
        return Checkpoint(x=x, **head)
    except FileNotFoundError:
        raise InputError('%s: there is no such file; without --resume the run begins anew' % path) from None
    except OSError as error:
        raise InputError('%s: cannot be read: %s' % (path, error.strerror or error)) from None
    except MemoryError:
        raise InputError('%s: not enough memory for what it holds' % path) from None
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(path) else '%s: is damaged: %s' % (path, text)) from None


def _read_head(stream, path):
    """The fields but x, and the digest of what was read."""
    begin = stream.read(len(MAGIC) + len(_FORMAT) + _LENGTH.size)
    if not begin.startswith(MAGIC):
        raise InputError('%s: is not a checkpoint' % path)
    if begin[len(MAGIC):-_LENGTH.size] != _FORMAT:
        raise InputError('%s: is a checkpoint of another version of coro_sor, or damaged' % path)
    size = _LENGTH.unpack(begin[-_LENGTH.size:])[0]
    if size > _HEAD_LIMIT:
        raise InputError('%s: is damaged: its head is said to have %d bytes' % (path, size))
    head = stream.read(size)
    try:
        fields = json.loads(head)
    except (ValueError, RecursionError):
        fields = None
    if type(fields) is not dict:
        raise InputError('%s: is damaged or truncated: its head cannot be read' % path)
    return fields, hashlib.sha256(begin + head)


def _read_x(stream, path, head, digest):
    """x, of a file whose digest is right; n is taken out of `head`."""
    n, names = head.pop('n', None), [field.name for field in dataclasses.fields(Checkpoint)]
    if sorted([*head, 'x']) != sorted(names):
        raise InputError('%s: is damaged: its head has other fields' % path)
    left = os.fstat(stream.fileno()).st_size - stream.tell()
    if type(n) is not int or n < 1 or left != 8 * n + _DIGEST:
        raise InputError('%s: is damaged or truncated: %d bytes are left for x' % (path, left))
    x = np.empty(n, '<f8')
    if stream.readinto(x.view(np.uint8).data) != x.nbytes:
        raise InputError('%s: became shorter while it was read' % path)
    digest.update(x.view(np.uint8).data)
    if stream.read() != digest.digest():
        raise InputError('%s: is damaged: it is not what was written' % path)
    return x.astype(np.float64, copy=False)


# ---- a run

class Checkpointer:
    """Writes the checkpoints of one run.

    Parameters
    ----------
    path : str or path-like
        The file; one run a file.
    every : float
        Seconds between two of them.
    problem : Problem
        As the user gave it.
    options : Options

    Attributes
    ----------
    every : float

    Raises
    ------
    InputError
        Where the file could not be written or `every` is no time, before anything is computed.
    """

    def __init__(self, path, every, problem, options):
        is_number = isinstance(every, numbers.Real) and not isinstance(every, bool)
        if not (is_number and 0 < every < math.inf):
            raise InputError('checkpoint_every = %r must be a positive number of seconds' % (every,))
        self._path = os.path.abspath(os.fspath(path))
        check_folder(self._path)
        self.every = float(every)
        self._problem, self._options = problem, dataclasses.asdict(options)
        self._fingerprint = None

    def write(self, x, sweeps, residual_norm):
        """Replace the file. The first time A is read once, for its fingerprint.

        Parameters
        ----------
        x : (n,) array
            In the user's numbering; not changed.
        sweeps, residual_norm : float
            Row updates / n, and ||b - A x|| of this x.

        Returns
        -------
        str
            Empty, or why it was not written; the file is then what it was, and the run may go on.
        """
        try:
            if self._fingerprint is None:
                self._fingerprint = fingerprint(self._problem)
            write_checkpoint(self._path, Checkpoint(
                np.asarray(x), float(sweeps), float(residual_norm), self._options, self._fingerprint, __version__,
                self._problem.name))
        except OSError as error:
            return '%s: no checkpoint could be written: %s' % (self._path, error.strerror or error)
        except InputError as error:
            return '%s: no checkpoint was written: %s' % (self._path, error)
        return ''


def resume(problem, path):
    """The same problem, to begin where a checkpoint stood.

    Parameters
    ----------
    problem : Problem
        Not changed.
    path : str or path-like
        What `Checkpointer` wrote.

    Returns
    -------
    problem : Problem
        With the checkpoint's x as `x0`; it shares A with the one given.
    told : str
        One line for the user: what was found.

    Raises
    ------
    InputError
        Where the file is no checkpoint, or one of another A or b, or the problem has an x0 of its own.
    """
    if problem.x0 is not None:
        raise InputError('give either x0 or a checkpoint to resume from, not both')
    found = read_checkpoint(path)
    path = os.path.abspath(os.fspath(path))
    if len(found.x) != problem.n:
        raise InputError('%s: is a checkpoint of another A: its x has %d entries, %s has %d rows'
                         % (path, len(found.x), problem.name, problem.n))
    half = _FINGERPRINT // 2
    mine = fingerprint(problem)
    same = mine[:half] == found.fingerprint[:half], mine[half:] == found.fingerprint[half:]
    if not all(same):
        other = {(False, True): 'another A', (True, False): 'another b', (False, False): 'another A and another b'}
        raise InputError('%s: is a checkpoint of %s (that of %s): give that system, or go on without it'
                         % (path, other[same], found.matrix))
    resumed = copy.copy(problem)
    resumed.x0 = found.x
    return resumed, '%s: goes on from %s' % (path, found.told)
