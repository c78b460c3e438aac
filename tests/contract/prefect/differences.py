"""Which differences between our rendering and Prefect's are meant, and how is each recognised?

`explain` takes one place where the two disagree and names the difference in
`docs/reference/differences.md`
that accounts for the two values found there, or none: it looks at the values, so that a case with
a trap in it excuses nothing but the trap. Who wins over whom is undone beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from push_dispatch.core.template import Layer, merge_variables
from tests.contract.prefect.cases import Case

__all__ = [
    "EXAMPLES",
    "MISSING",
    "PROBE",
    "Example",
    "differing",
    "explain",
    "explain_failure",
    "layered_as_prefect",
]

#: Set in the environment in which Prefect renders: a worker's own environment.
PROBE = "from the worker's environment"
MISSING = "<missing>"

_PLACEHOLDER = re.compile(r"\{\{\s*([\w.\-\[\]$]+)\s*\}\}")
#: What is left alone here, and what Prefect makes of it: with no value, the key is dropped.
_LEFT = {
    "secrets.": "secret-references",
    "ctx.": "context-in-template",
    "prefect.variables.": "no-prefect-server",
}


def differing(ours: Any, theirs: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every place where two configurations disagree, types included: True is not 1."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            inner = f"{path}.{key}" if path else key
            yield from differing(ours.get(key, MISSING), theirs.get(key, MISSING), inner)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differing(one, other, f"{path}[{number}]")
    elif type(ours) is not type(theirs) or ours != theirs:
        yield path, ours, theirs


def explain(case: Case, ours: Any, theirs: Any) -> str | None:
    """The id of the difference that accounts for these two values in one place, if one does."""
    return _more_of_env(case, ours, theirs) or _another_pass(case, ours, theirs)


def explain_failure(case: Case, error: str) -> str | None:
    """The same for a case that Prefect cannot render at all."""
    has_env = isinstance(case.deployment.get("env"), dict)
    if has_env and "env" in case.run and case.run["env"] is None and "NoneType" in error:
        return "env-null"
    return None


def layered_as_prefect(case: Case) -> tuple[str, Case]:
    """The case with all layers made one by Prefect's precedence, and the id of the difference that
    this undoes: what only disagrees before it, disagrees because of that."""
    received = {**case.deployment, **case.run}
    if isinstance(case.deployment.get("env"), dict):
        received["env"] = case.deployment["env"] | case.run.get("env", {})
    whole = {name: value for name, value in received.items() if "." not in name}
    for name, value in received.items():
        variable, dot, part = name.partition(".")
        # Whoever said it: the whole wins over the part, and null over everything.
        if dot and isinstance(whole.setdefault(variable, {}), dict):
            whole[variable] = _over(_nested(part, value), whole[variable])
    null = any(layer.get("env", 0) is None for layer in (case.deployment, case.run))
    difference = "env-null" if null else "run-over-deployment"
    return difference, replace(case, deployment={}, run=whole)


def _nested(part: str, value: Any) -> dict[str, Any]:
    first, dot, rest = part.partition(".")
    return {first: _nested(rest, value) if dot else value}


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = below | above
    for name in below.keys() & above.keys():
        if isinstance(below[name], dict) and isinstance(above[name], dict):
            merged[name] = _over(below[name], above[name])
    return merged


def _more_of_env(case: Case, ours: Any, theirs: Any) -> str | None:
    """The pool's environment is missing, or all of it is, where a placeholder asks for it."""
    declared = case.template["variables"]["properties"].get("env", {})
    pool = declared.get("default") or {}
    if theirs == MISSING and any(ours == value for value in pool.values()):
        return "env-is-one"
    if theirs is None and isinstance(ours, dict) and pool.items() <= ours.items():
        return "env-is-one"
    return None


def _another_pass(case: Case, ours: Any, theirs: Any) -> str | None:
    """Prefect replaced what it had inserted or what is left alone here, or read an environment."""
    if not isinstance(ours, str):
        return None
    names = _PLACEHOLDER.findall(ours)
    if not names:
        probed = isinstance(theirs, str) and theirs.replace(PROBE, "") == ours
        return "env-allow-list" if probed else None
    values = merge_variables(case.template, [Layer("run", case.run)]) | {"$PROBE": PROBE}
    if _PLACEHOLDER.fullmatch(ours):
        # An object that was inserted as a whole may have been looked at again itself.
        rest = differing(values.get(names[0], MISSING), theirs)
        if all(_another_pass(case, one, other) for _, one, other in rest):
            return _which(names)
    if isinstance(theirs, str) and re.fullmatch(_replaced(ours, values, 3), theirs):
        return _which(names)
    return None


