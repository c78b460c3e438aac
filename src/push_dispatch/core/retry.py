"""When is the next attempt due, and when is a lost race run again?"""

from __future__ import annotations

__all__ = ["MAX_DELAY_SECONDS", "back_off", "longest_rest"]

#: No back-off is longer than this.
MAX_DELAY_SECONDS = 3600

_FIRST_REST_SECONDS = 0.01
#: The rests of all the races that a pass may lose stay below its function's time.
_LONGEST_REST_SECONDS = 0.25


def back_off(delay_seconds: int, ended: int) -> int:
    """Seconds to wait after the `ended`-th ended attempt (from 1): doubling, up to an hour.

    Without jitter: runs that fail together are let in again by the limits, not by chance.
    """
    doubled: int = delay_seconds * 2 ** min(ended - 1, 16)
    return min(MAX_DELAY_SECONDS, doubled)


def longest_rest(race: int) -> float:
    """Seconds within which whoever lost the `race`-th race (from 0) tries again, at random, so
    that losers do not meet again."""
    return min(_LONGEST_REST_SECONDS, _FIRST_REST_SECONDS * 2.0**race)
