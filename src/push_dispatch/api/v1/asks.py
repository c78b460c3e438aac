"""What may a request say? The types of queries and bodies; what does not fit is refused.

In a body that changes something, an absent field stays as it is and null clears it. Durations are
seconds, times are ISO 8601 with a time zone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from push_dispatch.core import bounds
from push_dispatch.core.model import (
    HOLD_SECONDS,
    MAX_GIVE_UP_SECONDS,
    MAX_HOLD_SECONDS,
    MAX_PERIOD_SECONDS,
    MAX_SLOTS,
    MAX_STARTS,
    Backfill,
    Collision,
    RunState,
)

__all__ = [
    "Apply",
    "Change",
    "Cursor",
    "Delete",
    "DeletePool",
    "DeploymentChange",
    "DeploymentSettings",
    "DryRun",
    "FallbackSettings",
    "Logs",
    "OverviewQuery",
    "PoolChange",
    "PoolSettings",
    "QueueChange",
    "QueueSettings",
    "RateSettings",
    "RunFilter",
    "RunSelection",
    "RunsQuery",
    "ScheduleSettings",
    "Simulation",
    "Submission",
    "Submissions",
    "TemplateSettings",
    "TimesQuery",
    "Wait",
]

#: The longest list in one reply, and runs in one batch.
PAGE = 200
BATCH = 500

Name = Annotated[str, Meta(pattern=bounds.NAME)]
Limit = Annotated[int, Meta(ge=0, le=MAX_SLOTS, description="Slots; 0 starts nothing.")]
Priority = Annotated[int, Meta(ge=1, le=bounds.LARGEST, description="1 is served first.")]
Hold = Annotated[int, Meta(ge=0, le=MAX_HOLD_SECONDS)]
GiveUp = Annotated[int, Meta(ge=1, le=MAX_GIVE_UP_SECONDS)]
Ageing = Annotated[int, Meta(ge=1, le=MAX_GIVE_UP_SECONDS)]
Amount = Annotated[float, Meta(ge=0, le=1_000_000_000)]
Count = Annotated[int, Meta(ge=0, le=bounds.LARGEST)]
Seconds = Annotated[int, Meta(ge=1, le=bounds.LARGEST)]
Description = Annotated[str, Meta(max_length=bounds.DESCRIPTION)]
Secret = Annotated[str, Meta(pattern=bounds.SECRET_PATTERN)]
Type = Annotated[
    str,
    Meta(
        max_length=63,
        description="Such as process, ecs or cloud-run-v2:push.",
        examples=["process"],
    ),
]
Tag = Annotated[str, Meta(max_length=bounds.TAG)]
RunName = Annotated[str, Meta(max_length=bounds.RUN_NAME)]
Key = Annotated[str, Meta(max_length=bounds.CONCURRENCY_KEY)]
Interval = Annotated[int, Meta(ge=60, le=bounds.LONGEST_INTERVAL, multiple_of=60)]
Time = Annotated[datetime, Meta(tz=True)]
PageSize = Annotated[int, Meta(ge=1, le=PAGE, description="Items in one reply.")]
After = Annotated[str, Meta(max_length=200, description="`next` of the reply before.")]


class Ask(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What all of them share: unknown fields are refused."""


# -- configuration ----------------------------------------------------------------------------


class RateSettings(Ask, frozen=True):
    """At most so many starts in any window of the period."""

    starts: Annotated[int, Meta(ge=1, le=MAX_STARTS)]
    period_seconds: Annotated[int, Meta(ge=1, le=MAX_PERIOD_SECONDS)]


class LimitSettings(Ask, frozen=True):
    """A limit of all runs that have the same key: a number, a rate, or both."""

    key: Annotated[str, Meta(max_length=200)] = ""
    limit: Limit | None = None
    rate: RateSettings | None = None


class FallbackSettings(Ask, frozen=True):
    """Where to go when the pool's own platform has no capacity."""

    type: Type
    base_job_template: dict[str, Any] | None = None


class PoolSettings(Ask, frozen=True):
    """A whole pool but for its queues. What is left out has its default."""

    type: Type
    base_job_template: dict[str, Any] | None = None
    limit: Limit | None = None
    key_limit: Limit | None = None
    rate: RateSettings | None = None
    platform_rate: RateSettings | None = None
    hold_seconds: Hold = HOLD_SECONDS
    give_up_seconds: GiveUp | None = None
    paused: bool = False
    description: Description = ""
    secrets: list[Secret] = []
    limits: dict[Name, LimitSettings] = {}
    capacity: dict[str, Amount] = {}
    weights: dict[str, str] = {}
    backfill: Backfill = Backfill.NONE
    ageing_seconds: Ageing | None = None
    fallbacks: list[FallbackSettings] = []


