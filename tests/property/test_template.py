"""What holds for every template and all job variables?"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import given, strategies as st

from push_dispatch.core.template import Layer, Rendered, merge_variables, render

NAMES = ["image", "cpu", "labels", "args"]
ENV_NAMES = ["LEVEL", "PATH", "A.B", "cpu"]
SOURCES = {"template", "pool", "deployment", "run"}

#: Text as a run may supply it: with everything in it that a renderer could fall for.
hostile = st.lists(
    st.sampled_from(
        ["{{ image }}", "{{ env }}", "{{ $SECRET }}", "{{", "}}", " image ", "\\1", "x", ""]
    ),
    max_size=4,
).map("".join)
scalars = st.none() | st.booleans() | st.integers(-9, 9) | hostile
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["team", "a.b", "0"]), inner, max_size=2)
    ),
    max_leaves=4,
)
environments = st.dictionaries(st.sampled_from(ENV_NAMES), hostile, max_size=3)
variables = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(NAMES, values),
        "env": environments | st.none(),
        "env.LEVEL": hostile,
        "labels.team": hostile,
    },
)
texts = st.lists(
    st.sampled_from([f"{{{{ {name} }}}}" for name in [*NAMES, "gone", "labels.team", "args[0]"]])
    | st.sampled_from(["-", " ", "{{ env }}", "{{ env.LEVEL }}", "{{ $HOME }}", "{{ a | b }}"]),
    max_size=3,
).map("".join)
parts = st.recursive(
    st.none() | st.integers(0, 9) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["x", "y", "env"]), inner, max_size=3)
    ),
    max_leaves=6,
)
configurations = st.dictionaries(st.sampled_from(["a", "b", "c"]), parts, max_size=3)
declared_env: st.SearchStrategy[dict[str, Any]] = (
    st.just({}) | st.just({"env": "{{ env }}"}) | st.just({"env": {"LITERAL": "1"}})
)


@st.composite
def templates(draw: st.DrawFn) -> dict[str, Any]:
    defaults = draw(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, values)))
    env = draw(st.none() | environments)
    properties = {name: {"default": value} for name, value in {**defaults, "env": env}.items()}
    configuration = {**draw(configurations), **draw(declared_env)}
    return {"job_configuration": configuration, "variables": {"properties": properties}}


layers = st.tuples(variables, variables).map(
    lambda both: [Layer("deployment", both[0]), Layer("run", both[1])]
)


@given(templates(), layers)
def test_rendering_is_deterministic_and_changes_none_of_its_inputs(
    template: dict[str, Any], overrides: list[Layer]
) -> None:
    before = copy.deepcopy((template, overrides))
    first = render(template, overrides)
    assert (template, overrides) == before
    again = render(*copy.deepcopy(before))
    assert json.dumps(again.configuration) == json.dumps(first.configuration)
    assert again.provenance == first.provenance


@given(templates(), layers)
def test_the_result_shares_nothing_with_its_inputs(
    template: dict[str, Any], overrides: list[Layer]
) -> None:
    before = copy.deepcopy((template, overrides))
    done = render(template, overrides)
    kept = copy.deepcopy(done.variables)
    _spoil(done.configuration)
    assert (template, overrides) == before
    assert done.variables == kept


@given(templates(), layers, st.sampled_from(["{{ image }}", "{{ $SECRET }}", "{{ gone }}"]))
def test_inserted_text_is_never_looked_at_again(
    template: dict[str, Any], overrides: list[Layer], trap: str
) -> None:
    """With a harmless word in the place of the trap, the same comes out but for that word."""
    allowed = {"SECRET": "stolen"}
    trapped = [_with(layer, trap) for layer in overrides]
    harmless = [_with(layer, "HARMLESS") for layer in overrides]
    shown = json.dumps(render(template, trapped, env_allowlist=allowed).configuration)
    expected = json.dumps(render(template, harmless, env_allowlist=allowed).configuration)
    assert shown == expected.replace("HARMLESS", trap)


@given(templates(), layers)
def test_a_lone_placeholder_gives_the_value_as_it_is_or_drops_its_key(
    template: dict[str, Any], overrides: list[Layer]
) -> None:
    known = merge_variables(template, overrides)
    lone = {name: f"{{{{ {name} }}}}" for name in [*NAMES, "gone"]}
    done = render({**template, "job_configuration": {"it": lone}}, overrides)
    expected = {name: known[name] for name in NAMES if name in known}
    assert json.dumps(done.configuration["it"]) == json.dumps(expected)


@given(templates(), st.tuples(environments, environments, environments, environments))
def test_env_is_taken_from_the_run_then_deployment_pool_and_template(
    template: dict[str, Any], envs: tuple[dict[str, str], ...]
) -> None:
    literal, pool, deployment, run = (
        {name: f"{source} {value}".replace("{", "").replace("}", "") for name, value in env.items()}
        for source, env in zip(("template", "pool", "deployment", "run"), envs, strict=True)
    )
    template["job_configuration"]["env"] = literal
    template["variables"]["properties"]["env"]["default"] = pool
    received = [Layer("deployment", {"env": deployment}), Layer("run", {"env": run})]
    done = render(template, received)
    assert done.configuration["env"] == {**literal, **pool, **deployment, **run}
    for name, value in done.configuration["env"].items():
        assert done.provenance[f"env.{name}"] == value.partition(" ")[0]


@given(templates(), layers)
def test_every_value_has_a_source_and_every_source_a_value(
    template: dict[str, Any], overrides: list[Layer]
) -> None:
    done = render(template, overrides)
    assert set(done.provenance.values()) <= SOURCES
    there = dict(_everything(done.configuration, ""))
    assert set(done.provenance) <= set(there)
    for path, value in there.items():
        if not isinstance(value, (dict, list)):
            assert _source(done, path) in SOURCES


@given(templates(), layers)
def test_what_comes_from_the_run_is_gone_without_it(
    template: dict[str, Any], overrides: list[Layer]
) -> None:
    """Provenance is not decoration: what no run supplied does not change when the run asks for
    nothing."""
    done = render(template, overrides)
    without = render(template, [overrides[0], Layer("run", {})])
    there, left = (dict(_everything(r.configuration, "")) for r in (done, without))
    for path, value in there.items():
        if isinstance(value, (dict, list)) or _source(done, path) == "run" or "[" in path:
            continue  # in a list, what follows a dropped item moves up
        assert path in left
        assert left[path] == value
    assert "run" not in without.provenance.values()


def _spoil(part: Any) -> None:
    for inner in part.values() if isinstance(part, dict) else part:
        if isinstance(inner, (dict, list)):
            _spoil(inner)
    part.clear()


def _with(layer: Layer, text: str) -> Layer:
    """The layer with a text added to its variables, in every place where text may be."""
    more = {"image": text, "labels": {"team": text}, "args": [text], "env": {"TRAP": text}}
    return Layer(layer.source, {**layer.variables, **more, "env.LEVEL": text})


def _everything(part: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, part
    if isinstance(part, Mapping):
        for key, value in part.items():
            yield from _everything(value, f"{path}.{key}" if path else key)
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from _everything(value, f"{path}[{number}]")


def _source(done: Rendered, path: str) -> str | None:
    """The source of the nearest part around a value that has one."""
    around = [p for p in done.provenance if path == p or path.startswith((f"{p}.", f"{p}["))]
    return done.provenance[max(around, key=len)] if around else None
