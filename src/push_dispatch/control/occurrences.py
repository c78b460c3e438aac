"""At which moments does a schedule fire? Evaluated by libraries, with EventBridge's rules.

Used by the local runtime and by previews; in AWS EventBridge Scheduler does it. Its rules for the
change of clocks (docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html):
a local time that does not exist is skipped, one that exists twice fires once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from push_dispatch.core.errors import Invalid
from push_dispatch.core.schedule import Schedule, due_time, six_fields

__all__ = ["check_cron", "occurrences"]


def occurrences(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """The moments later than `after`, in order, in the schedule's time zone; maybe without end.

    An interval counts from the epoch. Raises Invalid (`invalid_time`).
    """
    zone = ZoneInfo(schedule.timezone)
    if schedule.cron:
        yield from _cron(schedule.cron, zone, after)
    elif schedule.every_seconds is not None:
        yield from _interval(schedule.every_seconds, zone, after)
    elif (at := due_time(schedule)) > after:
        yield at


def check_cron(cron: str) -> None:
    """Raises Invalid (`invalid_time`) if the expression is not valid."""
    fields = six_fields(cron)
    try:
        from aws_croniter import AwsCroniter  # noqa: PLC0415 - only schedules need it
    except ImportError:
        return  # In a function without the library EventBridge itself refuses what is not valid.
    try:
        AwsCroniter(fields)
    except ValueError as error:
        raise Invalid(f"cron {cron!r} is not valid: {error}", reason="invalid_time") from error


def _cron(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Evaluated on the wall clock, as if it were UTC, and then put into the zone."""
    from aws_croniter import AwsCroniter  # noqa: PLC0415 - only schedules need it

    check_cron(cron)
    expression = AwsCroniter(six_fields(cron))
    wall = after.astimezone(zone).replace(tzinfo=UTC, fold=0)
    # In the second pass through a repeated hour the wall clock is behind what has fired already.
    while following := expression.get_next(wall, 1):
        wall = following[0]
        moment = wall.replace(tzinfo=zone)
        if _exists(moment) and moment > after:
            yield moment


def _exists(moment: datetime) -> bool:
    """Whether the clocks ever show this local time."""
    return moment.astimezone(UTC).astimezone(moment.tzinfo).replace(fold=0) == moment


def _interval(seconds: int, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    step = timedelta(seconds=seconds)
    passed = int(after.timestamp()) // seconds
    moment = datetime.fromtimestamp((passed + 1) * seconds, UTC)
    while True:
        yield moment.astimezone(zone)
        moment += step
