"""What is in the files and the KEY=VALUE pairs that people hand over?"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from push_dispatch.core.errors import Invalid

__all__ = ["read_mapping", "read_pairs"]


def read_mapping(file: Path) -> dict[str, Any]:
    """The JSON or YAML object in a file; `-` is standard input. Raises Invalid.

    What JSON cannot express (YAML's dates, infinity) is refused here and not changed silently.
    """
    shown = "standard input" if file == Path("-") else str(file)
    content = _parse(_read(file, shown), shown)
    if not isinstance(content, dict):
        raise Invalid(f"{shown} holds no object with names and values")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(content, allow_nan=False))
    except (TypeError, ValueError) as error:
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


def _read(file: Path, shown: str) -> str:
    try:
        return sys.stdin.read() if file == Path("-") else file.read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{shown} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{shown} is not UTF-8 text") from error


def _parse(text: str, shown: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as wrong:
        if shown.endswith(".json"):
            raise Invalid(f"{shown} is not JSON: {wrong}") from wrong
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise Invalid(f"{shown} is neither JSON nor YAML: {problem}") from error


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value, parse_constant=_no_constant)
    except ValueError:
        return value


def _no_constant(name: str) -> Any:
    """NaN and Infinity are no JSON, whatever Python's parser says."""
    raise ValueError(name)
