# ruff: noqa: E501 - one row a fault: a table reads better than its wrapped form
"""What can no platform make a job of, and when is that seen?"""

from __future__ import annotations

from typing import Any

import pytest

from push_dispatch.core.shape import misshapen
from push_dispatch.core.template import Layer
from push_dispatch.core.validation import template_violations, violations


def ecs(container: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
    definition = {"containerDefinitions": [container or {}]}
    return {"task_definition": definition, "task_run_request": request}


def job(pod: Any) -> dict[str, Any]:
    return {"job_manifest": {"spec": {"template": {"spec": pod}}}}


#: A literal in a template -> the path that is refused.
FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"env": ["A=1"]}, "env"),
    ({"labels": ["a"]}, "labels"),
    ({"command": {"a": 1}}, "command"),
    ({"command": "echo 'open"}, "command"),
    (ecs({"secrets": [{"name": "K"}]}), "task_definition.containerDefinitions[0].secrets[0].valueFrom"),
    (ecs({"secrets": {"K": "arn"}}), "task_definition.containerDefinitions[0].secrets"),
    (ecs({"cpu": "0.5 vCPU"}), "task_definition.containerDefinitions[0].cpu"),
    (ecs({"memory": "2048.0"}), "task_definition.containerDefinitions[0].memory"),
    (ecs({"environment": ["A=1"]}), "task_definition.containerDefinitions[0].environment"),
    (ecs({"image": ["x"]}), "task_definition.containerDefinitions[0].image"),
    (ecs(overrides={"containerOverrides": [{"cpu": "one"}]}), "task_run_request.overrides.containerOverrides[0].cpu"),
    (ecs(overrides={"cpu": "one"}), "task_run_request.overrides.cpu"),
    (ecs(capacityProviderStrategy=[{"weight": 1}]), "task_run_request.capacityProviderStrategy[0].capacityProvider"),
    ({**ecs(), "labels": {f"l{n}": "x" for n in range(49)}}, "labels"),
    ({"job_manifest": {"spec": None}}, "job_manifest.spec"),
    ({"job_manifest": {"metadata": {"annotations": ["a"]}}}, "job_manifest.metadata.annotations"),
    (job({"containers": {"name": "x"}}), "job_manifest.spec.template.spec.containers"),
    (job({"containers": "x"}), "job_manifest.spec.template.spec.containers"),
    (job({"containers": ["x"]}), "job_manifest.spec.template.spec.containers[0]"),
    (job({"containers": [{"env": ["A=1"]}]}), "job_manifest.spec.template.spec.containers[0].env"),
    (job({}), "job_manifest.spec.template.spec.containers"),
    ({"arm_template": {"resources": [{"properties": {"containers": {}}}]}}, "arm_template.resources[0].properties.containers"),
    ({"container_create_kwargs": {"environment": "A=1"}}, "container_create_kwargs.environment"),
    ({"networks": "bridge"}, "networks"),
]  # fmt: skip


@pytest.mark.parametrize(("configuration", "path"), FAULTS)
def test_what_is_written_in_a_template_is_refused_with_its_path(
    configuration: dict[str, Any], path: str
) -> None:
    found = [where for where, _ in misshapen(configuration, complete=True)]
    assert f"job_configuration.{path}" in found
    literal = {"job_configuration": configuration, "variables": {"properties": {}}}
    reported = [violation.path for violation in template_violations(literal)]
    assert f"job_configuration.{path}" in reported


GOOD: list[dict[str, Any]] = [
    {"command": ["a", 1], "env": {"A": None, "B": 1}, "labels": {}, "annotations": None},
    {"command": "printf {{ secrets.PW }}", "env": "{{ env }}"},
    ecs({"secrets": [{"name": "K", "valueFrom": "{{ arn }}"}], "cpu": 256, "memory": "512"}),
    ecs(overrides={"cpu": ".5 vCPU", "memory": "2 GB"}),
    ecs(overrides={"cpu": "256", "memory": 512}),
    job({"containers": [{"env": ["{{ env }}", {"name": "X"}], "args": None}]}),
    {"container_create_kwargs": {"environment": ["A=1"], "labels": {"a": "b"}}},
    {"something": {"of": ["a", "third", "party"]}},
]


@pytest.mark.parametrize("configuration", GOOD)
def test_what_a_platform_takes_is_no_fault(configuration: dict[str, Any]) -> None:
    assert list(misshapen(configuration, complete=True)) == []


def _unset(**variables: Any) -> dict[str, Any]:
    container = {"secrets": [{"name": "K", "valueFrom": "{{ arn }}"}]}
    properties = {"arn": {"type": ["string", "null"], "default": None}}
    return {
        "job_configuration": ecs(container),
        "variables": {"type": "object", "properties": properties},
    }


def test_a_variable_that_is_not_set_is_seen_when_the_run_is_made() -> None:
    template = _unset()
    assert template_violations(template) == [], "a run may set it"
    [found] = violations(template, [])
    path = "job_configuration.task_definition.containerDefinitions[0].secrets[0].valueFrom"
    assert (found.path, found.problem) == (path, "is not set")
    assert violations(template, [Layer("run", {"arn": "arn:aws:x"})]) == []
    assert violations(template, [], partial=True) == [], "a deployment leaves it to its runs"


@pytest.mark.parametrize(
    ("reference", "good"),
    [
        ("#/definitions/Provider", True),
        ("#/properties/a", True),
        ("#/definitions/Gone", False),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused_with_its_path(
    reference: str, good: bool
) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"items": {"$ref": reference}}},
        "definitions": {"Provider": {"type": "object"}},
    }
    template = {"job_configuration": {"x": "{{ b }}", "y": "{{ a }}"}, "variables": schema}
    found = [violation.path for violation in template_violations(template)]
    assert found == ([] if good else ["variables.properties.b.items"])


def test_a_block_among_the_defaults_is_no_reference_of_the_schema() -> None:
    block = {"$ref": {"block_document_id": "x"}}
    schema = {"properties": {"aws_credentials": {"type": "object", "default": block}}}
    template = {"job_configuration": {"x": "{{ aws_credentials }}"}, "variables": schema}
    assert template_violations(template) == []