def _which(names: list[str]) -> str:
    for name in names:
        for prefix, difference in _LEFT.items():
            if name.startswith(prefix):
                return difference
    return "one-pass"


def _replaced(text: str, values: Mapping[str, Any], depth: int) -> str:
    """A pattern for everything that replacing the placeholders in a text can end with, if what
    is inserted is looked at again, or is not."""
    if not depth:
        return re.escape(text)
    pattern, end = "", 0
    for match in _PLACEHOLDER.finditer(text):
        inserted = _replaced(str(values.get(match.group(1), "")), values, depth - 1)
        left = re.escape(match.group())
        pattern += f"{re.escape(text[end : match.start()])}(?:{left}|{inserted})"
        end = match.end()
    return pattern + re.escape(text[end:])


@dataclass(frozen=True, slots=True)
class Example:
    """One difference at its smallest: what is rendered here, and what by Prefect."""

    difference: str
    configuration: dict[str, Any]
    ours: dict[str, Any]
    #: Or, as text, what Prefect's failure says.
    theirs: dict[str, Any] | str
    defaults: Mapping[str, Any]
    deployment: Mapping[str, Any]
    run: Mapping[str, Any]

    def case(self) -> Case:
        properties = {name: {"default": value} for name, value in self.defaults.items()}
        template = {
            "job_configuration": self.configuration,
            "variables": {"type": "object", "properties": properties},
        }
        return Case(self.difference, "example", template, dict(self.deployment), dict(self.run))


def _example(
    difference: str,
    configuration: dict[str, Any],
    *,
    ours: dict[str, Any],
    theirs: dict[str, Any] | str,
    defaults: Mapping[str, Any] | None = None,
    deployment: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
) -> Example:
    return Example(
        difference, configuration, ours, theirs, defaults or {}, deployment or {}, run or {}
    )


EXAMPLES = [
    _example(
        "one-pass",
        {"env": "{{ env }}"},
        defaults={"env": {"A": "1"}, "image": "busybox"},
        run={"env": {"B": "{{ image }}"}},
        ours={"env": {"A": "1", "B": "{{ image }}"}},
        theirs={"env": {"A": "1", "B": "busybox"}},
    ),
    _example(
        "env-allow-list",
        {"note": "<{{ $PROBE }}>"},
        ours={"note": "<>"},
        theirs={"note": f"<{PROBE}>"},
    ),
    _example(
        "secret-references",
        {"password": "{{ secrets.token }}", "url": "x:{{ secrets.token }}@y"},
        ours={"password": "{{ secrets.token }}", "url": "x:{{ secrets.token }}@y"},
        theirs={"url": "x:@y"},
    ),
    _example(
        "context-in-template",
        {"name": "{{ ctx.flow.name }}"},
        ours={"name": "{{ ctx.flow.name }}"},
        theirs={},
    ),
    _example(
        "no-prefect-server",
        {"region": "{{ prefect.variables.region }}"},
        ours={"region": "{{ prefect.variables.region }}"},
        theirs={"region": ""},
    ),
    _example(
        "env-is-one",
        {"env": "{{ env }}", "inner": {"environment": "{{ env }}"}},
        defaults={"env": {"A": "1"}},
        run={"env": {"B": "2"}},
        ours={"env": {"A": "1", "B": "2"}, "inner": {"environment": {"A": "1", "B": "2"}}},
        theirs={"env": {"A": "1", "B": "2"}, "inner": {"environment": {"B": "2"}}},
    ),
    _example(
        "env-null",
        {"env": "{{ env }}"},
        deployment={"env": {"A": "1"}},
        run={"env": None},
        ours={"env": {"A": "1"}},
        theirs="'NoneType' object is not iterable",
    ),
    _example(
        "run-over-deployment",
        {"labels": "{{ labels }}"},
        deployment={"labels": {"team": "data", "stage": "test"}},
        run={"labels.team": "science"},
        ours={"labels": {"team": "science", "stage": "test"}},
        theirs={"labels": {"team": "data", "stage": "test"}},
    ),
]
