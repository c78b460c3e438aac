"""What do people write for limits by name, capacity, weights and ageing? Plain data, read the same
way at every door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch.core import durations
from push_dispatch.core.errors import Invalid
from push_dispatch.core.limits import check_limits
from push_dispatch.core.model import MAX_GIVE_UP_SECONDS, Backfill, NamedLimit, Pool, Rate
from push_dispatch.core.reasons import Reason
from push_dispatch.core.units import amount, check_capacity
from push_dispatch.core.waiting import check_max_waiting

__all__ = ["check_sharing", "limit_of", "sharing_of"]


def sharing_of(entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields of a pool that an object names. Raises Invalid."""
    found: dict[str, Any] = {}
    if "limits" in entry:
        given = (entry["limits"] or {}).items()
        found["limits"] = tuple(limit_of(name, limit) for name, limit in given)
    if "capacity" in entry:
        given = (entry["capacity"] or {}).items()
        found["capacity"] = {
            unit: amount(total, f"{where}.capacity.{unit}") for unit, total in given
        }
    if "weights" in entry:
        found["weights"] = {unit: str(w) for unit, w in (entry["weights"] or {}).items()}
    if "backfill" in entry:
        found["backfill"] = Backfill(entry["backfill"])
    for name in ("ageing_seconds", "key_max_waiting"):
        if name in entry:
            found[name] = entry[name]
    return found


def limit_of(name: str, entry: Mapping[str, Any]) -> NamedLimit:
    """The limit that an object describes. `check_sharing` says whether a pool can have it."""
    rate = entry.get("rate")
    return NamedLimit(
        name,
        entry.get("key") or "",
        entry.get("limit"),
        _rate(rate, f"limit {name!r}"),
        entry.get("max_waiting"),
    )


def _rate(given: Mapping[str, int] | str | None, where: str) -> Rate | None:
    if isinstance(given, str):
        return durations.rate(given, where)
    return Rate(**given) if given else None


def check_sharing(pool: Pool) -> None:
    """Raise Invalid if the pool's limits, capacity, ageing or `max_waiting` are not valid."""
    where = f"pool {pool.name!r}"
    check_limits(pool.limits, where)
    check_capacity(pool.capacity, pool.weights, pool.backfill, where)
    check_max_waiting(pool.key_max_waiting, f"{where}, per key")
    for queue in pool.queues:
        check_max_waiting(queue.max_waiting, f"queue {queue.name!r}")
    step = pool.ageing_seconds
    if step is not None and not (type(step) is int and 1 <= step <= MAX_GIVE_UP_SECONDS):
        raise Invalid(
            f"{where}: ageing_seconds {step} is not valid: an integer from 1 to "
            f"{MAX_GIVE_UP_SECONDS}; leave it out to serve the queues strictly",
            reason=Reason.INVALID_LIMIT,
        )
