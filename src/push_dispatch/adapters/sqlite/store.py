"""How are the store's promises kept in a SQLite file? One transaction for each write.

The items are those of the DynamoDB table, key by key, so that the same readers and writers serve
both. What DynamoDB's stream would deliver goes into the feed in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from push_dispatch.adapters.dynamodb import items, keys
from push_dispatch.adapters.sqlite.database import (
    DEPLOYMENTS,
    Database,
    Item,
    Transaction,
    decode,
)
from push_dispatch.core.canonical import dumps
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import Conflict, Refused
from push_dispatch.core.lanes import in_any_lane
from push_dispatch.core.model import Ledger, Pool, Ready, Run, RunState, first_id_at, is_uuid
from push_dispatch.core.reasons import Reason
from push_dispatch.ports.store import LOG_DAYS

__all__ = ["SqliteStore"]

#: Sorts after every key that we write.
_LAST = "\U0010ffff"
_DAY = 86_400

#: `?` is about now: behind it are runs whose ids do not begin with the time, which whoever submits
#: them enqueues.
_UNSETTLED = """
SELECT sk FROM items AS listed WHERE pk = 'POOLS' AND (
    EXISTS (
        SELECT 1 FROM items WHERE pk = 'POOL#' || listed.sk AND sk = 'LEDGER'
        AND json_type(item, '$.holders') IS NOT NULL
    ) OR EXISTS (
        SELECT 1 FROM items WHERE pk = 'POOL#' || listed.sk AND sk >= 'READY#' AND sk < 'READY$'
    ) OR EXISTS (
        SELECT 1 FROM items WHERE pk = 'POOL#' || listed.sk AND sk >= 'LANE#' AND sk < 'LANE$'
    ) OR EXISTS (
        SELECT 1 FROM items WHERE pk = 'RUNS#' || listed.sk AND sk < ? AND sk > coalesce((
            SELECT json_extract(item, '$.audited.S') FROM items
            WHERE pk = 'POOL#' || listed.sk AND sk = 'AUDIT'
        ), '')
    )
) ORDER BY sk
"""


class SqliteStore:
    """The store in one database. Safe to share between threads."""

    def __init__(
        self, database: Database, clock: Callable[[], int], *, retention_days: int = 0
    ) -> None:
        """`clock` returns epoch milliseconds. Runs that have ended expire `retention_days` later;
        0 keeps them."""
        self._db = database
        self._clock = clock
        self._retention_days = retention_days

    # -- configuration ---------------------------------------------------------------------

    def create_pool(self, pool: Pool) -> None:
        item = items.pool_item(pool) | {"version": {"N": "1"}}
        with self._db.transaction() as tx:
            stored = tx.get(keys.pool(pool.name), keys.CONFIG)
            if stored is not None and stored != item:
                raise Refused(f"pool {pool.name!r} exists", reason=Reason.POOL_EXISTS)
            tx.put({"PK": {"S": keys.POOLS}, "SK": {"S": pool.name}})
            if stored is None:
                tx.put(item)
                tx.feed(None, item)

    def pool(self, name: str) -> Pool | None:
        item = self._db.get(keys.pool(name), keys.CONFIG)
        return items.read_pool(item) if item else None

    def pool_names(self) -> list[str]:
        return [item["SK"]["S"] for item in self._db.between(keys.POOLS, "", _LAST)]

    def unsettled_pools(self) -> list[str]:
        until = first_id_at(self._clock() + 1000)
        return [name for (name,) in self._db.rows(_UNSETTLED, until)]

    def save_pool(self, pool: Pool) -> Pool:
        item = items.pool_item(pool) | {"version": {"N": str(pool.version + 1)}}
        with self._db.transaction() as tx:
            stored = tx.get(keys.pool(pool.name), keys.CONFIG)
            if stored != item:
                if stored is None or _number(stored, "version") != pool.version:
                    raise Conflict(f"pool {pool.name!r} was changed at the same time")
                tx.put(item)
                tx.feed(stored, item)
            _touch_ledger(tx, pool.name)
        return items.read_pool(item)

    def delete_pool(self, pool: Pool) -> None:
        with self._db.transaction() as tx:
            stored = tx.get(keys.pool(pool.name), keys.CONFIG)
            if stored is not None and _number(stored, "version") != pool.version:
                raise Conflict(f"pool {pool.name!r} was changed at the same time")
            ledger = items.read_ledger(pool.name, tx.get(keys.pool(pool.name), keys.LEDGER))
            tx.execute("DELETE FROM items WHERE pk = ?", keys.pool(pool.name))
            # It goes on, so that the next pool of this name shares no version with this one.
            tx.put(items.ledger_item(ledger.of_deleted_pool()))
            tx.delete(keys.POOLS, pool.name)

    def put_template(self, pool: str, digest: str, template: Mapping[str, Any]) -> None:
        self._put(keys.pool(pool), keys.template(digest), document={"S": dumps(template)})

    def template(self, pool: str, digest: str) -> Mapping[str, Any] | None:
        item = self._db.get(keys.pool(pool), keys.template(digest))
        return items.read_json(item, "document") if item else None

    def put_deployment(self, name: str, document: Mapping[str, Any]) -> None:
        key = _key(keys.DEPLOYMENTS, keys.deployment(name))
        with self._db.transaction() as tx:
            tx.work.add(DEPLOYMENTS)
            tx.put({**key, "document": {"S": dumps(document)}})

    def deployment(self, name: str) -> Mapping[str, Any] | None:
        item = self._db.get(keys.DEPLOYMENTS, keys.deployment(name))
        return items.read_json(item, "document") if item else None

    def deployments(self) -> dict[str, Mapping[str, Any]]:
        found = self._db.between(keys.DEPLOYMENTS, "", _LAST)
        return {item["SK"]["S"]: items.read_document(item) for item in found}

    def delete_deployment(self, name: str) -> None:
        with self._db.transaction() as tx:
            tx.work.add(DEPLOYMENTS)
            tx.delete(keys.DEPLOYMENTS, keys.deployment(name))

    def put_attachment(self, pool: str, document: Mapping[str, Any]) -> None:
        self._put(keys.ATTACHMENTS, pool, document={"S": dumps(document)})

    def attachment(self, pool: str) -> Mapping[str, Any] | None:
        item = self._db.get(keys.ATTACHMENTS, pool)
        return items.read_document(item) if item else None

    def attachments(self) -> dict[str, Mapping[str, Any]]:
        found = self._db.between(keys.ATTACHMENTS, "", _LAST)
        return {item["SK"]["S"]: items.read_document(item) for item in found}

    def delete_attachment(self, pool: str) -> None:
        with self._db.transaction() as tx:
            tx.delete(keys.ATTACHMENTS, pool)

    # -- runs ------------------------------------------------------------------------------

    def add_run(self, run: Run) -> Run:
        return self.add_runs([run])[0]

    def add_runs(self, runs: Sequence[Run]) -> list[Run]:
        """See `Store.add_runs`. All in one transaction."""
        new = [items.new_run_item(run) for run in runs]
        with self._db.transaction() as tx:
            return [_add(tx, run, item) for run, item in zip(runs, new, strict=True)]

    def run(self, pool: str, uuid: str) -> Run | None:
        item = self._db.get(keys.runs(pool), uuid)
        return items.read_run(item) if item else None

    def runs(self, pool: str, uuids: Iterable[str]) -> dict[str, Run]:
        found = ((uuid, self.run(pool, uuid)) for uuid in dict.fromkeys(uuids))
        return {uuid: run for uuid, run in found if run is not None}

    def save_run(self, run: Run) -> None:
        item = self._ended_item(run)
        with self._db.transaction() as tx:
            stored = tx.get(keys.runs(run.pool), run.uuid)
            if stored == item:
                return
            # A run that somebody else has put has no revision.
            if stored is None or _number(stored, "rev") != run.rev - 1:
                raise Conflict(f"run {run.id} was changed at the same time")
            tx.put(item)
            tx.feed(stored, item)

    def mend_run(self, run: Run) -> None:
        item = self._ended_item(run)
        with self._db.transaction() as tx:
            stored = tx.get(keys.runs(run.pool), run.uuid)
            known = items.read_run(stored) if stored else None
            if known is None or not known.unreadable or known.rev != run.rev - 1:
                raise Conflict(f"run {run.id} was changed at the same time")
            tx.put(item)
            tx.feed(stored, item)

    def _ended_item(self, run: Run) -> Item:
        """The item of a run, with the time of its removal if it has ended."""
        item = items.run_item(run)
        if self._retention_days and run.state.ended and run.ended_at is not None:
            # Counted from the end: a repeated write, which looks for its own item, writes the same.
            expires = run.ended_at // 1000 + self._retention_days * _DAY
            item |= {"expires_at": {"N": str(expires)}}
        return item

    def list_runs(
        self,
        pool: str,
        *,
        states: frozenset[RunState] = frozenset(),
        newest_first: bool = True,
        after: str = "",
        until: str = "",
    ) -> Iterator[Run]:
        low, high = f"{after}\1" if after else "", f"{until}\1" if until else _LAST
        for item in self._db.between(keys.runs(pool), low, high, forward=not newest_first):
            if "state" in item and is_uuid(item["SK"]["S"]):
                run = items.read_run(item)
                if not states or run.state in states:
                    yield run

    def take_attempt(self, pool: str, uuid: str, attempt: int, by: str) -> bool:
        kept = self._keep(keys.logs(pool), keys.taker(uuid, attempt), by={"S": by})
        return bool(kept["by"]["S"] == by)

    def keep_log(self, pool: str, uuid: str, attempt: int, text: str) -> None:
        self._keep(keys.logs(pool), keys.log(uuid, attempt), text={"S": text})

    def kept_log(self, pool: str, uuid: str, attempt: int) -> str | None:
        item = self._db.get(keys.logs(pool), keys.log(uuid, attempt))
        return item["text"]["S"] if item else None

    # -- places in line --------------------------------------------------------------------

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
        key = _key(keys.pool(pool), keys.newest(group))
        with self._db.transaction() as tx:
            item = tx.get(key["PK"]["S"], key["SK"]["S"])
            if item is not None and order < item["order"]["S"]:
                return run
            tx.put({**key, "order": {"S": order}, "run": {"S": run}})
            before = item["run"]["S"] if item else ""
            return before if before != run else ""

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

    # -- the sweep -------------------------------------------------------------------------

    def begin_sweep(self, now: int, until: int) -> str | None:
        with self._db.transaction() as tx:
            item = tx.get(keys.SWEEP, keys.SWEEP) or _key(keys.SWEEP, keys.SWEEP)
            if now < _number(item, "leased_until"):
                return None
            tx.put({**item, "leased_until": {"N": str(until)}})
            return str(item["begins_with_pool"]["S"]) if "begins_with_pool" in item else ""

    def end_sweep(self, first: str) -> None:
        with self._db.transaction() as tx:
            item = tx.get(keys.SWEEP, keys.SWEEP) or _key(keys.SWEEP, keys.SWEEP)
            tx.put({**item, "begins_with_pool": {"S": first}})

    # -- the audit -------------------------------------------------------------------------

    def audited(self, pool: str) -> str:
        item = self._db.get(keys.pool(pool), keys.AUDIT)
        return str(item["audited"]["S"]) if item else ""

    def save_audited(self, pool: str, uuid: str) -> None:
        self._put(keys.pool(pool), keys.AUDIT, audited={"S": uuid})

    # -- circuits ---------------------------------------------------------------------------

    def circuit(self, pool: str, type: str) -> Circuit:
        return items.read_circuit(self._db.get(keys.pool(pool), keys.circuit(type)))

    def save_circuit(
        self, pool: str, type: str, circuit: Circuit, *, instead_of: Circuit | None = None
    ) -> bool:
        key = _key(keys.pool(pool), keys.circuit(type))
        with self._db.transaction() as tx:
            stored = items.read_circuit(tx.get(key["PK"]["S"], key["SK"]["S"]))
            if instead_of is not None and stored.next_at != instead_of.next_at:
                return stored == circuit
            tx.put({**key, **items.circuit_item(circuit)})
            return True

    # -- the ledger ------------------------------------------------------------------------

    def ledger(self, pool: str) -> Ledger:
        return items.read_ledger(pool, self._db.get(keys.pool(pool), keys.LEDGER))

    def commit(self, ledger: Ledger) -> None:
        item = items.ledger_item(ledger)
        with self._db.transaction() as tx:
            stored = tx.get(keys.pool(ledger.pool), keys.LEDGER)
            if stored == item:
                return
            if _number(stored or {}, "version") != ledger.version - 1:
                raise Conflict(f"the ledger of {ledger.pool!r} was changed meanwhile")
            tx.put(item)

    # -- details ---------------------------------------------------------------------------

    def expire(self) -> int:
        """Delete what its time to live has ended, as the table does; return how many items."""
        with self._db.transaction() as tx:
            now = self._clock() // 1000
            return tx.execute("DELETE FROM items WHERE expires_at <= ?", now).rowcount

    def _put(self, pk: str, sk: str, **attributes: Any) -> None:
        with self._db.transaction() as tx:
            tx.put({**_key(pk, sk), **attributes})

    def _keep(self, pk: str, sk: str, **attributes: Any) -> Item:
        """Write an item that expires, if there is none; return the one that is there then."""
        expires = self._clock() // 1000 + LOG_DAYS * _DAY
        item = {**_key(pk, sk), **attributes, "expires_at": {"N": str(expires)}}
        with self._db.transaction() as tx:
            stored = tx.get(pk, sk)
            if stored is None:
                tx.put(item)
            return stored or item


def _add(tx: Transaction, run: Run, item: Item) -> Run:
    stored = tx.get(keys.runs(run.pool), run.uuid)
    if stored is not None:
        return items.read_run(stored)
    tx.put(item)
    tx.feed(None, item)
    return run


def _touch_ledger(tx: Transaction, pool: str) -> None:
    """Move the ledger's version: what was decided under the old configuration is void."""
    key = _key(keys.pool(pool), keys.LEDGER)
    ledger = tx.get(key["PK"]["S"], key["SK"]["S"]) or key
    tx.put({**ledger, "version": {"N": str(_number(ledger, "version") + 1)}})


def _key(pk: str, sk: str) -> Item:
    return {"PK": {"S": pk}, "SK": {"S": sk}}


def _number(item: Mapping[str, Any], name: str) -> int:
    return int(item[name]["N"]) if name in item else 0
