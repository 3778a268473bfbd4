"""asyncoro 4.5.6 on today's Python, guarded: the only part of coro_sor that imports it."""
from .codec import register
from .engine import Engine
from .task import Task
from .tls import TlsFiles, tls_files

__all__ = ['Engine', 'Task', 'TlsFiles', 'register', 'tls_files']
