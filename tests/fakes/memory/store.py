"""How are the store's promises kept in a dictionary? For tests and simulations."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from push_dispatch.adapters.dynamodb import items, keys
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import Conflict, Refused
from push_dispatch.core.events import Claim
from push_dispatch.core.lanes import in_any_lane
from push_dispatch.core.lifecycle import advance
from push_dispatch.core.model import Ledger, Pool, Ready, Run, RunState
from push_dispatch.core.polling import Turn
from push_dispatch.core.reasons import Reason
from push_dispatch.ports.store import Change, Heads, Overview

__all__ = ["MemoryStore"]

#: Places in line of an overview.
HEADS = 16


@dataclass
class MemoryStore:
    """Keeps everything in memory, and every change in `changes` as the stream would."""

    changes: list[Change] = field(default_factory=list)
    _pools: dict[str, Pool] = field(default_factory=dict)
    _templates: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    _deployments: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _attachments: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    _line: dict[str, dict[str, Ready]] = field(default_factory=dict)
    _order: dict[str, list[str]] = field(default_factory=dict)
    _ticks: dict[tuple[str, str], int] = field(default_factory=dict)
    _ledgers: dict[str, Ledger] = field(default_factory=dict)
    _takers: dict[tuple[str, str, int], str] = field(default_factory=dict)
    _logs: dict[tuple[str, str, int], str] = field(default_factory=dict)
    _circuits: dict[tuple[str, str], Circuit] = field(default_factory=dict)
    _turns: dict[tuple[str, str], Turn] = field(default_factory=dict)
    _newest: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    _audited: dict[str, str] = field(default_factory=dict)
    _swept_until: int = 0
    _sweeps_first: str = ""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # -- configuration ---------------------------------------------------------------------

    def create_pool(self, pool: Pool) -> None:
        """See `Store.create_pool`."""
        with self._lock:
            if pool.name in self._pools:
                raise Refused(f"pool {pool.name!r} exists", reason=Reason.POOL_EXISTS)
            self._pools[pool.name] = replace(pool, version=self.ledger(pool.name).version + 1)
            self.changes.append(Change(pool.name))

    def pool(self, name: str) -> Pool | None:
        """See `Store.pool`."""
        return self._pools.get(name)

    def unsettled_pools(self) -> list[str]:
        """See `Store.unsettled_pools`."""
        return self.pool_names()

    def settle(self, pool: str, *, held: bool) -> None:
        """See `Store.settle`."""

    def pool_names(self) -> list[str]:
        """See `Store.pool_names`."""
        return sorted(self._pools)

    def save_pool(self, pool: Pool) -> Pool:
        """See `Store.save_pool`."""
        with self._lock:
            stored = self._pools.get(pool.name)
            if stored is None or stored.version != pool.version:
                raise Conflict(f"pool {pool.name!r} was changed at the same time")
            saved = replace(pool, version=pool.version + 1)
            self._pools[pool.name] = saved
            ledger = self.ledger(pool.name)
            self._ledgers[pool.name] = ledger.after_change(saved.version)
            self.changes.append(Change(pool.name))
            return saved

    def delete_pool(self, pool: Pool) -> None:
        """See `Store.delete_pool`."""
        with self._lock:
            stored = self._pools.pop(pool.name, pool)
            if stored.version != pool.version:
                self._pools[pool.name] = stored
                raise Conflict(f"pool {pool.name!r} was changed at the same time")
            self._ledgers[pool.name] = self.ledger(pool.name).of_deleted_pool()
            for kept in (self._line, self._order, self._audited):
                kept.pop(pool.name, None)
            for several in (
                self._templates,
                self._ticks,
                self._circuits,
                self._turns,
                self._newest,
            ):
                _forget(several, pool.name)

    def put_template(self, pool: str, digest: str, template: Mapping[str, Any]) -> None:
        """See `Store.put_template`."""
        self._templates[pool, digest] = template

    def template(self, pool: str, digest: str) -> Mapping[str, Any] | None:
        """See `Store.template`."""
        return self._templates.get((pool, digest))

    def put_deployment(self, name: str, document: Mapping[str, Any]) -> None:
        """See `Store.put_deployment`."""
        self._deployments[name] = document

    def deployment(self, name: str) -> Mapping[str, Any] | None:
        """See `Store.deployment`."""
        return self._deployments.get(name)

    def deployments(self) -> dict[str, Mapping[str, Any]]:
        """See `Store.deployments`."""
        return dict(sorted(self._deployments.items()))

    def delete_deployment(self, name: str) -> None:
        """See `Store.delete_deployment`."""
        self._deployments.pop(name, None)

    def put_attachment(self, pool: str, document: Mapping[str, Any]) -> None:
        """See `Store.put_attachment`."""
        self._attachments[pool] = document

    def attachment(self, pool: str) -> Mapping[str, Any] | None:
        """See `Store.attachment`."""
        return self._attachments.get(pool)

    def attachments(self) -> dict[str, Mapping[str, Any]]:
        """See `Store.attachments`."""
        return dict(sorted(self._attachments.items()))

    def delete_attachment(self, pool: str) -> None:
        """See `Store.delete_attachment`."""
        self._attachments.pop(pool, None)

    # -- runs ------------------------------------------------------------------------------

    def add_run(self, run: Run) -> Run:
        """See `Store.add_run`."""
        items.new_run_item(run)  # Refuses what the table would refuse.
        with self._lock:
            stored = self._runs.setdefault((run.pool, run.uuid), run)
            if stored is run:
                self.changes.append(Change(run.pool, None, run))
            return stored

    def add_runs(self, runs: Sequence[Run]) -> list[Run]:
        """See `Store.add_runs`."""
        return [self.add_run(run) for run in runs]

    def run(self, pool: str, uuid: str) -> Run | None:
        """See `Store.run`."""
        return self._runs.get((pool, uuid))

    def runs(self, pool: str, uuids: Iterable[str]) -> dict[str, Run]:
        """See `Store.runs`."""
        found = ((uuid, self._runs.get((pool, uuid))) for uuid in uuids)
        return {uuid: run for uuid, run in found if run is not None}

    def save_run(self, run: Run) -> None:
        """See `Store.save_run`."""
        with self._lock:
            stored = self._runs.get((run.pool, run.uuid))
            if stored == run:
                return
            if stored is None or stored.rev != run.rev - 1:
                raise Conflict(f"run {run.id} was changed at the same time")
            self._runs[run.pool, run.uuid] = run
            self.changes.append(Change(run.pool, stored, run))

    def mend_run(self, run: Run) -> None:
        """See `Store.mend_run`. Here a run is unreadable if a test has said so."""
        with self._lock:
            stored = self._runs.get((run.pool, run.uuid))
            if stored is None or not stored.unreadable or stored.rev != run.rev - 1:
                raise Conflict(f"run {run.id} was changed at the same time")
            self._runs[run.pool, run.uuid] = run
            self.changes.append(Change(run.pool, stored, run))

    def claim_run(self, pool: str, uuid: str, claim: Claim, now: int) -> Run | None:
        """See `Store.claim_run`."""
        with self._lock:
            run = self._runs.get((pool, uuid))
            if run is None or run.unreadable or run.attempts or not run.waits_for(claim.attempt):
                return run
            claimed = advance(run, claim, now)
            self._runs[pool, uuid] = claimed
            self.changes.append(Change(pool, run, claimed))
            return claimed

    def list_runs(
        self,
        pool: str,
        *,
        states: frozenset[RunState] = frozenset(),
        newest_first: bool = True,
        after: str = "",
        until: str = "",
    ) -> Iterator[Run]:
        """See `Store.list_runs`."""
        found = sorted((u for p, u in self._runs if p == pool), reverse=newest_first)
        for uuid in found:
            if uuid <= after or (until and uuid > until):
                continue
            run = self._runs[pool, uuid]
            if not states or run.state in states:
                yield run

    def take_attempt(self, pool: str, uuid: str, attempt: int, by: str) -> bool:
        """See `Store.take_attempt`."""
        with self._lock:
            return self._takers.setdefault((pool, uuid, attempt), by) == by

    def keep_log(self, pool: str, uuid: str, attempt: int, text: str) -> None:
        """See `Store.keep_log`."""
        self._logs.setdefault((pool, uuid, attempt), text)

    def kept_log(self, pool: str, uuid: str, attempt: int) -> str | None:
        """See `Store.kept_log`."""
        return self._logs.get((pool, uuid, attempt))

    # -- places in line --------------------------------------------------------------------

    def enqueue(self, pool: str, entries: Sequence[Ready], now: int) -> None:
        """See `Store.enqueue`."""
        with self._lock:
            line, order = self._line.setdefault(pool, {}), self._order.setdefault(pool, [])
            for entry in (each.standing(now) for each in entries):
                key = keys.ready(entry)
                if key not in line:
                    insort(order, key)
                line[key] = entry
                at = entry.next_tick(now)
                if at is None:
                    self._ticks.pop((pool, key), None)
                else:
                    self._ticks[pool, key] = at

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
        with self._lock:
            line, order = self._line.get(pool, {}), self._order.get(pool, [])
            low, high = keys.between(queue, after, due, lane)
            first = bisect_left(order, low)
            last = bisect_left(order, high, first)
            return [line[key] for key in order[first : min(last, first + limit)]]

    def lanes(self, pool: str, queue: str, after: str, limit: int) -> list[Ready]:
        with self._lock:
            line, order = self._line.get(pool, {}), self._order.get(pool, [])
            heads: list[Ready] = []
            while len(heads) < limit:
                low = f"{keys.lane_prefix(queue, after)}~" if after else keys.lane_prefix(queue)
                at = bisect_left(order, low)
                if at == len(order) or not order[at].startswith(keys.lane_prefix(queue)):
                    break
                heads.append(line[order[at]])
                after = heads[-1].lane
            return heads

    def dequeue(self, pool: str, entries: Sequence[Ready]) -> None:
        """See `Store.dequeue`."""
        with self._lock:
            line, order = self._line.get(pool, {}), self._order.get(pool, [])
            for key in (key for entry in entries for key in keys.places(entry)):
                if line.pop(key, None) is not None:
                    del order[bisect_left(order, key)]
                self._ticks.pop((pool, key), None)

    def in_line(self, pool: str, entries: Sequence[Ready], *, lanes: bool = True) -> set[Ready]:
        """See `Store.in_line`."""
        with self._lock:
            line = self._line.get(pool, {})
            return {
                entry
                for entry in entries
                if any(
                    line.get(keys.ready(place)) == entry
                    for place in in_any_lane(entry, lanes=lanes)
                )
            }

    def supersede(self, pool: str, group: str, order: str, run: str) -> str:
        with self._lock:
            known, before = self._newest.get((pool, group), ("", ""))
            if order < known:
                return run
            self._newest[pool, group] = (order, run)
            return before if before != run else ""

    def lead(self, pool: str, group: str, order: str, run: str, after: str) -> str:
        with self._lock:
            known, _ = self._newest.get((pool, group), ("", ""))
            if known < after:
                self._newest[pool, group] = (order, run)
                return order
            return known

    def newest(self, pool: str, group: str) -> str:
        return self._newest.get((pool, group), ("", ""))[0]

    def ticks(self, pool: str, until: int, limit: int) -> list[Ready]:
        """See `Store.ticks`."""
        with self._lock:
            due = sorted((at, key) for (p, key), at in self._ticks.items() if p == pool)
            return [self._line[pool][key] for at, key in due if at <= until][:limit]

    def ticked(self, pool: str, ready: Ready, at: int | None) -> None:
        """See `Store.ticked`."""
        with self._lock:
            key = (pool, keys.ready(ready))
            if key in self._ticks:
                if at is None:
                    del self._ticks[key]
                else:
                    self._ticks[key] = at

    # -- the sweep -------------------------------------------------------------------------

    def begin_sweep(self, now: int, until: int) -> str | None:
        """See `Store.begin_sweep`."""
        with self._lock:
            if now < self._swept_until:
                return None
            self._swept_until = until
            return self._sweeps_first

    def end_sweep(self, first: str) -> None:
        """See `Store.end_sweep`."""
        self._sweeps_first = first

    def audited(self, pool: str) -> str:
        """See `Store.audited`."""
        return self._audited.get(pool, "")

    def save_audited(self, pool: str, uuid: str) -> None:
        """See `Store.save_audited`."""
        self._audited[pool] = uuid

    # -- polls -------------------------------------------------------------------------------

    def poll_turn(self, pool: str, platform: str) -> Turn:
        """See `Store.poll_turn`."""
        return self._turns.get((pool, platform), Turn())

    def save_poll_turn(self, pool: str, platform: str, turn: Turn, *, instead_of: Turn) -> bool:
        """See `Store.save_poll_turn`."""
        with self._lock:
            stored = self.poll_turn(pool, platform)
            if stored.at != instead_of.at:
                return stored == turn
            self._turns[pool, platform] = turn
            return True

    # -- circuits ----------------------------------------------------------------------------

    def circuit(self, pool: str, type: str) -> Circuit:
        """See `Store.circuit`."""
        return self._circuits.get((pool, type), Circuit())

    def save_circuit(
        self, pool: str, type: str, circuit: Circuit, *, instead_of: Circuit | None = None
    ) -> bool:
        """See `Store.save_circuit`."""
        with self._lock:
            stored = self.circuit(pool, type)
            if instead_of is not None and stored.next_at != instead_of.next_at:
                return stored == circuit
            self._circuits[pool, type] = circuit
            return True

    # -- the ledger ------------------------------------------------------------------------

    def ledger(self, pool: str) -> Ledger:
        """See `Store.ledger`."""
        return self._ledgers.get(pool) or Ledger(pool)

    def overview(self, pool: str) -> Overview:
        """See `Store.overview`."""
        with self._lock:
            found = self.pool(pool)
            circuits = {of: c for (name, of), c in self._circuits.items() if name == pool}
            heads: dict[str, Heads] = {}
            left = HEADS
            for queue in sorted(q.name for q in found.queues) if found else ():
                places = self.line(pool, queue, left)
                left -= len(places)
                heads[queue] = Heads(places, more=not left)
                if not left:
                    break
            return Overview(found, self.ledger(pool), circuits, heads)

    def commit(self, ledger: Ledger) -> None:
        """See `Store.commit`."""
        with self._lock:
            stored = self.ledger(ledger.pool)
            if stored == ledger:
                return
            if stored.version != ledger.version - 1:
                raise Conflict(f"the ledger of {ledger.pool!r} was changed at the same time")
            self._ledgers[ledger.pool] = ledger


def _forget(kept: dict[tuple[str, str], Any], pool: str) -> None:
    for key in [key for key in kept if key[0] == pool]:
        del kept[key]
