# ruff: noqa: E501 - one case a line
"""Are requests to ECS, Kubernetes and Docker valid, and those that Prefect's own workers build?

Prefect's workers run in `.envs/prefect` (`make env-prefect`) in a process of their own, which also
holds our manifests, and the objects that the fake cluster shows, against the models of Kubernetes.
What ECS is sent and what its fake answers is held against botocore's model. Every difference is
listed here.
"""

from __future__ import annotations

import copy
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from push_dispatch.core.template import Layer, render
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.docker.request import order_for
from push_dispatch.platforms.ecs import Ecs
from push_dispatch.platforms.ecs.request import parameters, plan_for
from push_dispatch.platforms.kubernetes import Kubernetes
from push_dispatch.platforms.kubernetes.request import manifest_for
from push_dispatch.platforms.templates import default_template
from push_dispatch.ports.secrets import Secret
from tests.contract.prefect.asking import ask
from tests.contract.prefect.differences import differing
from tests.fakes.ecs import FakeEcs
from tests.fakes.kubernetes import FakeKubernetes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("prefect"),
]


@dataclass(frozen=True)
class Case:
    type: str
    variables: Mapping[str, Any]
    #: Paths whose value is ours alone, with the reason that docs/reference/variables.md gives.
    ours_alone: Mapping[str, str] = field(default_factory=dict)
    #: A task definition that the template names, as ECS describes it.
    definition: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        return f"{self.type} {', '.join(self.variables) or 'defaults'}"


