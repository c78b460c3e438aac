"""What is asked of ECS for a template that is not the default one?"""

from __future__ import annotations

from typing import Any

import pytest

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.ecs.definition import container_in
from push_dispatch.platforms.ecs.request import Plan, parameters, plan_for

RUN = "etl.0199c1f0-0000-7000-8000-000000000001"
ROLE = "arn:aws:iam::123456789012:role/x"
NETWORK = {"subnets": ["subnet-1"]}
SIDECAR = {"name": "datadog-agent", "image": "datadog/agent:7", "essential": False}
NAMED = {"taskDefinition": "arn:aws:ecs:us-east-1:123456789012:task-definition/x:1"}


def job(
    containers: list[dict[str, Any]] | None = None,
    *,
    request: dict[str, Any] | None = None,
    definition: dict[str, Any] | None = None,
    **more: Any,
) -> Job:
    made = {"executionRoleArn": ROLE, "containerDefinitions": containers or [{"image": "busybox"}]}
    configuration = {
        "command": "sh -c 'echo hi'",
        "env": {"A": "1"},
        "network_configuration": NETWORK,
        "task_definition": made | (definition or {}),
        "task_run_request": {"launchType": "FARGATE", **(request or {})},
        **more,
    }
    return Job("pd-x-1", RUN, "etl", "ecs", 1, configuration)


def planned(made: Job, described: dict[str, Any] | None = None) -> Plan:
    plan = plan_for(made, "us-east-1")
    return plan.on(described, made.configuration) if described else plan


def received(made: Job, described: dict[str, Any] | None = None, subnets: Any = None) -> Any:
    plan = planned(made, described)
    return parameters(made, plan, "d", plan.container, subnets)


class TestContainer:
    @pytest.mark.parametrize(
        ("names", "given", "expected"),
        [
            ([], None, "prefect"),
            ([None], None, "prefect"),
            ([None], "main", "main"),
            (["datadog-agent", "prefect"], None, "prefect"),
            (["datadog-agent", None], None, "prefect"),
            (["etl", "datadog-agent"], None, "etl"),
            (["datadog-agent", "prefect"], "datadog-agent", "datadog-agent"),
        ],
    )
    def test_it_is_chosen_as_prefect_does(
        self, names: list[str | None], given: str | None, expected: str
    ) -> None:
        containers = [{"name": name} if name else {} for name in names]
        assert container_in(containers, given) == expected

    @pytest.mark.parametrize(
        "containers",
        [
            [SIDECAR, {"name": "prefect", "image": "busybox"}],
            [{"image": "busybox"}, SIDECAR],
            [SIDECAR, {"image": "busybox"}],
        ],
    )
    def test_a_sidecar_never_gets_the_command(self, containers: list[dict[str, Any]]) -> None:
        made = job(containers)
        plan = planned(made)
        assert plan.container == "prefect"
        assert plan.definition is not None
        names = [container["name"] for container in plan.definition["containerDefinitions"]]
        assert sorted(names) == ["datadog-agent", "prefect"]
        [override] = received(made)["overrides"]["containerOverrides"]
        assert override["name"] == "prefect"
        assert override["command"] == ["sh", "-c", "echo hi"]

    def test_its_override_says_whose_run_it_is_even_if_the_run_removes_that(self) -> None:
        made = job(env={"A": "1", "PUSH_DISPATCH_RUN_ID": None})
        [override] = received(made)["overrides"]["containerOverrides"]
        assert {"name": "PUSH_DISPATCH_RUN_ID", "value": RUN} in override["environment"]

    def test_of_a_named_definition_it_is_chosen_alike(self) -> None:
        made = job(request=NAMED)
        described = {
            "containerDefinitions": [SIDECAR, {"name": "prefect"}],
            "networkMode": "awsvpc",
        }
        assert planned(made, described).container == "prefect"


