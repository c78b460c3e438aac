"""Which pools may time alone change something about, without reading them all?

Marks: before anybody leaves work in a pool it is marked in the list of pools, which every sweep
reads at once, and in its own partition, where a pass finds the mark among what it reads anyway. The
sweep takes the mark away when it finds nothing, long after the pool was marked last:

    0 min     marked; who leaves work relies on it without a write
    30 min    no longer: who leaves work marks the pool again, and only then does so
    60 min    a sweep that finds nothing takes it away, unless somebody has marked the pool since

Whoever has read a mark has half an hour to write what it covers. Still, each pool is looked into
once an hour: any program may put a run, and only we mark.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from zlib import crc32

from push_dispatch.adapters.dynamodb import conditions, keys
from push_dispatch.adapters.dynamodb.table import Lost, Table, key_of

if TYPE_CHECKING:
    from push_dispatch.adapters.dynamodb.items import Item

__all__ = ["Marks"]

#: For how long a mark is relied on, and after which time it may be taken away.
_FRESH_MS, _SETTLES_MS = 30 * 60_000, 60 * 60_000
#: Minutes after which every pool has been swept.
_ROUND = 60


class Marks:
    """The marks of all pools. What a process has read it does not read again while it is fresh."""

    def __init__(self, table: Table, clock: Callable[[], int]) -> None:
        """`clock` returns epoch milliseconds."""
        self._table = table
        self._clock = clock
        self._marked: dict[str, int] = {}
        #: When the pools were marked that the sweep has found not to be settled.
        self._unsettled: dict[str, int] = {}

    def seen(self, pool: str, item: Item | None) -> None:
        """Remember the mark that a pass has read."""
        if item is not None:
            self._marked[pool] = _at(item)

    def mark(self, pool: str) -> None:
        """Mark the pool unless it is freshly marked. Comes before the work; a crash in between
        leaves a mark too many. A pool that is not listed is not swept, and has no mark."""
        now = self._clock()
        if self._is_fresh(pool, now):
            return
        self.seen(pool, self._table.get(keys.pool(pool), keys.MARK))
        if self._is_fresh(pool, now):
            return
        self._mark_again(pool, now)

    def enlist(self, pool: str) -> None:
        """List a pool, marked. Idempotent."""
        now = self._clock()
        self._table.put(_marked(keys.POOLS, pool, now))
        self._keep(pool, now)

    def unsettled(self, is_idle: Callable[[str], bool]) -> list[str]:
        """See `Store.unsettled_pools`. One query; and of the settled ones those are asked about
        whose turn it is in this hour."""
        minute = self._clock() // 60_000 % _ROUND
        listed = list(self._table.query(keys.POOLS))
        self._unsettled = {i["SK"]["S"]: _at(i) for i in listed if "settled_at" not in i}
        for name in [item["SK"]["S"] for item in listed if "settled_at" in item]:
            if crc32(name.encode()) % _ROUND == minute and not is_idle(name):
                self._mark_again(name, self._clock())
                self._unsettled[name] = self._clock()
        return sorted(self._unsettled)

    def settle(self, pool: str, is_idle: Callable[[], bool]) -> None:
        """See `Store.settle`; `is_idle` is asked only where it matters."""
        now = self._clock()
        at = self._unsettled.get(pool)
        if at == 0:
            # A version that does not mark may be at work: not before an hour from now.
            self._mark_again(pool, now)
        elif at is not None and at <= now - _SETTLES_MS and is_idle():
            item = _marked(keys.POOLS, pool, at) | {"settled_at": {"N": str(now)}}
            try:
                self._table.put(item, conditions.MARK_UNCHANGED, marked_at=at)
            except Lost:
                return  # Somebody has marked it.

    def _is_fresh(self, pool: str, now: int) -> bool:
        return now - _FRESH_MS < self._marked.get(pool, 0)

    def _mark_again(self, pool: str, now: int) -> None:
        try:
            self._table.put(_marked(keys.POOLS, pool, now), conditions.PRESENT)
        except Lost:
            return
        # Second: who relies on this one relies on the list.
        self._keep(pool, now)

    def _keep(self, pool: str, now: int) -> None:
        self._table.put(_marked(keys.pool(pool), keys.MARK, now))
        self._marked[pool] = now


def _marked(partition: str, sort: str, at: int) -> dict[str, Any]:
    return {**key_of(partition, sort), "marked_at": {"N": str(at)}}


def _at(item: Item) -> int:
    return int(item["marked_at"]["N"]) if "marked_at" in item else 0
