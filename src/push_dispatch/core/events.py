"""What can happen to a run? The values that `lifecycle.advance` takes.

Named tuples: a data class takes each function ten times as long to make when it starts.
"""

from __future__ import annotations

from typing import NamedTuple

from push_dispatch.core.model import Keys, Observation, Weights
from push_dispatch.core.reasons import Reason

__all__ = [
    "Boost",
    "Claim",
    "Claims",
    "Event",
    "Expire",
    "FallBack",
    "GiveBack",
    "Hold",
    "Move",
    "Observe",
    "Pushed",
    "Reject",
    "Stop",
    "TimeOut",
    "Warn",
]


class Claim(NamedTuple):
    """A push takes the run (again): from now until the lease ends it is the only one to send it."""

    attempt: int
    platform: str
    type: str
    template: str
    claim: str
    lease_until: int
    #: The claim that it takes over, as it was read: of two who do so at once, one gets it.
    instead_of: str = ""
    #: Nothing was sent under that claim, for certain.
    fresh: bool = False


class Hold(NamedTuple):
    """Whoever has the claim sleeps under it, and is left alone until the lease ends."""

    attempt: int
    claim: str
    lease_until: int
    #: Nothing was started so far, for certain.
    unsent: bool
    #: What it waits for: a token of kind `wait`.
    reason: str | None = None
    #: The platform's own words, without secrets.
    message: str | None = None
    #: Pushes that have failed, and when the next one is due.
    tries: int = 0
    next_try_at: int | None = None


class Pushed(NamedTuple):
    """The platform has accepted the attempt under this handle."""

    attempt: int
    handle: str


class FallBack(NamedTuple):
    """The platform has no room, nothing was started there: the next one gets the same attempt."""

    attempt: int
    platform: str
    type: str
    template: str
    #: Why the one before was left, such as `ecs: no_capacity (RESOURCE:MEMORY)`.
    why: str


class GiveBack(NamedTuple):
    """The platform has no room: the slot is given back and the run waits for another attempt, in
    the order in which it was."""

    attempt: int
    reason: str
    message: str
    #: The claim under which the platform was asked; empty if the attempt was not claimed.
    claim: str = ""
    #: The platform has taken others since it refused this run before.
    blamed: bool = False
    #: When it ends as refused, unless an earlier refusal has set that.
    give_up_at: int | None = None
    #: Its new due time, if it is not to be admitted before.
    due: int | None = None


class Reject(NamedTuple):
    """The attempt was not started and never will be."""

    attempt: int
    reason: str
    message: str
    #: Whether a crash retry may help.
    retryable: bool = False
    #: Only if nobody has claimed the attempt: who has may have started it.
    unless_claimed: bool = False


class Observe(NamedTuple):
    """Something was seen of an attempt."""

    observation: Observation


class Stop(NamedTuple):
    """End the run: a user has cancelled it, or it is malformed; `reason` says which."""

    reason: Reason


class TimeOut(NamedTuple):
    """Stop the attempt if its time is up; another one may follow."""

    attempt: int


class Expire(NamedTuple):
    """The run may not start any more: its time has passed, or its deployment is running already."""

    reason: Reason = Reason.EXPIRED


class Move(NamedTuple):
    """The run's queue was deleted: it waits in another one."""

    queue: str


class Claims(NamedTuple):
    """What the run falls under and takes, as of the pool's declaration `under`."""

    keys: Keys
    weights: Weights
    under: str


class Boost(NamedTuple):
    """The run stands earlier in its line than it is due, by so many milliseconds."""

    by: int


class Warn(NamedTuple):
    """The time by which the run should start is near, and it waits."""


Event = (
    Claim
    | Hold
    | Pushed
    | FallBack
    | GiveBack
    | Reject
    | Observe
    | Stop
    | TimeOut
    | Expire
    | Move
    | Claims
    | Boost
    | Warn
)
