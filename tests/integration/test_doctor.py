"""Does `doctor` find what is wrong with a deployed system, and only that? As somebody types it.

The system is the template, deployed to MiniStack; its functions are executed there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from push_dispatch.adapters.dynamodb import items, keys
from push_dispatch.core.model import Holder, Ledger, Pool
from tests.infra.tools.uncoded import Deployed, environment
from tests.local import Cli

NOBODY = "0199c1f0-0000-7000-8000-999999999999"
#: What is looked at in a system without pools.
CHECKS = {
    "clock",
    "table",
    "recovery",
    "expiry",
    "function",
    "stream",
    "queue",
    "dead_letters",
    "rule",
    "permissions",
    "concurrency",
    "credentials",
}


def test_a_system_that_works_is_well(deployed: Deployed) -> None:
    done = deployed.cli("doctor", "--json")
    assert {found["check"] for found in done.json} == CHECKS
    wrong = [found for found in done.json if found["verdict"] != "ok"]
    assert (done.code, wrong) == (0, [])
    shown = deployed.cli.ok("doctor")
    assert "ok       function      all 6" in shown.out
    assert "0 warning, 0 problem, 0 unknown" in shown.err


def test_everything_that_is_wrong_is_found_at_once(deployed: Deployed) -> None:
    lambdas, sqs, iam = (deployed.client(name) for name in ("lambda", "sqs", "iam"))
    dispatch = deployed.functions["dispatch"]
    role = deployed.functions["finish"]["Role"].rpartition("/")[2]
    dead = deployed.queues["EcsDeadLetters"]
    with (
        _disabled(lambdas, deployed.source("dispatch", "dynamodb")),
        _no_rule(deployed.client("events"), deployed.sweep_rule),
        _no_policy(iam, role),
        environment(lambdas, dispatch, PUSH_DISPATCH_WAKE_QUEUE="http://localhost/0/gone"),
        _no_expiry(deployed.client("dynamodb"), deployed.table),
    ):
        sqs.send_message(QueueUrl=dead, MessageBody="{}")
        sqs.set_queue_attributes(
            QueueUrl=deployed.queues["FinishQueue"], Attributes={"VisibilityTimeout": "30"}
        )
        code, found = deployed.findings()
    sqs.purge_queue(QueueUrl=dead)
    sqs.set_queue_attributes(
        QueueUrl=deployed.queues["FinishQueue"], Attributes={"VisibilityTimeout": "180"}
    )
    assert code == 1
    reported = {(f["check"], f["verdict"]): f for f in found}
    assert len(reported) == len(found)
    assert set(reported) == {
        ("dead_letters", "problem"),
        ("expiry", "warning"),
        ("permissions", "problem"),
        ("queue", "problem"),
        ("queue", "warning"),
        ("rule", "problem"),
        ("stream", "problem"),
    }
    assert reported["stream", "problem"]["subject"] == dispatch["FunctionName"]
    assert "Disabled" in reported["stream", "problem"]["message"]
    assert reported["rule", "problem"]["remedy"].startswith("aws events enable-rule --name ")
    assert "dynamodb:GetItem on arn:" in reported["permissions", "problem"]["message"]
    assert reported["queue", "problem"]["subject"] == "http://localhost/0/gone"
    assert "some are handled twice" in reported["queue", "warning"]["message"]
    assert "1 message was dead-lettered" in reported["dead_letters", "problem"]["message"]
    assert deployed.findings() == (0, [])


def test_a_pool_of_a_platform_that_is_not_deployed_is_found(deployed: Deployed) -> None:
    with _pool(deployed, "away", "modal:push"):
        code, [found] = deployed.findings()
    assert (code, found["check"], found["subject"]) == (1, "pool", "away")
    assert "no function is deployed for modal" in found["message"]


def test_a_pool_of_a_type_that_is_not_known_here_is_unknown(deployed: Deployed) -> None:
    """Somebody else's platform, whose package is not installed where doctor is typed."""
    with _pool(deployed, "theirs", "ecs"):
        changed = items.pool_item(Pool("theirs", "batch-api", version=1))
        deployed.client("dynamodb").put_item(TableName=deployed.table, Item=changed)
        code, [found] = deployed.findings()
    assert (code, found["check"], found["verdict"]) == (1, "pool", "unknown")
    assert "there is no platform of type 'batch-api'" in found["message"]


