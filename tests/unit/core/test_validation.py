"""Are all violations listed at once, each with its path and what is allowed?"""

from __future__ import annotations

from typing import Any

import pytest

from push_dispatch.core.errors import Invalid
from push_dispatch.core.template import Layer
from push_dispatch.core.validation import check, check_template, enforced, violations
from push_dispatch.platforms.registry import entries
from push_dispatch.platforms.templates import default_template

TEMPLATE: dict[str, Any] = {
    "job_configuration": {
        "command": "{{ command }}",
        "env": "{{ env }}",
        "resources": {"cpu": "{{ cpu }}", "memory": "{{ memory }}"},
        "image": "{{ image }}",
    },
    "variables": {
        "type": "object",
        "required": ["command"],
        "properties": {
            "command": {"type": "string"},
            "env": {
                "type": "object",
                "properties": {"STAGE": {"type": "string", "x-enforced": True}},
                "default": {"STAGE": "prod"},
            },
            "cpu": {"type": "integer", "minimum": 1, "default": 1, "x-enforced": [2, 4]},
            "memory": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "image": {"type": "string", "default": "python:3.13", "x-enforced": True},
            "size": {"enum": ["s", "m"]},
        },
    },
}


def run(**variables: Any) -> list[Layer]:
    return [Layer("run", {"command": "true", **variables})]


def wrong(layers: list[Layer]) -> dict[str, str]:
    return {v.path: v.problem for v in violations(TEMPLATE, layers)}


def test_what_fits_is_accepted() -> None:
    check(TEMPLATE, run())
    check(TEMPLATE, run(cpu=4, memory=512, size="m", env={"MORE": "1"}))
    check(TEMPLATE, run(memory=None, size=None))
    check(TEMPLATE, [Layer("deployment", {"command": "x"}), Layer("run", {})])


def test_all_violations_are_listed_at_once_with_paths() -> None:
    layers = [Layer("run", {"cpu": "two", "size": "xl", "imgae": "x", "memory": "much"})]
    found = wrong(layers)
    assert set(found) == {"command", "cpu", "size", "imgae", "memory"}
    assert "required" in found["command"]
    assert "did you mean 'image'?" in found["imgae"]
    assert "'s', 'm'" in found["size"]
    assert "integer or null" in found["memory"]
    with pytest.raises(Invalid) as caught:
        check(TEMPLATE, layers)
    assert caught.value.reason == "invalid_variables"
    assert all(f"- {path}: " in caught.value.message for path in found)


@pytest.mark.parametrize(
    ("variables", "path", "text"),
    [
        ({"image": "mine"}, "image", "the run may not override it"),
        ({"env": {"STAGE": "dev"}}, "env.STAGE", "may not override"),
        ({"env.STAGE": "dev"}, "env.STAGE", "may not override"),
        ({"cpu": 8}, "cpu", "one of 2, 4: the run asks for 8"),
    ],
)
def test_an_enforced_variable_is_refused_by_name(
    variables: dict[str, Any], path: str, text: str
) -> None:
    with pytest.raises(Invalid) as caught:
        check(TEMPLATE, run(**variables))
    assert caught.value.reason == "enforced_variable"
    assert f"- {path}: " in caught.value.message
    assert text in caught.value.message


def test_a_deployment_is_held_to_the_same_and_named() -> None:
    with pytest.raises(Invalid, match="the deployment may not override it"):
        check(TEMPLATE, [Layer("deployment", {"image": "x"}), *run()])


def test_asking_for_the_enforced_value_overrides_nothing() -> None:
    check(TEMPLATE, run(image="python:3.13", cpu=1, env={"STAGE": "prod"}))
    assert enforced(TEMPLATE) == {"image": True, "env.STAGE": True, "cpu": [2, 4]}


def test_a_secret_reference_is_taken_in_env_and_where_the_template_says_so() -> None:
    check(TEMPLATE, run(env={"KEY": "x:{{ secrets.KEY }}"}))
    found = wrong(run(size="{{ secrets.SIZE }}", memory="x{{ secrets.SIZE }}", env="{{secrets.x}}"))
    assert {
        name for name, problem in found.items() if "a secret may not stand here" in problem
    } == {
        "size",
        "memory",
        "env",
    }
    properties: dict[str, Any] = TEMPLATE["variables"]["properties"]
    taking = {**properties, "size": {**properties["size"], "x-secrets": True}}
    check({**TEMPLATE, "variables": {"properties": taking}}, run(size="{{ secrets.SIZE }}"))


def test_a_block_of_prefects_server_is_refused() -> None:
    found = wrong(run(memory={"$ref": {"block_document_id": "x"}}))
    assert "secrets.NAME" in found["memory"]


@pytest.mark.parametrize("name", ["prefect.variables.x", "prefect.blocks.secret.y"])
def test_what_only_prefects_server_knows_is_refused_wherever_it_stands(name: str) -> None:
    found = wrong(run(env={"A": f"x {{{{ {name} }}}}"}))
    assert "secrets.NAME" in found["env"]
    template = {
        "job_configuration": {"a": "{{ a }}"},
        "variables": {"properties": {"a": {"type": "string", "default": f"{{{{ {name} }}}}"}}},
    }
    assert [v.path for v in violations(template, [])] == ["a"]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ({"variables": {}}, "job_configuration: is missing"),
        ({"job_configuration": {}, "extra": 1}, "extra: is not known"),
        ({"job_configuration": {}, "variables": {"properties": []}}, "is not an object"),
        (
            {"job_configuration": {}, "variables": {"properties": {"a": {"type": "strnig"}}}},
            "variables.properties.a.type",
        ),
        (
            {
                "job_configuration": {"a": "{{ a }}"},
                "variables": {"properties": {"a": {"type": "integer", "default": "x"}}},
            },
            "variables.properties.a.default: 'x' is no integer",
        ),
        (
            {
                "job_configuration": {"a": "{{ comand }}"},
                "variables": {"properties": {"command": {"type": "string"}}},
            },
            "did you mean 'command'?",
        ),
        ({"job_configuration": {"a": "{{ prefect.blocks.secret.x }}"}}, "secrets.NAME"),
        (
            {"job_configuration": {}, "variables": {"properties": {"a": {"x-enforced": "yes"}}}},
            "neither true nor a list",
        ),
    ],
)
def test_a_template_that_no_pool_can_have(template: dict[str, Any], text: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_template(template)
    assert caught.value.reason == "invalid_template"
    assert text in caught.value.message


def test_templates_that_any_pool_can_have() -> None:
    check_template({})
    check_template(TEMPLATE)
    for entry in entries():
        for pool_type in entry.types:
            try:
                template = default_template(pool_type)
            except Invalid:
                continue
            check_template(template)
