"""What is declared: pools, queues, limits and rates, and which numbers they take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from push_dispatch.core.bounds import DESCRIPTION, LARGEST, SECRET_PATTERN
from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason

__all__ = [
    "DEFAULT_QUEUE",
    "HOLD_SECONDS",
    "MAX_GIVE_UP_SECONDS",
    "MAX_HOLD_SECONDS",
    "MAX_PERIOD_SECONDS",
    "MAX_SLOTS",
    "MAX_STARTS",
    "MAX_WAITING",
    "Backfill",
    "Collision",
    "Edge",
    "Fallback",
    "NamedLimit",
    "Pool",
    "Queue",
    "Rate",
    "check_description",
    "check_limit",
    "check_patience",
    "check_priority",
    "check_rate",
    "check_secret_patterns",
]

#: The queue of a run that names none. Every pool has it; it cannot be deleted.
DEFAULT_QUEUE = "default"

#: A pool without a limit has this one: each pass counts all slots that are held.
MAX_SLOTS = 10_000

#: Runs that `max_waiting` may let wait: a submission counts them one by one.
MAX_WAITING = 10_000

#: Bounds of a rate, whichever way it comes in; the JSON Schema has the same.
MAX_STARTS = 1_000_000
MAX_PERIOD_SECONDS = 31 * 24 * 3600
#: How long a run keeps its slot while its platform refuses, unless its pool says otherwise: most
#: throttling is over within seconds.
HOLD_SECONDS = 30
#: A pool may not hold longer, or have runs give up later.
MAX_HOLD_SECONDS = 86_400
MAX_GIVE_UP_SECONDS = 366 * 86_400

_EMPTY: Mapping[str, Any] = MappingProxyType({})


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


class Collision(StrEnum):
    """What becomes of a run whose deployment, or else whose key, is full when it is due."""

    #: It waits.
    ENQUEUE = "ENQUEUE"
    #: It is cancelled.
    CANCEL_NEW = "CANCEL_NEW"
    #: It replaces the oldest that runs, which is stopped; of those that wait only the newest stays.
    CANCEL_RUNNING = "CANCEL_RUNNING"
    #: It waits, and of those that wait only the newest stays.
    LATEST = "LATEST"


class Edge(StrEnum):
    """Which of the runs that come shortly after each other starts."""

    #: The last one, once none has come for as long as the deployment says.
    TRAILING = "trailing"
    #: The first one.
    LEADING = "leading"


class Backfill(StrEnum):
    """Who may start while a run waits for capacity that is not free."""

    #: Nobody takes what it needs: what becomes free is kept for it.
    NONE = "none"
    #: A run that is certain to have ended by the time at which the other is certain to start.
    CONSERVATIVE = "conservative"


@dataclass(frozen=True, slots=True)
class NamedLimit:
    """A limit of all runs of a pool that have the same key: see `core.limits`."""

    name: str
    #: An expression over the run; empty is one key for all runs.
    key: str = ""
    #: Slots that the runs of one key may hold at once.
    limit: int | None = None
    #: Starts of the runs of one key.
    rate: Rate | None = None
    #: Runs of one key that may wait for their first start: see `core.waiting`.
    max_waiting: int | None = None


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
    #: Runs that may wait in it for their first start: see `core.waiting`.
    max_waiting: int | None = None


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
    #: Runs with the same concurrency key, and of each deployment, that may wait for their first
    #: start: see `core.waiting`.
    key_max_waiting: int | None = None
    deployment_max_waiting: Mapping[str, int] = field(default_factory=lambda: _EMPTY)
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
    #: Limits by name, shared by queues and deployments.
    limits: tuple[NamedLimit, ...] = ()
    #: How much its runs may take at once of each unit, in thousandths.
    capacity: Mapping[str, int] = field(default_factory=lambda: _EMPTY)
    #: By unit, an expression for what a run takes of it; otherwise its job configuration says so.
    weights: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    backfill: Backfill = Backfill.NONE
    #: How much later a run counts as due for each queue that goes before its own; None serves the
    #: queues strictly one after the other.
    ageing_seconds: int | None = None
    #: Whether it has ever had a limit for which runs may be parked in lanes: the sweep looks there.
    laned: bool = False
    #: Queues deleted while runs waited in them: their entries move to the default queue.
    retired: tuple[str, ...] = ()
    #: The function that every attempt passes before it is pushed, such as `prefect`, which claims
    #: it at the server that the pool is attached to; empty for none.
    gateway: str = ""
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
    def last_type(self) -> str:
        """The type behind which there is nowhere to go: if it refuses, the pool waits."""
        return self.fallbacks[-1].type if self.fallbacks else self.type

    @property
    def slots(self) -> int:
        """How many slots the pool has, with or without a limit."""
        return MAX_SLOTS if self.limit is None else min(self.limit, MAX_SLOTS)


def check_limit(limit: int | None, what: str) -> int | None:
    """`limit` if it is one; raises Invalid (`invalid_limit`)."""
    if limit is None or (type(limit) is int and 0 <= limit <= MAX_SLOTS):
        return limit
    raise Invalid(
        f"limit {limit} of {what} is not valid: an integer from 0 to {MAX_SLOTS}, or none",
        reason=Reason.INVALID_LIMIT,
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
                reason=Reason.INVALID_LIMIT,
            )


def check_priority(priority: int, what: str) -> int:
    """`priority` if it is one; raises Invalid (`invalid_priority`)."""
    if type(priority) is int and 1 <= priority <= LARGEST:
        return priority
    raise Invalid(
        f"priority {priority} of {what} is not valid: an integer from 1 to {LARGEST}, 1 is served "
        "first",
        reason=Reason.INVALID_PRIORITY,
    )


def check_description(text: str, what: str) -> None:
    """Raise Invalid if a description is longer than an item has room for."""
    if len(text) > DESCRIPTION:
        raise Invalid(
            f"the description of {what} has {len(text):,} characters: at most {DESCRIPTION:,} are "
            "taken"
        )


def check_secret_patterns(patterns: Iterable[str], what: str) -> None:
    """Raise Invalid if one of them can fit no secret's name."""
    for pattern in patterns:
        if not re.fullmatch(SECRET_PATTERN, pattern):
            raise Invalid(
                f"secret {pattern[:40]!r} of {what} is not valid: 1 to 200 letters, digits and "
                "_ . - /, with * and ? for what may differ, such as etl/*"
            )
