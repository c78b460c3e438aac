"""Do Prefect's base job templates render here as Prefect renders them?

Prefect and its workers live in `.envs/prefect` (`make env-prefect`), and render there, in a process
of their own, what is compared here. Every difference must be listed in
`docs/reference/differences.md`.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from push_dispatch.core.template import Layer, render
from tests.contract.prefect import cases, differences
from tests.contract.prefect.cases import Case

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # Importing all of Prefect takes a while: once, in one worker.
    pytest.mark.xdist_group("prefect"),
]

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".envs/prefect/bin/python"
PLAIN = 200
MIXED = 100
TYPES = {
    "azure-container-instance",
    "cloud-run",
    "cloud-run-v2",
    "docker",
    "ecs",
    "kubernetes",
    "process",
    "vertex-ai",
}


@dataclass
class Answered:
    case: Case
    ours: dict[str, Any]
    theirs: Mapping[str, Any]


class Prefect:
    """Prefect's own code in its own environment: tells its templates, then renders once."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [PYTHON, ROOT / "tests/contract/prefect/dump.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PROBE": differences.PROBE, "PYTHONWARNINGS": "ignore"},
        )
        reported = json.loads(self._read())
        self.versions: dict[str, str] = reported["versions"]
        self.templates: list[dict[str, Any]] = reported["templates"]

    def render(self, received: list[Case]) -> list[dict[str, Any]]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([case.request() for case in received]) + "\n")
        self._process.stdin.flush()
        answers: list[dict[str, Any]] = json.loads(self._read())
        assert self._process.wait(timeout=60) == 0
        return answers

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "Prefect's process ended: what it said is above"
        return line


@pytest.fixture(scope="module")
def prefect() -> Iterator[Prefect]:
    if not PYTHON.exists():
        pytest.skip("Prefect is not installed: run `make env-prefect` for .envs/prefect")
    process = Prefect()
    yield process
    process.close()


@pytest.fixture(scope="module")
def answered(prefect: Prefect) -> list[Answered]:
    received = [*_cases(prefect), *(example.case() for example in differences.EXAMPLES)]
    before = copy.deepcopy(received)
    ours = [render(case.template, _layers(case)).configuration for case in received]
    assert received == before, "rendering changed its inputs"
    answers = zip(received, ours, prefect.render(received), strict=True)
    return [Answered(*answer) for answer in answers]


def test_every_installed_worker_has_been_asked(prefect: Prefect) -> None:
    by_origin = {
        origin: {t["type"] for t in prefect.templates if t["origin"] == origin}
        for origin in ("worker", "collection")
    }
    assert by_origin == {"worker": TYPES, "collection": TYPES}
    pinned = dict(re.findall(r"^([\w-]+)\S*==(\S+)$", _pins(), flags=re.MULTILINE))
    assert prefect.versions == pinned


def test_the_generated_variables_are_allowed_by_the_schema(prefect: Prefect) -> None:
    checked = 0
    for case in _cases(prefect):
        checker = jsonschema.Draft202012Validator(_nullable(case.template["variables"]))
        for variables in (case.deployment, case.run):
            whole = {name: value for name, value in variables.items() if name != "env"}
            assert list(checker.iter_errors(whole)) == []
            checked += len(whole)
    assert checked > 20_000


def test_plain_templates_render_as_prefect_renders_them(answered: list[Answered]) -> None:
    wrong = {}
    compared: Counter[str] = Counter()
    for one in answered:
        if not one.case.plain or one.case.type == "example":
            continue
        compared[one.case.name.rpartition(" plain")[0]] += 1
        found = list(differences.differing(one.ours, one.theirs.get("configuration", one.theirs)))
        if found:
            wrong[one.case.name] = found
    assert wrong == {}
    del compared[""]  # the defaults
    assert min(compared.values()) >= PLAIN


def test_every_difference_is_a_listed_one(answered: list[Answered]) -> None:
    unexplained = {}
    seen: Counter[str] = Counter()
    for one in answered:
        for place, difference in _differences(one):
            if difference is None:
                unexplained[f"{one.case.name}: {place}"] = one.case
            else:
                seen[difference] += 1
    print(dict(seen))
    assert list(unexplained) == []
    assert set(seen) == {example.difference for example in differences.EXAMPLES}
    assert set(seen) == _listed()


@pytest.mark.parametrize("example", differences.EXAMPLES, ids=lambda e: e.difference)
def test_a_listed_difference_is_as_described(
    example: differences.Example, answered: list[Answered]
) -> None:
    [one] = [a for a in answered if a.case == example.case()]
    assert one.ours == example.ours
    if isinstance(example.theirs, str):
        assert example.theirs in one.theirs["error"]
    else:
        assert one.theirs["configuration"] == example.theirs


def test_most_of_it_is_what_a_worker_accepts(answered: list[Answered]) -> None:
    """Else the cases would be about configurations that nobody can use."""
    accepted: Counter[str] = Counter()
    for one in answered:
        if one.case.plain and one.case.type in TYPES:
            accepted[one.case.type] += one.theirs["refused"] is None
    print(dict(accepted))
    assert min(accepted[type_] for type_ in TYPES) >= PLAIN / 2


def _cases(prefect: Prefect) -> Iterator[Case]:
    ours = resources.files("push_dispatch.platforms") / "templates"
    named = [(f"{t['origin']} {t['type']}", t["type"], t["template"]) for t in prefect.templates]
    for file in sorted(ours.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".json"):
            type_ = file.name.removesuffix(".json")
            named.append((f"own {type_}", "none", json.loads(file.read_text("utf-8"))))
    for name, type_, template in named:
        yield cases.defaults(name, type_, template)
        for number in range(PLAIN):
            yield cases.generate(name, type_, template, number, plain=True)
        for number in range(MIXED):
            yield cases.generate(name, type_, template, number, plain=False)


def _layers(case: Case) -> list[Layer]:
    return [Layer("deployment", case.deployment), Layer("run", case.run)]


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Null is allowed for what is not required, as Prefect's server allows it."""
    properties = {n: {"anyOf": [p, {"type": "null"}]} for n, p in schema["properties"].items()}
    return {**schema, "properties": properties, "required": []}


def _differences(one: Answered) -> Iterator[tuple[str, str | None]]:
    if "error" in one.theirs:
        error = str(one.theirs["error"])
        yield error, differences.explain_failure(one.case, error)
        return
    theirs = one.theirs["configuration"]
    layering, case = differences.layered_as_prefect(one.case)
    relayered = render(case.template, _layers(case)).configuration
    if relayered != one.ours:
        yield "layers", layering
    for path, here, there in differences.differing(relayered, theirs):
        yield f"{path}: {here!r}, Prefect {there!r}", differences.explain(case, here, there)


def _listed() -> set[str]:
    """The ids of the table about rendering."""
    text = (ROOT / "docs/reference/differences.md").read_text("utf-8")
    [section] = re.findall(r"^## Rendering$(.*?)^## ", text, flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"^\| `([\w-]+)` \|", section, flags=re.MULTILINE))


def _pins() -> str:
    return (ROOT / "requirements/prefect.in").read_text("utf-8")
