"""What are the nouns? Pools, queues, runs, attempts and ledgers, as frozen values.

Standard library only. Times are whole milliseconds since the epoch (UTC), durations are seconds
unless a name says otherwise. Nothing here decides anything: see `admission` and `lifecycle`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from push_dispatch.core.errors import Invalid

__all__ = [
    "DEFAULT_QUEUE",
    "DELETED",
    "HOLD_SECONDS",
    "MAX_PERIOD_SECONDS",
    "MAX_SLOTS",
    "MAX_STARTS",
    "TERMINAL",
    "Attempt",
    "Collision",
    "Fallback",
    "Holder",
    "Ledger",
    "Observation",
    "Pool",
    "Queue",
    "Rate",
    "Ready",
    "Run",
    "RunState",
    "Slot",
    "Starts",
    "Status",
    "check_limit",
    "check_name",
    "check_patience",
    "check_priority",
    "check_rate",
    "is_name",
    "is_uuid",
    "parse_run_id",
]

#: The queue of a run that names none. Every pool has it; it cannot be deleted.
DEFAULT_QUEUE = "default"

#: A pool without a limit has this one: the ledger is one item, written by the kilobyte
#: (about 30 bytes a slot), and must stay well under DynamoDB's 400 KB.
MAX_SLOTS = 5000

#: Bounds of a rate, whichever way it comes in; the JSON Schema has the same.
MAX_STARTS = 1_000_000
MAX_PERIOD_SECONDS = 31 * 24 * 3600
#: How long a run keeps its slot while its platform refuses, unless its pool says otherwise: most
#: throttling is over within seconds.
HOLD_SECONDS = 30
#: A pool may not hold longer, or have runs give up later.
MAX_HOLD_SECONDS = 86_400
MAX_GIVE_UP_SECONDS = 366 * 86_400

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_EMPTY: Mapping[str, Any] = MappingProxyType({})


#: Of a ledger, instead of the version of its pool's configuration: the pool was deleted. A pool
#: that is not there for other reasons, such as a restore that has not come to it, has none.
DELETED = -1


class RunState(StrEnum):
    """Where a run is in its life; the same names as Prefect's state types."""

    #: Accepted, waiting for its time, a slot, or its hand-over. May already hold a slot.
    SCHEDULED = "SCHEDULED"
    #: Claimed by a push; the platform has been or is being asked. Holds a slot.
    PENDING = "PENDING"
    #: The platform reports that the attempt runs. Holds a slot.
    RUNNING = "RUNNING"
    #: Asked to stop; keeps its slot until the infrastructure is known to have ended.
    CANCELLING = "CANCELLING"
    #: The process exited with code 0.
    COMPLETED = "COMPLETED"
    #: The process exited with another code and no retry is left.
    FAILED = "FAILED"
    #: The infrastructure, the push or the timeout ended it and no retry is left.
    CRASHED = "CRASHED"
    #: Stopped because somebody asked, or because its time to start had passed.
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether nothing can happen to the run any more."""
        return self in TERMINAL


TERMINAL = frozenset(
    {RunState.COMPLETED, RunState.FAILED, RunState.CRASHED, RunState.CANCELLED},
)


class Collision(StrEnum):
    """What becomes of a run whose deployment already runs as often as it may."""

    ENQUEUE = "ENQUEUE"
    CANCEL_NEW = "CANCEL_NEW"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `starts` starts in any window of `period_seconds`. `check_rate` has the bounds.

    Exact while the starts of a window happened at no more than 128 different times (milliseconds;
    one pass of dispatch is one time). Beyond that, neighbouring starts are counted together, as if
    all had happened at the last of them: a window never holds more, and a start becomes free
    again at most a 64th of the period late.
    """

    starts: int
    period_seconds: int


@dataclass(frozen=True, slots=True)
class Fallback:
    """Another way to run what the pool's own platform has no room for, under the same slot."""

    type: str
    #: Content digest of the base job template that is rendered for it.
    template: str


