"""Has each function the permissions that it uses, and no others?

All functions do all they can do, once, with keys of their own and IAM in front of AWS. What they
asked for is compared with what template.yaml grants them; that infra/terraform grants the same is
tested in tests/infra/test_parity.py. What the Lambda service does in their names is left out: it
polls queues and the stream, writes logs and gives up records, by a policy of its own in each role.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.api.v1 import TABLE
from push_dispatch.ops.permissions import NEEDED
from push_dispatch.platforms.ecs import Ecs
from tests.fakes.iam import Grant, Need, denied, is_needed
from tests.integration.iam_reachable import reachable
from tests.integration.iam_scenario import everything
from tests.integration.iam_system import KEY, PARAMETERS, Declared, functions_of, system

DYNAMODB = "arn:aws:dynamodb:eu-west-1:123456789012:table/Table"

#: What is granted and never asked for by a function: why.
EXCEPTIONS = {
    ("kms:Decrypt", KEY): "table, queues and secrets ask for it in the function's name",
    ("kms:GenerateDataKey", KEY): "queues ask for it in the function's name",
}

#: What is allowed on all resources although AWS's reference names a type of resource: why.
ON_ALL = {
    "ecs:ListTasks": "only container instances; a cluster's tasks are asked for on all resources",
    "ecs:RegisterTaskDefinition": "no policy of ECS's documentation names any",
}

#: Methods that the source names and a function never comes to call: why.
UNREACHED = {
    ("Dispatch", "store.pool"): "what is older than its ledger, by the call that reads a run",
    ("Finish", "store.keep_log"): "only ECS reports ends by events, and keeps its logs itself",
    ("Finish", "store.ledger"): "with lanes and collisions, by the call that reads a run",
    ("Finish", "store.line"): "behind the first places, by the call that reads the pool",
    ("Finish", "store.pool"): "what is older than its ledger, by the call that reads a run",
    ("Prefect", "store.commit"): "it starts nothing at once: its runs are read ahead",
    ("Prefect", "store.dequeue"): "seats, by the call that lines up",
    ("Prefect", "store.overview"): "it starts nothing at once: its runs are read ahead",
    ("PushAci", "store.enqueue"): "one place, which is put as a run is",
    ("PushCloudRun", "store.enqueue"): "one place, which is put as a run is",
    ("PushCloudRun", "store.keep_log"): "Cloud Logging keeps them",
    ("PushEcs", "store.enqueue"): "one place, which is put as a run is",
    ("PushEcs", "store.keep_log"): "CloudWatch Logs keeps them",
    ("PushModal", "store.enqueue"): "one place, which is put as a run is",
    ("PushModal", "store.keep_log"): "Modal keeps them",
    ("Report", "store.keep_log"): "an end that a job reports is not cleaned up after yet",
    ("Submit", "store.run"): "of others in line, which it leaves to dispatch",
    ("Submit", "store.save_run"): "of others in line, which it leaves to dispatch",
}


#: A line is read beside the overview, by the same call, where that came too early or has not all.
SOMETIMES = {("Dispatch", "store.line")}

#: Methods that ask for nothing that others do not ask for: which.
LIKE_OTHERS = {
    "store.in_line": "store.runs",
    "store.lead": "store.commit",
    "store.template": "store.pool",
    "store.mend_run": "store.run and store.save_run",
    "store.lanes": "store.line",
    "store.newest": "store.pool",
    "store.supersede": "store.pool and store.commit",
}


@dataclass(frozen=True)
class Record:
    """By function: what it is granted, what it asked for, and what it has called of its ports."""

    functions: Mapping[str, Declared]
    received: Mapping[str, list[Need]]
    used: Mapping[str, set[str]]
    refused: list[str]

    def actions(self, name: str) -> set[str]:
        return {need.action for need in self.received[name]}


@pytest.fixture(scope="session")
def record(ministack: str) -> Record:
    """Once a session: what it makes has names that are taken then."""
    with system(ministack) as all_of_it:
        everything(all_of_it)
    received: dict[str, dict[Need, None]] = defaultdict(dict)
    for call in all_of_it.iam.calls_made:
        received[_short(call.caller)] |= dict.fromkeys(call.needs)
    return Record(
        {_short(name): f.declared for name, f in all_of_it.functions.items()},
        {name: list(needs) for name, needs in received.items()},
        {_short(name): f.used for name, f in all_of_it.functions.items()},
        [str(call) for call in all_of_it.iam.calls_made if call.refused],
    )


def test_each_function_has_what_it_uses_and_nothing_else(record: Record) -> None:
    """Granted is an action on a resource; it is used if something would be refused without it."""
    assert record.refused == []
    assert set(record.received) == set(record.functions)
    for name, function in record.functions.items():
        assert _unneeded(function.grants, record.received[name]) == set(EXCEPTIONS), name


def test_each_function_did_all_that_it_can_do(record: Record) -> None:
    """Else what it needs once in a while could be taken away from it."""
    unreached = {
        (name, method)
        for name, function in record.functions.items()
        for method in _can_call(name, function) - record.used[name] - {*LIKE_OTHERS}
    }
    assert unreached - SOMETIMES == set(UNREACHED)
    ecs = {a for a in record.actions("PushEcs") if a.partition(":")[0] in {"ec2", "ecs", "iam"}}
    assert ecs == set(Ecs.iam_actions)


def test_what_others_are_told_is_what_was_asked_for(record: Record) -> None:
    for module, actions in NEEDED.items():
        names = [n for n, f in record.functions.items() if f.handler.split(".")[-2] == module]
        assert names
        for name in names:
            own = {a for a in record.actions(name) if a in actions or not _is_of_platform(name, a)}
            assert own == set(actions), name


def test_all_resources_are_allowed_only_where_the_service_knows_no_better(record: Record) -> None:
    """By AWS's service reference, of which cfn-lint has a copy."""
    wild = {
        grant.action
        for function in record.functions.values()
        for grant in function.grants
        if grant.resource == "*"
    }
    assert {action for action in wild if _resources(action)} == set(ON_ALL)
    assert wild - set(ON_ALL) == {
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "ecs:DescribeTaskDefinition",
        "sts:GetWebIdentityToken",
    }


