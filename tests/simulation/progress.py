"""Does everything go on that could, within a bound of time and of calls?

Looked at once a simulated minute. What a fault has struck may take as long as its repair is
documented to take (a lease, a redelivery, a sweep); after that nothing may stand still.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from push_dispatch.core.model import Holder, Pool, Run, RunState
from push_dispatch.ports.messages import Poll, Push, Wake
from tests.fakes.memory.store import MemoryStore
from tests.simulation.aws import SimQueue
from tests.simulation.cloud import Cloud
from tests.simulation.oracle import Oracle
from tests.simulation.plan import POOL
from tests.simulation.wire import Wire

__all__ = ["Progress"]

MINUTE = 60_000
#: A killed push: its message is invisible for 3 minutes; its lease, the time that the sweep gives
#: it, and the sweep's minute are 4. A repair may be struck down itself only by another fault.
PATIENCE = 8 * MINUTE
#: As `circuit` promises: two calls a minute while a platform refuses, and a few at first.
_REFUSALS_A_MINUTE = 2
#: Deliveries of one order without a fault, at first and in an hour: pauses grow to 15 minutes.
_DELIVERIES, _DELIVERIES_AN_HOUR = 12, 20
_ASIDE_MS = 17 * MINUTE


@dataclass
class Progress:
    """Of one pool. `clock` is that of the functions."""

    store: MemoryStore
    cloud: Cloud
    oracle: Oracle
    wire: Wire
    push_queue: SimQueue
    wake_queue: SimQueue
    clock: Callable[[], int]
    #: When something that stood in the way last did.
    disturbed_at: int = 0
    deliveries: Counter[tuple[str, int]] = field(default_factory=Counter)
    _first_seen: dict[object, int] = field(default_factory=dict)
    _observations: list[tuple[int, int, int]] = field(default_factory=list)
    _refusals: list[tuple[int, int, int]] = field(default_factory=list)

    def check(self) -> None:
        """Once a minute."""
        pool = self.store.pool(POOL)
        if pool is None:
            return
        now = self.wire.timeline.now
        stuck: set[object] = set()
        for key, what, patience in self._unfinished(pool):
            stuck.add(key)
            since = max(self._first_seen.setdefault(key, now), self._quiet_since())
            if now - since > patience:
                self.oracle.break_(f"stuck for {(now - since) // 1000} s: {what}")
        self._first_seen = {key: at for key, at in self._first_seen.items() if key in stuck}
        self._count(pool, now)

    def _quiet_since(self) -> int:
        return max(self.disturbed_at, self.wire.last_fault)

    # -- time --------------------------------------------------------------------------------------

    def _unfinished(self, pool: Pool) -> Iterator[tuple[object, str, int]]:
        """What somebody should have done by now: a key, what it is, and how long it may take."""
        ledger = self.store.ledger(POOL)
        runs = {run.uuid: run for run in self.store.list_runs(POOL)}
        for holder in ledger.holders:
            yield from self._of_holder(pool, holder, runs.get(holder.run))
        waiting = [run for run in runs.values() if run.state is RunState.SCHEDULED]
        now = self.clock()
        held = {holder.slot for holder in ledger.holders}
        for run in waiting:
            ends = [at for at in (run.expires, run.give_up_at) if at is not None]
            if (run.uuid, run.next_attempt) not in held and ends and min(ends) < now:
                yield ("late", run.uuid), f"{run.name} should have expired", PATIENCE
        free = [run for run in waiting if self._could_start(pool, run)]
        if free and self.clock() - self.oracle.last_admission > PATIENCE // 2:
            what = f"{free[0].name} could start ({len(free)} of them), and nobody is admitted"
            yield "room", what, PATIENCE // 2
        for container in self.cloud.containers.values():
            found = runs.get(container.job.run_id.rpartition(".")[2])
            if found is None or found.attempt != container.job.attempt or container.live:
                continue
            if not found.has_ended(found.attempt):
                yield ("end", container.job.name), f"the end of {found.name} is not seen", PATIENCE

    def _of_holder(
        self, pool: Pool, holder: Holder, run: Run | None
    ) -> Iterator[tuple[object, str, int]]:
        if run is None or run.has_ended(holder.attempt):
            yield ("slot", holder.slot), "a slot of an attempt that has ended is held", PATIENCE
            return
        hold = pool.hold_seconds * 1000
        attempt = run.current
        if run.waits_for(holder.attempt):
            if self.store.circuit(POOL, pool.type).next_at < self.clock() - MINUTE:
                yield ("order", holder.slot), f"{run.name} is not handed over", PATIENCE + hold
        elif attempt is None or self.cloud.down:
            return
        elif attempt.handle is None:
            if attempt.lease_until < self.clock():
                yield ("push", holder.slot), f"{run.name} is claimed, and not pushed", PATIENCE
        elif run.state is RunState.CANCELLING:
            found = self.cloud.containers.get(attempt.handle)
            if found is not None and found.live and not found.stopping:
                yield ("stop", holder.slot), f"{run.name} is not stopped", PATIENCE
        elif run.state is RunState.RUNNING and run.timeout_seconds:
            since = attempt.started_at or 0
            if self.clock() - since > run.timeout_seconds * 1000:
                yield ("timeout", holder.slot), f"{run.name} runs beyond its time", PATIENCE

    def _could_start(self, pool: Pool, run: Run) -> bool:
        """Whether nothing that is written anywhere holds it back."""
        now, held = self.clock(), self.store.ledger(POOL).holders
        if any((h.run, h.attempt) == (run.uuid, run.next_attempt) for h in held):
            return False
        if run.due > now or pool.paused or run.unreadable or self._is_held_back(pool, run):
            return False
        circuit = self.store.circuit(POOL, pool.type)
        if circuit.refusals and any(h.since >= circuit.next_at for h in held):
            return False  # One of them is finding out.
        return circuit.next_at < now and run.refused_at + _ASIDE_MS < now

    def _is_held_back(self, pool: Pool, run: Run) -> bool:
        """By a limit, or by a queue that is paused."""
        held, key, deployment = self.store.ledger(POOL).holders, run.concurrency_key, run.deployment
        queue = pool.queue(run.queue)
        if queue is not None and queue.paused:
            return True
        bounds = [(pool.limit, len(held))]
        if queue is not None:
            bounds.append((queue.limit, sum(h.queue == queue.name for h in held)))
        if key:
            bounds.append((pool.key_limit, sum(h.concurrency_key == key for h in held)))
        if deployment:
            limit = pool.deployment_limits.get(deployment)
            bounds.append((limit, sum(h.deployment == deployment for h in held)))
        return any(limit is not None and used >= limit for limit, used in bounds)

    # -- calls -------------------------------------------------------------------------------------

    def _count(self, pool: Pool, now: int) -> None:
        faults = sum(self.wire.fired.values())
        orders: Counter[tuple[str, int]] = Counter()
        wakes = polls = 0
        for message in self.push_queue.waiting:
            if isinstance(message.about, Push):
                orders[message.about.run, message.about.attempt] += 1
            polls += isinstance(message.about, Poll) and bool(message.about.pool)
        for message in self.wake_queue.waiting:
            wakes += isinstance(message.about, Wake)
        for (run, attempt), count in orders.items():
            if count > 3 + faults:
                self.oracle.break_(f"orders multiply: {count} to start {run} attempt {attempt}")
        if polls > 2 + faults:
            self.oracle.break_(f"polls multiply: {polls} turns of one platform in the queue")
        self._count_observations(now, faults)
        waiting = sum(r.state is RunState.SCHEDULED for r in self.store.list_runs(POOL))
        if wakes > 20 + 2 * waiting + 2 * faults:
            self.oracle.break_(f"wakes multiply: {wakes} while {waiting} runs wait")
        self._count_deliveries(pool, now, faults)
        self._count_refusals(pool, now, faults)

    def _count_observations(self, now: int, faults: int) -> None:
        """Twelve turns a minute, the sweep's poll, and what is polled until it is cleaned up."""
        self._observations.append((now, self.wire.calls["observe"], faults))
        del self._observations[:-11]
        then, before, faults_before = self._observations[0]
        minutes, more = (now - then) / MINUTE, faults - faults_before
        observed = self.wire.calls["observe"] - before
        if observed > 14 * (minutes + 1) + 5 * more + 10:
            self.oracle.break_(f"the platform was observed {observed} times in {minutes:.0f} min")

    def _count_deliveries(self, pool: Pool, now: int, faults: int) -> None:
        for (run, number), count in self.deliveries.items():
            found = self.store.run(POOL, run.rpartition(".")[2])
            if found is None or count <= _DELIVERIES:
                continue
            hours = (now - found.submitted_at) / 3_600_000
            # Who may hold its slot for long is the one that tries, once a minute.
            an_hour = _DELIVERIES_AN_HOUR if pool.hold_seconds < 300 else 65
            if count > _DELIVERIES + an_hour * hours + 2 * faults:
                self.oracle.break_(f"{found.name} attempt {number} was delivered {count} times")

    def _count_refusals(self, pool: Pool, now: int, faults: int) -> None:
        started = self.cloud.starts.total()
        self._refusals.append((now, self.cloud.refusals, started))
        del self._refusals[:-11]
        minutes = (now - self._refusals[0][0]) / MINUTE
        refused = self.cloud.refusals - self._refusals[0][1]
        slots = min(pool.slots, 60)
        # A start says that there is room: the others follow, twice as many each second. Where there
        # was room for one alone, they are refused, at most once for each slot.
        followed = slots * (started - self._refusals[0][2])
        if refused > slots + followed + _REFUSALS_A_MINUTE * (minutes + 1) + 4 + 3 * faults:
            self.oracle.break_(f"the platform was called {refused} times in vain in 10 minutes")
