"""Which values and documents do we take? Bounds that hold at every door, whoever hands them over.

Everything that people and programs hand over ends as JSON in one DynamoDB item, so what JSON or
UTF-8 cannot express, and what no honest document needs, is refused before anything looks at it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = [
    "CONCURRENCY_KEY",
    "DESCRIPTION",
    "IDEMPOTENCY_KEY",
    "LARGEST",
    "LAST_TIME",
    "LONGEST_INTERVAL",
    "MAX_DEPTH",
    "MAX_NODES",
    "NAME",
    "RUN_NAME",
    "SECRET_PATTERN",
    "TAG",
    "TRACEPARENT",
    "check_document",
    "parse_json",
    "printable",
    "short",
]

#: The names of pools, queues, deployments and schedules. They appear in keys, run ids and the
#: platforms' correlation fields, hence the small alphabet.
NAME = "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"
#: Which secrets job variables may name, with `*` and `?`.
SECRET_PATTERN = "^[A-Za-z0-9_.*?/-]{1,200}$"  # noqa: S105 - no secret
#: Priorities, retries, and durations in seconds.
LARGEST = 10**9
#: Intervals and jitter of schedules, in seconds.
LONGEST_INTERVAL = 10 * 366 * 24 * 3600
#: Characters that are taken.
RUN_NAME, TAG, CONCURRENCY_KEY, IDEMPOTENCY_KEY = 200, 100, 100, 500
TRACEPARENT, DESCRIPTION = 200, 2000

#: Epoch milliseconds have at most 13 digits (November 2286): keys sort them as text.
LAST_TIME = 10**13 - 1
#: Levels of objects and lists inside each other.
MAX_DEPTH = 100
#: Values in a document, each alias of YAML counted as often as it stands for.
MAX_NODES = 200_000
#: Python reads and writes no whole numbers of more than 4,300 digits.
_MAX_BITS = 14_000

#: Characters of a message that is kept with a run.
MAX_WORDS = 2000

_SURROGATE = re.compile(r"[\ud800-\udfff]")
#: What a terminal obeys, and one visible character for each: C0 (but tab and newline), C1, and the
#: marks that change the direction of text.
_VISIBLE = {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)}
_VISIBLE |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
_VISIBLE |= dict.fromkeys([0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], 0xFFFD)
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}m")


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError, with a message for people, if it is none or
    not within the bounds of `check_document`."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep") from None
    if _is_suspicious(text):
        check_document(value)
    return value


def check_document(value: Any) -> None:
    """Raise ValueError, saying where, if a value is nothing that JSON and UTF-8 can express, is
    nested too deep or is too large. Takes time in proportion to what it accepts."""
    nodes = 0
    # A stack of our own: a document must not decide how deep Python recurses.
    left: list[tuple[Any, str, int]] = [(value, "", 0)]
    while left:
        node, path, depth = left.pop()
        nodes += 1
        if nodes > MAX_NODES:
            raise ValueError(f"it has more than {MAX_NODES:,} values")
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
        if isinstance(node, Mapping):
            for key, inner in node.items():
                _check_key(key, path)
                left.append((inner, f"{path}.{key}" if path else key, depth + 1))
        elif isinstance(node, (list, tuple)):
            left += [(inner, f"{path}[{n}]", depth + 1) for n, inner in enumerate(node)]
        else:
            _check_scalar(node, path)


def printable(text: str, *, colours: bool = False) -> str:
    """The text with each control character as a visible one, such as `␛`: what others have written
    must not steer the terminal of whoever reads it. Its length stays the same. With `colours`, the
    sequences that only colour what follows stay."""
    if not colours:
        return text.translate(_VISIBLE)
    parts = _COLOUR.split(text)
    marks = [*_COLOUR.findall(text), ""]
    return "".join(p.translate(_VISIBLE) + m for p, m in zip(parts, marks, strict=True))


def short(text: str) -> str:
    """Somebody's words, cut to what a run's item has room for, and as valid Unicode."""
    cut = text if len(text) <= MAX_WORDS else f"{text[: MAX_WORDS - 1]}…"
    return _SURROGATE.sub("\ufffd", cut)


def _check_key(key: Any, path: str) -> None:
    if not isinstance(key, str):
        raise ValueError(f"{_at(path)}the name {key!r} is not text: put it in quotes")  # noqa: TRY004
    _check_text(key, path)


def _check_scalar(value: Any, path: str) -> None:
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{_at(path)}{value} is not a number that JSON can express")
    elif isinstance(value, int):
        if value.bit_length() > _MAX_BITS:
            raise ValueError(f"{_at(path)}a number has more than 4,000 digits")
    elif value is not None:
        kind = type(value).__name__
        raise ValueError(f"{_at(path)}{value!r} is a {kind}, which JSON cannot express: quote it")


def _check_text(text: str, path: str) -> None:
    if _SURROGATE.search(text):
        raise ValueError(f"{_at(path[:60])}text is not valid Unicode (half of a surrogate pair)")


def _at(path: str) -> str:
    return f"{path}: " if path else ""


def _is_suspicious(text: str | bytes) -> bool:
    """Whether a JSON text may break a bound: most runs need no second look."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogatepass")
    return (
        len(text) > MAX_NODES
        or text.count("{") + text.count("[") > MAX_DEPTH
        or "\\ud" in text.casefold()
        or _SURROGATE.search(text) is not None
        or re.search(r"[0-9.]{300}|[eE][+]?[0-9]{3}", text) is not None
    )


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON can express")
