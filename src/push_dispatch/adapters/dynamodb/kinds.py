"""Which values may stand in an item? Each check raises ValueError, with a message for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from push_dispatch.core.bounds import LAST_TIME, parse_json
from push_dispatch.core.model import MAX_SLOTS

__all__ = [
    "LARGEST",
    "MALFORMED",
    "json_object",
    "number",
    "plain",
    "size_of",
    "text",
    "within",
    "wording",
]

#: What a reader may raise for an item that is malformed.
MALFORMED = (ValueError, KeyError, TypeError, AttributeError)

#: Whole numbers that every reader of JSON takes as they are.
LARGEST = 2**53


def size_of(item: Mapping[str, Any]) -> int:
    """Bytes of an item by DynamoDB's rules, near enough: names and values in UTF-8.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name) + _value_size(value) for name, value in item.items())


def _value_size(value: Any) -> int:
    ((kind, content),) = value.items()
    if kind == "N":
        return (len(content) + 1) // 2 + 1
    return len(content.encode() if isinstance(content, str) else content)


# -- attributes of an item ----------------------------------------------------------------------


def text(value: Any) -> str:
    """The text of an attribute."""
    found = value.get("S")
    if not isinstance(found, str):
        raise ValueError("not text")  # noqa: TRY004 - callers catch one kind
    found.encode()
    return found


def number(most: int) -> Callable[[Any], int]:
    """Reads an attribute that is an integer from 0 to `most`."""

    def read(value: Any) -> int:
        found = value.get("N")
        if not isinstance(found, str):
            raise ValueError("not a number")  # noqa: TRY004
        return within(found, most)

    return read


def within(digits: str, most: int) -> int:
    """The whole number that is written there, from 0 to `most`."""
    try:
        found = int(digits)
    except ValueError:
        raise ValueError(f"{digits:.40} is not a whole number") from None
    if not 0 <= found <= most:
        raise ValueError(f"{digits:.40} is not from 0 to {most}")
    return found


def wording(error: Exception) -> str:
    """One of `MALFORMED` in words."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def json_object(value: Any) -> Mapping[str, Any]:
    """The JSON object in an attribute."""
    document = parse_json(text(value))
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004
    return document


# -- plain data inside a JSON document --------------------------------------------------------


def plain(name: str, value: Any, kind: str) -> Any:
    """`value` if it is of that kind, one of `_IS`; with `?` it may also be None."""
    if value is None and kind.endswith("?"):
        return None
    if not _IS[kind.rstrip("?")](value):
        raise ValueError(f"{name} {value!r:.60} is not a {kind.rstrip('?')}")
    return value


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


_IS: Mapping[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "time": lambda value: _is_whole(value, 0, LAST_TIME),
    "number": lambda value: _is_whole(value, 0, LARGEST),
    "positive number": lambda value: _is_whole(value, 1, LARGEST),
    "limit": lambda value: _is_whole(value, 0, MAX_SLOTS),
    "code": lambda value: _is_whole(value, -LARGEST, LARGEST),
    "flag": lambda value: isinstance(value, bool),
    "list of texts": lambda value: (
        isinstance(value, (list, tuple)) and all(isinstance(entry, str) for entry in value)
    ),
    "set of numbers": lambda value: (
        isinstance(value, Mapping)
        and all(isinstance(k, str) and _is_whole(v, 0, LARGEST) for k, v in value.items())
    ),
    "set of texts": lambda value: (
        isinstance(value, Mapping)
        and all(isinstance(k, str) and isinstance(v, str) for k, v in value.items())
    ),
    "set of limits": lambda value: (
        isinstance(value, Mapping)
        and all(isinstance(k, str) and _is_whole(v, 0, MAX_SLOTS) for k, v in value.items())
    ),
}
