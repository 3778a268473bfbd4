"""Where the test problems written by others lie; tests that need them skip where they are not."""
import os
import pathlib

import pytest

__all__ = ['shared_file']

_FOLDER = pathlib.Path(os.environ.get('CORO_SOR_SHARED') or pathlib.Path(__file__).resolve().parents[3] / 'shared')


def shared_file(name):
    """The path of a file in shared/data, or skip the test."""
    path = _FOLDER / 'data' / name
    if not path.is_file():
        pytest.skip('%s is not there (CORO_SOR_SHARED names the folder that holds data/)' % path)
    return str(path)
