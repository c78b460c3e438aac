"""Does the stream go on after the clock has jumped, as a laptop's does after a nap?"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from push_dispatch.local.shards import StreamPump


class Streams:
    """One shard, whose iterators can expire."""

    def __init__(self) -> None:
        self.records: list[str] = []
        self.expired: set[str] = set()
        self.opened: list[tuple[str, str]] = []

    def describe_stream(self, StreamArn: str) -> Any:  # noqa: N803
        return {"StreamDescription": {"Shards": [{"ShardId": "s"}]}}

    def get_shard_iterator(self, **place: str) -> Any:
        after = place.get("SequenceNumber", "")
        self.opened.append((place["ShardIteratorType"], after))
        start = self.records.index(after) + 1 if after else len(self.records)
        start = 0 if place["ShardIteratorType"] == "TRIM_HORIZON" else start
        return {"ShardIterator": f"{len(self.opened)}:{start}"}

    def get_records(self, ShardIterator: str, Limit: int) -> Any:  # noqa: N803
        if ShardIterator in self.expired:
            raise ClientError({"Error": {"Code": "ExpiredIteratorException"}}, "GetRecords")
        number, _, start = ShardIterator.partition(":")
        found = self.records[int(start) :]
        return {
            "Records": [{"dynamodb": {"SequenceNumber": n}} for n in found],
            "NextShardIterator": f"{number}:{len(self.records)}",
        }


class Delivered:
    def __init__(self) -> None:
        self.numbers: list[str] = []

    def deliver(self, records: list[Any]) -> None:
        self.numbers += [record["dynamodb"]["SequenceNumber"] for record in records]


def test_an_expired_iterator_is_opened_again_after_the_last_record() -> None:
    streams, delivered = Streams(), Delivered()
    pump = StreamPump(streams, "arn", delivered)  # type: ignore[arg-type]
    pump.begin()
    streams.records += ["1", "2"]
    pump.drain()
    streams.expired.add("1:2")
    streams.records += ["3"]
    pump.drain()
    assert delivered.numbers == ["1", "2", "3"]
    assert streams.opened[-1] == ("AFTER_SEQUENCE_NUMBER", "2")


def test_one_that_has_delivered_nothing_begins_with_what_is_kept() -> None:
    streams, delivered = Streams(), Delivered()
    pump = StreamPump(streams, "arn", delivered)  # type: ignore[arg-type]
    pump.begin()
    streams.expired.add("1:0")
    streams.records += ["1"]
    pump.drain()
    assert delivered.numbers == ["1"]
