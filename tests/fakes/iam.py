"""Does IAM let somebody do this? A role's statements, evaluated as IAM does it.

A statement is told in grants, one for each action on each resource, so that it can be said of each
whether anybody needs it. Nothing here denies but that nobody allows. The rules: IAM user guide,
"Policy evaluation logic" and "JSON policy elements".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

__all__ = ["Grant", "Need", "denied", "grants_of", "is_needed"]

#: Values by condition key, as the request has them.
Context = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Need:
    """What has to be allowed for a call; a call may need several things."""

    action: str
    resource: str = "*"
    context: Context = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


@dataclass(frozen=True)
class Grant:
    """One action on one resource, both with `*` and `?`."""

    action: str
    resource: str
    #: Values by operator and key, as the statement has them.
    condition: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)

    def allows(self, need: Need) -> bool:
        """Raises LookupError for an operator that nobody has thought of."""
        return (
            _matches(self.action.lower(), need.action.lower())
            and _matches(self.resource, need.resource)
            and all(_holds(*each, need.context) for each in self._conditions())
        )

    def _conditions(self) -> Iterator[tuple[str, str, list[str]]]:
        for operator, wanted in self.condition.items():
            for key, values in wanted.items():
                yield operator, key, _listed(values)

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


def grants_of(statements: Iterable[Mapping[str, Any]]) -> list[Grant]:
    """Raises LookupError for what is not evaluated here: Deny, NotAction, NotResource."""
    grants: list[Grant] = []
    for statement in statements:
        if statement["Effect"] != "Allow" or {"NotAction", "NotResource"} & set(statement):
            raise LookupError(f"not understood: {statement}")
        pairs = product(_listed(statement["Action"]), _listed(statement["Resource"]))
        condition = statement.get("Condition", {})
        grants += [Grant(action, resource, condition) for action, resource in pairs]
    return grants


def denied(grants: Iterable[Grant], needs: Iterable[Need]) -> list[Need]:
    """What of it nobody allows."""
    held = list(grants)
    return [need for need in needs if not any(grant.allows(need) for grant in held)]


def is_needed(grant: Grant, grants: Iterable[Grant], needs: Iterable[Need]) -> bool:
    """Whether something would be denied without this grant."""
    others = [other for other in grants if other != grant]
    return bool(denied(others, (need for need in needs if grant.allows(need))))


def _matches(pattern: str, text: str) -> bool:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    """A key that is not there fails, but for those that speak of all its values."""
    quantifier, _, name = operator.rpartition(":")
    values = context.get(key, ())
    compare = _OPERATORS[name]
    held = [any(compare(pattern, value) for pattern in wanted) for value in values]
    if quantifier == "ForAllValues":
        return all(held)
    if quantifier:
        raise LookupError(operator)
    return any(held)


def _is(wanted: str, value: str) -> bool:
    return wanted == value


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "ArnLike": _matches,
    "StringEquals": _is,
}


def _listed(held: Any) -> list[Any]:
    return held if isinstance(held, list) else [held]
