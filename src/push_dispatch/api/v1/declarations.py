"""What may a request declare, and what may it change? What does not fit is refused.

In a change an absent field stays as it is, in settings it has the default of `core.model`; null
clears it.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from push_dispatch.api.v1.values import (
    Ageing,
    Amount,
    Count,
    Description,
    GiveUp,
    Hold,
    Input,
    Interval,
    Key,
    Limit,
    MaxWaiting,
    Name,
    Priority,
    RateText,
    Seconds,
    Secret,
    StartBy,
    Tag,
    Type,
)
from push_dispatch.core import bounds
from push_dispatch.core.model import (
    MAX_PERIOD_SECONDS,
    MAX_STARTS,
    Backfill,
    Collision,
    Edge,
)

__all__ = [
    "Apply",
    "Change",
    "DeploymentChange",
    "DeploymentSettings",
    "FallbackSettings",
    "PoolChange",
    "PoolSettings",
    "QueueChange",
    "QueueSettings",
    "RateSettings",
    "ScheduleSettings",
    "TemplateSettings",
]


class RateSettings(Input, frozen=True):
    """At most so many starts in any window of the period."""

    starts: Annotated[int, Meta(ge=1, le=MAX_STARTS)]
    period_seconds: Annotated[int, Meta(ge=1, le=MAX_PERIOD_SECONDS)]


#: As on the command line and in files, or in numbers.
AnyRate = RateSettings | RateText


class LimitSettings(Input, frozen=True):
    """A limit of all runs that have the same key: a number, a rate, `max_waiting`."""

    key: Annotated[str, Meta(max_length=200)] = ""
    limit: Limit | None = None
    rate: AnyRate | None = None
    max_waiting: MaxWaiting | None = None


class FallbackSettings(Input, frozen=True):
    """Where to go when the pool's own platform has no capacity."""

    type: Type
    base_job_template: dict[str, Any] | None = None


class TemplateSettings(Input, frozen=True):
    """A base job template."""

    base_job_template: dict[str, Any]


class PoolChange(Input, frozen=True):
    """What is to change of a pool; null clears a limit or a rate."""

    limit: Limit | UnsetType | None = UNSET
    key_limit: Limit | UnsetType | None = UNSET
    rate: AnyRate | UnsetType | None = UNSET
    platform_rate: AnyRate | UnsetType | None = UNSET
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
    key_max_waiting: MaxWaiting | UnsetType | None = UNSET
    base_job_template: dict[str, Any] | UnsetType = UNSET
    job_variables: dict[str, Any] | UnsetType = UNSET

    @property
    def of_template(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """The base job template, if one is given, and the job variables."""
        template, variables = self.base_job_template, self.job_variables
        return None if template is UNSET else template, {} if variables is UNSET else variables


class PoolSettings(PoolChange, frozen=True, kw_only=True):
    """A whole pool but for its queues. What is left out has its default."""

    type: Type
    fallbacks: list[FallbackSettings] = []


class QueueChange(Input, frozen=True):
    """What is to change of a queue; null clears a limit or a rate."""

    priority: Priority | UnsetType = UNSET
    limit: Limit | UnsetType | None = UNSET
    key_limit: Limit | UnsetType | None = UNSET
    rate: AnyRate | UnsetType | None = UNSET
    max_waiting: MaxWaiting | UnsetType | None = UNSET
    paused: bool | UnsetType = UNSET
    description: Description | UnsetType = UNSET


class QueueSettings(QueueChange, frozen=True):
    """A whole queue. Without a priority a new one gets the first free one."""


class ScheduleSettings(Input, frozen=True):
    """One rule: exactly one of `cron`, `every_seconds` and `at`, a local time, is set."""

    cron: Annotated[str, Meta(max_length=200)] = ""
    every_seconds: Interval | None = None
    at: Annotated[str, Meta(max_length=40)] = ""
    timezone: Annotated[str, Meta(max_length=60, description="IANA name.")] = "UTC"
    active: bool = True
    jitter_seconds: Annotated[int, Meta(ge=0, le=bounds.LONGEST_INTERVAL)] = 0
    parameters: dict[str, Any] = {}
    job_variables: dict[str, Any] = {}


class NamedSchedule(ScheduleSettings, frozen=True):
    """A rule with its name, unique in its deployment."""

    name: Name = "default"


class DeploymentChange(Input, frozen=True):
    """What is to change of a deployment; null clears a limit."""

    queue: Name | UnsetType = UNSET
    limit: Limit | UnsetType | None = UNSET
    max_waiting: MaxWaiting | UnsetType | None = UNSET
    collision: Collision | UnsetType = UNSET
    debounce_seconds: Seconds | UnsetType | None = UNSET
    debounce_edge: Edge | UnsetType = UNSET
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
    start_by_seconds: StartBy | UnsetType | None = UNSET


class DeploymentSettings(DeploymentChange, frozen=True, kw_only=True):
    """A whole deployment. What is left out has its default."""

    pool: Name
    entrypoint: str = ""
    parameter_schema: dict[str, Any] = {}
    concurrency_key: Key = ""
    schedules: list[NamedSchedule] = []


class Apply(Input, frozen=True):
    """The content of a pools.yaml, and how it is applied."""

    document: dict[str, Any]
    dry_run: bool = False
    prune: bool = False
    allow_empty: bool = False


class Change(Input, frozen=True):
    """What is to change of a pool and its queues, before it is tried out."""

    pool: PoolChange = PoolChange()
    queues: dict[Name, QueueChange] = {}
