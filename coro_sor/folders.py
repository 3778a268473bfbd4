"""The folders from which this process reads files that messages name."""
from __future__ import annotations

import os
import stat

from .solution import InputError

__all__ = ['allow_only', 'allowed_file']

_folders = [os.sep]


def allow_only(folders):
    """From now on, messages may name files below `folders` only; without this call, any file.

    Like the user that a process runs as, it holds for the whole process.
    """
    _folders[:] = [os.path.realpath(folder) for folder in folders]


def allowed_file(path):
    """The file at `path` without symbolic links, if messages may name it.

    Raises
    ------
    InputError
        It does not lie below an allowed folder, which is said whether it exists or not, is missing, or is no regular
        file.
    """
    real = os.path.realpath(path)
    if not any(os.path.commonpath([real, folder]) == folder for folder in _folders):
        raise InputError('%s: lies below no --data-dir of this worker' % path)
    try:
        regular = stat.S_ISREG(os.stat(real).st_mode)       # to open a pipe would wait for its other end
    except FileNotFoundError:
        raise InputError('%s: there is no such file' % path) from None
    except OSError as error:
        raise InputError('%s: cannot be read: %s' % (path, error.strerror)) from None
    if not regular:
        raise InputError('%s: is no regular file' % path)
    return real
