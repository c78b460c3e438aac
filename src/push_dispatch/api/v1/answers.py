"""What does a reply say? The types of answers; a test holds the views to them.

Every field is always there, and an absent value is null.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from push_dispatch.core.model import Collision, RunState

__all__ = [
    "Applied",
    "Attempt",
    "Bulk",
    "Deleted",
    "Deployment",
    "DeploymentPage",
    "Event",
    "Events",
    "Explanation",
    "Forecast",
    "Health",
    "Log",
    "Overview",
    "Platform",
    "Platforms",
    "Pool",
    "PoolExplanation",
    "PoolPage",
    "Problem",
    "Queue",
    "Queues",
    "Reason",
    "Reasons",
    "Rendered",
    "Run",
    "RunPage",
    "Schedule",
    "Schedules",
    "Submitted",
    "SubmittedMany",
    "Template",
    "Times",
    "WhatIf",
]


class Answer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all of them share."""


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


class Reasons(Answer, frozen=True):
    """All reasons."""

    items: list[Reason]


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


class Platforms(Answer, frozen=True):
    """All platforms."""

    items: list[Platform]


class Template(Answer, frozen=True):
    """A base job template, under the digest of its content."""

    digest: str
    base_job_template: dict[str, Any]


class Deleted(Answer, frozen=True):
    """What was deleted, and the runs that this has moved or cancelled."""

    deleted: str
    runs: int


# -- configuration ----------------------------------------------------------------------------


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


class Fallback(Answer, frozen=True):
    """Where to go when the pool's own platform has no capacity; its template by digest."""

    type: str
    template: str


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


class Queues(Answer, frozen=True):
    """The queues of a pool, first served first."""

    items: list[Queue]


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
    fallbacks: list[Fallback]
    secrets: list[str]
    template: str
    version: int


class PoolPage(Answer, frozen=True):
    """A part of the pools, in the order of names."""

    items: list[Pool]
    next: str | None


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


class Schedules(Answer, frozen=True):
    """The schedules of a deployment."""

    items: list[Schedule]


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
    concurrency_key: str
    limit: int | None
    collision: Collision
    paused: bool
    schedules: list[Schedule]
    description: str


class DeploymentPage(Answer, frozen=True):
    """A part of the deployments, in the order of names."""

    items: list[Deployment]
    next: str | None


class Firing(Answer, frozen=True):
    """When a schedule fires."""

    schedule: str
    time: datetime


class Times(Answer, frozen=True):
    """The next times of a deployment's schedules."""

    items: list[Firing]


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


# -- runs -------------------------------------------------------------------------------------


class Attempt(Answer, frozen=True):
    """One launch of a run. `…_seen` is whether the time is ours and not the platform's own."""

    number: int
    platform: str
    type: str | None
    handle: str | None
    exit_code: int | None
    reason: str | None
    message: str | None
    claimed_at: datetime | None
    pushed_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    started_at_seen: bool
    ended_at_seen: bool


class Run(Answer, frozen=True):
    """A run with its attempts. `reason` is why it waits or how it ended."""

    id: str
    name: str
    pool: str
    queue: str
    state: RunState
    reason: str | None
    message: str | None
    scheduled_time: datetime
    submitted_at: datetime
    ended_at: datetime | None
    expires_at: datetime | None
    timeout_seconds: int | None
    retries: int
    crash_retries: int
    retry_delay_seconds: int
    tags: list[str]
    idempotency_key: str | None
    concurrency_key: str | None
    limits: dict[str, str]
    weights: dict[str, float]
    deployment: str | None
    parameters: dict[str, Any]
    variables: dict[str, Any]
    attempts: list[Attempt]
    revision: int


class RunPage(Answer, frozen=True):
    """A part of the runs. A page may have less than the limit, or nothing, and yet a next one."""

    items: list[Run]
    next: str | None


class Submitted(Answer, frozen=True):
    """A run, and whether this request has created it. If not, `differs` names what the request has
    otherwise than the run that was there."""

    run: Run
    created: bool
    differs: list[str]


class SubmittedMany(Answer, frozen=True):
    """The runs in the order of the requests."""

    items: list[Submitted]


class Failure(Answer, frozen=True):
    """Why nothing was done with one run."""

    id: str
    reason: str
    detail: str


class Bulk(Answer, frozen=True):
    """The runs of one page with which something was done, or would be, and why not with others."""

    dry_run: bool
    items: list[Run]
    failures: list[Failure]
    next: str | None


