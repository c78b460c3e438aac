"""Do base job templates follow Prefect's rules, and does each value say where it comes from?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from push_dispatch.core.errors import Invalid
from push_dispatch.core.secret_references import resolve_secrets, secret_references
from push_dispatch.core.template import (
    Layer,
    Rendered,
    merge_variables,
    placeholders,
    render,
    with_defaults,
)

VALUES = {
    "image": "busybox",
    "cpu": 2,
    "flag": True,
    "nothing": None,
    "labels": {"team": "data", "deep": {"er": [1, "two"]}},
    "args": ["a", {"b": "c"}],
    "env": {"LEVEL": "info"},
}


def rendered(configuration: Mapping[str, Any], **layers: Mapping[str, Any]) -> Rendered:
    """With the pool's defaults under `pool`, and a layer for `deployment` and `run`."""
    properties = {name: {"default": value} for name, value in layers.pop("pool", {}).items()}
    template = {"job_configuration": configuration, "variables": {"properties": properties}}
    return render(template, [Layer(source, variables) for source, variables in layers.items()])


def of_run(value: Any) -> Any:
    """What becomes of one value of the configuration, or `dropped`."""
    return rendered({"it": value}, run=VALUES).configuration.get("it", "dropped")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ cpu }}", 2),
        ("{{cpu}}", 2),
        ("{{ flag }}", True),
        ("{{ nothing }}", None),
        ("{{ labels }}", VALUES["labels"]),
        ("{{ labels.team }}", "data"),
        ("{{ labels.deep.er[1] }}", "two"),
        ("{{ labels.deep.er.0 }}", 1),
        ("{{ args[1].b }}", "c"),
        ("{{ args[-1].b }}", "c"),
        ("{{ image[0] }}", "b"),
        ("{{ missing }}", "dropped"),
        ("{{ labels.missing }}", "dropped"),
        ("{{ args[7] }}", "dropped"),
        ("{{ cpu.team }}", "dropped"),
    ],
)
def test_a_lone_placeholder_keeps_its_type_or_drops_its_key(text: str, value: Any) -> None:
    assert of_run(text) == value
    assert type(of_run(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" {{ cpu }}", " 2"),
        ("{{ image }}:{{ cpu }}", "busybox:2"),
        ("{{ image }}{{ image }}", "busyboxbusybox"),
        ("<{{ nothing }}>", "<None>"),
        ("<{{ flag }}>", "<True>"),
        ("<{{ missing }}>", "<>"),
        ("{{ image | upper }}", "{{ image | upper }}"),
        ("{{ cpu + 1 }}", "{{ cpu + 1 }}"),
        ("{ image }", "{ image }"),
        ("{{ $HOME }}", ""),
        ("{{ secrets.db/url }}", "{{ secrets.db/url }}"),
    ],
)
def test_within_text_a_placeholder_becomes_text(text: str, value: str) -> None:
    assert of_run(text) == value


def test_what_is_missing_leaves_what_is_around_it() -> None:
    assert of_run({"inner": {"gone": "{{ missing }}"}}) == {"inner": {}}
    assert of_run(["{{ missing }}", "{{ cpu }}", ["{{ missing }}"]]) == [2, []]
    assert of_run({"{{ image }}": 1}) == {"{{ image }}": 1}


def test_the_run_wins_over_the_deployment_and_both_over_the_pool() -> None:
    done = rendered(
        {name: f"{{{{ {name} }}}}" for name in ("a", "b", "c", "labels")},
        pool={"a": 1, "b": 1, "c": 1, "labels": {"x": 1}},
        deployment={"b": 2, "c": 2, "labels": {"y": 2}},
        run={"c": None},
    )
    assert done.configuration == {"a": 1, "b": 2, "c": None, "labels": {"y": 2}}
    assert done.provenance == {"a": "pool", "b": "deployment", "c": "run", "labels": "deployment"}


ENV = {"A": "template", "B": "template", "C": "template", "D": "template"}
LAYERS: dict[str, Mapping[str, Any]] = {
    "pool": {"env": {"B": "pool", "C": "pool", "D": "pool"}},
    "deployment": {"env": {"C": "deployment", "D": "deployment"}},
    "run": {"env": {"D": "run"}},
}


def test_env_is_merged_key_by_key_from_the_template_to_the_run() -> None:
    done = rendered({"env": ENV}, **LAYERS)
    names = {"A": "template", "B": "pool", "C": "deployment", "D": "run"}
    assert done.configuration == {"env": names}
    assert done.provenance == {f"env.{name}": source for name, source in names.items()}


@pytest.mark.parametrize("declared", [{"env": "{{ env }}"}, {"env": "{{ other }}"}, {}])
def test_the_pools_env_reaches_the_job_whatever_the_template_asks_for(
    declared: dict[str, Any],
) -> None:
    done = rendered(declared, **LAYERS)
    assert done.configuration == {"env": {"B": "pool", "C": "deployment", "D": "run"}}
    overridden = rendered(declared, pool={"env": {"A": "pool"}}, run={"env": {"A": "run"}})
    assert overridden.configuration == {"env": {"A": "run"}}


