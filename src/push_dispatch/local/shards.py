"""Who reads the stream of the emulator's table? One pump, shard by shard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from push_dispatch.local.stream import Deliveries, Delivery

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

__all__ = ["StreamPump"]

#: Seconds between two reads: of a busy stream, so that what comes together is delivered together,
#: and doubling up to those of an idle one, which costs little.
_SHORTEST, _LONGEST = 0.02, 0.1
#: The iterator is too old, or what it pointed at.
_GONE = ("ExpiredIteratorException", "TrimmedDataAccessException")


class StreamPump:
    """Reads the table's stream and feeds one handler. One thread at a time."""

    def __init__(
        self, client: DynamoDBStreamsClient, arn: str, delivery: Delivery | Deliveries
    ) -> None:
        self._client = client
        self._arn = arn
        self._delivery = delivery
        self._iterators: dict[str, str | None] = {}
        #: By shard, the number of the last record that was delivered.
        self._last: dict[str, str] = {}
        self._idle = _SHORTEST

    def begin(self) -> None:
        """Fix the place from which on records are read: now."""
        self._open("LATEST")

    def step(self) -> float:
        """Deliver what has come since; the seconds to sleep before the next step."""
        if self._deliver_new():
            self._idle = _SHORTEST
        else:
            self._idle = min(_LONGEST, self._idle * 2)
        return self._idle

    def drain(self) -> None:
        """Deliver everything that is there."""
        while self._deliver_new():
            pass

    def _open(self, kind: str) -> None:
        description = self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]
        for shard in description["Shards"]:
            if shard["ShardId"] not in self._iterators:
                self._iterators[shard["ShardId"]] = self._iterator(shard["ShardId"], kind)

    def _iterator(self, shard: str, kind: str) -> str:
        """After the last record that was delivered, if there is one."""
        place: dict[str, Any] = {"ShardIteratorType": kind}
        if shard in self._last:
            after = {"SequenceNumber": self._last[shard]}
            place = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", **after}
        reply = self._client.get_shard_iterator(StreamArn=self._arn, ShardId=shard, **place)
        return reply["ShardIterator"]

    def _deliver_new(self) -> bool:
        found = False
        for shard, iterator in list(self._iterators.items()):
            if iterator is None:
                continue
            try:
                reply = self._client.get_records(ShardIterator=iterator, Limit=1000)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _GONE:
                    raise
                # A clock that has jumped, such as a laptop's after a nap: read on where we were.
                self._iterators[shard] = self._iterator(shard, "TRIM_HORIZON")
                return True
            records: Any = reply["Records"]
            found = found or bool(records)
            self._delivery.deliver(records)
            # Only now: what was not delivered is read again.
            self._iterators[shard] = reply.get("NextShardIterator")
            if records:
                self._last[shard] = records[-1]["dynamodb"]["SequenceNumber"]
        if all(iterator is None for iterator in self._iterators.values()):
            self._open("TRIM_HORIZON")
        return found
