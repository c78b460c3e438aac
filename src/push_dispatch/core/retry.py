"""How long is waited before something is tried again?

Retry: the next attempt of a run, the next push of an attempt, the next round of a lost race.
Whether a run is retried is decided in `core.ending`.
"""

from __future__ import annotations

from zlib import crc32

__all__ = ["MAX_DELAY_SECONDS", "back_off", "longest_rest", "pause", "spread"]

#: No back-off is longer than this.
MAX_DELAY_SECONDS = 3600
#: Wait before a push that failed is tried again, by number of tries. Few in an hour: each is one
#: more message from this function to itself.
_PAUSES = (2, 5, 15, 30, 60, 120, 300, 600, 900)
#: Those who wait for the same platform come back one after the other, within so many seconds.
_SPREAD_SECONDS = 10
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


def pause(tries: int) -> int:
    """Seconds to wait after so many tries that failed."""
    return _PAUSES[min(tries, len(_PAUSES) - 1)]


def spread(run: str) -> int:
    """Seconds to wait beyond a time for which many wait: the same for the same run."""
    return 1 + crc32(run.encode()) % _SPREAD_SECONDS
