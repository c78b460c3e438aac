"""At which moments does a schedule fire? By EventBridge's rules, which holds them itself in AWS.

Used by the local runtime, by previews, and by whatever saves a schedule: one that never fires is
refused. EventBridge's rules for the change of clocks
(docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html): a local time that does not
exist is skipped, one that exists twice fires once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from push_dispatch.core.cron import parse_cron
from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason
from push_dispatch.core.schedule import Schedule, due_time, expression_of

__all__ = ["check_fires", "next_time", "occurrences"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def occurrences(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """The moments later than `after`, in order, in the schedule's time zone; maybe none, maybe
    without end.

    An interval counts from the epoch. Raises Invalid (`invalid_time`).
    """
    zone = ZoneInfo(schedule.timezone)
    if schedule.cron:
        yield from _cron(schedule.cron, zone, after)
    elif schedule.every_seconds is not None:
        yield from _interval(schedule.every_seconds, zone, after)
    elif (at := due_time(schedule)) > after and _exists(at):
        yield at


def next_time(schedule: Schedule, after: datetime) -> datetime | None:
    """The first moment later than `after`; None if it never fires again. Raises Invalid."""
    return next(occurrences(schedule, after), None)


def check_fires(schedule: Schedule, now: datetime) -> None:
    """Raise Invalid (`invalid_time`) if the schedule will never fire, with the reason."""
    if next_time(schedule, now) is not None:
        return
    shown = schedule.at or expression_of(schedule)
    if next_time(schedule, _EPOCH) is not None:
        problem = f"{shown} is over, and never comes again"
    elif schedule.at:
        problem = f"{shown} does not exist in {schedule.timezone}: the clocks go forward over it"
    else:
        problem = f"{shown} never comes true"
    raise Invalid(f"schedule {schedule.name!r}: {problem}", reason=Reason.INVALID_TIME)


def _cron(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Evaluated on the wall clock, and then put into the zone."""
    wall = after.astimezone(zone).replace(tzinfo=None, fold=0)
    # In the second pass through a repeated hour the wall clock is behind what has fired already.
    for time in parse_cron(cron).after(wall):
        moment = time.replace(tzinfo=zone)
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