class TemplateSettings(Ask, frozen=True):
    """A base job template."""

    base_job_template: dict[str, Any]


class PoolChange(Ask, frozen=True):
    """What is to change of a pool; null clears a limit or a rate."""

    limit: Limit | UnsetType | None = UNSET
    key_limit: Limit | UnsetType | None = UNSET
    rate: RateSettings | UnsetType | None = UNSET
    platform_rate: RateSettings | UnsetType | None = UNSET
    hold_seconds: Hold | UnsetType = UNSET
    give_up_seconds: GiveUp | UnsetType | None = UNSET
    paused: bool | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    secrets: list[Secret] | UnsetType = UNSET
    limits: dict[Name, LimitSettings] | UnsetType = UNSET
    capacity: dict[str, Amount] | UnsetType = UNSET
    weights: dict[str, str] | UnsetType = UNSET
    backfill: Backfill | UnsetType = UNSET
    ageing_seconds: Ageing | UnsetType | None = UNSET
    base_job_template: dict[str, Any] | UnsetType = UNSET


class QueueSettings(Ask, frozen=True):
    """A whole queue. Without a priority a new one gets the first free one."""

    priority: Priority | None = None
    limit: Limit | None = None
    key_limit: Limit | None = None
    rate: RateSettings | None = None
    paused: bool = False
    description: Description = ""


class QueueChange(Ask, frozen=True):
    """What is to change of a queue; null clears a limit or a rate."""

    priority: Priority | UnsetType = UNSET
    limit: Limit | UnsetType | None = UNSET
    key_limit: Limit | UnsetType | None = UNSET
    rate: RateSettings | UnsetType | None = UNSET
    paused: bool | UnsetType = UNSET
    description: Description | UnsetType = UNSET


class ScheduleSettings(Ask, frozen=True):
    """One rule: exactly one of `cron`, `every_seconds` and `at`, a local time, is set."""

    cron: Annotated[str, Meta(max_length=200)] = ""
    every_seconds: (
        Annotated[int, Meta(ge=60, le=bounds.LONGEST_INTERVAL, multiple_of=60)] | None
    ) = None
    at: Annotated[str, Meta(max_length=40)] = ""
    timezone: Annotated[str, Meta(max_length=60, description="IANA name.")] = "UTC"
    active: bool = True
    jitter_seconds: Annotated[int, Meta(ge=0, le=bounds.LONGEST_INTERVAL)] = 0
    parameters: dict[str, Any] = {}
    job_variables: dict[str, Any] = {}


class NamedSchedule(ScheduleSettings, frozen=True):
    """A rule with its name, unique in its deployment."""

    name: Name = "default"


class DeploymentSettings(Ask, frozen=True):
    """A whole deployment. What is left out has its default."""

    pool: Name
    queue: Name = "default"
    command: str = ""
    entrypoint: str = ""
    image: str = ""
    job_variables: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    parameter_schema: dict[str, Any] = {}
    tags: list[Tag] = []
    retries: Count = 0
    crash_retries: Count = 0
    retry_delay_seconds: Count = 10
    timeout_seconds: Seconds | None = None
    start_within: Seconds | None = None
    concurrency_key: Key = ""
    limit: Limit | None = None
    collision: Collision = Collision.ENQUEUE
    paused: bool = False
    schedules: list[NamedSchedule] = []
    description: Description = ""


class DeploymentChange(Ask, frozen=True):
    """What is to change of a deployment; null clears a limit."""

    queue: Name | UnsetType = UNSET
    limit: Limit | UnsetType | None = UNSET
    collision: Collision | UnsetType = UNSET
    paused: bool | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    image: str | UnsetType = UNSET
    command: str | UnsetType = UNSET
    job_variables: dict[str, Any] | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    tags: list[Tag] | UnsetType = UNSET
    retries: Count | UnsetType = UNSET
    crash_retries: Count | UnsetType = UNSET
    retry_delay_seconds: Count | UnsetType = UNSET
    timeout_seconds: Seconds | UnsetType | None = UNSET
    start_within: Seconds | UnsetType | None = UNSET


class Apply(Ask, frozen=True):
    """The content of a pools.yaml, and how it is applied."""

    document: dict[str, Any]
    dry_run: bool = False
    prune: bool = False
    allow_empty: bool = False


# -- queries ----------------------------------------------------------------------------------


class Cursor(Ask, frozen=True):
    """Which part of a list."""

    limit: PageSize = 50
    after: After = ""


class Delete(Ask, frozen=True):
    """How to delete."""

    force: bool = False


class DeletePool(Delete, frozen=True):
    """Force cancels the runs that wait, and ignores the deployments that name the pool."""


class DryRun(Ask, frozen=True):
    """Whether to do it, or to say what would be done."""

    dry_run: bool = False


