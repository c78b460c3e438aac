"""What happens in one simulated story? A pure function of its seed, in parts that can be left out.

A plan is a pool, and *parts*: what people do, and what goes wrong. The shrinker leaves parts out
until every one that is left is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from push_dispatch.core.model import DEFAULT_QUEUE, Collision, Pool, Queue, Rate

__all__ = ["POOL", "PROFILES", "Act", "Fault", "Plan", "Submit", "plan_of"]

POOL = "p"
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000


@dataclass(frozen=True)
class Submit:
    """Somebody asks for runs."""

    at: int
    count: int = 1
    #: By an event, through the queue of requests.
    by_queue: bool = False
    #: What the request has beside its pool.
    fields: dict[str, Any] = field(default_factory=dict)
    #: Milliseconds that an attempt runs, and the exit codes of the attempts; the last one goes on.
    duration: int = 20_000
    codes: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Act:
    """Somebody cancels a run or changes the pool."""

    at: int
    what: str
    value: Any = None


@dataclass(frozen=True)
class Fault:
    """Something goes wrong: at the first call of `verb` after `at`, or from `at` on for a time."""

    at: int
    kind: str
    verb: str = ""
    #: After the call has taken effect.
    after: bool = False
    #: For how long, in milliseconds.
    length: int = 0
    amount: int = 0


Part = Submit | Act | Fault


@dataclass(frozen=True)
class Plan:
    """A story. Times are milliseconds from its beginning."""

    seed: int
    profile: str
    pool: Pool
    parts: tuple[Part, ...]
    #: Nothing goes wrong any more after this time.
    horizon: int
    #: Invocations that the account runs at once.
    concurrency: int = 1000
    #: Machines' clocks are off by so many milliseconds at most.
    skew: int = 0
    #: Containers that the platform has room for.
    room: int | None = None
    #: Messages of the version before are on their way, too.
    mixed: bool = False
    #: The platform reports nothing by itself.
    silent: bool = False
    #: Who stores a run or its end runs the pass, too.
    eager: bool = False

    def only(self, numbers: Collection[int]) -> Plan:
        """The same story without the other parts."""
        return replace(self, parts=tuple(p for n, p in enumerate(self.parts) if n in numbers))


VERBS = (
    *("pool", "save_pool", "add_runs", "run", "runs", "save_run", "save_run", "claim_run"),
    *("enqueue", "enqueue", "line", "dequeue", "dequeue", "ticks", "ticked", "ledger"),
    *("overview", "overview", "overview"),
    *("commit", "commit", "commit", "template", "send", "send", "wake", "circuit", "save_circuit"),
    *("push", "push", "push", "find", "observe", "cancel", "clean_up", "list_runs", "in_line"),
    *("audited", "save_audited", "begin_sweep", "end_sweep", "any", "any", "any"),
)
#: What may get lost, come twice or come late.
THINGS = ("record", "record", "push", "wake", "event", "event", "stop", "look")


def plan_of(seed: int, profile: str = "") -> Plan:
    """The story of this seed."""
    rng = Random(seed)
    name = profile or rng.choice(tuple(name for name in PROFILES if name not in _NAMED))
    return replace(PROFILES[name](_Draft(seed, name, rng)), eager=seed % 2 == 1)


@dataclass
class _Draft:
    """Puts a plan together."""

    seed: int
    name: str
    rng: Random
    parts: list[Part] = field(default_factory=list)

    def pool(self, **fields: Any) -> Pool:
        rng = self.rng
        queues = [Queue(DEFAULT_QUEUE, rng.choice((1, 2, 5)))]
        if rng.random() < 0.6:
            queues.append(Queue("high", 3, limit=rng.choice((None, None, 1, 2))))
            queues.append(Queue("low", 9, limit=rng.choice((None, 1, 2, 3))))
        made = Pool(
            POOL,
            "ecs",
            limit=rng.choice((None, 1, 2, 3, 3, 5, 10)),
            key_limit=rng.choice((None, None, 1, 2)),
            hold_seconds=rng.choice((30, 30, 0, 120)),
            queues=tuple(queues),
        )
        return replace(made, **fields)

    def submits(self, pool: Pool, count: int, horizon: int, **fixed: Any) -> None:
        rng = self.rng
        names = [queue.name for queue in pool.queues]
        for number in range(count):
            fields: dict[str, Any] = {"queue": rng.choice(names)}
            if rng.random() < 0.2:
                fields["at_after"] = rng.choice((5, 60, 400, 1500)) * SECOND
            if rng.random() < 0.15:
                fields["idempotency_key"] = f"k{rng.randrange(4)}-{number // 3}"
            if rng.random() < 0.25:
                fields["concurrency_key"] = rng.choice(("a", "b"))
            if rng.random() < 0.2:
                fields |= {"retries": rng.randint(1, 2), "retry_delay_seconds": rng.choice((0, 9))}
            if rng.random() < 0.2:
                fields["crash_retries"] = 1
            if rng.random() < 0.15:
                fields["timeout_seconds"] = rng.choice((30, 600))
            if rng.random() < 0.1:
                fields["start_within"] = rng.choice((20, 300))
            if pool.deployment_limits:
                fields["deployment"] = "d"
                fields["collision"] = rng.choice((Collision.ENQUEUE, Collision.CANCEL_NEW))
            self.parts.append(
                Submit(
                    at=rng.randrange(horizon),
                    count=rng.choice((1, 1, 1, 2, 3)),
                    by_queue=rng.random() < 0.3,
                    fields={**fields, **fixed},
                    duration=rng.choice((300, 2000, 20_000, 20_000, 90_000, 900_000)),
                    codes=rng.choice(((0,), (0,), (0,), (1, 0), (1,))),
                )
            )

    def acts(self, pool: Pool, count: int, horizon: int) -> None:
        rng = self.rng
        for _ in range(count):
            at = rng.randrange(horizon)
            match rng.choice(("cancel", "cancel", "cancel", "limit", "pause", "queue", "delete")):
                case "cancel":
                    self.parts.append(Act(at, "cancel", rng.randrange(100)))
                case "limit":
                    self.parts.append(Act(at, "limit", rng.choice((1, 2, 3, 5, 0))))
                    self.parts.append(Act(at + 5 * MINUTE, "limit", 3))
                case "pause":
                    self.parts.append(Act(at, "pause", True))
                    self.parts.append(Act(at + rng.choice((20, 400)) * SECOND, "pause", False))
                case "queue" if len(pool.queues) > 1:
                    self.parts.append(Act(at, "queue_limit", ("low", rng.choice((None, 0, 1, 2)))))
                    self.parts.append(Act(at + 4 * MINUTE, "queue_limit", ("low", 2)))
                case "delete" if len(pool.queues) > 1:
                    self.parts.append(Act(at, "delete_queue", "high"))

    def strikes(self, count: int, horizon: int, *kinds: str) -> None:
        rng = self.rng
        for _ in range(count):
            kind = rng.choice(kinds)
            self.parts.append(
                Fault(
                    at=rng.randrange(horizon),
                    kind=kind,
                    verb=rng.choice(VERBS),
                    after=rng.random() < 0.5,
                    amount=rng.choice((50, 400, 3000, 9000, 40_000)) if kind == "slow" else 0,
                )
            )

    def things(self, count: int, horizon: int) -> None:
        rng = self.rng
        for _ in range(count):
            kind = rng.choice(("lose", "duplicate", "duplicate", "late", "late"))
            late = rng.choice((700, 5000, 40_000, 200_000, 2 * HOUR))
            thing = rng.choice(THINGS)
            self.parts.append(Fault(rng.randrange(horizon), kind, thing, amount=late))

    def window(self, kind: str, horizon: int, *lengths: int, **fields: Any) -> None:
        length = self.rng.choice(lengths)
        at = self.rng.randrange(max(1, horizon - length))
        self.parts.append(Fault(at, kind, length=length, **fields))

    def plan(self, pool: Pool, horizon: int, **fields: Any) -> Plan:
        ordered = tuple(sorted(self.parts, key=lambda part: part.at))
        return Plan(self.seed, self.name, pool, ordered, horizon, **fields)


def _calm(draft: _Draft) -> Plan:
    """Nothing goes wrong."""
    pool, horizon = draft.pool(), 40 * MINUTE
    draft.submits(pool, draft.rng.randint(5, 40), horizon)
    draft.acts(pool, draft.rng.randint(0, 4), horizon)
    return draft.plan(pool, horizon)


def _crashes(draft: _Draft) -> Plan:
    """Functions are killed, calls fail or are slow, others come in between."""
    rng, horizon = draft.rng, 30 * MINUTE
    pool = draft.pool()
    draft.submits(pool, rng.randint(5, 30), horizon)
    draft.acts(pool, rng.randint(0, 4), horizon)
    kinds = ("kill", "kill", "unavailable", "slow", "half", "rival", "rival")
    draft.strikes(rng.randint(5, 60), horizon, *kinds)
    draft.things(rng.randint(0, 6), horizon)
    return draft.plan(pool, horizon, mixed=rng.random() < 0.2)


def _losses(draft: _Draft) -> Plan:
    """Records, messages and events are lost, late, twice and out of order."""
    rng, horizon = draft.rng, 40 * MINUTE
    limits = rng.choice(({}, {}, {"d": 1}, {"d": 2}))
    pool = draft.pool(deployment_limits=limits)
    draft.submits(pool, rng.randint(5, 30), horizon)
    draft.acts(pool, rng.randint(0, 5), horizon)
    draft.things(rng.randint(5, 60), horizon)
    if rng.random() < 0.3:
        draft.window("no_sweep", horizon, 10 * MINUTE)
    for kind in ("poison_record", "poison_message", "poison_run", "vanish"):
        if rng.random() < 0.25:
            draft.strikes(1, horizon, kind)
    return draft.plan(pool, horizon)


def _later(draft: _Draft) -> Plan:
    """The platform has no room, throttles, or is down: for seconds and for hours."""
    rng, horizon = draft.rng, 3 * HOUR
    pool = draft.pool(hold_seconds=rng.choice((30, 30, 0, 120, 1800, 14_400)))
    draft.submits(pool, rng.randint(5, 40), horizon // 2)
    draft.acts(pool, rng.randint(0, 3), horizon)
    for _ in range(rng.randint(1, 3)):
        kind = rng.choice(("platform_throttles", "platform_full", "platform_full"))
        lengths = (2 * SECOND, 20 * SECOND, 5 * MINUTE, 40 * MINUTE, 70 * MINUTE, 2 * HOUR)
        draft.window(kind, horizon, *lengths, amount=rng.choice((0, 0, 0, 60, 600)))
    if rng.random() < 0.4:
        draft.window("platform_down", horizon, 20 * SECOND, 10 * MINUTE, 55 * MINUTE)
    draft.strikes(rng.randint(0, 12), horizon, "kill", "lost_reply", "slow", "reject", "rival")
    draft.things(rng.randint(0, 8), horizon)
    room = rng.choice((None, None, 1, 2, 4))
    return draft.plan(pool, horizon, room=room)


def _waits(draft: _Draft) -> Plan:
    """The platform answers each call, and has no room for an hour and longer; a reply is lost."""
    rng, horizon = draft.rng, 4 * HOUR
    pool = draft.pool(hold_seconds=rng.choice((120, 1800, 14_400)))
    draft.submits(pool, rng.randint(5, 20), HOUR)
    kind = rng.choice(("platform_throttles", "platform_full"))
    draft.window(kind, horizon, 70 * MINUTE, 2 * HOUR, 3 * HOUR)
    for _ in range(rng.randint(5, 20)):
        draft.parts.append(Fault(rng.randrange(horizon), "lost_reply", "push", after=True))
    return draft.plan(pool, horizon)


def _outage(draft: _Draft) -> Plan:
    """The table throttles, the account is full, the sweep is off, dead letters are refused."""
    rng, horizon = draft.rng, HOUR
    pool = draft.pool()
    draft.submits(pool, rng.randint(10, 40), horizon)
    draft.acts(pool, rng.randint(0, 3), horizon)
    for _ in range(rng.randint(1, 3)):
        lengths = (3 * SECOND, 30 * SECOND, 3 * MINUTE, 20 * MINUTE)
        draft.window("table", horizon, *lengths, amount=rng.choice((10, 50, 100)))
    if rng.random() < 0.5:
        draft.window("no_sweep", horizon, 10 * MINUTE)
    if rng.random() < 0.5:
        draft.window("busy", horizon, 30 * SECOND, 5 * MINUTE, 20 * MINUTE, amount=10)
    if rng.random() < 0.3:
        draft.window("stream_stalls", horizon, 20 * SECOND, 4 * MINUTE, 30 * MINUTE)
    if rng.random() < 0.3:
        draft.window("dead_letters_full", horizon, 30 * MINUTE)
    draft.strikes(rng.randint(0, 20), horizon, "kill", "unavailable", "slow", "half", "rival")
    return draft.plan(pool, horizon, concurrency=rng.choice((10, 10, 20, 1000)))


def _rates(draft: _Draft) -> Plan:
    """A platform takes so many starts a minute."""
    rng, horizon = draft.rng, HOUR
    rate = rng.choice((Rate(10, 60), Rate(2, 10), Rate(30, 60), Rate(1, 10)))
    pool = draft.pool(**{rng.choice(("rate", "platform_rate", "platform_rate")): rate})
    pool = replace(pool, limit=rng.choice((None, None, 5, 20)))
    draft.submits(pool, rng.randint(10, 60), horizon // 3)
    draft.things(rng.randint(0, 10), horizon)
    draft.strikes(rng.randint(0, 10), horizon, "kill", "slow", "rival")
    return draft.plan(pool, horizon)


def _clock(draft: _Draft) -> Plan:
    """Clocks jump, and machines' clocks differ."""
    rng, horizon = draft.rng, HOUR
    pool = draft.pool()
    draft.submits(pool, rng.randint(5, 30), horizon)
    draft.acts(pool, rng.randint(0, 4), horizon)
    for _ in range(rng.randint(0, 3)):
        jump = rng.choice((-60, -20, -2, 2, 30, 90, 600, 7200)) * SECOND
        draft.parts.append(Fault(rng.randrange(horizon), "clock_jumps", amount=jump))
    draft.strikes(rng.randint(0, 15), horizon, "kill", "unavailable", "slow", "rival")
    draft.things(rng.randint(0, 10), horizon)
    return draft.plan(pool, horizon, skew=rng.choice((0, 200, 1500)))


