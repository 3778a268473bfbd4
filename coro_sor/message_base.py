"""What all messages of a solve have in common."""
from __future__ import annotations

from dataclasses import dataclass

__all__ = ['Answer', 'Message', 'Request']


@dataclass(frozen=True, eq=False)
class Message:
    """Any message of a solve."""

    solve: str
    """Id of the solve, unique among all coordinators."""


@dataclass(frozen=True, eq=False)
class Request(Message):
    """Asks for an `Answer`."""

    request: int
    """Number of the request, unique for its sender."""


@dataclass(frozen=True, eq=False)
class Answer(Message):
    """Ends a `Request`."""

    request: int
    """The request's number."""
    owner: int
    """Who answers."""
