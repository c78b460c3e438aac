"""Is every guarantee of the blueprint kept? Looks at each write as it happens, and at all there is.

It knows nothing of how the engine decides: it compares what was written with the configuration,
the line and the runs as they are at that moment, and says in words what is broken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from push_dispatch.core.model import Holder, Ledger, Pool, Ready, Run, RunState
from tests.fakes.memory.store import MemoryStore
from tests.fakes.memory_platform import MemoryPlatform

__all__ = ["Guarantees"]

#: For so many milliseconds at most, by what `admission` promises.
_ASIDE = 16 * 60_000


@dataclass
class _Before:
    """What was there before the write that is being looked at."""

    ledger: Ledger | None = None
    run: Run | None = None
    #: Who was in line when the pass that commits had read the ledger.
    line: frozenset[Ready] = frozenset()
    #: Whether the platform refused then. What a push finds out before the commit comes too late.
    refuses: bool = False


class Guarantees:
    """Those of one pool."""

    def __init__(self, pool: str, store: MemoryStore, platform: MemoryPlatform) -> None:
        self._pool, self._store, self._platform = pool, store, platform
        self._before = _Before()
        self.broken: list[str] = []

    def check(self, now: int) -> None:
        """What has to be true at any moment. Raises AssertionError."""
        self._now = now
        self._check_live()
        self._check_starts()
        self._check_keys()
        self._check_successes()
        assert not self.broken, self.broken

    def watch(self, now: int, verb: str, arguments: tuple[Any, ...], done: bool) -> None:
        """Before and after each call of the store."""
        self._now = now
        if verb in ("ledger", "overview") and done:
            self._before.line = self._line()
            self._before.refuses = self._refuses()
        elif verb == "commit":
            if not done:
                self._before.ledger = self._store.ledger(self._pool)
            elif (before := self._before.ledger) is not None and before != arguments[0]:
                self._check_commit(before, arguments[0])
        elif verb in ("save_run", "claim_run"):
            uuid = arguments[1] if verb == "claim_run" else arguments[0].uuid
            if not done:
                self._before.run = self._store.run(self._pool, uuid)
            elif self._before.run is not None:
                after = self._store.run(self._pool, uuid)
                self._check_save(self._before.run, after or self._before.run)

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Another function does its work in the middle of this one's: two passes, two snapshots."""
        kept, self._before = self._before, _Before()
        try:
            yield
        finally:
            self._before = kept

    # -- at any moment -----------------------------------------------------------------------------

    def _check_live(self) -> None:
        """Guarantees 1 and 5: what lives holds a slot; one attempt of a run at a time."""
        slots = {(h.run, h.attempt) for h in self._store.ledger(self._pool).holders}
        alive = [c.job for c in self._platform.live()]
        for run, count in Counter(job.run_id for job in alive).items():
            if count > 1:
                self.broken.append(f"{count} attempts of {run} are alive at once")
        for job in alive:
            if (job.run_id.rpartition(".")[2], job.attempt) not in slots:
                self.broken.append(f"{job.name} runs without a slot")

    def _check_starts(self) -> None:
        """Guarantee 3, and that a run which was cancelled before its start never starts."""
        twice = [name for name, count in self._platform.starts.items() if count > 1]
        if twice:
            self.broken.append(f"started more than once: {twice}")
        started = {name.split("-")[1] for name in self._platform.starts}
        for run in self._runs():
            never = run.state is RunState.CANCELLED and not run.attempts
            if never and run.uuid.replace("-", "") in started:
                self.broken.append(f"{run.id} was cancelled before it started, and started")

    def _check_keys(self) -> None:
        """Guarantee 7."""
        keys = Counter(run.idempotency_key for run in self._runs() if run.idempotency_key)
        twice = [key for key, count in keys.items() if count > 1]
        if twice:
            self.broken.append(f"the keys {twice} have several runs each")

    def _check_successes(self) -> None:
        """A success is a success, however late it was seen: never `timed_out`, never repeated."""
        if self._platform.repeated:
            self.broken.append(f"started again after a success: {self._platform.repeated}")
        for run in self._runs():
            current = run.current
            if current and current.exit_code == 0 and run.reason in ("timed_out", "start_timeout"):
                self.broken.append(f"{run.id} succeeded and is {run.state} ({run.reason})")

    def _runs(self) -> list[Run]:
        return list(self._store.list_runs(self._pool))

    # -- at each write of a run --------------------------------------------------------------------

    def _check_save(self, before: Run, after: Run) -> None:
        """Guarantee 6: an end is an end."""
        if before.state.ended and before != after:
            self.broken.append(f"{after.id} was {before.state} and became {after.state}")
        if after.attempt not in (before.attempt, before.attempt + 1):
            self.broken.append(f"{after.id} went from attempt {before.attempt} to {after.attempt}")

    # -- at each commit ----------------------------------------------------------------------------

    def _refuses(self) -> bool:
        pool = self._store.pool(self._pool)
        return pool is not None and self._store.circuit(pool.name, pool.last_type).refusals > 0

    def _check_commit(self, before: Ledger, after: Ledger) -> None:
        pool = self._store.pool(self._pool)
        if pool is None:
            return
        self._check_releases(before, after)
        held = {holder.slot for holder in before.holders}
        admitted = [holder for holder in after.holders if holder.slot not in held]
        if admitted:
            # A change of the configuration holds from the moment it returns.
            if after.configuration != pool.version:
                self.broken.append("admitted under a configuration that had been replaced")
            self._check_limits(pool, after, admitted)
            self._check_times(admitted)
            refuses = self._refuses()
            if refuses and self._before.refuses and len(admitted) > 1:
                self.broken.append("more than one run tries a platform that refuses")
            if not refuses:  # Those who try it take turns.
                self._check_order(pool, after, admitted)

    def _check_releases(self, before: Ledger, after: Ledger) -> None:
        """Guarantees 2 and 5: only who has ended gives a slot back."""
        kept = {holder.slot for holder in after.holders}
        runs = self._store.runs(self._pool, (h.run for h in before.holders))
        for holder in before.holders:
            run = runs.get(holder.run)
            if holder.slot not in kept and run is not None and not run.has_ended(holder.attempt):
                self.broken.append(f"{run.id} lost its slot while it was {run.state}")

    def _check_limits(self, pool: Pool, after: Ledger, admitted: Sequence[Holder]) -> None:
        """Guarantee 1. Lowering a limit stops nothing, so only who admits may break it."""
        if pool.paused:
            self.broken.append("a paused pool admitted a run")
        if pool.limit is not None and len(after.holders) > pool.limit:
            self.broken.append(f"{len(after.holders)} slots held of {pool.limit}")
        for holder in admitted:
            queue = pool.queue(holder.queue)
            if queue is None or queue.paused:
                self.broken.append(f"queue {holder.queue} is paused or gone, and admitted")
            elif _is_over(queue.limit, _held(after)[queue.name]):
                self.broken.append(f"queue {queue.name}: more than {queue.limit} slots held")
            if holder.concurrency_key and _is_over(
                pool.key_limit, _held_by_key(after)[holder.concurrency_key]
            ):
                self.broken.append(f"more than {pool.key_limit} slots of one key")

    def _check_times(self, admitted: Sequence[Holder]) -> None:
        """Nothing starts before its time, or after it."""
        runs = self._store.runs(self._pool, (holder.run for holder in admitted))
        for run in runs.values():
            if run.due > self._now and run.state is RunState.SCHEDULED:
                self.broken.append(f"{run.id} was admitted and is not due")
            if run.expires is not None and run.expires <= self._now:
                self.broken.append(f"{run.id} was admitted and had expired")

    def _check_order(self, pool: Pool, after: Ledger, admitted: Sequence[Holder]) -> None:
        """Guarantee 4: nobody is passed by who could have started instead."""
        line = {r.slot: _place(pool, r) for r in self._line() if pool.queue(r.queue)}
        known = [line[holder.slot] for holder in admitted if holder.slot in line]
        for ready in self._before.line & self._line():
            place = line.get(ready.slot)
            if known and place and place < max(known) and self._might_start(pool, after, ready):
                self.broken.append(f"{ready.run} was passed by")

    def _might_start(self, pool: Pool, after: Ledger, ready: Ready) -> bool:
        """Whether it is admissible and was not admitted, but for the slots of the pool."""
        queue = pool.queue(ready.queue)
        if queue is None or queue.paused or any(h.slot == ready.slot for h in after.holders):
            return False
        if ready.due > self._now or (ready.expires is not None and ready.expires <= self._now):
            return False
        if self._now < ready.refused_at + _ASIDE:
            return False  # The platform refused it: others may try in between.
        key, held = ready.concurrency_key, _held(after)[queue.name]
        return not (
            _is_over(queue.limit, held + 1)
            or (key and _is_over(pool.key_limit, _held_by_key(after)[key] + 1))
        )

    def _line(self) -> frozenset[Ready]:
        """The places of those who wait in them: news that comes late puts back others."""
        pool = self._store.pool(self._pool)
        names = [queue.name for queue in pool.queues] if pool else []
        entries = [r for name in names for r in self._store.line(self._pool, name, 10_000)]
        runs = self._store.runs(self._pool, (r.run for r in entries))
        return frozenset(
            r
            for r in entries
            if (run := runs.get(r.run)) and run.waits_for(r.attempt) and Ready.of(run) == r
        )


def _place(pool: Pool, ready: Ready) -> tuple[int, int, str]:
    queue = pool.queue(ready.queue)
    assert queue is not None
    return queue.priority, ready.due, ready.order


def _held(ledger: Ledger) -> Counter[str]:
    return Counter(holder.queue for holder in ledger.holders)


def _held_by_key(ledger: Ledger) -> Counter[str]:
    return Counter(h.concurrency_key for h in ledger.holders)


def _is_over(limit: int | None, held: int) -> bool:
    return limit is not None and held > limit