def _quiet_days(draft: _Draft) -> Plan:
    """Days with little to do."""
    rng, horizon = draft.rng, 48 * HOUR
    pool = draft.pool()
    draft.submits(pool, rng.randint(2, 12), horizon)
    draft.things(rng.randint(0, 6), horizon)
    draft.strikes(rng.randint(0, 8), horizon, "kill", "unavailable", "rival")
    return draft.plan(pool, horizon)


def _storm(draft: _Draft) -> Plan:
    """Calls of the table fail for most of an hour, and much else goes wrong in it."""
    rng, horizon = draft.rng, HOUR
    pool = draft.pool()
    draft.submits(pool, rng.randint(10, 40), horizon)
    draft.acts(pool, rng.randint(0, 4), horizon)
    draft.window("table", horizon, 50 * MINUTE, amount=rng.choice((5, 15, 30, 50)))
    kinds = ("kill", "unavailable", "slow", "half", "rival", "lost_reply")
    draft.strikes(rng.randint(20, 80), horizon, *kinds)
    draft.things(rng.randint(20, 60), horizon)
    return draft.plan(pool, horizon, concurrency=rng.choice((10, 1000)))


def _everything(draft: _Draft) -> Plan:
    """All of it at once."""
    rng, horizon = draft.rng, 90 * MINUTE
    pool = draft.pool(deployment_limits=rng.choice(({}, {"d": 2})))
    draft.submits(pool, rng.randint(10, 40), horizon)
    draft.acts(pool, rng.randint(0, 6), horizon)
    kinds = ("kill", "unavailable", "slow", "half", "rival", "lost_reply", "reject", "vanish")
    draft.strikes(rng.randint(10, 60), horizon, *kinds)
    draft.things(rng.randint(5, 30), horizon)
    for kind in ("table", "platform_full", "platform_throttles", "platform_down", "no_sweep"):
        if rng.random() < 0.4:
            draft.window(kind, horizon, 5 * SECOND, MINUTE, 10 * MINUTE, amount=50)
    return draft.plan(pool, horizon, concurrency=rng.choice((10, 1000)), mixed=rng.random() < 0.3)


