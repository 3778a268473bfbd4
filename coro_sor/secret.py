"""The secret that the processes of one cluster share, and the user's folder in which it is kept."""
from __future__ import annotations

import os
import stat

from .solution import InputError

__all__ = ['default_secret_file', 'load_secret', 'make_secret_file', 'new_secret', 'user_folder']

SHORTEST = 16


def user_folder():
    """The folder ``~/.coro_sor``, made for its owner alone where it is missing."""
    folder = os.path.expanduser('~/.coro_sor')
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as problem:
        raise InputError(f'the folder {folder} cannot be made: {problem.strerror}') from None
    return folder


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


def load_secret(path):
    """Read a secret file.

    Returns
    -------
    bytes
        Its text without white space around it.

    Raises
    ------
    InputError
        Where it is missing, unreadable, shorter than 16 characters, or open to others than its owner.
    """
    try:
        with open(path, 'rb') as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read().strip()
    except OSError as problem:
        raise InputError(f'the secret file {path} cannot be read: {problem.strerror}; start_workers.sh makes one, '
                         f'copy it here') from None
    if mode & 0o077:
        raise InputError(f'the secret file {path} is open to other users (mode {mode:03o}): run chmod 600 {path}')
    if len(text) < SHORTEST:
        raise InputError(f'the secret file {path} holds fewer than {SHORTEST} characters: '
                         f'delete it and let the node make one, or write a longer secret')
    return text
