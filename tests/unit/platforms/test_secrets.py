"""Is the value of a secret where docs/reference/secrets.json says, on every platform?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.core.errors import Rejected
from push_dispatch.core.model import Attempt, Run
from push_dispatch.engine.job import job_for
from push_dispatch.platforms.aci.request import group_for
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.built_in import BUILT_IN
from push_dispatch.platforms.cloud_run.request import body_for as cloud_run_body
from push_dispatch.platforms.coiled.request import cluster_for, job_for as coiled_job
from push_dispatch.platforms.docker.request import order_for
from push_dispatch.platforms.ecs.managed import Managed
from push_dispatch.platforms.ecs.request import parameters, plan_for
from push_dispatch.platforms.kubernetes.request import manifest_for, secret_for
from push_dispatch.platforms.modal.request import definition_for
from push_dispatch.platforms.registry import entry_for
from push_dispatch.platforms.shared import secret_values, texts
from push_dispatch.platforms.templates import default_template
from push_dispatch.platforms.vertex.request import body_for as vertex_body
from tests.unit.platforms import test_variables, test_variables_containers as containers

TABLE: Mapping[str, tuple[str, str, str]] = json.loads(
    (Path(__file__).parents[3] / "docs/reference/secrets.json").read_text("utf-8")
)
CANARY = "C4n4ry"
REFERENCE = "{{ secrets.DB }}"
OF_GOOGLE = "projects/acme-1/secrets/db"
#: What is shown of the request, and what the platform hides.
Request = tuple[Any, Any]


class Store:
    """Has one secret, with an ARN."""

    def read(self, name: str) -> str:
        return {"DB": CANARY}[name]

    def arn(self, name: str) -> str:
        return {"DB": "arn:aws:secretsmanager:eu-west-1:1:secret:DB"}[name]

    def where(self, name: str) -> str:
        return name


def _ecs(job: Job) -> Request:
    plan = plan_for(job, "us-east-1")
    return (asdict(plan), parameters(job, plan, "", plan.container, None)), None


def _managed(job: Job) -> Request:
    complete = Managed(containers.STACK)._complete(job.configuration)
    return _ecs(Job(job.name, job.run_id, job.pool, "ecs", 1, complete, secrets=job.secrets))


def _kubernetes(job: Job) -> Request:
    return manifest_for(job), secret_for(job, {"metadata": {"uid": "u"}}, secret_values(job))


def _aci(job: Job) -> Request:
    group = group_for(job, secret_values(job))
    entries = group["properties"]["containers"][0]["properties"]["environmentVariables"]
    hidden = [entry.pop("secureValue", None) for entry in entries]
    return group, hidden


def _coiled(job: Job) -> Request:
    made = coiled_job(job, "w", secret_values(job))
    hidden = made.pop("secret_env_vars")
    return (made, cluster_for(job, 1, "", None)), hidden


def _modal(job: Job) -> Request:
    # Both as secrets: see `Modal._create`.
    hidden = [secret_values(job), job.configuration["env"]]
    return str(definition_for(job, "im-1", [])), hidden


def _process(job: Job) -> Request:
    return texts(job.configuration["env"]), None


REQUESTS: Mapping[str, Callable[[Job], Request]] = {
    "ecs": _ecs,
    "managed": _managed,
    "cloud-run-v2": lambda job: (cloud_run_body(job), None),
    "azure-container-instance": _aci,
    "modal": _modal,
    "kubernetes": _kubernetes,
    "vertex-ai": lambda job: (vertex_body(job), None),
    "docker": lambda job: (asdict(order_for(job)), None),
    "coiled": _coiled,
    "process": _process,
}
NEEDED = {**test_variables.NEEDED, **containers.NEEDED}


def sent(kind: str, env: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is shown and what is hidden of the request for a run with this environment."""
    can = entry_for(kind).capabilities
    assert can is not None
    run = Run(
        "etl",
        "0199c1f0-0000-7000-8000-000000000001",
        "default",
        due=1,
        submitted_at=1,
        order="u",
        variables={**NEEDED[kind], "env": env},
    )
    job = job_for(
        run,
        Attempt(1, kind),
        default_template(kind),
        Store(),
        passes_secrets=can.passes_secrets,
        own_secrets=can.own_secrets,
        allowed=lambda: ("*",),
    )
    shown, hidden = REQUESTS[kind](job)
    return json.dumps(shown, default=str), json.dumps(hidden, default=str)


def test_every_platform_has_its_row() -> None:
    assert set(TABLE) == set(REQUESTS)
    assert {entry_for(kind).platform for kind in TABLE} == set(BUILT_IN)


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize(
    ("column", "value"),
    [(0, REFERENCE), (1, f"db://u:{REFERENCE}@host"), (1, {"password": REFERENCE})],
)
def test_the_value_is_where_the_table_says(kind: str, column: int, value: Any) -> None:
    shown, hidden = sent(kind, {"KEY": value, "OTHER": "1"})
    expected = {"value": (True, False), "protected": (False, True), "reference": (False, False)}
    assert (CANARY in shown, CANARY in hidden) == expected[TABLE[kind][column]]
    assert "KEY" in shown + hidden
    assert "secrets.DB" not in shown + hidden


def test_ecs_reads_the_secret_itself() -> None:
    shown, _ = sent("ecs", {"KEY": REFERENCE})
    assert json.dumps({"name": "KEY", "valueFrom": Store().arn("DB")}) in shown


@pytest.mark.parametrize(
    ("name", "version"), [(OF_GOOGLE, "latest"), (f"{OF_GOOGLE}/versions/3", "3")]
)
@pytest.mark.parametrize("kind", ["cloud-run", "cloud-run-v2"])
def test_a_secret_of_secret_manager_is_read_by_cloud_run(
    kind: str, name: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REQUESTS, "cloud-run", REQUESTS["cloud-run-v2"])
    shown, _ = sent(kind, {"KEY": f"{{{{ secrets.{name} }}}}", "DB": REFERENCE})
    reference = {"secretKeyRef": {"secret": OF_GOOGLE, "version": version}}
    assert json.dumps({"name": "KEY", "valueSource": reference}) in shown
    assert CANARY in shown  # the one of our own store


def test_elsewhere_the_name_of_such_a_secret_is_looked_up_in_our_store() -> None:
    for kind in set(REQUESTS) - {"cloud-run-v2"}:
        with pytest.raises(Rejected, match="cannot be read"):
            sent(kind, {"KEY": f"{{{{ secrets.{OF_GOOGLE} }}}}"})
