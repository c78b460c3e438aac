"""How are the starts of a platform with a low quota spread? A token bucket in one number.

The generic cell rate algorithm: the bucket is described by the time at which it would be full
again, so that one conditional write takes a token.
"""

from __future__ import annotations

from push_dispatch.core.model import Rate

__all__ = ["take"]


def take(full_at: int, rate: Rate, now: int) -> tuple[int, int]:
    """The new time at which the bucket is full, and how many milliseconds to wait.

    With a wait of 0 a token was taken; otherwise nothing changes.
    """
    step = rate.period_seconds * 1000 // rate.starts
    after = max(full_at, now) + step
    wait = after - now - step * rate.starts
    return (full_at, wait) if wait > 0 else (after, 0)
