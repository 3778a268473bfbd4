"""asyncoro 4.5.6 on today's Python, guarded: the only part of coro_sor that imports it."""
from .codec import register
from .engine import Engine, Task
from .tls import TlsFiles

__all__ = ['Engine', 'Task', 'TlsFiles', 'register']
