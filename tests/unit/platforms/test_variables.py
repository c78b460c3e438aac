"""Does each job variable have the effect that docs/reference/variables.json gives it?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.core.template import Layer, render
from push_dispatch.platforms.aci.request import group_for, place_of
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.cloud_run import request as cloud_run
from push_dispatch.platforms.coiled import request as coiled
from push_dispatch.platforms.coiled.machines import query_for
from push_dispatch.platforms.modal import request as modal
from push_dispatch.platforms.templates import default_template
from push_dispatch.platforms.vertex import request as vertex

ROOT = Path(__file__).parents[3]
TABLES: Mapping[str, Mapping[str, tuple[str, str]]] = json.loads(
    (ROOT / "docs/reference/variables.json").read_text("utf-8")
)


def _cloud_run(job: Job) -> Any:
    return str(cloud_run.place_of(job, "p")), cloud_run.body_for(job)


def _vertex(job: Job) -> Any:
    return str(vertex.region_of(job, "p")), vertex.body_for(job)


def _aci(job: Job) -> Any:
    return str(place_of(job)), group_for(job, {})


def _modal(job: Job) -> Any:
    kept = {key: job.configuration.get(key) for key in ("env", "secrets")}
    image = modal.image_of(job.configuration)
    version = modal.needs_v1(job.configuration)
    return kept, image, version, modal.definition_for(job, "im-1", []), modal.tags_of(job)


def _coiled(job: Job) -> Any:
    named = {key: job.configuration.get(key) for key in ("workspace", "vm_types", "software")}
    machines = query_for(job.configuration)
    cluster = coiled.cluster_for(job, 1, "", None)
    return named, machines, coiled.job_for(job, "w", {}), cluster


REQUESTS: Mapping[str, Callable[[Job], Any]] = {
    "cloud-run": _cloud_run,
    "cloud-run-v2": _cloud_run,
    "vertex-ai": _vertex,
    "azure-container-instance": _aci,
    "modal": _modal,
    "coiled": _coiled,
}
#: What each type needs in any case, and what a variable needs beside it.
NEEDED: Mapping[str, Mapping[str, Any]] = {
    "cloud-run": {"image": "i:1", "command": "x"},
    "cloud-run-v2": {"image": "i:1", "command": "x"},
    "vertex-ai": {"image": "i:1", "command": "x", "region": "us-central1"},
    "azure-container-instance": {
        "image": "i:1",
        "command": "x",
        "subscription_id": "s",
        "resource_group_name": "rg",
    },
    "modal": {"image": "i:1", "command": "x"},
    "coiled": {"image": "i:1", "command": "x"},
}
BESIDE: Mapping[str, Mapping[str, Any]] = {
    "accelerator_count": {"accelerator_type": "NVIDIA_TESLA_T4"},
    "arm": {"cpu": 4},
    "gpu_sku": {"gpu_count": 1},
}
#: Another value than the default.
OTHER: Mapping[str, Any] = {
    "additional_coiled_options": {"spot_policy": "spot"},
    "aci_credentials": {"client_id": "c"},
    "args": ["a"],
    "boot_disk_type": "pd-standard",
    "cloudsql_instances": ["p:r:i"],
    "credentials": {"project": "other"},
    "dns_servers": ["10.0.0.1"],
    "env": {"A": "1"},
    "env_from_secrets": {"S": {"secret": "s", "version": "1"}},
    "identities": ["/i"],
    "image_registry": {"registry_url": "r", "identity": "/i"},
    "labels": {"team": "data"},
    "launch_stage": "GA",
    "priority": "Spot",
    "region": "europe-west9",
    "reserved_ip_ranges": ["r"],
    "scheduling": {"strategy": "SPOT"},
    "subnet_ids": ["/n"],
    "workdir": "/w",
}
SECRET = {"secret": "s", "version": "1"}


@pytest.mark.parametrize("kind", TABLES)
def test_every_variable_has_its_row(kind: str) -> None:
    declared = default_template(kind)["variables"]["properties"]
    assert set(TABLES[kind]) == set(declared)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in REQUESTS for name in TABLES[kind] if name != "reporter"],
)
def test_a_variable_has_the_effect_that_the_table_gives_it(kind: str, name: str) -> None:
    template = default_template(kind)
    declared = template["variables"]["properties"][name]
    base = {**NEEDED[kind], **BESIDE.get(name, {})}
    changed = _made(kind, template, {**base, name: _other(name, declared)})
    has_effect = changed != _made(kind, template, base)
    _, here = TABLES[kind][name]
    assert has_effect is not here.startswith("no effect")


def _made(kind: str, template: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
    configuration = render(template, [Layer("run", variables)]).configuration
    return REQUESTS[kind](Job("pd-0-1", "pool.0", "pool", kind, 1, configuration))


def _other(name: str, declared: Mapping[str, Any]) -> Any:
    if name in OTHER:
        return OTHER[name]
    if name.startswith("prefect_api_"):
        return SECRET
    kinds = declared.get("type") or "string"
    kind = kinds if isinstance(kinds, str) else kinds[0]
    match kind:
        case "boolean":
            return not declared.get("default")
        case "integer" | "number":
            return (declared.get("default") or 0) + 3
        case "array":
            return ["zz9"]
        case _:
            return "32GB" if name == "memory" else "zz9"
