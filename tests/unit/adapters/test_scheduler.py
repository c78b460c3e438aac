"""Are the schedules of a deployment those of EventBridge Scheduler, before and after a change?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from push_dispatch.adapters.scheduler import EventBridgeSchedules, name_of
from push_dispatch.control.deployments import save_deployment
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.errors import Unavailable
from push_dispatch.core.schedule import Schedule
from push_dispatch.ops.doctor import _schedules
from push_dispatch.ops.findings import Verdict
from tests.fakes.world import POOL, World

TARGET = "arn:aws:sqs:us-east-1:123456789012:requests"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:submit"
ROLE = "arn:aws:iam::123456789012:role/schedules"
NIGHTLY = Schedule("nightly", cron="0 3 * * *", timezone="Europe/Berlin")
HOURLY = Schedule("hourly", every_seconds=3600)
ONCE = Schedule("once", at="2030-01-01T09:00", timezone="America/New_York")


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("scheduler", region_name="us-east-1")
        client.create_schedule_group(Name="pd")
        yield client


@pytest.fixture
def schedules(client: Any) -> EventBridgeSchedules:
    return EventBridgeSchedules(client, "pd", TARGET, ROLE)


def stored(client: Any) -> dict[str, dict[str, Any]]:
    names = [entry["Name"] for entry in client.list_schedules(GroupName="pd")["Schedules"]]
    return {name: client.get_schedule(GroupName="pd", Name=name) for name in names}


def test_each_schedule_sends_its_firing_to_the_queue(
    client: Any, schedules: EventBridgeSchedules
) -> None:
    schedules.sync("etl", [NIGHTLY, HOURLY, ONCE], [])
    found = stored(client)
    expressions = {
        name: (entry["ScheduleExpression"], entry["ScheduleExpressionTimezone"])
        for name, entry in found.items()
    }
    assert expressions == {
        "etl.nightly": ("cron(0 3 * * ? *)", "Europe/Berlin"),
        "etl.hourly": ("rate(60 minutes)", "UTC"),
        "etl.once": ("at(2030-01-01T09:00:00)", "America/New_York"),
    }
    target = found["etl.nightly"]["Target"]
    assert (target["Arn"], target["RoleArn"]) == (TARGET, ROLE)
    firing = json.loads(target["Input"])
    assert (firing["deployment"], firing["schedule"]) == ("etl", "nightly")
    assert firing["time"] == "<aws.scheduler.scheduled-time>"


def test_a_change_replaces_removes_and_can_be_repeated(
    client: Any, schedules: EventBridgeSchedules
) -> None:
    schedules.sync("etl", [NIGHTLY, HOURLY], [])
    later = Schedule("nightly", cron="0 4 * * *")
    for _ in range(2):
        schedules.sync("etl", [later], [NIGHTLY, HOURLY])
        found = stored(client)
        assert set(found) == {"etl.nightly"}
        assert found["etl.nightly"]["ScheduleExpression"] == "cron(0 4 * * ? *)"
    schedules.sync("etl", [], [later])
    assert stored(client) == {}


def test_schedules_of_an_earlier_version_are_found_and_saved_again(
    client: Any, schedules: EventBridgeSchedules
) -> None:
    """They invoke the function, which gives a firing up within three minutes."""
    EventBridgeSchedules(client, "pd", FUNCTION, ROLE).sync("etl", [NIGHTLY, HOURLY], [])
    assert schedules.astray() == ["etl.hourly", "etl.nightly"]
    schedules.sync("etl", [NIGHTLY], [NIGHTLY])
    assert schedules.astray() == ["etl.hourly"]
    schedules.sync("etl", [NIGHTLY, HOURLY], [NIGHTLY, HOURLY])
    assert schedules.astray() == []


def test_the_doctor_saves_them_again(client: Any, schedules: EventBridgeSchedules) -> None:
    world = World()
    old = EventBridgeSchedules(client, "pd", FUNCTION, ROLE)
    ports = replace(world.ports, schedules=old)
    save_deployment(ports, Deployment("etl", POOL, command="x", schedules=(NIGHTLY,)))
    ports = replace(ports, schedules=schedules)
    [found] = _schedules(ports, repair=False)
    assert found.verdict is Verdict.WARNING
    assert "etl.nightly" in found.message
    [repaired] = _schedules(ports, repair=True)
    assert "repaired: 1" in repaired.message
    [found] = _schedules(ports, repair=False)
    assert found.verdict is Verdict.OK


def test_a_service_that_cannot_be_reached_is_said() -> None:
    client = boto3.client(
        "scheduler",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(Unavailable, match="EventBridge Scheduler"):
        EventBridgeSchedules(client, "pd", TARGET, ROLE).sync("etl", [NIGHTLY], [])


def test_names_fit_and_stay_apart() -> None:
    long = [name_of("d" * 63, f"{'s' * 62}{n}") for n in range(2)]
    assert all(len(name) <= 64 for name in long)
    assert long[0] != long[1]
    assert name_of("a", "b c") != name_of("a", "b-c")
