"""What cuts short what a coordinator is doing: an owner that is lost, or a user who wants an end."""
from __future__ import annotations

from dataclasses import dataclass

from .gathering import Place

__all__ = ['Cancelled', 'Ended', 'Loss', 'OwnersLost']


class Cancelled(Exception):
    """The user wants an end before iterating has begun."""


class Ended(Exception):
    """The user wants an end, or the time is over, while no x can be verified.

    Attributes
    ----------
    status : Status
    """

    def __init__(self, status):
        super().__init__(status)
        self.status = status


class OwnersLost(Exception):
    """What is under way can't be finished before the owners in `Correspondence.lost` are replaced."""


@dataclass(frozen=True)
class Loss:
    """Why an owner has no worker process.

    Attributes
    ----------
    place : Place
        Where it was, or is to be started at first.
    reason : str
        Empty where it was not started yet.
    seconds : float
        When it was noticed.
    phase : str
        What the run was doing then.
    returns : bool
        Whether the node will soon have another worker process instead.
    traceback : str or None
        The owner's own, where it sent one.
    """

    place: Place
    reason: str
    seconds: float
    phase: str = ''
    returns: bool = False
    traceback: str | None = None