def test_a_ledger_is_recounted_and_repaired(deployed: Deployed) -> None:
    def found(*options: str) -> list[dict[str, str]]:
        """Of the ledger: while nobody sweeps, the rule of the sweep is a problem, too."""
        return [f for f in deployed.findings(*options)[1] if f["check"] == "ledger"]

    with deployed.unswept(), _pool(deployed, "etl", "ecs"):
        _hold(deployed, "etl")
        [wrong] = found()
        assert wrong["verdict"] == "problem"
        assert wrong["message"] == "1 held by attempts that are over"
        assert wrong["remedy"] == "push-dispatch doctor --repair"
        [repaired] = found("--repair")
        assert repaired["verdict"] == "warning"
        assert repaired["message"] == "repaired: 1 held by attempts that are over"
        assert found("--repair") == []
        assert deployed.cli.ok("pool", "inspect", "etl", "--json").json["slots_used"] == 0


def test_without_the_table_there_is_one_problem(deployed: Deployed) -> None:
    elsewhere = Cli(deployed.cli.home, {**deployed.cli.environ, "PUSH_DISPATCH_TABLE": "nowhere"})
    done = elsewhere("doctor")
    assert done.code == 1
    assert done.out.startswith("problem  table         nowhere: there is no such table")
    assert "0 ok, 0 warning, 1 problem, 0 unknown" in done.err


def test_what_nobody_answers_is_unknown_and_not_well(deployed: Deployed) -> None:
    """IAM is out of reach: permissions cannot be looked at, and the rest can."""
    deaf = {"AWS_ENDPOINT_URL_IAM": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    done = Cli(deployed.cli.home, {**deployed.cli.environ, **deaf})("doctor", "--json")
    verdicts = {found["check"]: found["verdict"] for found in done.json}
    assert (done.code, verdicts["permissions"], verdicts["credentials"]) == (1, "unknown", "ok")


# -- how --------------------------------------------------------------------------------------


@contextmanager
def _disabled(lambdas: Any, uuid: str) -> Iterator[None]:
    lambdas.update_event_source_mapping(UUID=uuid, Enabled=False)
    try:
        yield
    finally:
        lambdas.update_event_source_mapping(UUID=uuid, Enabled=True)


@contextmanager
def _no_rule(events: Any, name: str) -> Iterator[None]:
    events.disable_rule(Name=name)
    try:
        yield
    finally:
        events.enable_rule(Name=name)


@contextmanager
def _no_policy(iam: Any, role: str) -> Iterator[None]:
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policies = {n: iam.get_role_policy(RoleName=role, PolicyName=n) for n in names}
    for name in names:
        iam.delete_role_policy(RoleName=role, PolicyName=name)
    try:
        yield
    finally:
        for name, policy in policies.items():
            document = json.dumps(policy["PolicyDocument"])
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)


@contextmanager
def _no_expiry(dynamodb: Any, table: str) -> Iterator[None]:
    def update(enabled: bool) -> None:
        wanted = {"Enabled": enabled, "AttributeName": "expires_at"}
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wanted)

    update(False)
    try:
        yield
    finally:
        update(True)


@contextmanager
def _pool(deployed: Deployed, name: str, type: str) -> Iterator[None]:
    deployed.cli.ok("pool", "create", name, "--type", type)
    try:
        yield
    finally:
        deployed.cli.ok("pool", "delete", name, "--force")


def _hold(deployed: Deployed, pool: str) -> None:
    """A slot that nobody will ever give back."""
    ledger = Ledger(pool, 1, (Holder(NOBODY, 1, "default", 1),))
    deployed.client("dynamodb").put_item(
        TableName=deployed.table,
        Item=items.ledger_item(ledger),
        ConditionExpression="PK <> :pk",
        ExpressionAttributeValues={":pk": {"S": keys.pool(pool)}},
    )
