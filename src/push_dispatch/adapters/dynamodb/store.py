"""How are the store's promises kept in DynamoDB? With one table and conditional writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from push_dispatch.adapters.dynamodb import conditions, items, keys
from push_dispatch.adapters.dynamodb.configuration import Configuration
from push_dispatch.adapters.dynamodb.ledgers import PLAIN_BYTES, Ledgers
from push_dispatch.adapters.dynamodb.line import Line
from push_dispatch.adapters.dynamodb.marks import Marks
from push_dispatch.adapters.dynamodb.overviews import BEFORE_LANES, BETWEEN, LIMIT, overview_of
from push_dispatch.adapters.dynamodb.table import READ_BATCH, Lost, Table, key_of
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import Conflict
from push_dispatch.core.events import Claim
from push_dispatch.core.lifecycle import attempt_of
from push_dispatch.core.model import Ledger, Run, RunState, first_id_at, is_uuid
from push_dispatch.core.polling import Turn
from push_dispatch.ports.store import LOG_DAYS, Overview

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["DynamoStore"]

_PARALLEL = 8
#: For how long a pool is read as one whose lanes lie before its ledger. Whether they still do costs
#: one read to find out.
_LANED_MS = 300_000


class DynamoStore(Configuration, Line):
    """The store in one DynamoDB table. Safe to share between threads."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        *,
        retention_days: int = 0,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], None] = time.sleep,
        plain_bytes: int = PLAIN_BYTES,
    ) -> None:
        """Runs that have ended are deleted by the table `retention_days` later; 0 keeps them.
        `clock` gives epoch milliseconds; `plain_bytes` is that of `Ledgers`."""
        made = Table(client, table, sleep)
        super().__init__(made, Ledgers(made, plain_bytes), Marks(made, clock))
        self._retention_days = retention_days
        self._clock = clock
        self._laned_until: dict[str, int] = {}

    # -- runs ------------------------------------------------------------------------------

    def add_run(self, run: Run) -> Run:
        item = items.new_run_item(run)
        self._marks.mark(run.pool)
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
        for pool in {run.pool for run in runs}:
            self._marks.mark(pool)  # Once, and not in each thread.
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

    def claim_run(self, pool: str, uuid: str, claim: Claim, now: int) -> Run | None:
        """See `Store.claim_run`. A refusal brings the run as well, which costs no read: also that
        of a second try, where only the reply to the first one was lost."""
        try:
            item = self._table.update(
                keys.runs(pool),
                uuid,
                {
                    "scheduled": RunState.SCHEDULED.value,
                    "pending": RunState.PENDING.value,
                    "zero": 0,
                    "number": "N",
                    "one": 1,
                    "attempt": claim.attempt,
                    "attempts": items.attempts_text([attempt_of(claim, now)]),
                },
                UpdateExpression="SET #state = :pending, attempt = :attempt, attempts = :attempts, "
                "rev = rev + :one REMOVE reason, message",
                ConditionExpression=conditions.RUN_WAITS_FIRST,
                ExpressionAttributeNames={"#state": "state"},
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except Lost as lost:
            return items.read_run(lost.stored) if lost.stored else None
        return items.read_run(item)

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

    def settle(self, pool: str, *, held: bool) -> None:
        self._marks.settle(pool, lambda: not held and self._is_idle(pool))

    def _is_idle(self, pool: str) -> bool:
        """Whether nobody is in line or a lane, and every run was audited. Ids that do not begin
        with the time are behind those of now: whoever submits such runs enqueues them."""
        until = first_id_at(self._clock() + 1000)
        for low in ("READY", "LANE"):
            if any(self._table.query(keys.pool(pool), between=(f"{low}#", f"{low}$"), limit=1)):
                return False
        new = self.list_runs(pool, newest_first=False, after=self.audited(pool), until=until)
        return next(new, None) is None

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

    # -- polls -----------------------------------------------------------------------------

    def poll_turn(self, pool: str, platform: str) -> Turn:
        return items.read_turn(self._table.get(keys.pool(pool), keys.turn(platform)))

    def save_poll_turn(self, pool: str, platform: str, turn: Turn, *, instead_of: Turn) -> bool:
        item = {**key_of(keys.pool(pool), keys.turn(platform)), **items.turn_item(turn)}
        try:
            self._table.put(item, conditions.TURN_UNCHANGED, next_at=instead_of.at)
        except Lost as lost:
            return lost.stored == item
        return True

    # -- the ledger ------------------------------------------------------------------------

    def ledger(self, pool: str) -> Ledger:
        return self._ledgers.read(pool)

    def overview(self, pool: str) -> Overview:
        """See `Store.overview`. One query, and one read of the ledger behind many lanes."""
        laned = self._clock() < self._laned_until.get(pool, 0)
        between = BEFORE_LANES if laned else BETWEEN
        found = list(self._table.query(keys.pool(pool), between=between, limit=LIMIT))
        self._marks.seen(pool, next((i for i in found if i["SK"]["S"] == keys.MARK), None))
        whole = not laned and len(found) < LIMIT
        ledger_of = partial(self._ledgers.whole, pool)
        seen, reached = overview_of(pool, found, ledger_of, self._places, whole=whole)
        if reached:
            return seen
        if not laned:
            self._laned_until[pool] = self._clock() + _LANED_MS
        return replace(seen, ledger=self.ledger(pool), pool=seen.pool or self.pool(pool))

    def commit(self, ledger: Ledger) -> None:
        if ledger.holders:
            self._marks.mark(ledger.pool)
        self._ledgers.commit(ledger)

    def _log_expiring(self) -> dict[str, Any]:
        return _expiring(self._clock() // 1000, LOG_DAYS)


def _expiring(since: int, days: int) -> dict[str, Any]:
    return {"expires_at": {"N": str(since + days * 86_400)}}
