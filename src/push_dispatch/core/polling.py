"""When is an attempt polled whose platform reports no ends?

Polling: soon after the start, and then at steps that grow with the attempt's age, so that an end is
known after a tenth of its duration and an attempt costs few calls however long it runs. All that is
counted on is the ledger and the time of the last turn: a message more or less changes no rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from push_dispatch.core.model import Holder

__all__ = ["AT_ONCE", "GRACE_SECONDS", "IN_AWS", "Pauses", "Round", "Turn", "round_of"]

#: Part of its age after which an attempt is polled again.
_SHARE = 0.1
#: Polls of an attempt until its steps begin to grow.
_EVEN = 2 / _SHARE
#: So that a poll on time is not early by an error of rounding.
_ROUNDING = 1e-6
#: Attempts that one turn polls, the youngest first: platforms count requests, and some take one for
#: each attempt. Where there are more, the sweep polls them all each minute besides.
AT_ONCE = 50
#: A turn that is overdue by so much will not come any more: its message is lost.
GRACE_SECONDS = 30


class Pauses(NamedTuple):
    """Seconds between two polls of one attempt: at first, and at most. An attempt that has grown
    older than the longest one allows for is left to the sweep. With `first` 0 all are."""

    first: int = 0
    longest: int = 0

    @property
    def until(self) -> int:
        """The age in milliseconds at which an attempt is left to the sweep."""
        return int(self.longest * 1000 / _SHARE) if self.first else 0


#: Where each turn is a message and an invocation, and the sweep comes once a minute.
IN_AWS = Pauses(first=5, longest=60)


class Turn(NamedTuple):
    """When the attempts of one pool on one platform are polled next, and when they last were, in
    epoch milliseconds. 0: nothing is to be polled, or was."""

    at: int = 0
    before: int = 0

    def is_coming(self, now: int, within: int) -> bool:
        """Whether somebody polls in at most so many milliseconds."""
        return self.at != 0 and now - GRACE_SECONDS * 1000 <= self.at <= now + within


class Round(NamedTuple):
    """What one turn does: whom it polls, and the turn after it."""

    due: Sequence[Holder] = ()
    following: Turn = Turn()


def round_of(holders: Sequence[Holder], turn: Turn, now: int, pauses: Pauses) -> Round:
    """Whom to poll `now` and when to come back; nobody and never if all are left to the sweep.
    The age of an attempt counts from its admission."""
    young = [holder for holder in holders if now - holder.since < pauses.until]
    if not young:
        return Round()
    first = pauses.first * 1000
    paces = [_Pace(holder.since, first) for holder in young]
    due = [h for h, p in zip(young, paces, strict=True) if p.polls(now) > p.polls(turn.before)]
    soonest = min(pace.next_after(now) for pace in paces)
    at = min(max(soonest, now + first), now + pauses.longest * 1000)
    return Round(sorted(due, key=lambda holder: -holder.since)[:AT_ONCE], Turn(at, now))


class _Pace(NamedTuple):
    """How the polls of one attempt lie in time: `first` apart until it is old enough, then as far
    apart as a part of its age allows if each may come `first` late, for attempts share turns."""

    since: int
    first: int

    def polls(self, at: int) -> int:
        """How many there should have been by then."""
        age = max(0, at - self.since)
        wide = age * _SHARE / self.first - 1
        even = age / self.first
        return int(_ROUNDING + (even if wide <= 1 else _EVEN + math.log(wide) / math.log1p(_SHARE)))

    def next_after(self, at: int) -> int:
        """When there should be one more."""
        polls = self.polls(at) + 1
        if polls <= _EVEN:
            return self.since + polls * self.first
        wide = 1 + math.pow(1 + _SHARE, polls - _EVEN)
        return self.since + math.ceil(wide * self.first / _SHARE)
