"""Are requests to Google Cloud and Azure valid, and those that Prefect's own workers build?

Prefect's workers run in `.envs/prefect` (`make env-prefect`) in a process of their own, which also
holds our requests against Google's discovery documents. Every difference is listed here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from push_dispatch.core.template import Layer, render
from push_dispatch.platforms.aci.request import group_for
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.cloud_run.request import body_for as cloud_run_body, cleaned
from push_dispatch.platforms.vertex.request import body_for as vertex_body
from tests.contract.prefect.asking import ask
from tests.fakes.vertex import PARENT, FakeVertex

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("prefect"),
]


@dataclass(frozen=True)
class Case:
    type: str
    variables: Mapping[str, Any]
    #: Paths whose value is ours alone, with the reason that docs/reference/differences.md gives.
    ours_alone: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.type} {', '.join(self.variables) or 'defaults'}"


SECRET = {"secret": "s", "version": "2"}
NEVER = {"template.template.maxRetries": "the run's own retries have a number and a reason"}
BASE: Mapping[str, Mapping[str, Any]] = {
    "cloud-run": {"image": "acme/etl:1", "command": "python -m etl 'a b'"},
    "cloud-run-v2": {"image": "acme/etl:1", "command": "python -m etl 'a b'"},
    "vertex-ai": {
        "image": "acme/etl:1",
        "command": "python -m etl 'a b'",
        "region": "us-central1",
        "service_account_name": "run@p.iam.gserviceaccount.com",
    },
    "azure-container-instance": {
        "image": "acme/etl:1",
        "command": "python -m etl 'a b'",
        "resource_group_name": "rg",
        "subscription_id": "s",
    },
}
CASES = (
    *(Case(type_, {}) for type_ in BASE),
    *(Case(type_, {"env": {"A": "1", "B": "two words"}}) for type_ in BASE),
    Case("cloud-run-v2", {"cpu": "2", "memory": "2Gi"}),
    Case("cloud-run-v2", {"timeout": 1200}),
    Case("cloud-run-v2", {"vpc_connector_name": "projects/p/locations/l/connectors/c"}),
    Case("cloud-run-v2", {"service_account_name": "run@p.iam.gserviceaccount.com"}),
    Case("cloud-run-v2", {"args": ["x", "y z"]}),
    Case("cloud-run-v2", {"env_from_secrets": {"S": SECRET}}),
    Case("cloud-run-v2", {"prefect_api_key_secret": SECRET}),
    Case("cloud-run-v2", {"prefect_api_auth_string_secret": SECRET}),
    Case("cloud-run-v2", {"cloudsql_instances": ["p:r:one", "p:r:two"]}),
    Case("cloud-run-v2", {"launch_stage": "GA"}),
    Case("cloud-run-v2", {"max_retries": 3}, NEVER),
    Case("cloud-run", {"cpu": "2000m", "memory": "2Gi"}),
    Case("cloud-run", {"timeout": 1200}),
    Case("cloud-run", {"vpc_connector_name": "projects/p/locations/l/connectors/c"}),
    Case("cloud-run", {"service_account_name": "run@p.iam.gserviceaccount.com"}),
    Case("cloud-run", {"prefect_api_key_secret": SECRET}),
    Case("vertex-ai", {"machine_type": "g2-standard-8"}),
    Case("vertex-ai", {"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 2}),
    Case("vertex-ai", {"boot_disk_type": "pd-standard", "boot_disk_size_gb": 200}),
    Case("vertex-ai", {"maximum_run_time_hours": 5}),
    Case("vertex-ai", {"network": "projects/1/global/networks/n", "reserved_ip_ranges": ["r"]}),
    Case("vertex-ai", {"enable_web_access": True, "enable_dashboard_access": True}),
    Case("vertex-ai", {"scheduling": {"strategy": "SPOT"}}),
    Case("azure-container-instance", {"cpu": 2, "memory": 4}),
    Case("azure-container-instance", {"entrypoint": "tini"}),
    Case("azure-container-instance", {"identities": ["/subscriptions/s/i"]}),
    Case("azure-container-instance", {"subnet_ids": ["/subscriptions/s/n"]}),
    Case("azure-container-instance", {"dns_servers": ["10.0.0.1"]}),
    Case("azure-container-instance", {"env": {"PREFECT_API_KEY": "k"}}),
    Case(
        "azure-container-instance",
        {"image_registry": {"registry_url": "acme.azurecr.io", "identity": "/subscriptions/s/i"}},
    ),
    Case(
        "azure-container-instance",
        {"gpu_count": 2, "gpu_sku": "V100"},
        {"properties.containers[0].properties.resources.requests.gpu": "declared only"},
    ),
)
#: In every request.
OURS_ALONE: Mapping[str, set[str]] = {
    "cloud-run": {"annotations", "client", "labels", "startExecutionToken"},
    "cloud-run-v2": {"annotations", "client", "labels", "startExecutionToken"},
    "vertex-ai": {"displayName", "labels"},
    "azure-container-instance": {"apiVersion", "location", "name", "tags", "type"},
}


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
        received = [
            {
                "type": case.type,
                "template": templates[case.type],
                "variables": {**BASE[case.type], **case.variables},
                "ours": body,
            }
            for case, body in zip(CASES, ours, strict=True)
        ]
        vertex = [one for one in received if one["type"] == "vertex-ai"]
        return received + [{**one, "ours": _shown(one["ours"])} for one in vertex]

    answers = ask("requests_clouds.py", cases)
    shown = answers[len(CASES) :]
    assert [problem for answer in shown for problem in answer["problems"]] == []
    answers = answers[: len(CASES)]
    return [
        Answered(case, body, answer["request"], answer["problems"])
        for case, body, answer in zip(CASES, ours, answers, strict=True)
    ]


def test_requests_are_those_of_prefects_own_workers(answered: list[Answered]) -> None:
    wrong = {}
    for one in answered:
        kept = set(one.case.variables.get("env", {})) | _secrets(one.case)
        ours = _comparable(one.case, one.ours, kept)
        theirs = _comparable(one.case, _as_ours(one), kept)
        found = dict(_differing(ours, theirs, ""))
        unlisted = {
            path: values for path, values in found.items() if path not in one.case.ours_alone
        }
        assert set(one.case.ours_alone) <= set(found), f"{one.case.name}: {found}"
        if unlisted:
            wrong[one.case.name] = unlisted
    assert not wrong, json.dumps(wrong, indent=1)


def test_requests_and_the_fakes_jobs_are_what_google_documents(answered: list[Answered]) -> None:
    assert {one.case.name: one.problems for one in answered if one.problems} == {}


def _ours(case: Case, template: Mapping[str, Any]) -> dict[str, Any]:
    variables = {**BASE[case.type], **copy.deepcopy(dict(case.variables))}
    configuration = render(template, [Layer("run", variables)]).configuration
    job = Job("pd-0-1", "pool.0", "pool", case.type, 1, configuration)
    match case.type:
        case "vertex-ai":
            return vertex_body(job)
        case "azure-container-instance":
            return group_for(job, {})
        case _:
            return cloud_run_body(job)


def _shown(body: dict[str, Any]) -> dict[str, Any]:
    """What the fake of Vertex AI shows of a job that has failed."""
    with FakeVertex() as fake:
        fake.jobs["x"] = {**body, "name": f"{PARENT}/customJobs/1", "state": "JOB_STATE_PENDING"}
        fake.begin("pd-0-1")
        fake.end("pd-0-1", "JOB_STATE_FAILED", "The replica workerpool0-0 exited")
        return fake.jobs["x"]


def _as_ours(one: Answered) -> dict[str, Any]:
    """Their request in a form that can be compared: a V1 job as V2, the template's resource."""
    if one.case.type == "cloud-run":
        job = cleaned({"job_body": one.theirs})
        task = job["template"]["template"]
        task["timeout"] = f"{task['timeout']}s"
        return job
    if one.case.type == "azure-container-instance":
        text = json.dumps(one.theirs["resources"][0])
        found: dict[str, Any] = json.loads(text.replace("[parameters('container_name')]", "job"))
        return found
    return one.theirs


