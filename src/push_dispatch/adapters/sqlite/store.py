"""How are the store's promises kept in a SQLite file? One transaction for each write.

The items are those of the DynamoDB table, key by key, so that the same readers and writers serve
both. What DynamoDB's stream would deliver goes into the feed in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from push_dispatch.adapters.dynamodb import items, keys
from push_dispatch.adapters.dynamodb.overviews import BETWEEN, LIMIT, overview_of
from push_dispatch.adapters.sqlite.configuration import Configuration
from push_dispatch.adapters.sqlite.database import LAST, Database, Item, Transaction, key_of, number
from push_dispatch.adapters.sqlite.line import Line
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import Conflict
from push_dispatch.core.events import Claim
from push_dispatch.core.lifecycle import advance
from push_dispatch.core.model import Ledger, Run, RunState, is_uuid
from push_dispatch.core.polling import Turn
from push_dispatch.ports.store import LOG_DAYS, Overview

__all__ = ["SqliteStore"]

_DAY = 86_400


class SqliteStore(Configuration, Line):
    """The store in one database. Safe to share between threads."""

    def __init__(
        self, database: Database, clock: Callable[[], int], *, retention_days: int = 0
    ) -> None:
        """`clock` returns epoch milliseconds. Runs that have ended expire `retention_days` later;
        0 keeps them."""
        super().__init__(database, clock)
        self._retention_days = retention_days

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
            if stored is None or number(stored, "rev") != run.rev - 1:
                raise Conflict(f"run {run.id} was changed at the same time")
            tx.put(item)
            tx.feed(stored, item)

    def claim_run(self, pool: str, uuid: str, claim: Claim, now: int) -> Run | None:
        with self._db.transaction() as tx:
            stored = tx.get(keys.runs(pool), uuid)
            run = items.read_run(stored) if stored else None
            if run is None or run.unreadable or run.attempts or not run.waits_for(claim.attempt):
                return run
            claimed = advance(run, claim, now)
            item = items.run_item(claimed)
            tx.put(item)
            tx.feed(stored, item)
            return claimed

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
        low, high = f"{after}\1" if after else "", f"{until}\1" if until else LAST
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

    # -- the sweep -------------------------------------------------------------------------

    def begin_sweep(self, now: int, until: int) -> str | None:
        with self._db.transaction() as tx:
            item = tx.get(keys.SWEEP, keys.SWEEP) or key_of(keys.SWEEP, keys.SWEEP)
            if now < number(item, "leased_until"):
                return None
            tx.put({**item, "leased_until": {"N": str(until)}})
            return str(item["begins_with_pool"]["S"]) if "begins_with_pool" in item else ""

    def end_sweep(self, first: str) -> None:
        with self._db.transaction() as tx:
            item = tx.get(keys.SWEEP, keys.SWEEP) or key_of(keys.SWEEP, keys.SWEEP)
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
        key = key_of(keys.pool(pool), keys.circuit(type))
        with self._db.transaction() as tx:
            stored = items.read_circuit(tx.get(key["PK"]["S"], key["SK"]["S"]))
            if instead_of is not None and stored.next_at != instead_of.next_at:
                return stored == circuit
            tx.put({**key, **items.circuit_item(circuit)})
            return True

    # -- polls ------------------------------------------------------------------------------

    def poll_turn(self, pool: str, platform: str) -> Turn:
        return items.read_turn(self._db.get(keys.pool(pool), keys.turn(platform)))

    def save_poll_turn(self, pool: str, platform: str, turn: Turn, *, instead_of: Turn) -> bool:
        key = key_of(keys.pool(pool), keys.turn(platform))
        with self._db.transaction() as tx:
            stored = items.read_turn(tx.get(key["PK"]["S"], key["SK"]["S"]))
            if stored.at != instead_of.at:
                return stored == turn
            tx.put({**key, **items.turn_item(turn)})
            return True

    # -- the ledger ------------------------------------------------------------------------

    def ledger(self, pool: str) -> Ledger:
        return items.read_ledger(pool, self._db.get(keys.pool(pool), keys.LEDGER))

    def overview(self, pool: str) -> Overview:
        """See `Store.overview`."""
        found = list(self._db.between(keys.pool(pool), *BETWEEN, limit=LIMIT))
        seen, reached = overview_of(
            pool,
            found,
            partial(items.read_ledger, pool),
            lambda line: [items.read_ready(i) for i in line],
            whole=len(found) < LIMIT,
        )
        if reached:
            return seen
        return replace(seen, ledger=self.ledger(pool), pool=seen.pool or self.pool(pool))

    def commit(self, ledger: Ledger) -> None:
        item = items.ledger_item(ledger)
        with self._db.transaction() as tx:
            stored = tx.get(keys.pool(ledger.pool), keys.LEDGER)
            if stored == item:
                return
            if number(stored or {}, "version") != ledger.version - 1:
                raise Conflict(f"the ledger of {ledger.pool!r} was changed meanwhile")
            tx.put(item)

    # -- details ---------------------------------------------------------------------------

    def expire(self) -> int:
        """Delete what its time to live has ended, as the table does; return how many items."""
        with self._db.transaction() as tx:
            now = self._clock() // 1000
            return tx.execute("DELETE FROM items WHERE expires_at <= ?", now).rowcount

    def _keep(self, pk: str, sk: str, **attributes: Any) -> Item:
        """Write an item that expires, if there is none; return the one that is there then."""
        expires = self._clock() // 1000 + LOG_DAYS * _DAY
        item = {**key_of(pk, sk), **attributes, "expires_at": {"N": str(expires)}}
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
