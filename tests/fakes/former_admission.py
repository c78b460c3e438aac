"""The decision as it was before limits by name, capacity and ageing: what a pool that asks for none
of them still gets, bit for bit. A frozen copy, for comparison only.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from push_dispatch.core import rates as pacing
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.model import (
    MAX_SLOTS,
    Collision,
    Ledger,
    Pool,
    Queue,
    Rate,
    Ready,
    Slot,
    Starts,
)

__all__ = ["Snapshot", "decide"]

#: An admitted run whose place in line is still there after this time was not handed over: the
#: pass that admitted it died in between. The next one sends it again.
HANDOVER_SECONDS = 30
#: A run that the platform refused lets others try for this long, doubled each time that it was
#: refused although the platform had taken others: it may be too large for the room there is.
ASIDE_SECONDS = 60
_DOUBLINGS = 4


#: Waits for a platform that refuses.
_REFUSED = frozenset({"no_room", "throttled"})

#: Bytes of a name in the ledger.
_SLOT_NAME = 12


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one pass of a pool looks at. The ledger was read before the configuration, so that
    no admission is decided under a limit that a finished change had replaced."""

    pool: Pool
    ledger: Ledger
    #: By queue, the places in line read so far, in order.
    ready: Mapping[str, Sequence[Ready]]
    #: Of the last type that a run of the pool may be pushed to.
    circuit: Circuit = field(default_factory=Circuit)


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
    """Admit in the order of queue priority, due time and submission, as far as the limits allow.

    A run held back by its queue, its key or its deployment never holds back another. At most
    `at_most` runs are admitted.
    """
    desk = _Desk(snapshot, now, at_most)
    for queue in snapshot.pool.in_order:
        for ready in snapshot.ready.get(queue.name, ()):
            desk.serve(queue, ready)
    return desk.decision()


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
    used: _Used = field(init=False)
    #: Runs that the platform's rate, and its room, let in; None is any number.
    paced: int | None = field(init=False)
    room: int | None = field(init=False)
    #: Of whom one may find out whether a platform that refused takes runs again.
    probes: list[Ready] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.since = {holder.slot: holder.since for holder in self.snapshot.ledger.holders}
        self.used = _Used.of(self.snapshot, self.now)
        pool, ledger = self.snapshot.pool, self.snapshot.ledger
        rate = pool.platform_rate
        self.paced = pacing.available(ledger.paced, rate, self.now) if rate else None
        self.room = self.snapshot.circuit.room(self.now, self.since.values())

    def serve(self, queue: Queue, ready: Ready) -> None:
        held_since = self.since.get(ready.slot)
        if held_since is not None:
            if self.now - held_since >= HANDOVER_SECONDS * 1000:
                self.resend.append(ready)
            else:
                self.wait.append(Wait(ready, "handing_over"))
            return
        if ready.expires is not None and ready.expires <= self.now:
            self.expire.append(ready)
            return
        if _collides(self.snapshot.pool, self.used, ready, self.now):
            self.collide.append(ready)
            return
        reason = self.reason_to_wait(queue, ready)
        if reason is not None:
            self.wait.append(Wait(ready, reason))
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
            return "not_due"
        if pool.paused:
            return "pool_paused"
        if queue.paused:
            return "queue_paused"
        if pool.limit == 0:
            return "pool_limit_zero"
        if queue.limit == 0:
            return "queue_limit_zero"
        if queue.limit is not None and used.queues[queue.name] >= queue.limit:
            return "queue_limit"
        if used.total >= pool.slots:
            return "pool_full" if pool.limit is None else "pool_limit"
        if used.key_is_full(pool, queue, ready):
            return "key_limit"
        if used.deployment_is_full(pool, ready):
            return "deployment_limit"
        if used.rate_is_spent(pool, queue):
            return "rate_limit"
        return self._platform_holds(ready)

    def _platform_holds(self, ready: Ready) -> str | None:
        admitted = len(self.admit)
        if self.paced is not None and admitted >= self.paced:
            return "platform_rate"
        circuit = self.snapshot.circuit
        aside = self.now < _aside_until(ready)
        if circuit.refusals or aside or (self.room is not None and admitted >= self.room):
            return circuit.reason or "no_room"
        return "admissible" if admitted >= self.at_most else None

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
            hungry=frozenset(q.name for q in self.snapshot.pool.queues if self._is_hungry(q)),
        )

    def _is_hungry(self, queue: Queue) -> bool:
        """Whether a run of this queue with a key of its own would start now."""
        ready = Ready(queue.name, self.now, "", "", 0)
        return self.reason_to_wait(queue, ready) is None