class TestNetwork:
    def test_awsvpc_without_subnets_has_them_looked_up(self) -> None:
        made = job(request={**NAMED, "launchType": "EC2"}, network_configuration=None)
        described = {"containerDefinitions": [{"name": "x"}], "networkMode": "awsvpc"}
        assert planned(made, described).wants_subnets
        network = received(made, described, ["subnet-a"])["networkConfiguration"]
        # A public address is for Fargate only: ECS refuses it elsewhere.
        assert network == {"awsvpcConfiguration": {"subnets": ["subnet-a"]}}

    @pytest.mark.parametrize("mode", ["bridge", "host", "none", None])
    def test_other_modes_take_no_network(self, mode: str | None) -> None:
        made = job(request={**NAMED, "launchType": "EC2"})
        described = {"containerDefinitions": [{"name": "x"}], "networkMode": mode}
        assert "networkConfiguration" not in received(made, described)

    def test_a_template_that_says_bridge_takes_none_either(self) -> None:
        made = job(request={"launchType": "EC2"}, definition={"networkMode": "bridge"})
        assert "networkConfiguration" not in received(made)

    def test_it_is_not_wrapped_twice(self) -> None:
        made = job(network_configuration={"awsvpcConfiguration": NETWORK})
        assert received(made)["networkConfiguration"] == {"awsvpcConfiguration": NETWORK}


class TestPlace:
    @pytest.mark.parametrize(
        ("compatible", "expected"),
        [(["EC2"], None), (["EXTERNAL"], None), (["EC2", "FARGATE"], "FARGATE")],
    )
    def test_without_a_launch_type_a_named_definition_says_where(
        self, compatible: list[str], expected: str | None
    ) -> None:
        made = job(request={**NAMED, "launchType": None})
        described = {"containerDefinitions": [{"name": "x"}], "compatibilities": compatible}
        assert received(made, described).get("launchType") == expected

    def test_on_instances_a_container_reserves_cpu(self) -> None:
        plan = planned(job(request={"launchType": "EC2"}))
        assert plan.definition is not None
        [container] = plan.definition["containerDefinitions"]
        assert (container["cpu"], container["memory"]) == (1024, 2048)

    def test_managed_instances_have_their_own_compatibility_and_no_bridge(self) -> None:
        made = job(request={"launchType": "MANAGED_INSTANCES"}, network_configuration=None)
        definition = planned(made).definition
        assert definition is not None
        assert definition["requiresCompatibilities"] == ["MANAGED_INSTANCES"]
        assert definition["networkMode"] == "host"
        assert received(made)["launchType"] == "MANAGED_INSTANCES"


def test_what_the_console_shows_and_ecs_does_not_take_is_left_out() -> None:
    pasted = {
        "taskDefinitionArn": NAMED["taskDefinition"],
        "revision": 16,
        "status": "ACTIVE",
        "requiresAttributes": [{"name": "ecs.capability.task-eni"}],
        "compatibilities": ["EC2", "FARGATE"],
        "registeredAt": "2024-04-30T10:00:00Z",
        "registeredBy": "arn:aws:iam::123456789012:root",
    }
    definition = planned(job(definition=pasted)).definition
    assert definition is not None
    assert not set(pasted) & set(definition)


def test_values_that_are_no_text_are_json() -> None:
    [override] = received(job(env={"ON": True, "X": {"a": 1}}))["overrides"]["containerOverrides"]
    values = {entry["name"]: entry["value"] for entry in override["environment"]}
    assert (values["ON"], values["X"]) == ("true", '{"a": 1}')


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"labels": {f"l{n}": "x" for n in range(60)}}, "labels: 60 are given"),
        ({"labels": ["a"]}, "labels is not an object"),
        ({"env": ["A=1"]}, "env is not an object"),
        ({"command": "echo 'open"}, "command cannot be split"),
        (
            {"containers": [{"image": "i", "secrets": [{"name": "K", "valueFrom": None}]}]},
            r"container prefect: secrets\[0\].valueFrom is not set",
        ),
        (
            {"request": {"overrides": {"containerOverrides": [{"cpu": "0.5 vCPU"}]}}},
            "cpu: '0.5 vCPU' is not a whole number",
        ),
    ],
)
def test_what_cannot_be_a_request_is_refused_by_name(more: dict[str, Any], words: str) -> None:
    with pytest.raises(Rejected, match=words) as caught:
        received(job(**more))
    assert caught.value.reason == "template_invalid"
