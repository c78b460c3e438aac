"""What does a reply say of runs, their attempts, history and logs?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from push_dispatch.api.v1.answers import Answer, Page
from push_dispatch.core.model import RunState

__all__ = [
    "Attempt",
    "Bulk",
    "Event",
    "Explanation",
    "Holder",
    "Log",
    "Rendered",
    "Run",
    "Submitted",
]


class Attempt(Answer, frozen=True):
    """One launch of a run. `…_seen` is whether the time is ours and not the platform's own."""

    number: int
    platform: str
    type: str | None
    handle: str | None
    failed_pushes: int
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
    next_try_at: datetime | None
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


class Submitted(Answer, frozen=True):
    """A run, and whether this request has created it. If not, `differs` names what the request has
    otherwise than the run that was there."""

    run: Run
    created: bool
    differs: list[str]


class Failure(Answer, frozen=True):
    """Why nothing was done with one run."""

    id: str
    reason: str
    detail: str


class Bulk(Page[Run], frozen=True):
    """The runs of one page with which something was done, or would be, and why not with others."""

    dry_run: bool
    failures: list[Failure]


class Event(Answer, frozen=True):
    """Something that has happened to a run."""

    time: datetime
    event: str
    attempt: int | None
    reason: str | None
    message: str | None


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
    next_try_at: datetime | None


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
