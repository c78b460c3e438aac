"""Which numbers are behind a wait for a named limit, for capacity, or behind older runs?"""

from __future__ import annotations

from push_dispatch.core.admission import Snapshot
from push_dispatch.core.ageing import passed_until
from push_dispatch.core.model import Holder, NamedLimit, Ready
from push_dispatch.core.rates import started_within
from push_dispatch.core.reasons import Reason
from push_dispatch.core.usage import Used, scope_of, slot_name

__all__ = ["SHARING", "ageing_numbers", "deadline_numbers", "sharing_holders", "sharing_numbers"]

#: The reasons that this module speaks of.
SHARING = frozenset(
    {Reason.NAMED_LIMIT, Reason.NAMED_RATE, Reason.CAPACITY, Reason.CAPACITY_TOO_SMALL}
)


def sharing_numbers(
    snapshot: Snapshot, place: Ready, reason: str, now: int
) -> dict[str, int | float]:
    """The numbers behind one of `SHARING`."""
    used = Used.of(snapshot.pool, snapshot.ledger, now)
    if reason in (Reason.CAPACITY, Reason.CAPACITY_TOO_SMALL):
        return _capacity_numbers(snapshot, used, place)
    limit, key = _binding(snapshot, used, place, reason)
    if limit is None:
        return {}
    if reason == Reason.NAMED_LIMIT:
        held = used.named[scope_of(limit.name, key)]
        return {f"limit {limit.name}": limit.limit or 0, f"slots held by key {key!r}": held}
    rate = limit.rate
    started = started_within(snapshot.ledger, scope_of(limit.name, key), rate, now) if rate else 0
    return {
        f"limit {limit.name}, starts per period": rate.starts if rate else 0,
        "period in seconds": rate.period_seconds if rate else 0,
        f"started by key {key!r}": started,
    }


def sharing_holders(snapshot: Snapshot, place: Ready, reason: str, now: int) -> list[Holder]:
    """Those whose end the run waits for."""
    holders = snapshot.ledger.holders
    if reason == Reason.CAPACITY:
        units = {unit for unit, _ in place.weights}
        return [h for h in holders if any(unit in units for unit, _ in h.weights)]
    used = Used.of(snapshot.pool, snapshot.ledger, now)
    limit, key = _binding(snapshot, used, place, reason)
    if limit is None or reason != Reason.NAMED_LIMIT:
        return []
    wanted = (limit.name, slot_name(key))
    return [h for h in holders if wanted in {(name, slot_name(k)) for name, k in h.keys}]


def ageing_numbers(snapshot: Snapshot, place: Ready, now: int) -> dict[str, int | float]:
    """For each queue that goes first: for how long runs that become due there still go before this
    one. Nothing if the pool does not age its runs."""
    until = passed_until(snapshot.pool, place)
    return {
        f"seconds until no new run of queue {queue} goes first": max(0, -((now - at) // 1000))
        for queue, at in until.items()
    }


def deadline_numbers(place: Ready, now: int) -> dict[str, int | float]:
    """How long the run has until it should start; nothing if it has no such time."""
    if place.start_by is None:
        return {}
    if place.start_by < now:
        return {"seconds since it should have started": (now - place.start_by) // 1000}
    return {"seconds until it should start": (place.start_by - now) // 1000}


def _capacity_numbers(snapshot: Snapshot, used: Used, place: Ready) -> dict[str, int | float]:
    capacity = snapshot.pool.capacity
    numbers: dict[str, int | float] = {}
    for unit, taken in place.weights:
        if unit in capacity:
            numbers[f"{unit} needed"] = _number(taken)
            numbers[f"{unit} free"] = _number(capacity[unit] - used.taken[unit])
            numbers[f"{unit} of the pool"] = _number(capacity[unit])
    return numbers


def _number(thousandths: int) -> int | float:
    whole, rest = divmod(thousandths, 1000)
    return thousandths / 1000 if rest else whole


def _binding(
    snapshot: Snapshot, used: Used, place: Ready, reason: str
) -> tuple[NamedLimit | None, str]:
    """The limit that holds the run back, and the run's key of it."""
    keys = dict(place.keys)
    for limit in snapshot.pool.limits:
        if limit.name not in keys:
            continue
        scope = scope_of(limit.name, keys[limit.name])
        full = limit.limit is not None and used.named[scope] >= limit.limit
        spent = limit.rate is not None and used.starts[scope] >= limit.rate.starts
        if full if reason == Reason.NAMED_LIMIT else spent:
            return limit, keys[limit.name]
    return None, ""
