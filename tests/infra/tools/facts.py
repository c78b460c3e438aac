"""How is a system told in facts that two descriptions of it can be compared by?

A fact has a path, such as `functions.Sweep.timeout`, and a value. What somebody may do is one fact
for each action on each resource.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

__all__ = ["Facts", "allowed", "differences", "listed", "plain", "tell"]

Facts = dict[str, Any]


def tell(facts: Facts, path: str, held: Any) -> None:
    """Add what is held, mappings attribute by attribute. What is absent is no fact; nobody
    can tell one twice. Raises ValueError."""
    held = plain(held)
    if isinstance(held, Mapping):
        for name, inner in held.items():
            tell(facts, f"{path}.{name}", inner)
    elif held is not None:
        if path in facts:
            raise ValueError(f"{path} is told twice")
        facts[path] = held


def plain(held: Any) -> Any:
    """JSON in a string, and the words true and false, as what they mean."""
    if held in ("true", "false"):
        return held == "true"
    if isinstance(held, str) and held[:1] in {"{", "["}:
        return plain(json.loads(held))
    if isinstance(held, Mapping):
        return {str(name): plain(inner) for name, inner in held.items()}
    if isinstance(held, list):
        return [plain(inner) for inner in held]
    return held


def allowed(statements: Any) -> Iterator[str]:
    """Each action on each resource that these statements allow."""
    for statement in statements:
        if statement["Effect"] != "Allow" or "NotAction" in statement:
            raise ValueError(f"not understood: {statement}")
        condition = statement.get("Condition")
        suffix = f" if {json.dumps(plain(condition), sort_keys=True)}" if condition else ""
        who = statement.get("Principal")
        prefix = f"{json.dumps(plain(who), sort_keys=True)} " if who else ""
        for action, resource in product(
            listed(statement["Action"]), listed(statement.get("Resource", "itself"))
        ):
            yield f"{prefix}{action} on {resource}{suffix}"


def listed(held: Any) -> list[Any]:
    """A list, or the only member of one."""
    return held if isinstance(held, list) else [held]


def differences(left: Facts, right: Facts) -> list[str]:
    """What only one of the two tells, or tells otherwise, sorted."""
    return sorted(
        f"{path}: {left.get(path, 'nothing')!r} | {right.get(path, 'nothing')!r}"
        for path in {*left, *right}
        if left.get(path) != right.get(path)
    )