@dataclass(frozen=True, slots=True)
class Queue:
    """A line of waiting runs inside a pool."""

    name: str
    #: Unique in the pool; 1 is served first.
    priority: int
    #: Slots it may hold at once: None is no limit, 0 starts nothing.
    limit: int | None = None
    paused: bool = False
    description: str = ""
    #: Slots that runs with the same concurrency key may hold at once in this queue.
    key_limit: int | None = None
    rate: Rate | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """Declared configuration of a pool; what is live is in its `Ledger`."""

    name: str
    #: The type of infrastructure, such as `ecs` or `cloud-run-v2:push`.
    type: str
    limit: int | None = None
    paused: bool = False
    queues: tuple[Queue, ...] = (Queue(DEFAULT_QUEUE, 1),)
    description: str = ""
    #: Content digest of its base job template.
    template: str = ""
    #: Slots that runs with the same concurrency key may hold at once in this pool.
    key_limit: int | None = None
    rate: Rate | None = None
    #: Slots that each deployment may hold at once; deployments without a limit are left out.
    deployment_limits: Mapping[str, int] = field(default_factory=lambda: _EMPTY)
    #: Where to push, in this order, when the pool's own type has no capacity.
    fallbacks: tuple[Fallback, ...] = ()
    #: Starts of this pool that the platform accepts: no more are admitted, spread evenly but for
    #: a burst of `starts`.
    platform_rate: Rate | None = None
    #: How long a run keeps its slot while the platform has no room or is throttling.
    hold_seconds: int = HOLD_SECONDS
    #: How long after its first refusal a run that is still refused ends; None is never.
    give_up_seconds: int | None = None
    #: Secrets that job variables may name, as patterns with `*` and `?`; templates may name any.
    secrets: tuple[str, ...] = ()
    #: Queues deleted while runs waited in them: their entries move to the default queue.
    retired: tuple[str, ...] = ()
    #: Moves with every change of the configuration item.
    version: int = 0

    def queue(self, name: str) -> Queue | None:
        """The queue of that name, or None."""
        return next((queue for queue in self.queues if queue.name == name), None)

    @property
    def in_order(self) -> tuple[Queue, ...]:
        """The queues, first served first."""
        return tuple(sorted(self.queues, key=lambda queue: queue.priority))

    @property
    def slots(self) -> int:
        """How many slots the pool has, with or without a limit."""
        return MAX_SLOTS if self.limit is None else min(self.limit, MAX_SLOTS)


#: Times, each with the number of runs that started then.
Starts = tuple[tuple[int, int], ...]


