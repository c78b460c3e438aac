"""What does a reply say of what is declared? The types of answers; a test holds the views to them.

Every field is always there, and an absent value is null.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar

from msgspec import Struct

from push_dispatch.core.model import Collision, Edge, Fallback

__all__ = [
    "Answer",
    "Applied",
    "Deleted",
    "Deployment",
    "Firing",
    "Health",
    "Items",
    "Page",
    "Platform",
    "Pool",
    "Problem",
    "Queue",
    "Reason",
    "Schedule",
    "Template",
]

T = TypeVar("T")


class Answer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all of them share."""


class Items(Answer, Generic[T], frozen=True):
    """A whole list."""

    items: list[T]


class Page(Items[T], Generic[T], frozen=True):
    """A part of a list. It may have less than the limit, or nothing, and yet a next one."""

    next: str | None


class Problem(Struct, frozen=True, kw_only=True):
    """What went wrong (RFC 9457), with what to do about it."""

    type: str
    title: str
    status: int
    detail: str
    reason: str
    remedy: str


class Reason(Answer, frozen=True):
    """Why a run waits, fails or ends, or why a request was refused."""

    token: str
    kind: str
    sentence: str
    remedy: str
    retryable: bool


class Health(Answer, frozen=True):
    """Whether the API can reach its table."""

    status: str
    version: str


class Platform(Answer, frozen=True):
    """A platform, the types of pools that it serves, and what it can."""

    platform: str
    types: list[str]
    installed: bool
    install: str | None
    capabilities: list[str] | None


class Template(Answer, frozen=True):
    """A base job template, under the digest of its content."""

    digest: str
    base_job_template: dict[str, Any]


class Deleted(Answer, frozen=True):
    """What was deleted, and the runs that this has moved or cancelled."""

    deleted: str
    runs: int


class Rate(Answer, frozen=True):
    """Starts in any window of the period."""

    starts: int
    period_seconds: int


class Limit(Answer, frozen=True):
    """A limit of all runs that have the same key."""

    name: str
    key: str
    limit: int | None
    rate: Rate | None
    max_waiting: int | None


class Queue(Answer, frozen=True):
    """A queue, and how many slots it holds."""

    name: str
    pool: str
    priority: int
    limit: int | None
    slots_used: int
    paused: bool
    description: str
    key_limit: int | None
    rate: Rate | None
    max_waiting: int | None


class Pool(Answer, frozen=True):
    """A pool with its queues, and how many of its slots are held."""

    name: str
    type: str
    limit: int | None
    slots_used: int
    paused: bool
    description: str
    queues: list[Queue]
    key_limit: int | None
    rate: Rate | None
    platform_rate: Rate | None
    hold_seconds: int
    give_up_seconds: int | None
    limits: list[Limit]
    capacity: dict[str, float]
    capacity_used: dict[str, float]
    weights: dict[str, str]
    backfill: str
    ageing_seconds: int | None
    key_max_waiting: int | None
    fallbacks: list[Fallback]
    secrets: list[str]
    template: str
    version: int


class Schedule(Answer, frozen=True):
    """A schedule, and when it fires next; null if it never does."""

    name: str
    cron: str
    every_seconds: int | None
    at: str
    timezone: str
    active: bool
    jitter_seconds: int
    parameters: dict[str, Any]
    job_variables: dict[str, Any]
    next_time: datetime | None


class Deployment(Answer, frozen=True):
    """A deployment with its schedules."""

    name: str
    pool: str
    queue: str
    command: str
    entrypoint: str
    image: str
    job_variables: dict[str, Any]
    parameters: dict[str, Any]
    parameter_schema: dict[str, Any]
    tags: list[str]
    retries: int
    crash_retries: int
    retry_delay_seconds: int
    timeout_seconds: int | None
    start_within: int | None
    start_by_seconds: int | None
    concurrency_key: str
    limit: int | None
    max_waiting: int | None
    collision: Collision
    debounce_seconds: int | None
    debounce_edge: Edge
    paused: bool
    schedules: list[Schedule]
    description: str


class Firing(Answer, frozen=True):
    """When a schedule fires."""

    schedule: str
    time: datetime


class Step(Answer, frozen=True):
    """One change of a plan."""

    action: str
    kind: str
    name: str
    changes: list[str]


class Applied(Answer, frozen=True):
    """A plan, and whether it was carried out."""

    applied: bool
    steps: list[Step]