# -- that it can fail -----------------------------------------------------------------------------


def test_whatever_is_taken_away_is_missed(record: Record) -> None:
    """Each grant of each function, one by one."""
    taken = 0
    for name, function in record.functions.items():
        for grant in function.grants:
            if (grant.action, grant.resource) not in EXCEPTIONS:
                left = [other for other in function.grants if other != grant]
                assert denied(left, record.received[name]), (name, grant)
                taken += 1
    assert taken > 70


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("Finish", Grant("dynamodb:DeleteItem", DYNAMODB)),
        ("Dispatch", Grant("dynamodb:Query", f"{DYNAMODB}/index/ticks")),
        ("PushEcs", Grant("logs:GetLogEvents", "*")),
        ("Submit", Grant("dynamodb:*", DYNAMODB)),
        ("Report", Grant("sqs:SendMessage", "arn:aws:sqs:eu-west-1:123456789012:WakeQueue")),
    ],
)
def test_whatever_is_added_is_seen(record: Record, name: str, more: Grant) -> None:
    grants = (*record.functions[name].grants, more)
    seen = _unneeded(grants, record.received[name]) - set(EXCEPTIONS)
    # What says the same twice, and more, makes both superfluous.
    assert (more.action, more.resource) in seen


@pytest.mark.parametrize(
    ("need", "why"),
    [
        (Need("ecs:TagResource", "arn:aws:ecs:eu-west-1:123456789012:task/a/b"), "untagged yet"),
        (
            Need(
                "iam:PassRole",
                "arn:aws:iam::123456789012:role/task",
                {"iam:PassedToService": ("ec2.amazonaws.com",)},
            ),
            "to another service",
        ),
        (
            Need(
                "ecs:ListTasks",
                context={"ecs:cluster": ("arn:aws:ecs:eu-west-1:999999999999:cluster/a",)},
            ),
            "of another account",
        ),
    ],
)
def test_a_condition_that_does_not_hold_refuses(need: Need, why: str) -> None:
    grants = functions_of(PARAMETERS)["PushEcsFunction"].grants
    assert denied(grants, [need]) == [need], why


# -- details --------------------------------------------------------------------------------------


def _short(name: str) -> str:
    return name.removesuffix("Function")


def _unneeded(grants: tuple[Grant, ...], received: list[Need]) -> set[tuple[str, str]]:
    return {(g.action, g.resource) for g in grants if not is_needed(g, grants, received)}


def _can_call(name: str, function: Declared) -> frozenset[str]:
    """The API's paths are found by a table that no function names: all of them count."""
    if name == "Api":
        modules = {route.handle.__module__ for route in TABLE.routes}
        return frozenset().union(*(reachable(module, "*") for module in modules))
    return reachable(function.handler.rpartition(".")[0], "handle")


def _is_of_platform(name: str, action: str) -> bool:
    return name.startswith("Push") and action.partition(":")[0] not in {"dynamodb", "sqs"}


def _resources(action: str) -> list[str]:
    """Types of resources that an action can be limited to."""
    import cfnlint

    file = Path(cfnlint.__file__).parent / "data/AdditionalSpecs/Policies.json"
    service, _, name = action.lower().partition(":")
    known: Any = json.loads(file.read_text("utf-8"))[service]["Actions"][name]
    return list(known.get("Resources", ()))
