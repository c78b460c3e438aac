"""When do schedules fire where clocks change, and what is refused because it never does?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

import pytest

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.control.deployments import deployment_named, save_deployment
from push_dispatch.control.occurrences import check_fires, next_time, occurrences
from push_dispatch.control.pools import create_pool
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Pool
from push_dispatch.core.schedule import Schedule
from push_dispatch.ports import Ports
from tests.fakes.memory.messages import MemoryMessages
from tests.fakes.memory.store import MemoryStore

NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
BERLIN = "Europe/Berlin"


def times(schedule: Schedule, after: datetime, count: int) -> list[str]:
    return [moment.isoformat() for moment in islice(occurrences(schedule, after), count)]


def test_a_time_that_the_clocks_leave_out_is_skipped() -> None:
    schedule = Schedule(cron="30 2 * * *", timezone=BERLIN)
    assert times(schedule, datetime(2027, 3, 26, 12, tzinfo=UTC), 3) == [
        "2027-03-27T02:30:00+01:00",
        "2027-03-29T02:30:00+02:00",
        "2027-03-30T02:30:00+02:00",
    ]


def test_a_time_that_comes_twice_fires_once() -> None:
    schedule = Schedule(cron="*/30 2 31 10 *", timezone=BERLIN)
    assert times(schedule, NOW, 2) == ["2027-10-31T02:00:00+02:00", "2027-10-31T02:30:00+02:00"]
    second_pass = datetime(2027, 10, 31, 1, 10, tzinfo=UTC)
    assert times(schedule, second_pass, 1) == ["2028-10-31T02:00:00+01:00"]


def test_one_time_in_an_overlap_is_the_first_as_the_clock_shows_it() -> None:
    assert times(Schedule(at="2027-10-31T02:30", timezone=BERLIN), NOW, 2) == [
        "2027-10-31T02:30:00+02:00"
    ]


NEVER = [
    (Schedule(at="2027-03-28T02:30", timezone=BERLIN), "does not exist in Europe/Berlin"),
    (Schedule(at="2027-01-15T08:59", timezone=BERLIN), "is over"),
    (Schedule(cron="0 0 30 2 *"), "never comes true"),
    (Schedule(cron="0 0 31 4 *"), "never comes true"),
    (Schedule(cron="0 9 ? * 6L 2022-2023"), "is over"),
    # Each last Sunday of March at half past two: in the gap since there has been one.
    (Schedule(cron="30 2 ? 3 1L *", timezone=BERLIN), "is over"),
]


@pytest.mark.parametrize(("schedule", "problem"), NEVER, ids=lambda v: getattr(v, "cron", None))
def test_what_never_fires_is_said_and_refused(schedule: Schedule, problem: str) -> None:
    assert next_time(schedule, NOW) is None
    with pytest.raises(Invalid, match=problem) as caught:
        check_fires(schedule, NOW)
    assert caught.value.reason == "invalid_time"
    ports = backend(NOW)
    with pytest.raises(Invalid, match=problem):
        save_deployment(ports, Deployment("d", "p", schedules=(schedule,)))
    assert ports.store.deployments() == {}


def test_a_schedule_that_is_over_keeps_its_deployment_from_nothing() -> None:
    schedules = (Schedule("once", at="2027-01-15T09:30"), Schedule("daily", cron="@daily"))
    before, after = backend(NOW), backend(NOW.replace(hour=12))
    save_deployment(before, Deployment("d", "p", schedules=schedules))
    object.__setattr__(after, "store", before.store)
    object.__setattr__(after, "schedules", synced := Synced())
    save_deployment(after, replace(deployment_named(after, "d"), paused=True))
    save_deployment(after, replace(deployment_named(after, "d"), paused=False))
    # EventBridge takes no time of the past.
    assert synced.active == ["daily"]
    assert [s.name for s in deployment_named(after, "d").schedules] == ["once", "daily"]
    with pytest.raises(Invalid, match="is over"):
        save_deployment(after, Deployment("other", "p", schedules=schedules))


class Synced:
    def sync(self, deployment: str, active: list[Schedule], known: list[Schedule]) -> None:
        self.active = [schedule.name for schedule in active]


def backend(now: datetime) -> Ports:
    """A pool `p`, at that time."""
    ports = Ports(
        store=MemoryStore(),
        messages=MemoryMessages(),
        clock=lambda: int(now.timestamp() * 1000),
        new_id=lambda: pytest.fail("nothing is submitted here"),
        platform=lambda name: pytest.fail("nothing is pushed here"),
        secrets=secrets_from({}),
    )
    create_pool(ports, Pool("p", "process"), {"job_configuration": {}})
    return ports
