"""Is a batch that failed read again as it was, and no record beside it?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from push_dispatch.adapters.dynamodb.changes import batch_of, records_of

BATCH = {
    "shardId": "s-1",
    "startSequenceNumber": "10",
    "endSequenceNumber": "30",
    "streamArn": "arn:stream",
}


class Streams:
    """A shard that is read two records a page."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self.received: dict[str, Any] = {}

    def get_shard_iterator(self, **received: Any) -> dict[str, Any]:
        self.received = received
        start = int(received["SequenceNumber"])
        first = next(at for at, number in enumerate(self.numbers) if number >= start)
        return {"ShardIterator": str(first)}

    def get_records(self, ShardIterator: str) -> dict[str, Any]:  # noqa: N803
        at = int(ShardIterator)
        more = {"NextShardIterator": str(at + 2)} if at + 2 < len(self.numbers) else {}
        return {"Records": [_record(n) for n in self.numbers[at : at + 2]], **more}


def _record(number: int) -> dict[str, Any]:
    made = datetime(2026, 12, 1, tzinfo=UTC)
    held = {"holders": {"B": b"\x00\xff"}}
    return {
        "eventID": str(number),
        "dynamodb": {
            "SequenceNumber": str(number),
            "ApproximateCreationDateTime": made,
            "NewImage": held,
        },
    }


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([5, 10, 20, 30, 40], ["10", "20", "30"]),
        ([10, 20], ["10", "20"]),
        # Records between two numbers may be gone: the first behind the batch ends it.
        ([10, 40, 50], ["10"]),
    ],
    ids=["in the middle", "at the end", "the last is gone"],
)
def test_the_records_of_the_batch_and_no_others(numbers: list[int], expected: list[str]) -> None:
    streams = Streams(*numbers)
    assert [record["eventID"] for record in records_of(streams, BATCH)] == expected
    assert streams.received == {
        "StreamArn": "arn:stream",
        "ShardId": "s-1",
        "ShardIteratorType": "AT_SEQUENCE_NUMBER",
        "SequenceNumber": "10",
    }


def test_a_record_is_as_lambda_hands_it_over() -> None:
    [record, *_] = records_of(Streams(10), BATCH)
    assert record["dynamodb"]["ApproximateCreationDateTime"] == 1796083200
    assert record["dynamodb"]["NewImage"] == {"holders": {"B": "AP8="}}
    json.dumps(record)


@pytest.mark.parametrize(
    ("body", "batch"),
    [
        (json.dumps({"DDBStreamBatchInfo": BATCH}), BATCH),
        ("{}", None),
        ("[]", None),
        ("not json", None),
        ("[" * 3000, None),
    ],
)
def test_what_is_no_note_is_told_from_one(body: str, batch: object) -> None:
    assert batch_of(body) == batch