class TimesQuery(Ask, frozen=True):
    """How many times of the future."""

    count: Annotated[int, Meta(ge=1, le=100)] = 10


class Hours(Ask, frozen=True):
    """How far to look ahead."""

    hours: Annotated[float, Meta(gt=0, le=24 * 31)] = 12


class RunFilter(Ask, frozen=True):
    """Which runs of the pool: those that fit everything that is given."""

    state: list[RunState] = []
    queue: Name | None = None
    deployment: Name | None = None
    tag: Tag | None = None
    name: RunName | None = None
    concurrency_key: Key | None = None
    submitted_from: Time | None = None
    submitted_before: Time | None = None


class RunsQuery(RunFilter, frozen=True):
    """Which runs, and which part of the list."""

    limit: PageSize = 50
    after: After = ""


class Wait(Ask, frozen=True):
    """Wait so many seconds for the run to end, or to get beyond the revision that is known."""

    wait: Annotated[float, Meta(ge=0, le=20)] = 0
    revision: Annotated[int, Meta(ge=0, le=10**12)] | None = None


class Boost(Ask, frozen=True):
    """Before how many of the runs in front of it; left out, before all others of its queue."""

    by: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class Move(Ask, frozen=True):
    """In which queue it is to wait."""

    queue: Name


class Logs(Ask, frozen=True):
    """Which part of a log."""

    attempt: Annotated[int, Meta(ge=1, le=bounds.LARGEST)] | None = None
    after: Annotated[int, Meta(ge=0, le=10**12, description="Lines that are known.")] = 0
    limit: Annotated[int, Meta(ge=1, le=2000, description="Lines in one reply.")] = 500


class OverviewQuery(Ask, frozen=True):
    """How much of each part; a reply has at most 48 KB in any case."""

    holders: Annotated[int, Meta(ge=0, le=500)] = 150
    waiting: Annotated[int, Meta(ge=0, le=200)] = 50
    recent: Annotated[int, Meta(ge=0, le=200)] = 60
    minutes: Annotated[int, Meta(ge=5, le=1440, description="Of history.")] = 60


# -- runs -------------------------------------------------------------------------------------


class Submission(Ask, frozen=True):
    """A request for a run of this pool: the body of the Run Requested event."""

    deployment: Name | UnsetType = UNSET
    queue: Name | UnsetType = UNSET
    name: RunName | UnsetType = UNSET
    job_variables: dict[str, Any] | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    tags: list[Tag] | UnsetType = UNSET
    #: Earliest start.
    at: Time | UnsetType = UNSET
    in_seconds: Count | UnsetType = UNSET
    start_within: Seconds | UnsetType = UNSET
    timeout_seconds: Seconds | UnsetType = UNSET
    retries: Count | UnsetType = UNSET
    crash_retries: Count | UnsetType = UNSET
    retry_delay_seconds: Count | UnsetType = UNSET
    idempotency_key: Annotated[str, Meta(max_length=bounds.IDEMPOTENCY_KEY)] | UnsetType = UNSET
    concurrency_key: Key | UnsetType = UNSET
    traceparent: Annotated[str, Meta(max_length=bounds.TRACEPARENT)] | UnsetType = UNSET


class Submissions(Ask, frozen=True):
    """Many requests: all are validated before the first is stored."""

    runs: Annotated[list[Submission], Meta(min_length=1, max_length=BATCH)]


class RunSelection(RunFilter, frozen=True):
    """Which runs, how many at once, and whether to do it at all. Runs named by id are those of the
    list that fit the filter, too."""

    ids: Annotated[list[str], Meta(max_length=PAGE)] = []
    dry_run: bool = False
    limit: PageSize = 100
    after: After = ""


class Change(Ask, frozen=True):
    """What is to change of a pool and its queues, before it is tried out."""

    pool: PoolChange = PoolChange()
    queues: dict[Name, QueueChange] = {}


class Load(Ask, frozen=True):
    """Runs of a made-up load. Times are seconds from its beginning."""

    at: Annotated[float, Meta(ge=0, le=bounds.LARGEST)] = 0
    queue: Name = "default"
    duration: Annotated[float, Meta(ge=0, le=bounds.LARGEST)] = 60
    count: Annotated[int, Meta(ge=0, le=5000)] = 1
    every: Annotated[float, Meta(ge=0, le=bounds.LARGEST)] = 0
    concurrency_key: Key = ""
    deployment: Annotated[str, Meta(max_length=63)] = ""


class Simulation(Ask, frozen=True):
    """What if? A change of the configuration, and how far to look ahead. Without a load: what
    waits, is due or is scheduled."""

    change: Change = Change()
    hours: Annotated[float, Meta(gt=0, le=24)] = 1
    load: Annotated[list[Load], Meta(max_length=100)] | None = None