#: Played when they are asked for: others contain what goes wrong in them.
_NAMED = ("waits", "silent")


def _silent(draft: _Draft) -> Plan:
    """A platform that reports no ends; messages are lost, twice and late, functions are killed."""
    rng, horizon = draft.rng, HOUR
    pool = draft.pool()
    draft.submits(pool, rng.randint(5, 40), horizon)
    draft.acts(pool, rng.randint(0, 3), horizon)
    for _ in range(rng.randint(0, 40)):
        kind = rng.choice(("lose", "duplicate", "duplicate", "late"))
        late = rng.choice((700, 5000, 40_000, 200_000))
        draft.parts.append(Fault(rng.randrange(horizon), kind, "look", amount=late))
    draft.strikes(rng.randint(0, 30), horizon, "kill", "unavailable", "slow", "half", "rival")
    if rng.random() < 0.3:
        draft.window("platform_down", horizon, 20 * SECOND, 10 * MINUTE)
    skew = rng.choice((0, 0, 200, 1500))
    return draft.plan(pool, horizon, silent=True, skew=skew, mixed=rng.random() < 0.2)


PROFILES: dict[str, Callable[[_Draft], Plan]] = {
    "calm": _calm,
    "crashes": _crashes,
    "losses": _losses,
    "later": _later,
    "waits": _waits,
    "outage": _outage,
    "rates": _rates,
    "clock": _clock,
    "quiet": _quiet_days,
    "storm": _storm,
    "everything": _everything,
    "silent": _silent,
}
