"""How is a batch of the table's changes read again that a function failed to handle?

Lambda leaves a note that says where in the stream the batch is, not what is in it. The stream keeps
its records for 24 hours.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from push_dispatch.core.bounds import parse_json

__all__ = ["batch_of", "records_of"]


def batch_of(body: str) -> Mapping[str, Any] | None:
    """The batch that a message of Lambda names; None if the message is no such note.

    https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
    """
    try:
        document = parse_json(body)
    except ValueError:
        return None
    return document.get("DDBStreamBatchInfo") if isinstance(document, dict) else None


def records_of(streams: Any, batch: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The records of a batch, as Lambda hands them over. Lets the SDK's errors pass:
    TrimmedDataAccessException if they are older than the stream's 24 hours."""
    last = int(batch["endSequenceNumber"])
    iterator = streams.get_shard_iterator(
        StreamArn=batch["streamArn"],
        ShardId=batch["shardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=batch["startSequenceNumber"],
    )["ShardIterator"]
    while iterator:
        reply = streams.get_records(ShardIterator=iterator)
        for record in reply["Records"]:
            number = int(record["dynamodb"]["SequenceNumber"])
            if number <= last:
                yield json.loads(json.dumps(record, default=_plain))
            if number >= last:
                return
        iterator = reply.get("NextShardIterator")


def _plain(value: object) -> object:
    """Of a stream's records, times are numbers and bytes are base64.
    https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html"""
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"a stream has no {type(value).__name__}")
