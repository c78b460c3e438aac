"""How are the starts of a platform with a low quota spread? A token bucket in one number.

The generic cell rate algorithm: the bucket is described by the time at which it would be full
again. Dispatch takes tokens in the commit that admits, so no run asks for one in vain.
"""

from __future__ import annotations

from push_dispatch.core.model import Rate

__all__ = ["available", "next_at", "take"]


def available(full_at: int, rate: Rate, now: int) -> int:
    """How many starts may be taken now: at most `rate.starts`."""
    missing = max(0, full_at - now)
    return max(0, rate.starts - -(-missing // _step(rate)))


def take(full_at: int, rate: Rate, now: int, count: int) -> int:
    """The new time at which the bucket is full, after `count` starts were taken."""
    return max(full_at, now) + count * _step(rate)


def next_at(full_at: int, rate: Rate) -> int:
    """When there is a start to take; in the past if there is one."""
    return full_at - (rate.starts - 1) * _step(rate)


def _step(rate: Rate) -> int:
    """Milliseconds from one start to the next; never too short to keep the rate."""
    return -(-rate.period_seconds * 1000 // rate.starts)
