"""What does a reply say of a whole pool: who holds its slots, who waits, and what is to come?"""

from __future__ import annotations

from datetime import datetime

from push_dispatch.api.v1.answers import Answer
from push_dispatch.api.v1.run_answers import Holder
from push_dispatch.core.model import RunState
from push_dispatch.core.simulate import Summary

__all__ = [
    "Forecast",
    "Overview",
    "PoolExplanation",
    "WhatIf",
]


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

    reports: list[Summary]
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
