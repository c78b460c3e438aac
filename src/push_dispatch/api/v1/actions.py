"""What is to be done with runs, or to be tried out?"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from push_dispatch.api.v1.declarations import Change
from push_dispatch.api.v1.queries import RunFilter
from push_dispatch.api.v1.values import (
    BATCH,
    PAGE,
    After,
    Count,
    Input,
    Key,
    Name,
    PageSize,
    RunName,
    Seconds,
    StartBy,
    Tag,
    Time,
)
from push_dispatch.core import bounds

__all__ = [
    "Boost",
    "Load",
    "Move",
    "RunSelection",
    "Simulation",
    "Submission",
    "Submissions",
]


class Boost(Input, frozen=True):
    """Before how many of the runs in front of it; left out, before all others of its queue."""

    by: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class Move(Input, frozen=True):
    """In which queue it is to wait."""

    queue: Name


class Submission(Input, frozen=True):
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
    start_by_seconds: StartBy | UnsetType = UNSET
    timeout_seconds: Seconds | UnsetType = UNSET
    retries: Count | UnsetType = UNSET
    crash_retries: Count | UnsetType = UNSET
    retry_delay_seconds: Count | UnsetType = UNSET
    idempotency_key: Annotated[str, Meta(max_length=bounds.IDEMPOTENCY_KEY)] | UnsetType = UNSET
    concurrency_key: Key | UnsetType = UNSET
    traceparent: Annotated[str, Meta(max_length=bounds.TRACEPARENT)] | UnsetType = UNSET


class Submissions(Input, frozen=True):
    """Many requests: all are validated before the first is stored."""

    runs: Annotated[list[Submission], Meta(min_length=1, max_length=BATCH)]


class RunSelection(RunFilter, frozen=True):
    """Which runs, how many at once, and whether to do it at all. Runs named by id are those of the
    list that fit the filter, too."""

    ids: Annotated[list[str], Meta(max_length=PAGE)] = []
    dry_run: bool = False
    limit: PageSize = 100
    after: After = ""


class Load(Input, frozen=True):
    """Runs of a made-up load. Times are seconds from its beginning."""

    at: Annotated[float, Meta(ge=0, le=bounds.LARGEST)] = 0
    queue: Name = "default"
    duration: Annotated[float, Meta(ge=0, le=bounds.LARGEST)] = 60
    count: Annotated[int, Meta(ge=0, le=5000)] = 1
    every: Annotated[float, Meta(ge=0, le=bounds.LARGEST)] = 0
    concurrency_key: Key = ""
    deployment: Annotated[str, Meta(max_length=63)] = ""


class Simulation(Input, frozen=True):
    """What if? A change of the configuration, and how far to look ahead. Without a load: what
    waits, is due or is scheduled."""

    change: Change = Change()
    hours: Annotated[float, Meta(gt=0, le=24)] = 1
    load: Annotated[list[Load], Meta(max_length=100)] | None = None
