"""What do job variables become that refer to Prefect's variables and blocks?

`{{ prefect.variables.NAME }}` becomes the variable's value when the run is submitted. A block may
be a secret, and what is submitted is stored: `{{ prefect.blocks.TYPE.NAME }}` becomes a reference
to a secret of ours, which the push reads from the server and hands to the platform's own mechanism.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason
from push_dispatch.ports.secrets import BLOCKS

__all__ = ["needs_server", "resolve", "resolved_defaults"]

_VARIABLE = re.compile(r"\{\{\s*prefect\.variables\.([\w.\-]+)\s*\}\}")
_BLOCK = re.compile(r"\{\{\s*prefect\.blocks\.([\w.\-\[\]]+)\s*\}\}")


def resolve(value: Any, variable: Callable[[str], Any], pool: str) -> Any:
    """A copy with every reference replaced. `variable` returns a variable's value, or raises
    KeyError: a missing one is empty text, or nothing where it stands alone, as in Prefect.

    Raises Invalid for a reference that names no block.
    """
    if isinstance(value, str):
        return _text(value, variable, pool)
    if isinstance(value, Mapping):
        if "$ref" in value and isinstance(value["$ref"], Mapping):
            return None  # A whole block: credentials of a platform, which has its own with us.
        return {name: resolve(inner, variable, pool) for name, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner, variable, pool) for inner in value]
    return value


def needs_server(value: Any) -> bool:
    """Whether anything in it refers to variables or blocks."""
    if isinstance(value, Mapping):
        return "$ref" in value or any(needs_server(inner) for inner in value.values())
    if isinstance(value, list):
        return any(needs_server(inner) for inner in value)
    found = isinstance(value, str) and (_VARIABLE.search(value) or _BLOCK.search(value))
    return bool(found)


def resolved_defaults(
    template: Mapping[str, Any], given: Mapping[str, Any], variable: Callable[[str], Any], pool: str
) -> dict[str, Any]:
    """The pool's own defaults that refer to the server and that no job variable replaces."""
    properties = template.get("variables", {}).get("properties", {})
    return {
        name: resolve(declared["default"], variable, pool)
        for name, declared in properties.items()
        if name not in given
        and isinstance(declared, Mapping)
        and needs_server(declared.get("default"))
    }


def _text(text: str, variable: Callable[[str], Any], pool: str) -> Any:
    alone = _VARIABLE.fullmatch(text.strip())
    if alone:
        return _value(variable, alone.group(1))
    text = _VARIABLE.sub(lambda m: _inserted(_value(variable, m.group(1))), text)
    return _BLOCK.sub(lambda m: _secret(m.group(1), pool), text)


def _value(variable: Callable[[str], Any], name: str) -> Any:
    try:
        return variable(name)
    except KeyError:
        return None


def _inserted(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _secret(path: str, pool: str) -> str:
    steps = path.replace("[", ".").replace("]", "").split(".")
    if len(steps) < 2 or not all(steps):
        raise Invalid(
            f"{{{{ prefect.blocks.{path} }}}} names no block: it must be "
            "{{ prefect.blocks.TYPE.NAME }}",
            reason=Reason.INVALID_VARIABLES,
        )
    return f"{{{{ secrets.{BLOCKS}{pool}/{'/'.join(steps)} }}}}"
