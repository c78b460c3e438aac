"""Which changes does anybody want to know of? The filters of the functions behind the stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from push_dispatch.handlers.stream import STREAM_FILTERS

__all__ = ["ENDED_FILTERS", "WATCH_FILTERS", "matches", "passes", "wanted"]

#: Of flow runs: attempts that a platform has taken, and ends.
WATCH_FILTERS: list[dict[str, Any]] = [
    {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {
            "Keys": {"PK": {"S": [{"prefix": "RUNS#"}]}},
            "NewImage": {
                "state": {"S": ["PENDING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED"]},
                "idempotency_key": {"S": [{"prefix": "prefect:"}]},
            },
        },
    }
]
#: Runs that have ended: `STREAM_FILTERS` has them, too.
ENDED_FILTERS: list[dict[str, Any]] = [
    {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {
            "Keys": {"PK": {"S": [{"prefix": "RUNS#"}]}},
            "NewImage": {"state": {"S": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]}},
        },
    }
]
_ALL = [*STREAM_FILTERS, *WATCH_FILTERS]


def wanted(record: Mapping[str, Any]) -> bool:
    """Whether there is a function that a change would be delivered to."""
    return passes(_ALL, record)


def passes(filters: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> bool:
    """Whether a record passes one of the filters."""
    return any(matches(pattern, record) for pattern in filters)


def matches(pattern: Any, value: Any) -> bool:
    """Whether a record passes one filter: nested objects, lists of alternatives, `prefix`."""
    if isinstance(pattern, Mapping):
        return isinstance(value, Mapping) and all(
            name in value and matches(inner, value[name]) for name, inner in pattern.items()
        )
    return any(_is(alternative, value) for alternative in pattern)


def _is(alternative: Any, value: Any) -> bool:
    if isinstance(alternative, Mapping):
        return isinstance(value, str) and value.startswith(alternative["prefix"])
    return bool(alternative == value)
