"""The secret that the processes of one cluster share, and the user's folder in which it is kept."""
from __future__ import annotations

import os
import stat

from .solution import InputError

__all__ = ['VARIABLE', 'checked_secret', 'default_secret_file', 'find_secret', 'load_secret', 'make_secret_file',
           'new_secret', 'private', 'user_folder']

SHORTEST, LONGEST = 16, 4096

VARIABLE = 'CORO_SOR_SECRET'
"""Environment variable that may hold the secret."""


def user_folder():
    """The folder ``~/.coro_sor``, made for its owner alone where it is missing."""
    folder = os.path.expanduser('~/.coro_sor')
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as problem:
        raise InputError(f'the folder {folder} cannot be made: {problem.strerror}') from None
    return folder


def private(path, flags):
    """The opener of a file, for `open`, that is made for its owner alone."""
    return os.open(path, flags, 0o600)


def default_secret_file():
    """Where the secret is when no file is given."""
    return os.path.join(user_folder(), 'secret')


def new_secret():
    """32 random bytes as 64 hexadecimal digits."""
    return os.urandom(32).hex().encode()


def make_secret_file(path):
    """Make a secret file that only its owner can read, unless `path` exists already.

    The file appears with its contents in one step, so that two nodes that start at once agree.
    """
    draft = f'{path}.{os.getpid()}'
    try:
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with open(descriptor, 'wb') as file:
            file.write(new_secret() + b'\n')
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)
    except OSError as problem:
        raise InputError(f'the secret file {path} cannot be made: {problem.strerror}') from None


def find_secret(path=None, make=False):
    """The secret: from the file `path`, else from the environment, else from the default file.

    Parameters
    ----------
    path : str or None
    make : bool
        Whether to make the default file where it is missing.

    Returns
    -------
    (bytes, str)
        The secret, and where it is from.

    Raises
    ------
    InputError
        As `load_secret`.
    """
    if path is None and VARIABLE in os.environ:
        return checked_secret(os.environb[VARIABLE.encode()].strip(), f'the variable {VARIABLE}'), f'from {VARIABLE}'
    if path is None:
        path = default_secret_file()
        if make and not os.path.exists(path):
            make_secret_file(path)
    return load_secret(path), path


def checked_secret(text, origin):
    """The secret `text` itself; an InputError where it is too short or too long."""
    if not SHORTEST <= len(text) <= LONGEST:
        fault = f'fewer than {SHORTEST}' if len(text) < SHORTEST else f'more than {LONGEST}'
        raise InputError(f'{origin} holds {fault} characters: give a secret such as start_workers.sh makes')
    return text


def load_secret(path):
    """Read a secret file.

    Returns
    -------
    bytes
        Its text without white space around it.

    Raises
    ------
    InputError
        Where it is missing, unreadable, open to others than its owner, too short or too long.
    """
    try:
        with open(path, 'rb') as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = b'' if mode & 0o077 else file.read(LONGEST + 2).strip()
    except OSError as problem:
        raise InputError(f'the secret file {path} cannot be read: {problem.strerror}; start_workers.sh makes one, '
                         f'copy it here') from None
    if mode & 0o077:
        raise InputError(f'the secret file {path} is open to other users (mode {mode:03o}): run chmod 600 {path}')
    return checked_secret(text, f'the secret file {path}')
