"""What targets that are files have in common, and checkpoints."""
from __future__ import annotations

import hashlib
import json
import os
import struct

import numpy as np

from coro_sor import checkpoint
from coro_sor.formats import load_matrix
from coro_sor.problem import Problem
from coro_sor.solution import InputError

from . import mutation

__all__ = ['ROWS', 'TARGETS', 'File']

ROWS = 4
"""Of the valid matrices and vectors."""


class File:
    """A target whose inputs are the bytes of a file."""

    name = 'A'      # without a suffix: the one that its first bytes ask for is added

    def __init__(self, folder):
        self._stem = os.path.join(folder, self.name)

    def make(self, draw):
        """Structure changed, bytes changed, both, or none."""
        made = self.valid(draw) if draw.random() < 0.25 else self.wrong(draw)
        return mutation.changed_bytes(draw, made) if draw.random() < 0.3 else made

    def from_bytes(self, data):
        return data

    def try_(self, made):
        path = self._stem
        if '.' not in self.name:
            path += {b'\x93N': '.npy', b'\x1f\x8b': '.gz', b'PK': '.npz'}.get(bytes(made[:2]), '')
        with open(path, 'wb') as stream:
            stream.write(made)
        try:
            self.read(path)
        except InputError as error:
            text = str(error)
            assert 'not enough memory' not in text, text
            assert text and '\n' not in text and len(text) < 1000, 'a message of %d characters' % len(text)
            return False
        return True

    def read(self, path):
        """A matrix, and what is done with it next."""
        matrix = load_matrix(path)
        problem = Problem(matrix, np.ones(len(matrix.values)))
        with np.errstate(all='ignore'):     # as in the scan, which refuses what is not finite
            for lo, hi in problem.cuts(0, min(problem.n, 1000), 4096):
                problem.rows(lo, hi)


class Checkpoints(File):
    name = 'c'

    def _head(self, draw):
        return {'sweeps': draw.choice((12.5, 0, 1e9)), 'residual_norm': 1e-5, 'options': {'omega': 1.5},
                'fingerprint': '0' * 128, 'version': '0.1', 'matrix': 'A.npy', 'n': ROWS}

    def _file(self, head, x, begin=checkpoint.MAGIC + b'1\n', size=None, seal=True):
        body = begin + struct.pack('>L', len(head) if size is None else size % 2**32) + head + x
        return body + (hashlib.sha256(body).digest() if seal else bytes(32))

    def valid(self, draw):
        return self._file(json.dumps(self._head(draw)).encode(), np.ones(ROWS).tobytes())

    def wrong(self, draw):
        """Whole and sealed, so that it is not the digest that refuses it."""
        head, x = self._head(draw), np.ones(ROWS)
        for _ in range(draw.randrange(3)):
            kind, name = draw.randrange(4), draw.choice(list(head) or ['n'])
            if kind < 2:
                head[name] = mutation.value(draw)
            elif kind == 2:
                head.pop(name, None)
            else:
                head[mutation.word(draw)] = mutation.value(draw)
        if draw.random() < 0.3:
            x[draw.randrange(ROWS)] = draw.choice((np.nan, np.inf, -np.inf, 1e308, -0.0))
        head, x = json.dumps(head).encode(), x.tobytes()
        if draw.random() < 0.2:
            head = mutation.changed_bytes(draw, head)
        if draw.random() < 0.2:
            x = draw.choice((x[:-1], x[8:], x + x, b''))
        kind = draw.randrange(8)
        return self._file(head, x, checkpoint.MAGIC + (b'2\n' if kind == 0 else b'1\n'),
                          mutation.number(draw) if kind == 1 else None, kind != 2)

    def read(self, path):
        found = checkpoint.read_checkpoint(path)
        assert np.isfinite(found.x).all() and found.told
        with open(path, 'rb') as stream:
            content = stream.read()
        assert hashlib.sha256(content[:-32]).digest() == content[-32:], 'taken though its digest is wrong'


TARGETS = {'checkpoint': Checkpoints}
