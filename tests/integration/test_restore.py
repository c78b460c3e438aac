"""Does a system come back from a copy of its table, and go on where it was? As somebody types it.

The copy is made by point-in-time recovery, the new system is the template, both in MiniStack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from push_dispatch.adapters.dynamodb.schema import create_table
from tests.infra.tools.uncoded import Deployed
from tests.local import Cli, eventually

COPY = "restored"
EARLIER = "earlier"


@pytest.fixture
def earlier(deployed: Deployed) -> Iterator[Cli]:
    """Commands that go to a table of before, which no function knows."""
    create_table(deployed.client("dynamodb"), EARLIER)
    environ = {**deployed.cli.environ, "PUSH_DISPATCH_TABLE": EARLIER}
    schedules = {f"PUSH_DISPATCH_SCHEDULE_{name}": "here" for name in ("GROUP", "TARGET", "ROLE")}
    yield Cli(deployed.cli.home, environ | schedules)
    for table in (EARLIER, COPY):
        deployed.client("dynamodb").delete_table(TableName=table)


def _scheduling(deployed: Deployed) -> Cli:
    """With what the deployment says of schedules."""
    [stack] = deployed.client("cloudformation").describe_stacks(StackName="push-dispatch")["Stacks"]
    reported = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    environ = {
        "PUSH_DISPATCH_SCHEDULE_GROUP": reported["ScheduleGroup"],
        "PUSH_DISPATCH_SCHEDULE_TARGET": reported["ScheduleTarget"],
        "PUSH_DISPATCH_SCHEDULE_ROLE": reported["ScheduleRoleArn"],
    }
    return Cli(deployed.cli.home, {**deployed.cli.environ, **environ})


def test_a_system_comes_back_and_goes_on(deployed: Deployed, earlier: Cli) -> None:
    cli = _scheduling(deployed)
    earlier.ok("pool", "create", "back", "--type", "ecs", "--limit", "1")
    earlier.ok("queue", "create", "urgent", "--pool", "back", "--priority", "1")
    runs = [earlier.ok("run", "submit", "back", "--queue", "urgent").out.strip() for _ in range(2)]
    _save_deployment(earlier, deployed)
    _copy(deployed.client("dynamodb"))
    assert cli("restore", "nowhere").code == 1
    done = cli.ok("restore", COPY, "--json").json
    assert (done["pools"], done["deployments"]) == (1, 1)
    # Both runs were in no line: nobody had heard of them. Without an image each is admitted,
    # refused, and gives its slot to the next.
    eventually(lambda: _attempts(cli) == dict.fromkeys(runs, 1))
    firing = deployed.client("scheduler").list_schedules(GroupName="push-dispatch")["Schedules"]
    assert [schedule["Name"] for schedule in firing] == ["nightly.default"]
    again = cli("restore", COPY)
    assert (again.code, "has pools: back" in again.err) == (1, True)
    _remove(cli, runs)


def test_without_schedules_nothing_is_copied(deployed: Deployed, earlier: Cli) -> None:
    earlier.ok("pool", "create", "back", "--type", "ecs")
    _save_deployment(earlier, deployed)
    _copy(deployed.client("dynamodb"))
    refused = deployed.cli("restore", COPY)
    assert (refused.code, "[schedules_unknown]" in refused.err) == (1, True)
    assert deployed.cli.ok("pool", "ls", "--json").json == []
    assert deployed.cli.ok("deployment", "ls", "--json").json == []


def test_the_own_table_is_no_copy(deployed: Deployed) -> None:
    assert deployed.cli("restore", deployed.table).code == 2


def _attempts(cli: Cli) -> dict[str, int]:
    """How often each run of the pool was tried."""
    listed = cli.ok("run", "ls", "--pool", "back", "--json").json
    return {run["id"]: len(run["attempts"]) for run in listed}


def _save_deployment(earlier: Cli, deployed: Deployed) -> None:
    """In the earlier table; the schedule is of the earlier system, and gone with it."""
    scheduler = deployed.client("scheduler")
    scheduler.create_schedule_group(Name="here")
    earlier.ok("deployment", "create", "nightly", "--pool", "back", "--cron", "0 3 * * *")
    scheduler.delete_schedule_group(Name="here")


def _copy(dynamodb: Any) -> None:
    dynamodb.update_continuous_backups(
        TableName=EARLIER, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=EARLIER, TargetTableName=COPY, UseLatestRestorableTime=True
    )
    dynamodb.get_waiter("table_exists").wait(TableName=COPY, WaiterConfig={"Delay": 1})


def _remove(cli: Cli, runs: list[str]) -> None:
    cli.ok("pool", "set-limit", "back", "0")
    cli.ok("deployment", "delete", "nightly")
    cli("run", "cancel", *runs)  # one may have ended by itself
    eventually(lambda: cli("pool", "delete", "back", "--force").code == 0)
