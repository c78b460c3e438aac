"""What is in a file that somebody hands over?

JSON or YAML in UTF-8, with or without a mark, whatever the locale says.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from push_dispatch.core.errors import Invalid

__all__ = ["parse", "read_document", "read_text"]

_STDIN = Path("-")


def read_document(file: Path) -> Any:
    """Read the JSON or YAML of a file; `-` is standard input. Raises Invalid."""
    return parse(read_text(file), _shown(file))


def read_text(file: Path) -> str:
    """Read a text in UTF-8; `-` is standard input. Raises Invalid."""
    shown = _shown(file)
    try:
        content = _stdin() if file == _STDIN else _content(file)
        return content.decode("utf-8-sig")
    except OSError as error:
        raise Invalid(f"{shown} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{shown} is not UTF-8 text: see its byte {error.start:,}") from error


def parse(text: str, shown: str) -> Any:
    """Parse JSON, or YAML unless `shown` ends in `.json`. A name that comes twice in an object is
    refused: the last would win without a word. Raises Invalid."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except _Twice as error:
        raise Invalid(f"{shown}: {error}") from error
    except RecursionError as error:
        raise Invalid(f"{shown} is nested too deeply") from error
    except ValueError as error:
        if shown.endswith(".json"):
            raise Invalid(f"{shown} is not JSON: {error}") from error
    return _yaml(text, shown)


def _shown(file: Path) -> str:
    return "standard input" if file == _STDIN else str(file)


def _content(file: Path) -> bytes:
    # Its name, too, is UTF-8 whatever the locale.
    with open(str(file).encode("utf-8", "surrogateescape"), "rb") as opened:  # noqa: PTH123
        return opened.read()


def _stdin() -> bytes:
    buffer = getattr(sys.stdin, "buffer", None)
    if sys.stdin is None:
        return b""
    return bytes(buffer.read()) if buffer is not None else sys.stdin.read().encode()


class _Twice(ValueError):
    """A name comes twice."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise _Twice(f"{twice!r} comes twice in the same object")
    return found


def _yaml(text: str, shown: str) -> Any:
    import yaml  # noqa: PLC0415 - JSON needs none

    class Loader(yaml.SafeLoader):
        """Refuses names that come twice."""

        def construct_mapping(
            self,
            node: yaml.MappingNode,
            deep: bool = False,  # noqa: FBT001, FBT002 - YAML's
        ) -> dict[Hashable, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                    continue
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise _Twice(f"{key.value!r} comes twice in the same object (line {line})")
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise Invalid(f"{shown} is neither JSON nor YAML: {problem}") from error
    except RecursionError as error:
        raise Invalid(f"{shown} is nested too deeply") from error
    except ValueError as error:  # a name twice, a date that is none, a number of 5,000 digits
        raise Invalid(f"{shown}: {error}") from error
