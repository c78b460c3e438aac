"""How are the store's promises kept in DynamoDB? With one table and conditional writes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from push_dispatch.adapters.dynamodb import conditions, items, keys
from push_dispatch.adapters.dynamodb.kinds import MALFORMED
from push_dispatch.adapters.dynamodb.table import READ_BATCH, Lost, Table, key_of, numbers
from push_dispatch.core.canonical import dumps
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import Conflict, Refused
from push_dispatch.core.lanes import in_any_lane
from push_dispatch.core.model import DELETED, Ledger, Pool, Ready, Run, RunState, is_uuid
from push_dispatch.core.reasons import Reason
from push_dispatch.ports.store import LOG_DAYS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["DynamoStore"]

log = logging.getLogger(__name__)

#: Templates that a process keeps in memory.
_TEMPLATES = 100
_PARALLEL = 8


class DynamoStore:
    """The store in one DynamoDB table. Safe to share between threads."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        *,
        retention_days: int = 0,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Runs that have ended are deleted by the table `retention_days` later; 0 keeps them.
        `clock` gives epoch milliseconds."""
        self._table = Table(client, table, sleep)
        self._retention_days = retention_days
        self._clock = clock
        self._templates: dict[str, Mapping[str, Any]] = {}

    # -- configuration ---------------------------------------------------------------------

    def create_pool(self, pool: Pool) -> None:
        version = self.ledger(pool.name).version + 1
        item = items.pool_item(pool) | {"version": {"N": str(version)}}
        # Listed first: a crash in between leaves a name without a pool, which can be created
        # again, and not a pool that no sweep ever sees.
        self.list_pool(pool.name)
        try:
            self._table.put(item, conditions.ABSENT)
        except Lost as lost:
            # Our own put, answered by a retry inside the SDK, or somebody else's pool.
            if lost.stored != item:
                raise Refused(f"pool {pool.name!r} exists", reason=Reason.POOL_EXISTS) from None

    def list_pool(self, name: str) -> None:
        """Make sure that a pool that was declared by other means is listed. Idempotent."""
        self._table.put({"PK": {"S": keys.POOLS}, "SK": {"S": name}})

    def pool(self, name: str) -> Pool | None:
        item = self._table.get(keys.pool(name), keys.CONFIG)
        return items.read_pool(item) if item else None

    def unsettled_pools(self) -> list[str]:
        """See `Store.unsettled_pools`. All of them: to find out costs as much as to sweep."""
        return self.pool_names()

    def pool_names(self) -> list[str]:
        return [item["SK"]["S"] for item in self._table.query(keys.POOLS)]

    def save_pool(self, pool: Pool) -> Pool:
        item = items.pool_item(pool) | {"version": {"N": str(pool.version + 1)}}
        try:
            self._table.put(item, conditions.POOL_UNCHANGED, version=pool.version)
        except Lost as lost:
            if lost.stored != item:
                raise Conflict(f"pool {pool.name!r} was changed at the same time") from None
        # Only now the ledger: a pass reads it first and the configuration second, so one that has
        # seen the old limit has read a version that this write makes void.
        self._touch_ledger(pool.name)
        return items.read_pool(item)

    def delete_pool(self, pool: Pool) -> None:
        with self._table.errors():
            try:
                self._table.client.delete_item(
                    TableName=self._table.name,
                    Key=key_of(keys.pool(pool.name), keys.CONFIG),
                    ConditionExpression=conditions.POOL_UNCHANGED,
                    ExpressionAttributeValues=numbers(version=pool.version),
                )
            except self._table.client.exceptions.ConditionalCheckFailedException:
                if self.pool(pool.name) is not None:
                    raise Conflict(f"pool {pool.name!r} was changed at the same time") from None
        # The ledger goes on: a pass that read it before, and sleeps, must lose against the next
        # pool of this name, too. Every change of the configuration has moved its version, so that
        # the next configuration can begin behind it.
        self._table.update(
            keys.pool(pool.name),
            keys.LEDGER,
            {"one": 1, "deleted": DELETED},
            UpdateExpression="ADD version :one SET configuration = :deleted "
            "REMOVE holders, #names, starts, counted_starts, paced",
            ExpressionAttributeNames={"#names": "names"},
        )
        rest = [i["SK"]["S"] for i in self._table.query(keys.pool(pool.name), names=("PK", "SK"))]
        rest = [sort for sort in rest if sort != keys.LEDGER]
        self._table.delete_all([(keys.pool(pool.name), sort) for sort in rest])
        self._table.delete_all([(keys.POOLS, pool.name)])

    def put_template(self, pool: str, digest: str, template: Mapping[str, Any]) -> None:
        document = {"S": dumps(template)}
        self._table.put({**key_of(keys.pool(pool), keys.template(digest)), "document": document})

    def template(self, pool: str, digest: str) -> Mapping[str, Any] | None:
        """Kept in memory once it was read: its digest is its content's."""
        known = self._templates.get(digest)
        if known is None:
            item = self._table.get(keys.pool(pool), keys.template(digest))
            known = items.read_json(item, "document") if item else None
            if known is not None and len(self._templates) < _TEMPLATES:
                self._templates[digest] = known
        return known

    def put_deployment(self, name: str, document: Mapping[str, Any]) -> None:
        key = key_of(keys.DEPLOYMENTS, keys.deployment(name))
        self._table.put({**key, "document": {"S": dumps(document)}})

    def deployment(self, name: str) -> Mapping[str, Any] | None:
        item = self._table.get(keys.DEPLOYMENTS, keys.deployment(name))
        return items.read_document(item) if item else None

    def deployments(self) -> dict[str, Mapping[str, Any]]:
        found = self._table.query(keys.DEPLOYMENTS)
        return {item["SK"]["S"]: items.read_document(item) for item in found}

    def delete_deployment(self, name: str) -> None:
        self._table.delete_all([(keys.DEPLOYMENTS, keys.deployment(name))])

    def put_attachment(self, pool: str, document: Mapping[str, Any]) -> None:
        """See `Store.put_attachment`."""
        item = {**key_of(keys.ATTACHMENTS, pool), "document": {"S": dumps(document)}}
        self._table.put(item)

    def attachment(self, pool: str) -> Mapping[str, Any] | None:
        """See `Store.attachment`."""
        item = self._table.get(keys.ATTACHMENTS, pool)
        return items.read_document(item) if item else None

    def attachments(self) -> dict[str, Mapping[str, Any]]:
        """See `Store.attachments`."""
        found = self._table.query(keys.ATTACHMENTS)
        return {item["SK"]["S"]: items.read_document(item) for item in found}

    def delete_attachment(self, pool: str) -> None:
        """See `Store.delete_attachment`."""
        self._table.delete_all([(keys.ATTACHMENTS, pool)])

    # -- runs ------------------------------------------------------------------------------

    def add_run(self, run: Run) -> Run:
        item = items.new_run_item(run)
        try:
            self._table.put(item, conditions.ABSENT)
        except Lost as lost:
            # Ours, if the reply to an earlier try was lost: it has our place in line.
            return items.read_run(lost.stored)
        return run

    def add_runs(self, runs: Sequence[Run]) -> list[Run]:
        """One conditional put each: a batch write knows no conditions, and sent again after a lost
        reply it would put a run back that has started meanwhile.
        """
        if len(runs) < 2:
            return [self.add_run(run) for run in runs]
        with ThreadPoolExecutor(_PARALLEL) as threads:
            return list(threads.map(self.add_run, runs))

    def run(self, pool: str, uuid: str) -> Run | None:
        item = self._table.get(keys.runs(pool), uuid)
        return items.read_run(item) if item else None

    def runs(self, pool: str, uuids: Iterable[str]) -> dict[str, Run]:
        wanted = [key_of(keys.runs(pool), uuid) for uuid in dict.fromkeys(uuids)]
        found: dict[str, Run] = {}
        for start in range(0, len(wanted), READ_BATCH):
            for item in self._table.get_all(wanted[start : start + READ_BATCH]):
                run = items.read_run(item)
                found[run.uuid] = run
        return found

    def save_run(self, run: Run) -> None:
        item = self._ended_item(run)
        try:
            self._table.put(item, conditions.RUN_UNCHANGED, rev=run.rev - 1)
        except Lost as lost:
            if lost.stored != item:
                raise Conflict(f"run {run.id} was changed at the same time") from None

    def mend_run(self, run: Run) -> None:
        """Its revision may be what is malformed, so the item is read again
        and the condition names the attribute as it is stored, whatever its type."""
        stored = self._table.get(keys.runs(run.pool), run.uuid)
        known = items.read_run(stored) if stored else None
        if stored is None or known is None or not known.unreadable or known.rev != run.rev - 1:
            raise Conflict(f"run {run.id} was changed at the same time")
        condition, values = conditions.REV_ABSENT, {}
        if "rev" in stored:
            condition, values = conditions.REV_AS_STORED, {":rev": stored["rev"]}
        try:
            self._table.put_under(self._ended_item(run), condition, values)
        except Lost:
            raise Conflict(f"run {run.id} was changed at the same time") from None

    def list_runs(
        self,
        pool: str,
        *,
        states: frozenset[RunState] = frozenset(),
        newest_first: bool = True,
        after: str = "",
        until: str = "",
    ) -> Iterator[Run]:
        # Behind `after` come the items of its own history, which are no runs; '~' sorts after all.
        between = (f"{after}\x01", until or "~") if after or until else None
        if between and between[0] > between[1]:
            return
        for item in self._table.query(keys.runs(pool), between=between, forward=not newest_first):
            if "state" not in item or not is_uuid(item["SK"]["S"]):
                continue  # An event of a run, or an item that somebody else has put here.
            run = items.read_run(item)
            if not states or run.state in states:
                yield run

    def take_attempt(self, pool: str, uuid: str, attempt: int, by: str) -> bool:
        key = key_of(keys.logs(pool), keys.taker(uuid, attempt))
        try:
            self._table.put({**key, "by": {"S": by}, **self._log_expiring()}, conditions.ABSENT)
        except Lost as lost:
            return bool(lost.stored and lost.stored["by"]["S"] == by)
        return True

    def keep_log(self, pool: str, uuid: str, attempt: int, text: str) -> None:
        key = key_of(keys.logs(pool), keys.log(uuid, attempt))
        with suppress(Lost):
            self._table.put({**key, "text": {"S": text}, **self._log_expiring()}, conditions.ABSENT)

    def kept_log(self, pool: str, uuid: str, attempt: int) -> str | None:
        item = self._table.get(keys.logs(pool), keys.log(uuid, attempt))
        return item["text"]["S"] if item else None

    def _ended_item(self, run: Run) -> dict[str, Any]:
        """The item of a run, with the time of its removal if it has ended."""
        item = items.run_item(run)
        if self._retention_days and run.state.ended and run.ended_at is not None:
            # Counted from the end: a repeated write, which looks for its own item, writes the same.
            item |= _expiring(run.ended_at // 1000, self._retention_days)
        return item

    # -- places in line --------------------------------------------------------------------

    def enqueue(self, pool: str, entries: Sequence[Ready], now: int) -> None:
        unique = {keys.ready(e): items.ready_item(pool, e, now) for e in entries}
        self._table.write_all([{"PutRequest": {"Item": item}} for item in unique.values()])

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

    # -- the sweep -------------------------------------------------------------------------

    def begin_sweep(self, now: int, until: int) -> str | None:
        """One write that takes the lease and reads where to begin."""
        try:
            item = self._table.update(
                keys.SWEEP,
                keys.SWEEP,
                {"now": now, "until": until},
                UpdateExpression="SET leased_until = :until",
                ConditionExpression=conditions.SWEEP_FREE,
                ReturnValues="ALL_NEW",
            )
        except Lost:
            return None
        return item["begins_with_pool"]["S"] if "begins_with_pool" in item else ""

    def end_sweep(self, first: str) -> None:
        change = "SET begins_with_pool = :first"
        self._table.update(keys.SWEEP, keys.SWEEP, {"first": first}, UpdateExpression=change)

    # -- the audit -------------------------------------------------------------------------

    def audited(self, pool: str) -> str:
        item = self._table.get(keys.pool(pool), keys.AUDIT)
        return item["audited"]["S"] if item else ""

    def save_audited(self, pool: str, uuid: str) -> None:
        self._table.put({**key_of(keys.pool(pool), keys.AUDIT), "audited": {"S": uuid}})

    # -- circuits ----------------------------------------------------------------------------

    def circuit(self, pool: str, type: str) -> Circuit:
        return items.read_circuit(self._table.get(keys.pool(pool), keys.circuit(type)))

    def save_circuit(
        self, pool: str, type: str, circuit: Circuit, *, instead_of: Circuit | None = None
    ) -> bool:
        item = {**key_of(keys.pool(pool), keys.circuit(type)), **items.circuit_item(circuit)}
        if instead_of is None:
            self._table.put(item)
            return True
        try:
            self._table.put(item, conditions.CIRCUIT_UNCHANGED, next_at=instead_of.next_at)
        except Lost as lost:
            return lost.stored == item
        return True

    # -- the ledger ------------------------------------------------------------------------

    def ledger(self, pool: str) -> Ledger:
        return items.read_ledger(pool, self._table.get(keys.pool(pool), keys.LEDGER))

    def commit(self, ledger: Ledger) -> None:
        item = items.ledger_item(ledger)
        try:
            self._table.put(item, conditions.LEDGER_UNCHANGED, version=ledger.version - 1)
        except Lost as lost:
            if lost.stored != item:
                raise Conflict(f"the ledger of {ledger.pool!r} was changed meanwhile") from None

    def _touch_ledger(self, pool: str) -> None:
        change = "ADD version :one"
        self._table.update(keys.pool(pool), keys.LEDGER, {"one": 1}, UpdateExpression=change)

    def _log_expiring(self) -> dict[str, Any]:
        return _expiring(self._clock() // 1000, LOG_DAYS)


def _expiring(since: int, days: int) -> dict[str, Any]:
    return {"expires_at": {"N": str(since + days * 86_400)}}
