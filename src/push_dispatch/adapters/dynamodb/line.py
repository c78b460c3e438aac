"""How do places in line lie in the table, and how are they read in their order?"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress

from push_dispatch.adapters.dynamodb import conditions, items, keys
from push_dispatch.adapters.dynamodb.kinds import MALFORMED
from push_dispatch.adapters.dynamodb.marks import Marks
from push_dispatch.adapters.dynamodb.table import READ_BATCH, Lost, Table, key_of
from push_dispatch.core.lanes import in_any_lane
from push_dispatch.core.model import Ready

__all__ = ["Line"]

log = logging.getLogger(__name__)


class Line:
    """The part of the store that keeps the places in line."""

    _table: Table
    _marks: Marks

    def enqueue(self, pool: str, entries: Sequence[Ready], now: int) -> None:
        if entries:
            self._marks.mark(pool)
        unique = {keys.ready(e): items.ready_item(pool, e, now) for e in entries}
        puts = list(unique.values())
        if len(puts) == 1:
            # A push may line up the run in its hand: whoever writes runs may do this.
            self._table.put(puts[0])
        else:
            self._table.write_all([{"PutRequest": {"Item": item}} for item in puts])

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
        if low > high:
            return []
        found = self._table.query(keys.pool(pool), between=(low, high), limit=limit)
        return self._places(found)

    def lanes(self, pool: str, queue: str, after: str, limit: int) -> list[Ready]:
        heads: list[Ready] = []
        while len(heads) < limit:
            # One query a lane: nothing of a long one is read but its head.
            low = f"{keys.lane_prefix(queue, after)}~" if after else keys.lane_prefix(queue)
            found = self._table.query(
                keys.pool(pool), between=(low, f"{keys.lane_prefix(queue)}~"), limit=1
            )
            head = self._places(found)
            if not head:
                break
            heads += head
            after = head[0].lane
        return heads

    def dequeue(self, pool: str, entries: Sequence[Ready]) -> None:
        self._table.delete_all([(keys.pool(pool), key) for e in entries for key in keys.places(e)])

    def in_line(self, pool: str, entries: Sequence[Ready], *, lanes: bool = True) -> set[Ready]:
        places = [place for entry in entries for place in in_any_lane(entry, lanes=lanes)]
        wanted = [key_of(keys.pool(pool), key) for key in dict.fromkeys(map(keys.ready, places))]
        found: set[Ready] = set()
        for start in range(0, len(wanted), READ_BATCH):
            found |= {items.read_ready(i) for i in self._table.get_all(wanted[start:][:READ_BATCH])}
        return found & set(entries)

    def supersede(self, pool: str, group: str, order: str, run: str) -> str:
        known = self._table.get(keys.pool(pool), keys.newest(group))
        item = {**key_of(keys.pool(pool), keys.newest(group)), "run": {"S": run}}
        item["newest"] = {"S": order}
        try:
            self._table.put_under(item, conditions.NOT_NEWER, {":newest": {"S": order}})
        except Lost:
            return run
        # Whoever came in between is found when its turn comes.
        before = str(known["run"]["S"]) if known else ""
        return before if before != run else ""

    def lead(self, pool: str, group: str, order: str, run: str, after: str) -> str:
        item = {**key_of(keys.pool(pool), keys.newest(group)), "run": {"S": run}}
        item["newest"] = {"S": order}
        values = {":after": {"S": after}, ":newest": {"S": order}}
        try:
            self._table.put_under(item, conditions.LEAD_FREE, values)
        except Lost as lost:
            return str(lost.stored["newest"]["S"]) if lost.stored else ""
        return order

    def newest(self, pool: str, group: str) -> str:
        item = self._table.get(keys.pool(pool), keys.newest(group))
        return str(item["newest"]["S"]) if item else ""

    def ticks(self, pool: str, until: int, limit: int) -> list[Ready]:
        with self._table.errors():
            reply = self._table.client.query(
                TableName=self._table.name,
                IndexName=keys.TICK_INDEX,
                KeyConditionExpression="tick_pool = :pool AND tick_at <= :until",
                ExpressionAttributeValues={
                    ":pool": {"S": keys.tick(pool)},
                    ":until": {"N": str(until)},
                },
                Limit=limit,
            )
        return self._places(reply["Items"])

    def _places(self, found: Iterable[items.Item]) -> list[Ready]:
        """The places in line in items. One that cannot be read names no run, and it would stand
        in the way for ever: it is removed. The run that it was for is found by the audits."""
        places, malformed = [], []
        for item in found:
            try:
                places.append(items.read_ready(item))
            except MALFORMED as error:
                log.warning("removing a malformed place in line, %s: %s", item["SK"], error)
                malformed.append((item["PK"]["S"], item["SK"]["S"]))
        self._table.delete_all(malformed)
        return places

    def ticked(self, pool: str, ready: Ready, at: int | None) -> None:
        with suppress(Lost):
            self._table.update(
                keys.pool(pool),
                keys.ready(ready),
                None if at is None else {"at": at},
                UpdateExpression="REMOVE tick_pool, tick_at" if at is None else "SET tick_at = :at",
                ConditionExpression=conditions.PRESENT,
            )