class Event(Answer, frozen=True):
    """Something that has happened to a run."""

    time: datetime
    event: str
    attempt: int | None
    reason: str | None
    message: str | None


class Events(Answer, frozen=True):
    """The history of a run, oldest first, as far as its attempts are kept."""

    items: list[Event]


class Log(Answer, frozen=True):
    """A part of what an attempt has written. `after` is what to ask for next; `complete` is whether
    nothing more will come."""

    attempt: int | None
    lines: list[str]
    after: int
    complete: bool


class Holder(Answer, frozen=True):
    """Who holds a slot."""

    id: str
    attempt: int
    queue: str
    since: datetime


class Explanation(Answer, frozen=True):
    """Why a run is where it is, and what to do."""

    id: str
    state: RunState
    reason: str
    sentence: str
    remedy: str
    message: str | None
    numbers: dict[str, int | float]
    ahead: int | None
    holders: list[Holder]
    estimated_start: datetime | None


class Rendered(Answer, frozen=True):
    """What would be sent to the platform, and where each value comes from."""

    pool: str
    queue: str
    type: str
    platform: str
    deployment: str | None
    configuration: dict[str, Any]
    provenance: dict[str, str]
    secrets: dict[str, str]
    enforced: dict[str, Any]
    timeout_seconds: int | None
    parameters: dict[str, Any]


# -- a whole pool -----------------------------------------------------------------------------


class QueueLine(Answer, frozen=True):
    """One queue's line, and why its runs wait."""

    name: str
    priority: int
    limit: int | None
    slots_used: int
    waiting: int
    waiting_more: bool
    reasons: dict[str, int]
    oldest_due: datetime | None


class PoolExplanation(Answer, frozen=True):
    """Who holds a pool's slots and who waits, and why."""

    name: str
    limit: int | None
    paused: bool
    holders: list[Holder]
    queues: list[QueueLine]


class Report(Answer, frozen=True):
    """What a queue, or the whole pool under the name `*`, goes through. Waits in seconds."""

    queue: str
    runs: int
    never_started: int
    wait_p50: float
    wait_p95: float
    wait_max: float
    occupancy_mean: float
    occupancy_max: int


class Series(Answer, frozen=True):
    """Slots held by each queue, sampled at regular times."""

    start: datetime
    step_seconds: float
    limit: int | None
    queues: dict[str, list[int]]


class Start(Answer, frozen=True):
    """When a run that waits now is expected to start; null if not within the horizon."""

    id: str
    queue: str
    start: datetime | None


class Forecast(Answer, frozen=True):
    """What will happen if runs take as long as the last ones did."""

    reports: list[Report]
    occupancy: Series
    starts: list[Start]


class WhatIf(Answer, frozen=True):
    """The next hours as the pool is, and as it would be."""

    hours: float
    now: Forecast
    changed: Forecast


class SlotHolder(Answer, frozen=True):
    """One slot that is held. `started` is null until the platform has started the run."""

    id: str
    name: str | None
    queue: str
    deployment: str | None
    due: datetime | None
    since: datetime
    started: datetime | None
    state: RunState


class WaitingRun(Answer, frozen=True):
    """A run in line. `place` counts from 1, in the order in which the queues are served."""

    id: str
    queue: str
    deployment: str | None
    due: datetime
    attempt: int
    reason: str
    place: int
    estimated_start: datetime | None


class RecentRun(Answer, frozen=True):
    """A run that has ended, with the times that a chart shows."""

    id: str
    name: str
    queue: str
    deployment: str | None
    state: RunState
    reason: str | None
    due: datetime
    admitted: datetime | None
    started: datetime | None
    ended: datetime


class Histogram(Answer, frozen=True):
    """Runs by the seconds from due to start: up to each bound, and at last above all of them."""

    bounds: list[float]
    counts: list[int]
    p50: float | None
    p95: float | None


class Overview(Answer, frozen=True):
    """A pool at a glance, in one request of at most 48 KB."""

    time: datetime
    name: str
    type: str
    limit: int | None
    slots: int
    slots_used: int
    paused: bool
    version: int
    queues: list[QueueLine]
    waiting_total: int
    waiting_more: bool
    #: By state, among the runs that were read; `complete` is whether these are all.
    counts: dict[str, int]
    complete: bool
    holders: list[SlotHolder]
    waiting: list[WaitingRun]
    recent: list[RecentRun]
    occupancy: Series
    waits: Histogram
