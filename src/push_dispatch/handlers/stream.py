"""What do the records of a DynamoDB stream say?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from push_dispatch.adapters.dynamodb import items, keys
from push_dispatch.core.model import Run
from push_dispatch.ports.store import Change

__all__ = ["STREAM_FILTERS", "change_of", "changes_of"]

#: The stream mapping's filter criteria: runs that wait, stop or have ended, and configuration.
#: Everything else (ledgers, places in line, claims, handles) costs no invocation.
STREAM_FILTERS: list[dict[str, Any]] = [
    {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {
            "Keys": {"PK": {"S": [{"prefix": "RUNS#"}]}},
            "NewImage": {
                "state": {
                    "S": ["SCHEDULED", "CANCELLING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
                }
            },
        },
    },
    {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {"Keys": {"PK": {"S": [{"prefix": "POOL#"}]}, "SK": {"S": ["CONFIG"]}}},
    },
]


def changes_of(
    records: Iterable[Mapping[str, Any]],
) -> Iterator[tuple[str, Change | Exception | None]]:
    """Each record's sequence number with the change it tells of: None if it is none of ours, the
    exception if it cannot be read."""
    for record in records:
        number = record["dynamodb"]["SequenceNumber"]
        try:
            yield number, change_of(record["dynamodb"])
        except Exception as error:
            yield number, error


def change_of(image: Mapping[str, Any]) -> Change | None:
    """The change in the `dynamodb` part of a stream record, or None if it is none of ours."""
    partition, sort = image["Keys"]["PK"]["S"], image["Keys"]["SK"]["S"]
    if (pool := keys.pool_of_runs(partition)) is not None:
        before, after = image.get("OldImage"), image.get("NewImage")
        if after is None or "state" not in after:
            return None
        return Change(pool, _before(before), items.read_run(after))
    pool = keys.pool_of(partition)
    return Change(pool) if pool is not None and sort == keys.CONFIG else None


def _before(image: Mapping[str, Any] | None) -> Run | None:
    """What was malformed before tells nothing: its place in line is found to be stale."""
    run = items.read_run(image) if image and "state" in image else None
    return None if run is None or run.unreadable else run
