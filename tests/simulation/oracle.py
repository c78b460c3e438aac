"""What must be true at every step? Looks at each change as it happens.

The oracle knows nothing of how the engine decides. It compares what was written with the
configuration, the line, the runs and the platform as they are at that moment, and says in words
what is broken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from push_dispatch.core.circuit import Circuit
from push_dispatch.core.model import Holder, Ledger, Pool, Ready, Run, RunState
from push_dispatch.ports.store import Change, Overview
from tests.fakes.memory.store import MemoryStore
from tests.simulation.cloud import Cloud, Container
from tests.simulation.plan import POOL
from tests.simulation.timeline import Task

__all__ = ["Oracle", "waiting_places"]

_IN_FLIGHT = frozenset({RunState.PENDING, RunState.RUNNING, RunState.CANCELLING})
#: A refused run lets others try for so long at most.
_ASIDE_MS = 17 * 60_000


@dataclass(frozen=True)
class _Seen:
    """What was there when a pass read the ledger."""

    at: int
    line: frozenset[Ready]
    circuit: Circuit


class Oracle:
    """Safety of one pool. `clock` is that of the functions."""

    def __init__(
        self, store: MemoryStore, cloud: Cloud, clock: Callable[[], int], skew: int
    ) -> None:
        self._store, self._cloud, self._clock, self._skew = store, cloud, clock, skew
        self._ledger = store.ledger(POOL)
        self.broken: list[str] = []
        #: Takes what has changed.
        self.changed: Callable[[Sequence[Change]], None] = lambda _changes: None
        self.note: Callable[[str], None] = lambda _text: None
        #: Whether clocks have jumped: then windows of time mean nothing.
        self.clock_jumped = False
        self._starts: list[int] = []
        self._bucket_full_at = 0
        self.admitted = 0
        self.last_admission = 0
        self._keys: dict[str, str] = {}
        cloud.started = self._started

    # -- each call ---------------------------------------------------------------------------------

    def after(
        self, task: Task | None, port: str, verb: str, arguments: tuple[Any, ...], result: Any
    ) -> None:
        if port != "table":
            return
        if task is not None and _has_ledger(result):
            task.memory["seen"] = self._look()
        if changes := self._store.changes:
            reported = changes[:]
            changes.clear()
            for change in reported:
                if change.after is not None:
                    self._check_run(change.before, change.after)
            self.changed(reported)
        ledger = self._store.ledger(POOL)
        if ledger is not self._ledger:
            before, self._ledger = self._ledger, ledger
            self._check_ledger(before, ledger, task.memory.pop("seen", None) if task else None)

    def _look(self) -> _Seen:
        line = frozenset(waiting_places(self._store, waiting_only=False))
        return _Seen(self._clock(), line, self._circuit())

    def _circuit(self) -> Circuit:
        pool = self._store.pool(POOL)
        return self._store.circuit(POOL, pool.type) if pool else Circuit()

    def break_(self, what: str) -> None:
        """Note what does not hold."""
        self.note(f"BROKEN: {what}")
        self.broken.append(what)

    # -- runs --------------------------------------------------------------------------------------

    def _check_run(self, before: Run | None, after: Run) -> None:
        was, name = before.state if before else "new", after.name or after.uuid
        self.note(f"  {name} {was} -> {after.state} attempt {after.attempt} {after.reason or ''}")
        if before is None:
            self._check_key(after)
            return
        if before.state.ended and before != after:
            self.break_(f"{after.id} was {before.state} and became {after.state}")
        if after.attempt not in (before.attempt, before.attempt + 1):
            self.break_(f"{after.id} went from attempt {before.attempt} to {after.attempt}")
        if after.state in _IN_FLIGHT and not self._holds(after.uuid, after.attempt):
            self.break_(f"{after.id} is {after.state} and holds no slot")
        if after.state in (RunState.COMPLETED, RunState.FAILED):
            self._check_end(after)

    def _check_key(self, run: Run) -> None:
        if run.idempotency_key:
            first = self._keys.setdefault(run.idempotency_key, run.uuid)
            if first != run.uuid:
                self.break_(f"the key {run.idempotency_key} has several runs")

    def _check_end(self, run: Run) -> None:
        """What the run says is what its container did."""
        attempt = run.current
        found = self._cloud.containers.get(attempt.handle or "") if attempt else None
        if found is None or found.ended is None:
            self.break_(f"{run.id} is {run.state}, and its container has not ended")
        elif (found.exit_code == 0) is not (run.state is RunState.COMPLETED):
            self.break_(f"{run.id} is {run.state}, and exited with {found.exit_code}")

    def _holds(self, uuid: str, attempt: int) -> bool:
        ledger = self._store.ledger(POOL)
        return any(h.run == uuid and h.attempt == attempt for h in ledger.holders)

    # -- containers --------------------------------------------------------------------------------

    def _started(self, container: Container) -> None:
        job = container.job
        self.note(f"  the platform starts {job.name}")
        if self._cloud.starts[job.name] > 1:
            self.break_(f"{job.name} was started twice")
        uuid = job.run_id.rpartition(".")[2]
        others = [
            c for c in self._cloud.live() if c.job.run_id == job.run_id and c is not container
        ]
        if others:
            self.break_(f"two attempts of {job.run_id} are alive at once")
        if not self._holds(uuid, job.attempt):
            self.break_(f"{job.name} was started without a slot")
        run = self._store.run(POOL, uuid)
        if run is not None and run.state.ended:
            self.break_(f"{job.name} was started after its run was {run.state}")

    # -- the ledger --------------------------------------------------------------------------------

    def _check_ledger(self, before: Ledger, after: Ledger, seen: _Seen | None) -> None:
        pool = self._store.pool(POOL)
        if pool is None:
            return
        held = {holder.slot for holder in before.holders}
        kept = {holder.slot for holder in after.holders}
        if len(kept) != len(after.holders):
            self.break_("a slot is held twice")
        admitted = [holder for holder in after.holders if holder.slot not in held]
        self._check_releases(before, kept)
        if admitted:
            self.admitted += len(admitted)
            self.last_admission = self._clock()
            self.note(f"  {len(admitted)} admitted, {len(after.holders)} held")
            if after.configuration != pool.version:
                self.break_("admitted under a configuration that had been replaced")
            self._check_limits(pool, after, admitted)
            self._check_times(admitted)
            self._check_rates(pool, admitted)
            if seen is not None:
                self._check_order(pool, after, admitted, seen)

    def _check_releases(self, before: Ledger, kept: set[Any]) -> None:
        for holder in before.holders:
            if holder.slot in kept:
                continue
            run = self._store.run(POOL, holder.run)
            if run is not None and not run.has_ended(holder.attempt):
                self.break_(f"{run.id} lost its slot while it was {run.state}")
            name = f"pd-{holder.run.replace('-', '')}-{holder.attempt}"
            found = self._cloud.containers.get(name)
            if found is not None and found.live and not self._is_given_up(run):
                self.break_(f"{name} is alive and lost its slot")

    @staticmethod
    def _is_given_up(run: Run | None) -> bool:
        """After an hour in doubt a run ends, and what may live of it is said to be unknown."""
        return run is not None and run.reason == "push_uncertain"

    def _check_limits(self, pool: Pool, after: Ledger, admitted: Sequence[Holder]) -> None:
        if pool.paused:
            self.break_("a paused pool admitted a run")
        if pool.limit is not None and len(after.holders) > pool.limit:
            self.break_(f"{len(after.holders)} slots held of {pool.limit}")
        queues = Counter(holder.queue for holder in after.holders)
        keys = Counter(h.concurrency_key for h in after.holders if h.concurrency_key)
        deployments = Counter(h.deployment for h in after.holders if h.deployment)
        for holder in admitted:
            queue = pool.queue(holder.queue)
            if queue is None or queue.paused:
                self.break_(f"queue {holder.queue} is paused or gone, and admitted")
            elif _over(queue.limit, queues[queue.name]):
                self.break_(f"queue {queue.name}: {queues[queue.name]} held of {queue.limit}")
            if holder.concurrency_key and _over(pool.key_limit, keys[holder.concurrency_key]):
                self.break_(f"more than {pool.key_limit} slots of one key")
            limit = pool.deployment_limits.get(holder.deployment)
            if holder.deployment and _over(limit, deployments[holder.deployment]):
                self.break_(f"more than {limit} slots of one deployment")

    def _check_times(self, admitted: Sequence[Holder]) -> None:
        if self.clock_jumped:
            return
        now = self._clock()
        for holder in admitted:
            run = self._store.run(POOL, holder.run)
            if run is None or run.state is not RunState.SCHEDULED:
                continue
            if run.due > now + self._skew:
                self.break_(f"{run.id} was admitted before it was due")
            if run.expires is not None and run.expires <= holder.since - 2 * self._skew - 200:
                self.break_(f"{run.id} was admitted after it had expired")

    def _check_rates(self, pool: Pool, admitted: Sequence[Holder]) -> None:
        """No window of time has more starts than it may, and no bucket gives more than it has."""
        if self.clock_jumped or self._skew:
            return
        times = [holder.since for holder in admitted]
        if (rate := pool.rate) is not None:
            self._windows(rate.starts, max(times) - rate.period_seconds * 1000, times)
        if (rate := pool.platform_rate) is not None:
            step = rate.period_seconds * 1000 // rate.starts
            full_at = max(self._bucket_full_at, min(times)) + len(times) * step
            self._bucket_full_at = full_at
            if full_at - max(times) > (rate.starts + 1) * step:
                self.break_(f"more starts than a platform's rate of {rate} has")

    def _windows(self, starts: int, after: int, new: Sequence[int]) -> None:
        self._starts = [at for at in self._starts if at > after] + list(new)
        count = len(self._starts)
        if count > starts:
            self.break_(f"{count} starts in a window that may have {starts}")

    # -- the order ---------------------------------------------------------------------------------

    def _check_order(
        self, pool: Pool, after: Ledger, admitted: Sequence[Holder], seen: _Seen
    ) -> None:
        """Nobody is passed by who could have started instead."""
        if seen.circuit.refusals or self._circuit().refusals or self.clock_jumped:
            return  # Those who try a platform that refuses take turns.
        line = {r.slot: _place(pool, r) for r in waiting_places(self._store) if pool.queue(r.queue)}
        known = [line[holder.slot] for holder in admitted if holder.slot in line]
        if not known:
            return
        last = max(known)
        for ready in seen.line:
            place = line.get(ready.slot)
            if place and place < last and self._might_start(pool, after, ready, seen.at):
                self.break_(f"{ready.run} was passed by")

    def _might_start(self, pool: Pool, after: Ledger, ready: Ready, then: int) -> bool:
        """Whether it could have been admitted beside the others but for the slots of the pool."""
        queue = pool.queue(ready.queue)
        if queue is None or queue.paused or any(h.slot == ready.slot for h in after.holders):
            return False
        soon = then + 40_000 + self._skew
        if ready.due > then - self._skew or (ready.expires is not None and ready.expires <= soon):
            return False
        if then < ready.refused_at + _ASIDE_MS:
            return False  # The platform refused it: others may try in between.
        key, deployment = ready.concurrency_key, ready.deployment
        limit = pool.deployment_limits.get(deployment) if deployment else None
        held = after.holders
        return not (
            _over(queue.limit, 1 + sum(h.queue == queue.name for h in held))
            or (key and _over(pool.key_limit, 1 + sum(h.concurrency_key == key for h in held)))
            or _over(limit, 1 + sum(h.deployment == deployment for h in held))
        )


def waiting_places(store: MemoryStore, *, waiting_only: bool = True) -> Iterable[Ready]:
    """The places in line of the queues that there are; of those who wait in them, unless not
    `waiting_only`: news that come late put back others."""
    pool = store.pool(POOL)
    names = [queue.name for queue in pool.queues] if pool else []
    entries = [r for name in names for r in store.line(POOL, name, 10_000)]
    if not waiting_only:
        return entries
    runs = store.runs(POOL, (r.run for r in entries))
    return [
        r
        for r in entries
        if (run := runs.get(r.run)) and run.waits_for(r.attempt) and Ready.of(run) == r
    ]


def _has_ledger(result: Any) -> bool:
    if isinstance(result, Ledger | Overview):
        return True
    return isinstance(result, tuple) and any(isinstance(part, Ledger) for part in result)


def _place(pool: Pool, ready: Ready) -> tuple[int, int, str]:
    queue = pool.queue(ready.queue)
    assert queue is not None
    return queue.priority, ready.due, ready.order


def _over(limit: int | None, held: int) -> bool:
    return limit is not None and held > limit
