"""Does each variable of ECS, Kubernetes, Docker and processes do what the table says?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.core.template import Layer, render
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.docker.request import order_for
from push_dispatch.platforms.ecs.managed import Managed
from push_dispatch.platforms.ecs.request import parameters, plan_for
from push_dispatch.platforms.kubernetes.auth import reference_for
from push_dispatch.platforms.kubernetes.request import manifest_for
from push_dispatch.platforms.process.request import command_of, directory_of
from push_dispatch.platforms.shared import texts
from push_dispatch.platforms.templates import default_template

TABLES: Mapping[str, Mapping[str, tuple[str, str]]] = json.loads(
    (Path(__file__).parents[3] / "docs/reference/variables.json").read_text("utf-8")
)
ROLE = "arn:aws:iam::123456789012:role/x"
STACK = {
    "PUSH_DISPATCH_MANAGED_CLUSTER": "default",
    "PUSH_DISPATCH_MANAGED_SUBNETS": "subnet-a",
    "PUSH_DISPATCH_MANAGED_EXECUTION_ROLE_ARN": ROLE,
    "PUSH_DISPATCH_MANAGED_LOG_GROUP": "runs",
}


def _ecs(job: Job) -> Any:
    plan = plan_for(job, "us-east-1")
    if plan.definition_arn:
        described = {"networkMode": "awsvpc", "containerDefinitions": [{"name": "a"}]}
        plan = plan.on(described, job.configuration)
    return plan, parameters(job, plan, plan.definition_arn or "", plan.container, None)


def _managed(job: Job) -> Any:
    complete = Managed(STACK)._complete(job.configuration)
    return _ecs(Job(job.name, job.run_id, job.pool, "ecs", 1, complete))


def _kubernetes(job: Job) -> Any:
    named = {"PUSH_DISPATCH_KUBERNETES_CLUSTER": "in-cluster"}
    return reference_for(job.configuration, named), manifest_for(job)


def _process(job: Job) -> Any:
    return command_of(job), directory_of(job), texts(job.configuration.get("env"))


REQUESTS: Mapping[str, Callable[[Job], Any]] = {
    "ecs": _ecs,
    "managed": _managed,
    "kubernetes": _kubernetes,
    "docker": order_for,
    "process": _process,
}
#: What each type needs in any case, and what a variable needs beside it.
NEEDED: Mapping[str, Mapping[str, Any]] = {
    "ecs": {"image": "i:1", "command": "x", "execution_role_arn": ROLE},
    "managed": {"image": "i:1", "command": "x"},
    "kubernetes": {"image": "i:1", "command": "x"},
    "docker": {"image": "i:1", "command": "x"},
    "process": {"command": "x"},
}
BESIDE: Mapping[str, Mapping[str, Any]] = {
    "cloudwatch_logs_options": {"configure_cloudwatch_logs": True},
    "cloudwatch_logs_prefix": {"configure_cloudwatch_logs": True},
    "gpu": {"launch_type": "EC2"},
    "memswap_limit": {"mem_limit": "1g"},
    "vpc_id": {},
}
#: Another value than the default.
OTHER: Mapping[str, Any] = {
    "aws_credentials": {"assume_role_arn": ROLE},
    "annotations": {"a": "1"},
    "capacity_provider_strategy": [{"capacityProvider": "asg"}],
    "cloudwatch_logs_options": {"awslogs-group": "g"},
    "cluster_config": {"context_name": "c"},
    "container_create_kwargs": {"user": "u"},
    "cpu_architecture": "ARM64",
    "env": {"A": "1"},
    "execution_role_arn": f"{ROLE}y",
    "finished_job_ttl": 9999,
    "image_pull_policy": "Never",
    "labels": {"team": "data"},
    "launch_type": "EC2",
    "network_configuration": {"subnets": ["subnet-1"]},
    "network_mode": "host",
    "node_selector": {"a": "b"},
    "pip_packages": ["six"],
    "registry_credentials": {"username": "u", "password": "p"},
    "volumes": ["/a:/b"],
    "working_dir": "/",
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_variable_has_its_row(kind: str) -> None:
    assert set(TABLES[kind]) == set(default_template(kind)["variables"]["properties"])


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in REQUESTS for name in TABLES[kind] if name != "reporter"],
)
def test_a_variable_has_the_effect_that_the_table_gives_it(kind: str, name: str) -> None:
    template = default_template(kind)
    declared = template["variables"]["properties"]
    beside = {key: value for key, value in BESIDE.get(name, {}).items() if key in declared}
    base = {**NEEDED[kind], **beside}
    changed = _made(kind, template, {**base, name: _other(name, declared[name])})
    has_effect = changed != _made(kind, template, base)
    assert has_effect is not TABLES[kind][name][1].startswith("no effect")


def _made(kind: str, template: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
    configuration = render(template, [Layer("run", variables)]).configuration
    run = "pool.00000000-0000-0000-0000-000000000000"
    return REQUESTS[kind](Job("pd-0-1", run, "pool", kind, 1, configuration))


def _other(name: str, declared: Mapping[str, Any]) -> Any:
    if name in OTHER:
        return OTHER[name]
    kinds = declared.get("type") or "string"
    match kinds if isinstance(kinds, str) else kinds[0]:
        case "boolean":
            return not declared.get("default")
        case "integer" | "number":
            return (declared.get("default") or 0) + 512
        case "array":
            return ["zz9"]
        case _:
            return "zz9"
