"""How does a key or a weight read a value of a run?

Expressions: text with `{{ deployment }}`, `{{ queue }}`, `{{ concurrency_key }}`,
`{{ tags.NAME }}`, `{{ parameters.PATH }}` and `{{ variables.PATH }}` in it. They are as simple as
the placeholders of a template: no operators, no functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from push_dispatch.core.errors import Invalid

__all__ = ["Facts", "check_expression", "text_of"]

_PLACEHOLDER = re.compile(r"\{\{\s*([\w.\-]+)\s*\}\}")
_WHOLE = frozenset({"deployment", "queue", "concurrency_key"})
_PARTS = frozenset({"tags", "parameters", "variables"})
#: Characters of an expression, and of what it becomes.
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Facts:
    """What an expression may read of a run."""

    deployment: str = ""
    queue: str = ""
    concurrency_key: str = ""
    tags: Sequence[str] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: Job variables: the template's defaults, then the deployment's, then the run's own.
    variables: Mapping[str, Any] = field(default_factory=dict)


def check_expression(expression: str, where: str) -> None:
    """Raise Invalid if no run could ever be read like that."""
    if len(expression) > _LONGEST:
        raise Invalid(f"{where}: {len(expression)} characters: at most {_LONGEST}")
    rest = _PLACEHOLDER.sub("", expression)
    if "{{" in rest or "}}" in rest:
        raise Invalid(
            f"{where}: {expression!r} cannot be read: a placeholder looks like "
            "{{ parameters.tenant }}"
        )
    for path in _PLACEHOLDER.findall(expression):
        root, dot, rest = path.partition(".")
        if not (root in _PARTS and dot and rest) and path not in _WHOLE:
            raise Invalid(
                f"{where}: {{{{ {path} }}}} names nothing: use deployment, queue, concurrency_key, "
                "tags.NAME, parameters.NAME or variables.NAME"
            )


def text_of(expression: str, facts: Facts, where: str) -> str | None:
    """What the expression says of a run; None if the run has not all of the values that it reads.

    A value is taken as JSON writes it, text as it is. A tag `NAME:value` or `NAME=value` has that
    value, a bare tag `NAME` its own name. Raises Invalid, naming `where`, if a value is an object
    or a list, or if the result is too long.
    """
    parts: list[str] = []
    end = 0
    for match in _PLACEHOLDER.finditer(expression):
        value = _value(match[1], facts)
        if value is None or value == "":
            return None
        parts += (expression[end : match.start()], _text(value, f"{where}: {match[1]}"))
        end = match.end()
    found = "".join((*parts, expression[end:]))
    if len(found) > _LONGEST:
        raise Invalid(f"{where}: {found[:30] + '…'!r} has {len(found)} characters: at most 200")
    return found


def _value(path: str, facts: Facts) -> Any:
    root, _, rest = path.partition(".")
    if not rest:
        return getattr(facts, root)
    if root == "tags":
        return next(_tagged(rest, facts.tags), None)
    return _inside(getattr(facts, root), rest)


def _tagged(name: str, tags: Sequence[str]) -> Iterator[str]:
    for tag in tags:
        if tag == name:
            yield name
        elif tag.startswith(name) and tag[len(name)] in ":=":
            yield tag[len(name) + 1 :]


def _inside(value: Any, path: str) -> Any:
    """The value under a dotted path; a name that has dots itself comes first."""
    if not isinstance(value, Mapping):
        return None
    if path in value:
        return value[path]
    name, dot, rest = path.partition(".")
    return _inside(value.get(name), rest) if dot else None


def _text(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    kind = "an object" if isinstance(value, Mapping) else "a list"
    raise Invalid(f"{where} is {kind}: a key or a weight is text or a number")
