"""What is a run, where is it in its life, and what is known of its attempts?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from push_dispatch.core.model.ledger import Keys, Slot, Weights
from push_dispatch.core.model.pool import Collision, Edge

__all__ = [
    "MAX_START_BY_SECONDS",
    "NOT_DUE_LANE",
    "TERMINAL",
    "Attempt",
    "Observation",
    "Ready",
    "Run",
    "RunState",
    "Status",
]

_EMPTY: Mapping[str, Any] = MappingProxyType({})

#: How long after its due time a run may be to start at the latest. A run without such a time
#: counts as one with this one, so that those that have one pass it for no longer.
MAX_START_BY_SECONDS = 7 * 86_400
#: How long before it is warned of.
_WARNING_SECONDS = 120
#: The lane of runs that are not due and have a time to start by: their order is by that time, and
#: the line is read from its beginning.
NOT_DUE_LANE = "not-due"


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
    #: Pushes of it that failed without an answer that counts.
    tries: int = 0
    #: When it is pushed again; None unless it is put off.
    next_try_at: int | None = None
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
    #: Of the runs of its deployment and key that are due within so many seconds one starts.
    debounce_seconds: int | None = None
    debounce_edge: Edge = Edge.TRAILING
    parameters: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    tags: tuple[str, ...] = ()
    idempotency_key: str = ""
    concurrency_key: str = ""
    traceparent: str = ""
    timeout_seconds: int | None = None
    #: The run is not started after this time.
    expires: int | None = None
    #: The run should start by this time, at most `MAX_START_BY_SECONDS` after it is due.
    start_by: int | None = None
    #: When it was warned that it might start later.
    warned_at: int | None = None
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
    #: The named limits that it falls under, and what it takes of its pool's capacity, both as of
    #: the declaration `under`: see `engine.claims`.
    keys: Keys = ()
    weights: Weights = ()
    under: str = ""
    #: How much earlier than its due time it stands in line, in milliseconds.
    boost: int = 0
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
    #: By when it should start, until it has started once.
    start_by: int | None = None
    concurrency_key: str = ""
    deployment: str = ""
    collision: Collision = Collision.ENQUEUE
    #: Until its first attempt is claimed.
    debounce_seconds: int | None = None
    debounce_edge: Edge = Edge.TRAILING
    keys: Keys = ()
    weights: Weights = ()
    #: Of a run with weights.
    timeout_seconds: int | None = None
    under: str = ""
    boost: int = 0
    #: See `Run`. A returned run keeps its order, so this tells its places apart.
    returns: int = 0
    refused_at: int = 0
    blames: int = 0
    #: Where it is parked while a key of its run is full: see `core.lanes`. Empty in the line.
    lane: str = field(default="", compare=False)
    #: Of a place in the line: the lane in which the run has a place as well.
    also_in: str = field(default="", compare=False)
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
            start_by=None if run.failures or run.crashes else run.start_by,
            concurrency_key=run.concurrency_key,
            deployment=run.deployment,
            collision=run.collision,
            debounce_seconds=None if run.attempt else run.debounce_seconds,
            debounce_edge=run.debounce_edge,
            keys=run.keys,
            weights=run.weights,
            timeout_seconds=run.timeout_seconds if run.weights else None,
            under=run.under,
            boost=run.boost,
            returns=run.returns,
            refused_at=run.refused_at,
            blames=run.blames,
        )

    @property
    def placed(self) -> int:
        """The time that orders it in its queue: when it is due, or so long before it should start
        that it comes before all that have no such time; earlier if it was boosted."""
        if self.start_by is None:
            return self.counts_from
        return self.start_by - MAX_START_BY_SECONDS * 1000 - self.boost

    @property
    def counts_from(self) -> int:
        """The time that orders its queue among others that are aged: when it is due, or earlier if
        it was boosted."""
        return max(0, self.due - self.boost)

    @property
    def warns_at(self) -> int | None:
        """When it is to be warned of that it may start too late; None if never."""
        if self.start_by is None:
            return None
        return max(self.due, self.start_by - _WARNING_SECONDS * 1000)

    def next_tick(self, now: int) -> int | None:
        """When time alone changes something about it: it is due, is warned of, or expires."""
        if self.due > now:
            return self.due
        warns = self.warns_at if self.start_by is not None and self.start_by > now else None
        return min((at for at in (warns, self.expires) if at is not None), default=None)

    def standing(self, now: int) -> Ready:
        """The place in which it is put now: in a lane of its own kind while it is not due."""
        if self.start_by is None or self.due <= now or self.lane:
            return self
        return replace(self, lane=NOT_DUE_LANE)

    @property
    def place(self) -> tuple[str, int, str, str, int]:
        """What its item in the line is named after: of two that share it there is one item."""
        return self.queue, self.placed, self.order, self.run, self.returns

    @property
    def slot(self) -> Slot:
        """The slot that it would hold."""
        return Slot(self.run, self.attempt)
