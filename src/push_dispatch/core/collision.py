"""What becomes of runs that collide: of one deployment, or of one key without a deployment?

A collision is a fact about the deployment or the key alone, whatever else would hold a run back. It
is decided when a run is due, from the ledger. Pure.
"""

from __future__ import annotations

from collections.abc import Collection

from push_dispatch.core.model import Collision, Holder, Ledger, Pool, Ready
from push_dispatch.core.usage import Used, slot_name

__all__ = ["NEWEST_STAYS", "collides", "group_of", "to_stop"]

#: Of those that wait, only the newest is not cancelled.
NEWEST_STAYS = frozenset({Collision.LATEST, Collision.CANCEL_RUNNING})


def group_of(run: Ready | Holder) -> str:
    """Which runs it collides with; empty for none."""
    if run.deployment:
        return f"d:{slot_name(run.deployment)}"
    return f"k:{slot_name(run.concurrency_key)}" if run.concurrency_key else ""


def collides(pool: Pool, used: Used, ready: Ready, now: int) -> bool:
    """Whether the run is due, is to be cancelled if its group is full, and that is so."""
    return (
        ready.collision is Collision.CANCEL_NEW and ready.due <= now and _is_full(pool, used, ready)
    )


def to_stop(
    pool: Pool, ledger: Ledger, entry: Ready, stopping: Collection[str], now: int
) -> list[Holder]:
    """The oldest holders of the run's group that are to make room for it: as many as are missing
    beside those that are `stopping` already. None if there is room."""
    used = Used.of(pool, ledger, now)
    if entry.collision is not Collision.CANCEL_RUNNING or not _is_full(pool, used, entry):
        return []
    same = [h for h in ledger.holders if group_of(h) == group_of(entry) and h.run != entry.run]
    limit = _limit(pool, entry)
    missing = len(same) + 1 - limit if limit else 0
    missing -= sum(1 for holder in same if holder.run in stopping)
    running = [holder for holder in same if holder.run not in stopping]
    return sorted(running, key=lambda holder: holder.since)[: max(0, missing)]


def _is_full(pool: Pool, used: Used, ready: Ready) -> bool:
    if ready.deployment:
        return used.deployment_is_full(pool, ready)
    queue = pool.queue(ready.queue)
    return queue is not None and used.key_is_full(pool, queue, ready)


def _limit(pool: Pool, ready: Ready) -> int | None:
    if ready.deployment:
        return pool.deployment_limits.get(ready.deployment)
    queue = pool.queue(ready.queue)
    limits = (pool.key_limit, queue.key_limit if queue else None)
    return min((limit for limit in limits if limit is not None), default=None)
