"""How do places in line lie in the file, and how are they read in their order?"""

from __future__ import annotations

from collections.abc import Sequence

from push_dispatch.adapters.dynamodb import items, keys
from push_dispatch.adapters.sqlite.database import Database, decode, key_of
from push_dispatch.core.lanes import in_any_lane
from push_dispatch.core.model import Ready

__all__ = ["Line"]


class Line:
    """The part of the store that keeps the places in line."""

    _db: Database

    def enqueue(self, pool: str, entries: Sequence[Ready], now: int) -> None:
        with self._db.transaction() as tx:
            for entry in entries:
                tx.put(items.ready_item(pool, entry, now))

    def line(
        self,
        pool: str,
        queue: str,
        limit: int,
        *,
        after: Ready | None = None,
        due: int | None = None,
        lane: str | None = None,
    ) -> list[Ready]:
        low, high = keys.between(queue, after, due, lane)
        found = self._db.between(keys.pool(pool), low, high, limit=limit)
        return [items.read_ready(item) for item in found]

    def lanes(self, pool: str, queue: str, after: str, limit: int) -> list[Ready]:
        heads: list[Ready] = []
        while len(heads) < limit:
            low = f"{keys.lane_prefix(queue, after)}~" if after else keys.lane_prefix(queue)
            found = self._db.between(keys.pool(pool), low, f"{keys.lane_prefix(queue)}~", limit=1)
            head = [items.read_ready(item) for item in found]
            if not head:
                break
            heads += head
            after = head[0].lane
        return heads

    def dequeue(self, pool: str, entries: Sequence[Ready]) -> None:
        gone = [(keys.pool(pool), key) for entry in entries for key in keys.places(entry)]
        with self._db.transaction() as tx:
            tx.execute_many("DELETE FROM items WHERE pk = ? AND sk = ?", gone)

    def in_line(self, pool: str, entries: Sequence[Ready], *, lanes: bool = True) -> set[Ready]:
        places = (place for entry in entries for place in in_any_lane(entry, lanes=lanes))
        found = (self._db.get(keys.pool(pool), keys.ready(place)) for place in places)
        return {items.read_ready(item) for item in found if item} & set(entries)

    def supersede(self, pool: str, group: str, order: str, run: str) -> str:
        key = key_of(keys.pool(pool), keys.newest(group))
        with self._db.transaction() as tx:
            item = tx.get(key["PK"]["S"], key["SK"]["S"])
            if item is not None and order < item["order"]["S"]:
                return run
            tx.put({**key, "order": {"S": order}, "run": {"S": run}})
            before = item["run"]["S"] if item else ""
            return before if before != run else ""

    def lead(self, pool: str, group: str, order: str, run: str, after: str) -> str:
        key = key_of(keys.pool(pool), keys.newest(group))
        with self._db.transaction() as tx:
            item = tx.get(key["PK"]["S"], key["SK"]["S"])
            if item is not None and item["order"]["S"] >= after:
                return str(item["order"]["S"])
            tx.put({**key, "order": {"S": order}, "run": {"S": run}})
            return order

    def newest(self, pool: str, group: str) -> str:
        item = self._db.get(keys.pool(pool), keys.newest(group))
        return str(item["order"]["S"]) if item else ""

    def ticks(self, pool: str, until: int, limit: int) -> list[Ready]:
        select = (
            "SELECT item FROM items WHERE tick_pool = ? AND tick_at <= ? "
            "ORDER BY tick_at, sk LIMIT ?"
        )
        rows = self._db.rows(select, keys.tick(pool), until, limit)
        return [items.read_ready(decode(text)) for (text,) in rows]

    def ticked(self, pool: str, ready: Ready, at: int | None) -> None:
        with self._db.transaction() as tx:
            item = tx.get(keys.pool(pool), keys.ready(ready))
            if item is None:
                return
            if at is None:
                item.pop("tick_pool", None)
                item.pop("tick_at", None)
            else:
                item["tick_at"] = {"N": str(at)}
            tx.put(item)
