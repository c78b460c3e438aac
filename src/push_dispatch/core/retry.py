"""When is the next attempt due?"""

from __future__ import annotations

__all__ = ["MAX_DELAY_SECONDS", "back_off"]

#: No back-off is longer than this.
MAX_DELAY_SECONDS = 3600


def back_off(delay_seconds: int, ended: int) -> int:
    """Seconds to wait after the `ended`-th ended attempt (from 1): doubling, up to an hour.

    Without jitter: runs that fail together are let in again by the limits, not by chance.
    """
    doubled: int = delay_seconds * 2 ** min(ended - 1, 16)
    return min(MAX_DELAY_SECONDS, doubled)
