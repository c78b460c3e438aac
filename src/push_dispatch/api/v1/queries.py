"""Which things does a request ask for, and which part of a list?"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from push_dispatch.api.v1.values import After, Input, Key, Name, PageSize, RunName, Tag, Time
from push_dispatch.core import bounds
from push_dispatch.core.model import RunState

__all__ = [
    "Cursor",
    "DeletePool",
    "Hours",
    "Logs",
    "OverviewQuery",
    "RunFilter",
    "RunsQuery",
    "TimesQuery",
    "Wait",
]


class Cursor(Input, frozen=True):
    """Which part of a list."""

    limit: PageSize = 50
    after: After = ""


class Delete(Input, frozen=True):
    """How to delete."""

    force: bool = False


class DeletePool(Delete, frozen=True):
    """Force cancels the runs that wait, and ignores the deployments that name the pool."""


class TimesQuery(Input, frozen=True):
    """How many times of the future."""

    count: Annotated[int, Meta(ge=1, le=100)] = 10


class Hours(Input, frozen=True):
    """How far to look ahead."""

    hours: Annotated[float, Meta(gt=0, le=24 * 31)] = 12


class RunFilter(Input, frozen=True):
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


class Wait(Input, frozen=True):
    """Wait so many seconds for the run to end, or to get beyond the revision that is known."""

    wait: Annotated[float, Meta(ge=0, le=20)] = 0
    revision: Annotated[int, Meta(ge=0, le=10**12)] | None = None


class Logs(Input, frozen=True):
    """Which part of a log."""

    attempt: Annotated[int, Meta(ge=1, le=bounds.LARGEST)] | None = None
    after: Annotated[int, Meta(ge=0, le=10**12, description="Lines that are known.")] = 0
    limit: Annotated[int, Meta(ge=1, le=2000, description="Lines in one reply.")] = 500


class OverviewQuery(Input, frozen=True):
    """How much of each part; a reply has at most 48 KB in any case."""

    holders: Annotated[int, Meta(ge=0, le=500)] = 150
    waiting: Annotated[int, Meta(ge=0, le=200)] = 50
    recent: Annotated[int, Meta(ge=0, le=200)] = 60
    minutes: Annotated[int, Meta(ge=5, le=1440, description="Of history.")] = 60
