"""When does a deployment make runs by itself? Cron with a time zone, an interval, or one time.

In AWS a schedule is an EventBridge Scheduler schedule; locally the same expressions are evaluated
by `push_dispatch.control.occurrences`. Either fires the same request with an
idempotency key made of deployment, schedule and time, so that firing twice makes one run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from push_dispatch.core.bounds import LONGEST_INTERVAL
from push_dispatch.core.cron import parse_cron
from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason

__all__ = [
    "Schedule",
    "check_schedule",
    "expression_of",
    "idempotency_key_of",
]


@dataclass(frozen=True, slots=True)
class Schedule:
    """One rule. Exactly one of `cron`, `every_seconds` and `at` is set."""

    #: Unique in its deployment.
    name: str = "default"
    #: Five fields as in crontab, or the six of EventBridge.
    cron: str = ""
    #: Interval; a whole number of minutes, because EventBridge knows no smaller one.
    every_seconds: int | None = None
    #: Local time of a single run, ISO 8601 without an offset: the zone is `timezone`.
    at: str = ""
    #: IANA name.
    timezone: str = "UTC"
    active: bool = True
    #: Each run is due up to this many seconds later, at random: spreads a crowd.
    jitter_seconds: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    job_variables: Mapping[str, Any] = field(default_factory=dict)


def check_schedule(schedule: Schedule) -> None:
    """Raises Invalid (`invalid_time`, `invalid_name`) if the schedule could not fire."""
    given = [bool(schedule.cron), schedule.every_seconds is not None, bool(schedule.at)]
    if sum(given) != 1:
        raise Invalid(f"schedule {schedule.name!r}: name one of cron, every_seconds and at")
    if schedule.timezone not in available_timezones():
        raise Invalid(
            f"schedule {schedule.name!r}: unknown time zone {schedule.timezone!r}; "
            "use an IANA name such as Europe/Berlin",
            reason=Reason.INVALID_TIME,
        )
    seconds = schedule.every_seconds
    if seconds is not None and (seconds % 60 or not 60 <= seconds <= LONGEST_INTERVAL):
        raise Invalid(
            f"schedule {schedule.name!r}: every {seconds} s is not valid; an interval is a whole "
            "number of minutes, of at most ten years",
            reason=Reason.INVALID_TIME,
        )
    if not 0 <= schedule.jitter_seconds <= LONGEST_INTERVAL:
        raise Invalid(f"schedule {schedule.name!r}: jitter is 0 to {LONGEST_INTERVAL:,} seconds")
    expression_of(schedule)


def expression_of(schedule: Schedule) -> str:
    """The schedule in EventBridge Scheduler's language. Raises Invalid (`invalid_time`).

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
    """
    if schedule.cron:
        return f"cron({parse_cron(schedule.cron).fields})"
    if schedule.every_seconds is not None:
        minutes = schedule.every_seconds // 60
        return f"rate({minutes} minute{'s' if minutes > 1 else ''})"
    return f"at({_local_time(schedule).isoformat(timespec='seconds')})"


def idempotency_key_of(deployment: str, schedule: str, time: str) -> str:
    """Under which key the run of one firing is submitted. `time` is the scheduled one."""
    return f"schedule:{deployment}:{schedule}:{time}"


def due_time(schedule: Schedule) -> datetime:
    """The moment of a one-off schedule. Raises Invalid."""
    return _local_time(schedule).replace(tzinfo=ZoneInfo(schedule.timezone))


# -- details ----------------------------------------------------------------------------------


def _local_time(schedule: Schedule) -> datetime:
    try:
        time = datetime.fromisoformat(schedule.at)
    except ValueError as error:
        raise Invalid(
            f"schedule {schedule.name!r}: {schedule.at!r} is not a time such as 2026-12-01T09:00",
            reason=Reason.INVALID_TIME,
        ) from error
    if time.tzinfo is not None:
        raise Invalid(
            f"schedule {schedule.name!r}: {schedule.at!r} has an offset; give a local time and "
            "the time zone beside it",
            reason=Reason.INVALID_TIME,
        )
    return time