class Slot(NamedTuple):
    """Names one holder: the run and the attempt that the slot was given to."""

    run: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Holder:
    """One slot of a pool that is held."""

    #: The run's uuid.
    run: str
    attempt: int
    queue: str
    #: When it was admitted.
    since: int
    concurrency_key: str = ""
    deployment: str = ""

    @property
    def slot(self) -> Slot:
        """What a release names."""
        return Slot(self.run, self.attempt)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Who holds the slots of a pool: a set, not a counter, so that adding and removing are
    idempotent and nothing can drift."""

    pool: str
    #: 0 if the pool has no ledger yet; every write moves it by one.
    version: int = 0
    holders: tuple[Holder, ...] = ()
    #: Recent starts by scope (`""` is the pool, else a queue) where a rate is set: times, oldest
    #: first, each with the number of runs that started then.
    starts: Mapping[str, Starts] = field(default_factory=lambda: _EMPTY)
    #: Version of the configuration under which the last admission was decided; DELETED since the
    #: pool was deleted.
    configuration: int = 0
    #: When the bucket of the pool's platform rate is full again: see `pacing`.
    paced: int = 0

    def of_deleted_pool(self) -> Ledger:
        """What stays of it when the pool is deleted: the version, which the next pool of that name
        goes on from, and the fact."""
        return Ledger(self.pool, version=self.version + 1, configuration=DELETED)

    def without(self, ended: Collection[Slot]) -> Ledger:
        """This ledger after the given attempts have ended.

        A later attempt of the same run keeps its slot: late and repeated news of an earlier end
        must not take it away. The same object if nothing changes.
        """
        last = _last_attempts(ended)
        kept = tuple(h for h in self.holders if h.attempt > last.get(h.run, -1))
        return self if len(kept) == len(self.holders) else replace(self, holders=kept)


def _last_attempts(slots: Collection[Slot]) -> dict[str, int]:
    last: dict[str, int] = {}
    for run, attempt in slots:
        last[run] = max(attempt, last.get(run, -1))
    return last


class Status(StrEnum):
    """What a platform knows of an attempt. Terminal: ENDED and LOST."""

    #: Accepted by the platform; the user's code does not run yet.
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    #: The infrastructure has stopped and will not start again.
    ENDED = "ENDED"
    #: The platform does not know the handle (any more), and is sure of it.
    LOST = "LOST"
    #: The platform could not be asked (timeout, 5xx): conclude nothing.
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of one attempt, by an event, the reporter, or a poll."""

    run_id: str
    attempt: int
    status: Status
    #: The platform's handle, if the observer knows it.
    handle: str | None = None
    #: Of the user's process; None if it never ran or nobody knows.
    exit_code: int | None = None
    #: A token of `push_dispatch.core.reasons` when the attempt ended other than by exit code, such
    #: as `out_of_memory`, `spot_interruption`, `image_pull_failed`, `stopped_on_request`.
    reason: str | None = None
    #: The platform's own words, for people.
    message: str | None = None
    #: False if a new attempt of the same request cannot succeed (a missing image).
    retryable: bool = True
    #: The platform's own times; None where it names none, or the end is our conclusion: then it
    #: counts, and is marked, as the time at which it was seen.
    started_at: int | None = None
    ended_at: int | None = None
    #: Orders the observations of one attempt where they are numbered (ECS `detail.version`).
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One launch of a run."""

    number: int
    platform: str
    #: Digest of the base job template it is rendered from, so that sending it again sends the same.
    template: str = ""
    #: The pool's type at the time, or the fallback that was taken.
    type: str = ""
    #: Types that had no capacity before, each with its reason.
    tried: tuple[str, ...] = ()
    claimed_at: int = 0
    #: When it was first sent, as far as that may have started something. 0: nothing was started,
    #: for certain, however often it was sent. None: claimed by an older version.
    sent_at: int | None = None
    #: Until when whoever claimed it is left alone.
    lease_until: int = 0
    #: Who claimed it: lets the same push go on, and a lost reply be recognised.
    claim: str = ""
    handle: str | None = None
    pushed_at: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    #: Whether these are the times at which it was seen, not the platform's own.
    started_seen: bool = False
    ended_seen: bool = False
    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None
    #: Version of the newest observation that was applied.
    observed: int | None = None
    #: When the attempt was last heard of.
    seen_at: int | None = None

    @property
    def in_doubt_since(self) -> int:
        """Since when it may have been started. 0 if it was not, for certain."""
        return self.claimed_at if self.sent_at is None else self.sent_at


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what was asked for, and where it is in its life."""

    pool: str
    uuid: str
    queue: str
    #: Earliest start.
    due: int
    submitted_at: int
    #: A uuid7 that orders runs of the same due time by submission, even where the idempotency
    #: key has determined the id.
    order: str
    state: RunState = RunState.SCHEDULED
    #: Number of the last attempt that was claimed; a SCHEDULED run waits for the next one.
    attempt: int = 0
    #: Moves with every write: the condition of the next one.
    rev: int = 0
    name: str = ""
    #: Job variables of the run itself.
    variables: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    #: Job variables of its deployment when it was submitted.
    deployment_variables: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    deployment: str = ""
    collision: Collision = Collision.ENQUEUE
    parameters: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    tags: tuple[str, ...] = ()
    idempotency_key: str = ""
    concurrency_key: str = ""
    traceparent: str = ""
    timeout_seconds: int | None = None
    #: The run is not started after this time.
    expires: int | None = None
    #: Further attempts after a failure, and after a crash.
    retries: int = 0
    crash_retries: int = 0
    retry_delay_seconds: int = 10
    failures: int = 0
    crashes: int = 0
    reason: str | None = None
    message: str | None = None
    #: Why it was asked to stop, while it is CANCELLING.
    stop: str | None = None
    #: How often it gave its slot back because the platform had no room, since it last started.
    returns: int = 0
    #: When the platform last refused it; 0 if it was not asked.
    refused_at: int = 0
    #: How often it was refused although the platform had taken others since it was refused before.
    blames: int = 0
    #: It ends if it has not started by then: set at the first refusal, if the pool gives up.
    give_up_at: int | None = None
    #: The newest attempts, oldest first.
    attempts: tuple[Attempt, ...] = ()
    ended_at: int | None = None
    #: What is malformed in the stored item; never stored. Such a run is never started: whoever
    #: comes across it ends it (see `transition.end_unreadable`).
    unreadable: str = ""

    @property
    def id(self) -> str:
        """The id as people see it: it names the pool."""
        return f"{self.pool}.{self.uuid}"

    @property
    def instance(self) -> str:
        """Names this run and no other: an idempotency key that is used again after the retention
        makes another run with the same uuid."""
        return self.uuid if self.order == self.uuid else f"{self.uuid}.{self.order}"

    @property
    def current(self) -> Attempt | None:
        """The attempt that was claimed last."""
        return self.attempts[-1] if self.attempts else None

    @property
    def next_attempt(self) -> int:
        """The number of the attempt that a SCHEDULED run waits for."""
        return self.attempt + 1

    def waits_for(self, attempt: int) -> bool:
        """Whether the run is waiting to be pushed for exactly this attempt."""
        return self.state is RunState.SCHEDULED and self.next_attempt == attempt

    def has_ended(self, attempt: int) -> bool:
        """Whether this attempt is over for good, so that its slot is free: the run has ended, or
        waits for a later attempt. Once true it stays true."""
        return self.state.ended or (
            attempt <= self.attempt if self.state is RunState.SCHEDULED else attempt < self.attempt
        )


