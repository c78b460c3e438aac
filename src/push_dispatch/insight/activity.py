"""How busy are the pools now? What `top` shows: slots, lines, and starts in the last minute."""

from __future__ import annotations

from itertools import islice
from typing import Any

from push_dispatch.control.known import pool_named
from push_dispatch.core.errors import NotFound
from push_dispatch.insight.explain import PoolExplanation, explain_pool
from push_dispatch.insight.views import iso, pool_explanation_view
from push_dispatch.ports import Ports

__all__ = ["activity"]

#: The newest runs of a pool among which starts are counted: each refresh reads them.
_NEWEST = 300
_MINUTE = 60_000


def activity(ports: Ports, pool: str | None = None) -> dict[str, Any]:
    """Describe one pool, or all of them, as plain data. Raises NotFound (`pool_not_found`)."""
    now = ports.clock()
    names = [pool_named(ports, pool).name] if pool else sorted(ports.store.pool_names())
    pools = []
    for name in names:
        try:
            pools.append(_pool(ports, explain_pool(ports, name), now))
        except NotFound:
            continue  # deleted since its name was read
    return {"time": iso(now), "pools": pools}


def _pool(ports: Ports, found: PoolExplanation, now: int) -> dict[str, Any]:
    view = pool_explanation_view(found)
    del view["holders"]
    starts, more = _starts(ports, found.pool.name, now)
    oldest = [queue.oldest_due for queue in found.queues if queue.oldest_due is not None]
    for queue, shown in zip(found.queues, view["queues"], strict=True):
        shown["paused"] = queue.queue.paused
        shown["oldest_seconds"] = _age(queue.oldest_due, now)
    return {
        **view,
        "type": found.pool.type,
        "slots_used": len(found.ledger.holders),
        "waiting": sum(queue.waiting for queue in found.queues),
        "waiting_more": any(queue.more for queue in found.queues),
        "oldest_seconds": _age(min(oldest, default=None), now),
        "starts_last_minute": starts,
        "starts_more": more,
    }


def _starts(ports: Ports, name: str, now: int) -> tuple[int, bool]:
    """Attempts that their platform accepted within a minute, and whether there may be more."""
    runs = list(islice(ports.store.list_runs(name), _NEWEST))
    pushed = [attempt.pushed_at for run in runs for attempt in run.attempts]
    starts = sum(1 for at in pushed if at is not None and now - _MINUTE < at)
    return starts, len(runs) == _NEWEST and runs[-1].submitted_at > now - _MINUTE


def _age(due: int | None, now: int) -> float | None:
    """Seconds since then; None if nothing is due."""
    return None if due is None or due > now else (now - due) / 1000
