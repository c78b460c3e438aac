"""`push-dispatch schedule`: when do schedules fire?"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from push_dispatch.cli.backend import connect
from push_dispatch.cli.options import Common, whole
from push_dispatch.cli.output import print_json, say
from push_dispatch.core.errors import Invalid

if TYPE_CHECKING:
    from push_dispatch.core.schedule import Schedule

__all__ = ["app", "schedule_of"]

app = App(name="schedule")


@app.command
def preview(
    deployment: str | None = None,
    /,
    *,
    cron: str | None = None,
    every: Annotated[str | None, Parameter(metavar="DURATION")] = None,
    at: Annotated[str | None, Parameter(metavar="LOCAL-TIME")] = None,
    timezone: str = "UTC",
    count: Annotated[int, Parameter(converter=whole, alias="-n", metavar="N")] = 10,
    common: Common = Common(),
) -> None:
    """List the next times of a deployment's schedules, or of an expression that is not saved yet.

    In the schedule's own time zone, with its offset at that time. A local time that the change of
    clocks leaves out is skipped, one that comes twice fires once.
    """
    from push_dispatch.control.deployments import deployment_named
    from push_dispatch.control.occurrences import check_fires
    from push_dispatch.core.schedule import check_schedule

    if count < 1:
        raise Invalid(f"--count {count} is not valid: an integer of at least 1")
    expression = schedule_of("default", cron, every, at, timezone)
    if expression is not None:
        check_schedule(expression)
        check_fires(expression, datetime.now(UTC))
        schedules: tuple[Schedule, ...] = (expression,)
    elif deployment is None:
        raise Invalid("name a deployment, or one of --cron, --every and --at")
    else:
        schedules = deployment_named(connect(common), deployment).schedules
    times = _times(schedules, count)
    if common.json:
        print_json([{"schedule": name, "time": moment.isoformat()} for moment, name in times])
        return
    for moment, name in times:
        say(f"{moment:%Y-%m-%d %H:%M:%S %z}  {moment.tzname()}  {name}")
    if not times:
        say("No further time." if schedules else "Nothing is scheduled.")


def schedule_of(
    name: str, cron: str | None, every: str | None, at: str | None, timezone: str
) -> Schedule | None:
    """The schedule that the options describe; None if they describe none. Raises Invalid."""
    from push_dispatch.cli.times import duration
    from push_dispatch.core.schedule import Schedule

    if cron is None and every is None and at is None:
        return None
    seconds = None if every is None else duration(every, "--every")
    return Schedule(name, cron or "", seconds, at or "", timezone)


def _times(schedules: tuple[Schedule, ...], count: int) -> list[tuple[datetime, str]]:
    from push_dispatch.control.occurrences import occurrences

    now = datetime.now(UTC)
    times = [
        (moment, schedule.name)
        for schedule in schedules
        if schedule.active
        for moment in islice(occurrences(schedule, now), count)
    ]
    return sorted(times)[:count]
