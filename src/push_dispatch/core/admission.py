"""Which of the waiting runs start now, and why do the others wait?

`decide` is a pure function of a snapshot and a time. Dispatch, `explain`, the previews and the
simulator all call it, so that none of them can tell another story than what happens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from push_dispatch.core.ageing import in_turn
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.collision import collides
from push_dispatch.core.model import (
    MAX_SLOTS,
    Backfill,
    Holder,
    Ledger,
    Pool,
    Queue,
    Ready,
    Slot,
    Weights,
)
from push_dispatch.core.rates import available, next_at, paced_after, starts_after, windows_move
from push_dispatch.core.reasons import Reason
from push_dispatch.core.units import GRACE_SECONDS, NEVER, free_from
from push_dispatch.core.usage import Used, scope_of

__all__ = [
    "HANDOVER_SECONDS",
    "Decision",
    "Snapshot",
    "Wait",
    "apply",
    "colliding",
    "decide",
    "next_turn",
    "startable_alone",
]

#: An admitted run whose place in line is still there after this time was not handed over: the
#: pass that admitted it died in between. The next one sends it again.
HANDOVER_SECONDS = 30
#: A run that the platform refused lets others try for this long, doubled each time that it was
#: refused although the platform had taken others: it may be too large for the room there is.
ASIDE_SECONDS = 60
_DOUBLINGS = 4
#: Runs that wait for capacity, in one pass, before no more of the line is read.
_KEPT = 100
#: Waits for a platform that refuses.
_REFUSED = frozenset({Reason.NO_ROOM, Reason.THROTTLED})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one pass of a pool looks at. The configuration is not older than the ledger, so
    that no admission is decided under a limit that a finished change had replaced."""

    pool: Pool
    ledger: Ledger
    #: By queue, the places in line read so far, in order.
    ready: Mapping[str, Sequence[Ready]]
    #: Of the last type that a run of the pool may be pushed to.
    circuit: Circuit = field(default_factory=Circuit)
    #: Queues of which more is in line than was read: nobody behind what was not read is admitted.
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wait:
    """A run that is not started now."""

    ready: Ready
    #: A token of kind `wait`.
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of every place in line of a snapshot."""

    admit: tuple[Ready, ...] = ()
    #: Holds a slot, but its hand-over was never finished: send it again.
    resend: tuple[Ready, ...] = ()
    #: Its time to start has passed.
    expire: tuple[Ready, ...] = ()
    #: Its deployment already runs as often as it may, and new runs are to be cancelled then.
    collide: tuple[Ready, ...] = ()
    wait: tuple[Wait, ...] = ()
    #: Queues that could have started more than was read.
    hungry: frozenset[str] = frozenset()


def decide(snapshot: Snapshot, now: int, *, at_most: int = MAX_SLOTS) -> Decision:
    """Admit in the order of queue priority, due time and submission, as far as the limits allow;
    if the pool ages its runs, in the order of `ageing`.

    A run held back by its queue, its key, its deployment or a named limit never holds back
    another. One that waits for capacity does: what becomes free is kept for it. At most
    `at_most` runs are admitted.
    """
    desk = _Desk(snapshot, now, at_most)
    for queue, ready in in_turn(snapshot.pool, snapshot.ready):
        if ready is None:
            desk.reach_end(queue)
        else:
            desk.serve(queue, ready)
    return desk.decision()


def colliding(pool: Pool, ledger: Ledger, entries: Sequence[Ready], now: int) -> list[Ready]:
    """Those that are due, are to be cancelled if their deployment runs already as often as it may,
    and hold no slot: a fact about their deployment alone, whatever else would hold them back."""
    held = {holder.slot for holder in ledger.holders}
    used = Used.of(pool, ledger, now)
    return [e for e in entries if e.slot not in held and collides(pool, used, e, now)]


def startable_alone(snapshot: Snapshot, now: int) -> frozenset[Slot]:
    """Name the places that would be admitted if each were the only one in line: what holds them
    back is what is served before them."""
    desk = _Desk(snapshot, now, MAX_SLOTS)
    return frozenset(
        ready.slot
        for queue in snapshot.pool.queues
        for ready in snapshot.ready.get(queue.name, ())
        if ready.slot not in desk.since and desk.reason_to_wait(queue, ready) is None
    )


def apply(snapshot: Snapshot, admitted: Sequence[Ready], now: int) -> Ledger:
    """The ledger after the admission: what the commit writes."""
    pool, ledger = snapshot.pool, snapshot.ledger
    new = tuple(_holder(pool, ready, now) for ready in admitted)
    started = Counter({"": len(admitted)})
    started.update(r.queue for r in admitted)
    started.update(scope_of(name, key) for h in new for name, key in h.keys)
    return replace(
        ledger,
        version=ledger.version + 1,
        holders=(*ledger.holders, *new),
        starts=starts_after(pool, ledger, started, now),
        configuration=pool.version,
        paced=paced_after(pool, ledger, len(admitted), now),
    )


def next_turn(snapshot: Snapshot, decision: Decision, now: int) -> int | None:
    """When time alone lets in one of those who wait for a rate, or for a platform that has just
    accepted a run after refusals. `snapshot` has the ledger after the decision. None if nobody
    does, or if something else will say so: a push, a person, the end of a run."""
    pool, ledger = snapshot.pool, snapshot.ledger
    reasons = {wait.reason for wait in decision.wait}
    turns: list[int] = []
    if Reason.PLATFORM_RATE in reasons and pool.platform_rate:
        turns.append(next_at(ledger.paced, pool.platform_rate))
    if reasons & {Reason.RATE_LIMIT, Reason.NAMED_RATE}:
        turns += windows_move(pool, ledger, now)
    refused = [wait.ready for wait in decision.wait if wait.reason in _REFUSED]
    turns += [_aside_until(ready) for ready in refused]
    if refused and snapshot.circuit.recovers(now):
        turns.append(now + 1000)
    return min((turn for turn in turns if turn > now), default=None)


@dataclass(slots=True)
class _Desk:
    """Serves one place in line after another and keeps count."""

    snapshot: Snapshot
    now: int
    at_most: int
    admit: list[Ready] = field(default_factory=list)
    resend: list[Ready] = field(default_factory=list)
    expire: list[Ready] = field(default_factory=list)
    collide: list[Ready] = field(default_factory=list)
    wait: list[Wait] = field(default_factory=list)
    since: dict[Slot, int] = field(init=False)
    used: Used = field(init=False)
    #: Runs that the platform's rate, and its room, let in; None is any number.
    paced: int | None = field(init=False)
    room: int | None = field(init=False)
    #: Of whom one may find out whether a platform that refused takes runs again.
    probes: list[Ready] = field(default_factory=list)
    #: The first run that waits for capacity, and how many do.
    head: Ready | None = None
    kept: int = 0
    hungry: set[str] = field(default_factory=set)
    #: What stands before those that follow was not all read.
    cut_off: bool = False

    def __post_init__(self) -> None:
        self.since = {holder.slot: holder.since for holder in self.snapshot.ledger.holders}
        self.used = Used.of(self.snapshot.pool, self.snapshot.ledger, self.now)
        pool, ledger = self.snapshot.pool, self.snapshot.ledger
        rate = pool.platform_rate
        self.paced = available(ledger.paced, rate, self.now) if rate else None
        self.room = self.snapshot.circuit.room(self.now, self.since.values())

    def serve(self, queue: Queue, ready: Ready) -> None:
        held_since = self.since.get(ready.slot)
        if held_since is not None:
            if self.now - held_since >= HANDOVER_SECONDS * 1000:
                self.resend.append(ready)
            else:
                self.wait.append(Wait(ready, Reason.HANDING_OVER))
            return
        if ready.expires is not None and ready.expires <= self.now:
            self.expire.append(ready)
            return
        if collides(self.snapshot.pool, self.used, ready, self.now):
            self.collide.append(ready)
            return
        reason = self.reason_to_wait(queue, ready)
        if reason is not None:
            self.wait.append(Wait(ready, reason))
            if reason == Reason.CAPACITY:
                self._keep(ready)
            if self.room and self.snapshot.circuit.refusals and reason in _REFUSED:
                self.probes.append(ready)
        else:
            self.admit.append(ready)
            self.used.add(ready)

    def reason_to_wait(self, queue: Queue, ready: Ready) -> str | None:
        """The first clause that holds the run back. The order is that of `reasons.py`: what a
        person decided comes before what is merely full."""
        pool, used = self.snapshot.pool, self.used
        if ready.due > self.now:
            return Reason.NOT_DUE
        if pool.paused:
            return Reason.POOL_PAUSED
        if queue.paused:
            return Reason.QUEUE_PAUSED
        if pool.limit == 0:
            return Reason.POOL_LIMIT_ZERO
        if queue.limit == 0:
            return Reason.QUEUE_LIMIT_ZERO
        if queue.limit is not None and used.queues[queue.name] >= queue.limit:
            return Reason.QUEUE_LIMIT
        if used.total >= pool.slots:
            return Reason.POOL_FULL if pool.limit is None else Reason.POOL_LIMIT
        if used.key_is_full(pool, queue, ready):
            return Reason.KEY_LIMIT
        if used.deployment_is_full(pool, ready):
            return Reason.DEPLOYMENT_LIMIT
        if used.rate_is_spent(pool, queue):
            return Reason.RATE_LIMIT
        if reason := used.named_reason(pool, ready) or self._capacity_holds(ready):
            return reason
        return Reason.BEHIND_OTHERS if self.cut_off else self._platform_holds(ready)

    def _keep(self, ready: Ready) -> None:
        """Keep what becomes free for a run that waits for capacity."""
        self.head = self.head or ready
        self.kept += 1
        self.used.keep(ready)

    def _capacity_holds(self, ready: Ready) -> str | None:
        capacity = self.snapshot.pool.capacity
        needed = _within_capacity(self.snapshot.pool, ready.weights)
        if any(taken > capacity[unit] for unit, taken in needed):
            return Reason.CAPACITY_TOO_SMALL
        if self.used.fits(capacity, needed) or self._may_pass(ready, needed):
            return None
        return Reason.CAPACITY

    def _may_pass(self, ready: Ready, needed: Weights) -> bool:
        """Whether a run can be let in before the head because it is certain to have ended by the
        time at which the head is certain to start."""
        pool, head = self.snapshot.pool, self.head
        if pool.backfill is not Backfill.CONSERVATIVE or head is None:
            return False
        if not self.used.fits(pool.capacity, needed, beside_kept=False):
            return False
        ends = _until(ready, self.now)
        holders = [
            *((h.weights, h.until) for h in self.snapshot.ledger.holders),
            *((r.weights, _until(r, self.now)) for r in self.admit),
        ]
        starts = free_from(pool.capacity, holders, _within_capacity(pool, head.weights))
        return ends is not None and ends <= starts < NEVER

    def _platform_holds(self, ready: Ready) -> str | None:
        admitted = len(self.admit)
        if self.paced is not None and admitted >= self.paced:
            return Reason.PLATFORM_RATE
        circuit = self.snapshot.circuit
        aside = self.now < _aside_until(ready)
        if circuit.refusals or aside or (self.room is not None and admitted >= self.room):
            return circuit.reason or Reason.NO_ROOM
        return Reason.ADMISSIBLE if admitted >= self.at_most else None

    def _send_probe(self) -> None:
        """Every second probe is whose turn it is, the others take turns: where there is room for
        small runs only, a large one at the head must not keep them from it for ever."""
        in_order = [ready for ready in self.probes if self.now >= _aside_until(ready)]
        if in_order and self.snapshot.circuit.refusals % 2:
            probe = in_order[0]
        else:
            probe = min(self.probes, key=lambda ready: ready.refused_at)
        self.admit.append(probe)
        self.wait = [wait for wait in self.wait if wait.ready != probe]

    def decision(self) -> Decision:
        if self.probes and self.at_most:
            self._send_probe()
        return Decision(
            admit=tuple(self.admit),
            resend=tuple(self.resend),
            expire=tuple(self.expire),
            collide=tuple(self.collide),
            wait=tuple(self.wait),
            hungry=frozenset(self.hungry),
        )

    def reach_end(self, queue: Queue) -> None:
        """Note whether one more run of this queue would start now, before those behind it: one with
        a key of its own, and with no weight. While others wait for capacity no more than a batch
        is read to find it."""
        ready = Ready(queue.name, self.now, "", "", 0)
        if self.kept < _KEPT and self.reason_to_wait(queue, ready) is None:
            self.hungry.add(queue.name)
            self.cut_off |= queue.name in self.snapshot.unread


def _holder(pool: Pool, ready: Ready, now: int) -> Holder:
    limits = {limit.name for limit in pool.limits}
    counts_on_ends = pool.capacity and pool.backfill is Backfill.CONSERVATIVE
    return Holder(
        ready.run,
        ready.attempt,
        ready.queue,
        now,
        ready.concurrency_key,
        ready.deployment,
        keys=tuple((name, key) for name, key in ready.keys if name in limits),
        weights=_within_capacity(pool, ready.weights),
        until=_until(ready, now) if counts_on_ends else None,
    )


def _within_capacity(pool: Pool, weights: Weights) -> Weights:
    return tuple((unit, taken) for unit, taken in weights if unit in pool.capacity)


def _until(ready: Ready, now: int) -> int | None:
    """By when the run has ended for certain if it starts now; None if nothing ends it."""
    if ready.timeout_seconds is None:
        return None
    return now + (ready.timeout_seconds + GRACE_SECONDS) * 1000


def _aside_until(ready: Ready) -> int:
    """Until when a run that the platform refused lets others try."""
    if not ready.refused_at:
        return 0
    return ready.refused_at + (ASIDE_SECONDS * 1000 << min(ready.blames, _DOUBLINGS))