UUID = "01999999-0000-7000-8000-000000000001"
ROLE = "arn:aws:iam::123456789012:role/run"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:s"
NAMED = {
    "containerDefinitions": [{"name": "sidecar"}, {"name": "prefect"}],
    "networkMode": "awsvpc",
    "requiresCompatibilities": ["FARGATE"],
}
BRIDGED = {"containerDefinitions": [{"name": "job"}], "requiresCompatibilities": ["EC2"]}
NETWORK = {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}
BASE: Mapping[str, Any] = {"image": "acme/etl:1", "command": "python -m etl 'a b'"}
ECS: tuple[Case, ...] = (
    Case("ecs", {"cpu": 2048, "memory": 4096}),
    Case("ecs", {"family": "my-family"}),
    Case("ecs", {"task_role_arn": ROLE}),
    Case("ecs", {"execution_role_arn": ROLE}),
    Case("ecs", {"launch_type": "FARGATE_SPOT"}),
    Case("ecs", {"launch_type": "EC2"}),
    Case("ecs", {"launch_type": "EC2", "cpu": 512, "memory": 1024}),
    Case("ecs", {"capacity_provider_strategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}),
    Case("ecs", {"vpc_id": "vpc-1"}),
    Case("ecs", {"cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/c"}),
    Case("ecs", {"vpc_id": "vpc-1", "network_configuration": NETWORK}),
    Case("ecs", {"configure_cloudwatch_logs": True, "execution_role_arn": ROLE, "cloudwatch_logs_prefix": "x", "cloudwatch_logs_options": {"awslogs-group": "g", "mode": "non-blocking"}}),
    Case("ecs", {"container_name": "prefect"}),
    Case("ecs", {"prefect_api_key_secret_arn": SECRET, "execution_role_arn": ROLE, "env": {"PREFECT_API_KEY": "k"}}, {"containerDefinitions[0].environment": "ECS refuses a variable that is also a secret"}),
    Case("ecs", {"prefect_api_auth_string_secret_arn": SECRET, "execution_role_arn": ROLE}),
    Case("ecs", {"auto_deregister_task_definition": True}),
    Case("ecs", {"match_latest_revision_in_family": True}),
    Case("ecs", {"task_definition_arn": "named:7"}, definition=NAMED),
    Case("ecs", {"task_definition_arn": "named:8", "launch_type": "EC2"}, definition=BRIDGED),
)  # fmt: skip
KUBERNETES: tuple[Case, ...] = (
    Case("kubernetes", {"namespace": "etl"}),
    Case("kubernetes", {"service_account_name": "runner"}),
    Case("kubernetes", {"image_pull_policy": "Always"}),
    Case("kubernetes", {"finished_job_ttl": 7200}),
    Case("kubernetes", {"finished_job_ttl": 60}, {"spec.ttlSecondsAfterFinished": "an hour at least"}),
    Case("kubernetes", {"backoff_limit": 2}),
    Case("kubernetes", {"annotations": {"a.example/b": "c d"}}),
    Case("kubernetes", {"labels": {"my-team.example/na me": "ä b"}}),
    Case("kubernetes", {"labels": {"My_Team/a": "b"}}, dict.fromkeys((f"{where}metadata.labels.{key}/a" for where in ("", "spec.template.") for key in ("my-team", "My-Team")), "the prefix is a DNS name: no capitals")),
    Case("kubernetes", {"cpu_request": "500m", "cpu_limit": "1", "memory_request": "1Gi", "memory_limit": "2Gi"}),
    Case("kubernetes", {"pod_watch_timeout_seconds": 120}),
    Case("kubernetes", {"job_watch_timeout_seconds": 10}),
    Case("kubernetes", {"stream_output": False}),
)  # fmt: skip
DOCKER: tuple[Case, ...] = (
    Case("docker", {"networks": ["one", "two"]}),
    Case("docker", {"network_mode": "host"}, {"extra_hosts": "the engine's host is localhost"}),
    Case("docker", {"volumes": ["/a:/b", "data:/data"]}),
    Case("docker", {"mem_limit": "1g", "memswap_limit": "2g"}),
    Case("docker", {"privileged": True}),
    Case("docker", {"auto_remove": True}),
    Case("docker", {"stream_output": False}),
    Case("docker", {"image_pull_policy": "Always"}),
    Case("docker", {"container_create_kwargs": {"shm_size": "1g", "extra_hosts": {"a": "1.2.3.4"}}}),
    Case("docker", {"labels": {"team": "data"}}),
)  # fmt: skip
CASES = (
    *(Case(type_, {}) for type_ in ("ecs", "kubernetes", "docker")),
    *(Case(t, {"env": {"A": "1", "B": "two words"}}) for t in ("ecs", "kubernetes", "docker")),
    *(Case(t, {"labels": {"team": "data"}}) for t in ("ecs", "kubernetes")),
    *ECS,
    *KUBERNETES,
    *DOCKER,
)
#: Set in each of our requests, and what a worker of Prefect sets in each of its.
ALWAYS = {
    "ecs": {"clientToken", "count", "family", "startedBy", "tags", "taskDefinition"},
    "kubernetes": {
        "annotations", "completions", "generateName", "name", "parallelism", "podReplacementPolicy",
    },
    "docker": {"auto_remove", "detach", "name"},
}  # fmt: skip


@dataclass
class Answered:
    case: Case
    ours: dict[str, Any]
    theirs: dict[str, Any]
    problems: list[str]


@pytest.fixture(scope="module")
def answered() -> list[Answered]:
    ours: list[dict[str, Any]] = []

    def cases(templates: Mapping[str, Any]) -> list[dict[str, Any]]:
        ours[:] = [_ours(case, templates[case.type]) for case in CASES]
        return [
            {
                "type": case.type,
                "template": templates[case.type],
                "variables": {**BASE, **case.variables},
                "ours": body,
                "definition": case.definition,
            }
            for case, body in zip(CASES, ours, strict=True)
        ]

    def with_what_is_shown(templates: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [*cases(templates), *_of_the_fake_cluster()]

    answers = ask("requests_containers.py", with_what_is_shown)
    shown = answers[len(CASES) :]
    assert len(shown) > 4
    assert [problem for answer in shown for problem in answer["problems"]] == []
    return [
        Answered(case, body, answer["request"], answer["problems"])
        for case, body, answer in zip(CASES, ours, answers[: len(CASES)], strict=True)
    ]


def test_requests_are_those_of_prefects_own_workers(answered: list[Answered]) -> None:
    wrong = {}
    for one in answered:
        found = dict(_differing(_comparable(one.case, one.ours), _comparable(one.case, one.theirs)))
        assert set(one.case.ours_alone) <= set(found), f"{one.case.name}: {found}"
        found = {path: pair for path, pair in found.items() if path not in one.case.ours_alone}
        if found:
            wrong[one.case.name] = found
    assert not wrong, json.dumps(wrong, indent=1)


def test_manifests_are_what_kubernetes_documents(answered: list[Answered]) -> None:
    assert {one.case.name: one.problems for one in answered if one.problems} == {}


def test_tasks_are_what_botocore_knows(answered: list[Answered]) -> None:
    tasks = [one for one in answered if one.case.type == "ecs"]
    assert len(tasks) > 20
    for one in tasks:
        assert _problems("RunTask", one.ours["run"]) == ""
        if one.case.definition is None:
            registered = {"family": "f", **one.ours["definition"]}
            assert _problems("RegisterTaskDefinition", registered) == ""


def test_the_fake_ecs_shows_what_botocore_knows() -> None:
    with FakeEcs() as fake:
        job = _job("ecs", {"env": {"A": "1"}}, f"pd-{'0' * 32}-1")
        Ecs(fake.environ(), clock=lambda: 0).push(job)
        fake.begin(job.name)
        running = copy.deepcopy(fake.task(job.name).shown)
        fake.finish(job.name, 3)
        for task in (running, fake.task(job.name).shown):
            answer = {"tasks": [task], "failures": []}
            assert _problems("DescribeTasks", answer, answered=True) == ""


def _of_the_fake_cluster() -> list[dict[str, Any]]:
    """Jobs, pods and secrets as the fake cluster shows them."""
    with FakeKubernetes() as fake:
        kubernetes = Kubernetes({"KUBECONFIG": str(fake.kubeconfig)})
        fail = partial(fake.finish, exit_code=3)
        lives: tuple[Callable[[str], None], ...] = (fake.begin, fail, fake.evict)
        for number, end in enumerate(lives):
            job = _job("kubernetes", {"env": {"A": "1"}}, f"pd-{number:032x}-1")
            kubernetes.push(replace(job, secrets={"S": Secret("s", "", lambda: "v")}))
            end(job.name)
        shown = {"job": fake.jobs, "pod": fake.pods, "secret": fake.secrets}
        return copy.deepcopy(
            [{"type": kind, "ours": one} for kind, found in shown.items() for one in found.values()]
        )


def _job(kind: str, variables: Mapping[str, Any], name: str) -> Job:
    layer = Layer("run", {**BASE, **variables})
    configuration = render(default_template(kind), [layer]).configuration
    return Job(name, f"pool.{UUID}", "pool", kind, 1, configuration)


def _problems(operation: str, value: Mapping[str, Any], *, answered: bool = False) -> str:
    model = ServiceModel(Loader().load_service_model("ecs", "service-2"))
    described = model.operation_model(operation)
    shape = described.output_shape if answered else described.input_shape
    assert shape is not None
    report: str = ParamValidator().validate(value, shape).generate_report()
    return report


def _ours(case: Case, template: Mapping[str, Any]) -> dict[str, Any]:
    variables = {**BASE, **copy.deepcopy(dict(case.variables))}
    configuration = render(template, [Layer("run", variables)]).configuration
    job = Job("pd-0-1", f"pool.{UUID}", "pool", case.type, 1, configuration)
    match case.type:
        case "ecs":
            return _task(job, case.definition)
        case "docker":
            order = order_for(job)
            networks = [order.arguments.get("network"), *order.networks]
            shown = {"image": order.image, "command": order.command, **order.arguments}
            return {**shown, "network": networks[0]}
        case _:
            return manifest_for(job)


def _task(job: Job, described: Mapping[str, Any] | None) -> dict[str, Any]:
    plan = plan_for(job, "us-east-1")
    if described is not None:
        plan = plan.on(described, job.configuration)
    subnets = ["subnet-0"] if plan.wants_subnets else None
    run = parameters(job, plan, "family:1", plan.container, subnets)
    return {"definition": dict(plan.definition or described or {}), "run": run}


def _comparable(case: Case, request: Mapping[str, Any]) -> Any:
    shown = copy.deepcopy(dict(request))
    if case.type == "ecs":
        shown = _effective(shown["definition"], shown["run"])
    if isinstance(shown.get("command"), str):
        shown["command"] = shlex.split(shown["command"])  # as docker-py does it
    if case.type == "kubernetes" and "finished_job_ttl" not in case.variables:
        shown["spec"].pop("ttlSecondsAfterFinished", None)
    return _plain(shown, ALWAYS[case.type], _kept(case))


def _effective(definition: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """What the task is: its definition, with what the run overrides."""
    run.setdefault("cluster", "default")
    overrides = run.pop("overrides", {})
    for override in overrides.pop("containerOverrides", []):
        [container] = [
            c for c in definition["containerDefinitions"] if c["name"] == override["name"]
        ]
        listed = [*container.get("environment", []), *override.pop("environment", [])]
        container |= {k: v for k, v in override.items() if v is not None}
        container["environment"] = listed
    tags = {tag["key"]: tag["value"] for tag in run.get("tags", [])}
    return {**definition, **run, **overrides, "labels": tags}


def _kept(case: Case) -> set[str]:
    """Environment variables of the case: all others are those of a worker or of ours."""
    secrets = {"prefect_api_key_secret_arn": "PREFECT_API_KEY"}
    secrets["prefect_api_auth_string_secret_arn"] = "PREFECT_API_AUTH_STRING"
    found = {name for variable, name in secrets.items() if variable in case.variables}
    return found | set(case.variables.get("env", {}))


def _plain(value: Any, left_out: set[str], kept: set[str]) -> Any:
    """Without what is empty, what is set in each request, and foreign variables and labels."""
    if isinstance(value, Mapping):
        plain = {
            key: _named(key, inner, left_out, kept)
            for key, inner in value.items()
            if key not in left_out
        }
        return {key: inner for key, inner in plain.items() if inner not in ({}, [], None, False)}
    if isinstance(value, list):
        return [_plain(item, left_out, kept) for item in value if not _is_foreign(item, kept)]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _named(key: str, value: Any, left_out: set[str], kept: set[str]) -> Any:
    if key == "environment" and isinstance(value, Mapping):
        return {name: inner for name, inner in value.items() if name in kept}
    if key == "labels":
        return {name: inner for name, inner in value.items() if not _OF_SOMEBODY.search(name)}
    return _plain(value, left_out, kept)


_OF_SOMEBODY = re.compile(r"prefect\.io|io\.prefect|app\.kubernetes\.io|push-dispatch")


def _is_foreign(entry: Any, kept: set[str]) -> bool:
    named = isinstance(entry, Mapping) and set(entry) <= {"name", "value", "valueFrom"}
    return named and len(entry) > 1 and entry["name"] not in kept


def _differing(ours: Any, theirs: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for where, one, other in differing(ours, theirs, path):
        yield where, (one, other)