def test_without_env_of_the_pool_a_placeholder_is_one_like_any_other() -> None:
    assert rendered({}, run={"env": {"A": "1"}}).configuration == {}
    assert rendered({"env": "{{ env }}"}).configuration == {}
    assert rendered({"env": "{{ env }}"}, run={"env": {}}).configuration == {"env": {}}
    assert rendered({"env": "{{ env }}"}, run={"env": None}).configuration == {"env": None}
    assert rendered({"env": "{{ e }}"}, run={"e": {"A": "1"}}).configuration == {"env": {"A": "1"}}


def test_env_says_where_it_comes_from_wherever_it_stands() -> None:
    done = rendered({"list": [{"env": "{{ env }}"}], "one": "<{{ env.D }}>"}, **LAYERS)
    sources = {"B": "pool", "C": "deployment", "D": "run"}
    assert done.configuration["list"] == [{"env": sources}]
    assert {k: done.provenance[f"list[0].env.{k}"] for k in sources} == sources
    assert done.provenance["one"] == "run"


def test_a_variable_can_be_named_in_part() -> None:
    done = rendered({"labels": "{{ labels }}"}, run={"labels.team": "x", "labels.a[0]": 1})
    assert done.configuration == {"labels": {"team": "x", "a": {"0": 1}}}
    both = {"labels": {"a": 1}, "labels.b": 2, "labels.a": 3}
    assert merge_variables({}, [Layer("run", both)]) == {"labels": {"a": 1, "b": 2}}
    layers = [Layer("deployment", {"labels.a": 1}), Layer("run", {"labels.b": 2})]
    assert merge_variables({}, layers) == {"labels": {"a": 1, "b": 2}}


def test_a_part_of_something_that_has_no_parts_is_refused() -> None:
    with pytest.raises(TypeError, match=r"job variable 'a.b.c': 'b' is not an object"):
        merge_variables({}, [Layer("run", {"a.b": 1, "a.b.c": 2})])
    with pytest.raises(TypeError, match="job variable 'env': str is not an object"):
        rendered({"env": {"A": "1"}}, run={"env": "A=1"})


def test_the_paths_of_a_list_are_those_of_the_result() -> None:
    done = rendered({"list": ["{{ gone }}", "{{ a }}", "x"]}, run={"a": 1})
    assert done.configuration == {"list": [1, "x"]}
    assert done.provenance == {"list[0]": "run", "list[1]": "template"}


def test_only_what_is_allowed_is_read_from_the_environment() -> None:
    template = {"job_configuration": {"a": "{{ $STAGE }}", "b": "{{ $SECRET }}"}}
    done = render(template, [], env_allowlist={"STAGE": "prod"})
    assert done.configuration == {"a": "prod", "b": ""}


@pytest.mark.parametrize(
    ("configuration", "message"), [({"a": {1, 2}}, "a: set is not JSON"), ([], "is not an object")]
)
def test_what_is_no_json_is_refused(configuration: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        render({"job_configuration": configuration}, [])


def test_secrets_are_found_and_filled_in_once() -> None:
    configuration = {
        "env": {"URL": "x:{{ secrets.db/password }}@y", "PLAIN": "1"},
        "args": ["{{secrets.token}}"],
    }
    assert secret_references(configuration) == {"db/password", "token"}
    filled = resolve_secrets(configuration, lambda name: f"<{name}{{{{ secrets.token }}}}>")
    assert filled["args"] == ["<token{{ secrets.token }}>"]
    assert filled["env"] == {"URL": "x:<db/password{{ secrets.token }}>@y", "PLAIN": "1"}
    assert configuration["args"] == ["{{secrets.token}}"]


def test_placeholders_are_listed_from_everywhere() -> None:
    found = placeholders({"a": "{{ x }}{{ y.z }}", "b": [{"c": "{{ $Q }}"}], "{{ key }}": 1})
    assert list(found) == ["x", "y.z", "$Q"]


def test_a_pool_sets_defaults_of_its_template() -> None:
    properties: dict[str, Any] = {
        "image": {"type": "string"},
        "env": {"default": {"A": "1"}},
        "cpu": {"default": 1},
    }
    template = {"job_configuration": {}, "variables": {"properties": properties}}
    changed = with_defaults(template, {"image": "etl", "env.B": "2", "cpu": None})
    assert changed["variables"]["properties"] == {
        "image": {"type": "string", "default": "etl"},
        "env": {"default": {"A": "1", "B": "2"}},
        "cpu": {"default": None},
    }
    assert template["variables"]["properties"] is properties
    assert "default" not in properties["image"]
    with pytest.raises(Invalid, match="no variable 'imgae'; did you mean 'image'") as refused:
        with_defaults(template, {"imgae": "etl"})
    assert refused.value.reason == "invalid_variables"
    with pytest.raises(Invalid):
        with_defaults(template, {"env.A": 1, "env.A.part": 2})
