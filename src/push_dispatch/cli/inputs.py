"""What is in the files and the KEY=VALUE pairs that people hand over?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from push_dispatch.control.files import read_document
from push_dispatch.core.errors import Invalid

__all__ = ["read_mapping", "read_pairs"]


def read_mapping(file: Path) -> dict[str, Any]:
    """The JSON or YAML object in a file; `-` is standard input. Raises Invalid.

    What JSON cannot express (YAML's dates, infinity) is refused here and not changed silently.
    """
    shown = "standard input" if file == Path("-") else str(file)
    content = read_document(file)
    if not isinstance(content, dict):
        raise Invalid(f"{shown} holds no object with names and values")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(content, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"{shown} holds what JSON cannot express: {error}") from error
    return plain


def read_pairs(pairs: Sequence[str], option: str = "--var") -> dict[str, Any]:
    """`KEY=VALUE` pairs; a value is JSON if it is valid JSON, else text. What goes into the
    environment (`env.KEY`) is always text. Raises Invalid."""
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise Invalid(f"{option} {pair!r} is not of the form KEY=VALUE")
        values[key] = value if key.startswith("env.") else _json_or_text(value)
    return values


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value, parse_constant=_no_constant)
    except ValueError:
        return value


def _no_constant(name: str) -> Any:
    """NaN and Infinity are no JSON, whatever Python's parser says."""
    raise ValueError(name)
