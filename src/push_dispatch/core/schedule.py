"""When does a deployment make runs by itself? Cron with a time zone, an interval, or one time.

In AWS a schedule is an EventBridge Scheduler schedule; locally the same expressions are evaluated
by libraries (`push_dispatch.control.occurrences`). Either fires the same request with an
idempotency key made of deployment, schedule and time, so that firing twice makes one run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from push_dispatch.core.errors import Invalid

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
            reason="invalid_time",
        )
    if schedule.every_seconds is not None and (
        schedule.every_seconds < 60 or schedule.every_seconds % 60
    ):
        raise Invalid(
            f"schedule {schedule.name!r}: every {schedule.every_seconds} s is not valid; "
            "an interval is a whole number of minutes",
            reason="invalid_time",
        )
    if schedule.jitter_seconds < 0:
        raise Invalid(f"schedule {schedule.name!r}: jitter is at least 0 seconds")
    expression_of(schedule)


def expression_of(schedule: Schedule) -> str:
    """The schedule in EventBridge Scheduler's language. Raises Invalid (`invalid_time`).

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
    """
    if schedule.cron:
        return f"cron({six_fields(schedule.cron)})"
    if schedule.every_seconds is not None:
        minutes = schedule.every_seconds // 60
        return f"rate({minutes} minute{'s' if minutes > 1 else ''})"
    return f"at({_local_time(schedule).isoformat(timespec='seconds')})"


def six_fields(cron: str) -> str:
    """Five crontab fields as EventBridge's six; six are returned as they are.

    Two differences: EventBridge counts weekdays from 1 (Sunday), and one of day-of-month and
    day-of-week must be `?`, so a crontab that restricts both (which means "either") has no
    equivalent. Raises Invalid.
    """
    fields = cron.split()
    if len(fields) == 6:
        return " ".join(fields)
    if len(fields) != 5:
        raise Invalid(
            f"cron {cron!r} has {len(fields)} fields; 5 (crontab) or 6 (EventBridge) are valid",
            reason="invalid_time",
        )
    minute, hour, day, month, weekday = fields
    if day not in ("*", "?") and weekday not in ("*", "?"):
        raise Invalid(
            f"cron {cron!r} restricts day of month and day of week, which EventBridge cannot "
            "express: make two schedules",
            reason="invalid_time",
        )
    if weekday in ("*", "?"):
        return f"{minute} {hour} {day if day != '?' else '*'} {month} ? *"
    return f"{minute} {hour} ? {month} {_weekdays(weekday)} *"


def idempotency_key_of(deployment: str, schedule: str, time: str) -> str:
    """Under which key the run of one firing is submitted. `time` is the scheduled one."""
    return f"schedule:{deployment}:{schedule}:{time}"


def due_time(schedule: Schedule) -> datetime:
    """The moment of a one-off schedule. Raises Invalid."""
    return _local_time(schedule).replace(tzinfo=ZoneInfo(schedule.timezone))


# -- details ----------------------------------------------------------------------------------


def _weekdays(text: str) -> str:
    """Crontab's 0 to 7 (0 and 7 are Sunday) as EventBridge's 1 to 7; names and steps stay."""

    def shifted(match: re.Match[str]) -> str:
        number = int(match.group())
        if number > 7:
            raise Invalid(f"weekday {number} is not valid: 0 to 7", reason="invalid_time")
        return str(number % 7 + 1)

    days, slash, step = text.partition("/")
    low, dash, high = days.partition("-")
    if dash and low.isdigit() and high == "7":
        # SUN is 1 in EventBridge and ranges do not wrap: 5-7 is FRI, SAT and SUN.
        days = ",".join(str(n) for n in range(int(low), 8))
    return re.sub(r"\d+", shifted, days) + slash + step


def _local_time(schedule: Schedule) -> datetime:
    try:
        time = datetime.fromisoformat(schedule.at)
    except ValueError as error:
        raise Invalid(
            f"schedule {schedule.name!r}: {schedule.at!r} is not a time such as 2026-12-01T09:00",
            reason="invalid_time",
        ) from error
    if time.tzinfo is not None:
        raise Invalid(
            f"schedule {schedule.name!r}: {schedule.at!r} has an offset; give a local time and "
            "the time zone beside it",
            reason="invalid_time",
        )
    return time