def _comparable(case: Case, body: Mapping[str, Any], kept: set[str]) -> Any:
    body = {key: value for key, value in body.items() if key not in OURS_ALONE[case.type]}
    return _plain(body, kept)


def _plain(value: Any, kept: set[str]) -> Any:
    """Without what is empty, what a server or worker of Prefect adds, and what we always set."""
    if isinstance(value, Mapping):
        plain = {key: _plain(inner, kept) for key, inner in value.items() if key not in _ALWAYS}
        return {key: inner for key, inner in plain.items() if inner not in ({}, [], None, False)}
    if isinstance(value, list):
        inner = [item for item in value if not _is_prefects(item, kept)]
        return [_plain(item, kept) for item in inner]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


#: Set in each of our requests.
_ALWAYS = {"disableRetries", "restartJobOnWorkerRestart", "labels", "annotations"}


def _is_prefects(entry: Any, kept: set[str]) -> bool:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        return False
    is_variable = bool({"value", "secureValue", "valueSource"} & set(entry))
    return is_variable and entry["name"] not in kept


def _secrets(case: Case) -> set[str]:
    named = {"prefect_api_key_secret": "PREFECT_API_KEY"}
    named["prefect_api_auth_string_secret"] = "PREFECT_API_AUTH_STRING"
    found = {name for variable, name in named.items() if variable in case.variables}
    return found | set(case.variables.get("env_from_secrets", {}))


def _differing(ours: Any, theirs: Any, path: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in {**ours, **theirs}:
            inner = f"{path}.{key}" if path else str(key)
            yield from _differing(ours.get(key), theirs.get(key), inner)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from _differing(*pair, f"{path}[{index}]")
    elif ours != theirs:
        yield path, (ours, theirs)
