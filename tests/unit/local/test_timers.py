"""Do schedules fire in the local runtime when they are due, once, and not a whole night at once?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.control.deployments import save_deployment
from push_dispatch.control.pools import create_pool
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.errors import Unavailable
from push_dispatch.core.model import Pool, Run
from push_dispatch.core.schedule import Schedule
from push_dispatch.handlers import submit
from push_dispatch.local.timers import ScheduleTimer
from push_dispatch.ports import Ports
from tests.fakes.memory.messages import MemoryMessages
from tests.fakes.memory.store import MemoryStore

#: A full hour.
NOW = 1_800_000_000_000


class Backend:
    def __init__(self) -> None:
        self.now = NOW + 1
        self.ids = 0
        self.store = MemoryStore()
        self.ports = Ports(
            store=self.store,
            messages=MemoryMessages(),
            clock=lambda: self.now,
            new_id=self._new_id,
            platform=lambda name: pytest.fail("nothing is pushed here"),
            secrets=secrets_from({}),
        )
        create_pool(self.ports, Pool("p", "process"), {"job_configuration": {}})
        self.timer = ScheduleTimer(self.ports, self._fire)

    def _fire(self, firing: Mapping[str, Any]) -> object:
        return submit.handle(self.ports, firing)

    def deploy(self, *schedules: Schedule, paused: bool = False) -> None:
        deployment = Deployment("d", "p", schedules=schedules, paused=paused)
        save_deployment(self.ports, deployment)

    def after(self, seconds: int) -> list[Run]:
        self.now += seconds * 1000
        self.timer.step()
        return list(self.store.list_runs("p"))

    def _new_id(self) -> str:
        self.ids += 1
        return f"0199c1f0-0000-7000-8000-{self.ids:012d}"


def test_each_firing_makes_one_run() -> None:
    backend = Backend()
    backend.deploy(Schedule(every_seconds=60))
    assert len(backend.after(30)) == 0
    assert len(backend.after(30)) == 1
    assert len(backend.after(1)) == 1
    assert len(backend.after(60)) == 2
    assert {run.deployment for run in backend.after(0)} == {"d"}


def test_two_timers_make_one_run_each_time() -> None:
    backend = Backend()
    backend.deploy(Schedule(every_seconds=60))
    other = ScheduleTimer(backend.ports, backend._fire)
    backend.after(60)
    other.step()
    assert len(backend.after(0)) == 1


def test_what_is_paused_does_not_fire() -> None:
    backend = Backend()
    backend.deploy(Schedule(every_seconds=60, active=False), Schedule("b", every_seconds=60))
    assert len(backend.after(60)) == 1
    backend.deploy(Schedule("b", every_seconds=60), paused=True)
    assert len(backend.after(600)) == 1


def test_a_laptop_that_slept_does_not_make_up_for_the_night() -> None:
    backend = Backend()
    backend.deploy(Schedule(every_seconds=60))
    assert len(backend.after(8 * 3600)) == 10
    assert len(backend.after(60)) == 11


@pytest.mark.parametrize(
    "broken",
    [
        {"cron": "0 0 30 2 *"},  # never again
        {"cron": "0 9 * * 5#9"},  # not valid
        {"at": "2027-99-99T00:00"},
        {"every_seconds": 60, "timezone": "Mars/Olympus"},
        {"every_seconds": "often"},
    ],
    ids=str,
)
def test_a_schedule_that_cannot_be_evaluated_touches_no_other(broken: dict[str, Any]) -> None:
    """However it came into the table: what is saved today is checked before."""
    backend = Backend()
    backend.store.put_deployment("a-bad", {"pool": "p", "schedules": [{"name": "x", **broken}]})
    backend.deploy(Schedule(every_seconds=60))
    backend.store.put_deployment("z-bad", {"pool": "p", "schedules": [{"name": "x", **broken}]})
    assert len(backend.after(60)) == 1
    assert len(backend.after(60)) == 2


def test_a_firing_that_fails_keeps_no_other_from_firing() -> None:
    backend = Backend()
    backend.deploy(Schedule("a", every_seconds=60), Schedule("b", every_seconds=60))
    fired: list[str] = []

    def fire(firing: Mapping[str, Any]) -> object:
        if firing["schedule"] == "a" and not fired:
            raise RuntimeError("a bug")
        fired.append(firing["schedule"])
        return backend._fire(firing)

    backend.timer = ScheduleTimer(backend.ports, fire)
    assert len(backend.after(60)) == 1
    assert len(backend.after(60)) == 3


def test_what_a_store_out_of_reach_kept_from_firing_fires_later() -> None:
    backend = Backend()
    backend.deploy(Schedule("a", every_seconds=60), Schedule("b", every_seconds=60))
    down = True

    def fire(firing: Mapping[str, Any]) -> object:
        if down and firing["schedule"] == "a":
            raise Unavailable("the store is down")
        return backend._fire(firing)

    backend.timer = ScheduleTimer(backend.ports, fire)
    with pytest.raises(Unavailable):
        backend.after(60)
    down = False
    assert len(backend.after(1)) == 2


def test_a_step_says_when_the_next_schedule_fires() -> None:
    backend = Backend()
    backend.timer = ScheduleTimer(backend.ports, backend._fire, 30)
    assert backend.timer.step() == 30, "there is none"
    backend.deploy(Schedule("a", every_seconds=60), Schedule("b", every_seconds=3600))
    assert backend.timer.step() == 30
    backend.now += 50_000
    assert backend.timer.step() == 9.999
    backend.deploy(Schedule("a", every_seconds=60), paused=True)
    assert backend.timer.step() == 30


def test_a_new_deployment_does_not_fire_for_the_time_before_it_was_there() -> None:
    backend = Backend()
    backend.timer = ScheduleTimer(backend.ports, backend._fire, 30)
    backend.timer.step()
    backend.now += 59_000 + 20_000
    backend.deploy(Schedule(every_seconds=60))
    assert backend.after(0) == []
    assert len(backend.after(60)) == 1
