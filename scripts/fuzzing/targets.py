"""The targets by name; each is made when it is asked for, because they import much."""
from __future__ import annotations

import importlib

__all__ = ['NAMES', 'make']

_HOMES = {'npy': 'arrays', 'npz': 'arrays', 'mtx': 'texts', 'mtx.gz': 'texts', 'text': 'texts', 'vectors': 'texts',
          'graph': 'texts', 'checkpoint': 'files', 'options': 'settings', 'codec': 'wire', 'frames': 'frames',
          'owner': 'mailboxes', 'coordinator': 'company', 'directory': 'company'}

NAMES = list(_HOMES)
"""What there is."""


def make(name, folder):
    """The target of that name.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    folder : str
        For its files; it should be in memory.

    Returns
    -------
    object
        ``make(draw)`` gives an input from a `random.Random`, bytes or a list of str; ``try_(input)`` raises what is
        a find and gives True where the input was accepted; ``from_bytes(data)`` makes bytes an input.
    """
    return importlib.import_module('fuzzing.' + _HOMES[name]).TARGETS[name](folder)
