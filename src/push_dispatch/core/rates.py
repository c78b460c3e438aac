"""How many starts does a rate still allow?

Rates: a pool's and a queue's own count the starts of a sliding window; a platform's is a token
bucket, which spreads the starts. Both are kept in the ledger, in the commit that admits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from push_dispatch.core.model import Ledger, Pool, Rate, Starts

__all__ = [
    "MAX_KEYS",
    "available",
    "named_scopes",
    "next_at",
    "paced_after",
    "scopes",
    "started_within",
    "starts_after",
    "take",
    "windows_move",
]

#: Keys whose starts a ledger counts at once; the ledger is one item.
MAX_KEYS = 1000

# -- the bucket: the generic cell rate algorithm, in the time at which it would be full again ------


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


def paced_after(pool: Pool, ledger: Ledger, admitted: int, now: int) -> int:
    """What is kept of a bucket: nothing if it is full, or if there is none."""
    if pool.platform_rate is None:
        return 0
    paced = take(ledger.paced, pool.platform_rate, now, admitted)
    return paced if paced > now else 0


def _step(rate: Rate) -> int:
    """Milliseconds from one start to the next; never too short to keep the rate."""
    return -(-rate.period_seconds * 1000 // rate.starts)


# -- the windows -------------------------------------------------------------------------------


def scopes(pool: Pool) -> list[tuple[str, Rate]]:
    """Every rate of the pool with its scope: the empty one is the pool's own."""
    rates = [(queue.name, queue.rate) for queue in pool.queues if queue.rate]
    return [("", pool.rate), *rates] if pool.rate else rates


def named_scopes(pool: Pool, known: Iterable[str]) -> list[tuple[str, Rate]]:
    """Those of the `known` scopes that belong to a named limit with a rate, with that rate."""
    rates = {limit.name: limit.rate for limit in pool.limits if limit.rate}
    if not rates:
        return []
    named = ((scope, scope.partition(":")) for scope in known)
    return [(scope, rates[name]) for scope, (name, colon, _) in named if colon and name in rates]


def started_within(ledger: Ledger, scope: str, rate: Rate, now: int) -> int:
    """Count the starts of a scope that its rate still counts."""
    return sum(count for _, count in _within(ledger.starts.get(scope, ()), rate, now))


def starts_after(
    pool: Pool, ledger: Ledger, admitted: Mapping[str, int], now: int
) -> dict[str, Starts]:
    """The starts that a ledger keeps after so many more in each scope."""
    starts: dict[str, Starts] = {}
    named = named_scopes(pool, {**ledger.starts, **admitted})
    for scope, rate in (*scopes(pool), *named):
        kept = _within(ledger.starts.get(scope, ()), rate, now)
        if count := admitted.get(scope, 0):
            kept = _condensed((*kept, (now, count)), rate)
        if kept:
            starts[scope] = kept
    return starts


def windows_move(pool: Pool, ledger: Ledger, now: int) -> list[int]:
    """When the oldest start of each rate's window leaves it."""
    return [
        starts[0][0] + rate.period_seconds * 1000
        for scope, rate in (*scopes(pool), *named_scopes(pool, ledger.starts))
        if (starts := _within(ledger.starts.get(scope, ()), rate, now))
    ]


def _within(starts: Starts, rate: Rate, now: int) -> Starts:
    """The starts that still count: any window of the period may hold `rate.starts` of them."""
    return tuple(entry for entry in starts if entry[0] > now - rate.period_seconds * 1000)


#: Different times of starts that a ledger keeps for each rate: its size does not depend on the
#: rate. Above it, starts of the same `_PARTS`th of the period are counted together.
_TIMES = 128
_PARTS = 64


def _condensed(starts: Starts, rate: Rate) -> Starts:
    """The same starts at few enough times, none earlier than it was: no window holds more. Parts
    lie on a fixed grid, so that doing it again moves no start beyond its own part."""
    if len(starts) <= _TIMES:
        return starts
    part = max(1, rate.period_seconds * 1000 // _PARTS)
    parts: dict[int, tuple[int, int]] = {}
    for at, count in starts:
        last, before = parts.get(at // part, (at, 0))
        parts[at // part] = (max(last, at), before + count)
    return tuple(sorted(parts.values()))