def slot_name(name: str) -> str:
    """How a ledger names a concurrency key or a deployment: short ones as they are, longer ones by
    a digest. They are only compared, and 5,000 slots with names of their own must fit into one
    item. The name of a name is that name."""
    if len(json.dumps(name, ensure_ascii=False).encode("utf-8", "replace")) <= _SLOT_NAME + 2:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    return "#" + base64.urlsafe_b64encode(digest)[: _SLOT_NAME - 1].decode()


@dataclass(slots=True)
class _Used:
    """Slots and starts used so far, by whatever is limited."""

    total: int
    queues: Counter[str]
    keys: Counter[str]
    queue_keys: Counter[tuple[str, str]]
    deployments: Counter[str]
    starts: Counter[str]

    @classmethod
    def of(cls, snapshot: Snapshot, now: int) -> _Used:
        holders = snapshot.ledger.holders
        starts = Counter(
            {
                scope: started_within(snapshot.ledger, scope, rate, now)
                for scope, rate in _rates(snapshot.pool)
            }
        )
        return cls(
            total=len(holders),
            queues=Counter(h.queue for h in holders),
            keys=Counter(slot_name(h.concurrency_key) for h in holders if h.concurrency_key),
            queue_keys=Counter(
                (h.queue, slot_name(h.concurrency_key)) for h in holders if h.concurrency_key
            ),
            deployments=Counter(slot_name(h.deployment) for h in holders if h.deployment),
            starts=starts,
        )

    def add(self, ready: Ready) -> None:
        self.total += 1
        self.queues[ready.queue] += 1
        if ready.concurrency_key:
            key = slot_name(ready.concurrency_key)
            self.keys[key] += 1
            self.queue_keys[ready.queue, key] += 1
        if ready.deployment:
            self.deployments[slot_name(ready.deployment)] += 1
        self.starts[""] += 1
        self.starts[ready.queue] += 1

    def key_is_full(self, pool: Pool, queue: Queue, ready: Ready) -> bool:
        if not ready.concurrency_key:
            return False
        key = slot_name(ready.concurrency_key)
        in_pool, in_queue = self.keys[key], self.queue_keys[queue.name, key]
        return (pool.key_limit is not None and in_pool >= pool.key_limit) or (
            queue.key_limit is not None and in_queue >= queue.key_limit
        )

    def deployment_is_full(self, pool: Pool, ready: Ready) -> bool:
        limit = pool.deployment_limits.get(ready.deployment) if ready.deployment else None
        return limit is not None and self.deployments[slot_name(ready.deployment)] >= limit

    def rate_is_spent(self, pool: Pool, queue: Queue) -> bool:
        return (pool.rate is not None and self.starts[""] >= pool.rate.starts) or (
            queue.rate is not None and self.starts[queue.name] >= queue.rate.starts
        )


def _collides(pool: Pool, used: _Used, ready: Ready, now: int) -> bool:
    return (
        ready.collision is Collision.CANCEL_NEW
        and ready.due <= now
        and used.deployment_is_full(pool, ready)
    )


def _aside_until(ready: Ready) -> int:
    """Until when a run that the platform refused lets others try."""
    if not ready.refused_at:
        return 0
    return ready.refused_at + (ASIDE_SECONDS * 1000 << min(ready.blames, _DOUBLINGS))


def _rates(pool: Pool) -> list[tuple[str, Rate]]:
    """Every rate of the pool with its scope: the empty one is the pool's own."""
    rates = [(queue.name, queue.rate) for queue in pool.queues if queue.rate]
    return [("", pool.rate), *rates] if pool.rate else rates


def started_within(ledger: Ledger, scope: str, rate: Rate, now: int) -> int:
    """Count the starts of a scope that its rate still counts."""
    return sum(count for _, count in _within(ledger.starts.get(scope, ()), rate, now))


def _within(starts: Starts, rate: Rate, now: int) -> Starts:
    """The starts that still count: any window of the period may hold `rate.starts` of them."""
    return tuple(entry for entry in starts if entry[0] > now - rate.period_seconds * 1000)