@dataclass(frozen=True, slots=True)
class Ready:
    """A place in line: one waiting attempt of a run, in the order in which it is served."""

    queue: str
    due: int
    order: str
    run: str
    attempt: int
    expires: int | None = None
    concurrency_key: str = ""
    deployment: str = ""
    collision: Collision = Collision.ENQUEUE
    #: See `Run`. A returned run keeps its order, so this tells its places apart.
    returns: int = 0
    refused_at: int = 0
    blames: int = 0
    #: Whether the key of its item ends with the run's id: places of versions before 0.2 do not.
    names_run: bool = field(default=True, compare=False)

    @classmethod
    def of(cls, run: Run) -> Ready:
        """The place in line of a SCHEDULED run."""
        ends = [at for at in (run.expires, run.give_up_at) if at is not None]
        return cls(
            queue=run.queue,
            due=run.due,
            order=run.order,
            run=run.uuid,
            attempt=run.next_attempt,
            expires=min(ends, default=None),
            concurrency_key=run.concurrency_key,
            deployment=run.deployment,
            collision=run.collision,
            returns=run.returns,
            refused_at=run.refused_at,
            blames=run.blames,
        )

    @property
    def slot(self) -> Slot:
        """The slot that it would hold."""
        return Slot(self.run, self.attempt)


# -- what people type ------------------------------------------------------------------------


def check_name(name: str, what: str) -> str:
    """`name` if it may name a `what`; raises Invalid (`invalid_name`).

    Names appear in keys, run ids and the platforms' correlation fields (ECS `startedBy` takes 128
    characters of letters, digits and `-_/`), hence the small alphabet.
    """
    if is_name(name):
        return name
    shown = name if len(name) <= 40 else f"{name[:40]}… ({len(name)} characters)"
    raise Invalid(
        f"{what} name {shown!r} is not valid: 1 to 63 letters, digits, '-' and '_', "
        "starting with a letter or digit",
        reason="invalid_name",
    )


def check_limit(limit: int | None, what: str) -> int | None:
    """`limit` if it is one; raises Invalid (`invalid_limit`)."""
    if limit is None or (type(limit) is int and 0 <= limit <= MAX_SLOTS):
        return limit
    raise Invalid(
        f"limit {limit} of {what} is not valid: a whole number from 0 to {MAX_SLOTS}, or none",
        reason="invalid_limit",
    )


def check_rate(rate: Rate | None, what: str) -> Rate | None:
    """Return `rate` if it is one; raise Invalid.

    A start a millisecond is as fine as the clock is, and what a platform is asked for in a month
    needs no rate.
    """
    if rate is None:
        return None
    for name, value, most in (
        ("starts", rate.starts, MAX_STARTS),
        ("seconds", rate.period_seconds, MAX_PERIOD_SECONDS),
    ):
        if type(value) is not int or not 1 <= value <= most:
            raise Invalid(f"rate of {what}: {name} {value!r}: an integer from 1 to {most:,}")
    if rate.starts > rate.period_seconds * 1000:
        raise Invalid(
            f"rate of {what}: {rate.starts:,} starts in {rate.period_seconds} s: at most 1,000 a "
            "second"
        )
    return rate


def check_patience(pool: Pool) -> None:
    """Raise Invalid (`invalid_limit`) if the pool cannot wait for its platform like that."""
    for seconds, least, most, name in (
        (pool.hold_seconds, 0, MAX_HOLD_SECONDS, "hold_seconds"),
        (pool.give_up_seconds, 1, MAX_GIVE_UP_SECONDS, "give_up_seconds"),
    ):
        if seconds is not None and not least <= seconds <= most:
            raise Invalid(
                f"{name} {seconds} of pool {pool.name!r} is not valid: "
                f"an integer from {least} to {most}",
                reason="invalid_limit",
            )


def check_priority(priority: int, what: str) -> int:
    """`priority` if it is one; raises Invalid (`invalid_priority`)."""
    if type(priority) is int and priority >= 1:
        return priority
    raise Invalid(
        f"priority {priority} of {what} is not valid: a whole number from 1 on, 1 is served first",
        reason="invalid_priority",
    )


def is_name(text: str) -> bool:
    """Whether the text may name a pool, a queue or a deployment."""
    return _NAME.match(text) is not None


def is_uuid(text: str) -> bool:
    """Whether the text is a uuid as run items are keyed: in lower case, with dashes."""
    return _UUID.match(text) is not None


def first_id_at(milliseconds: int) -> str:
    """The least text that sorts before every uuid7 of that time and after all earlier ones."""
    time = f"{max(0, milliseconds):012x}"
    return f"{time[:8]}-{time[8:]}"


def parse_run_id(text: str) -> tuple[str, str]:
    """The pool and the uuid in a run id such as `etl.0199c1f0-…`; raises Invalid."""
    pool, dot, uuid = text.rpartition(".")
    if dot and _NAME.match(pool) and is_uuid(uuid):
        return pool, uuid
    raise Invalid(
        f"run id {text!r} is not valid: it looks like POOL.0199c1f0-1111-7222-8333-444455556666",
        reason="invalid_input",
    )
