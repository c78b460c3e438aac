"""The stream mapping: DynamoDB Streams to a function, with Lambda's semantics.

Records that match the filter go to the handler in their order, in batches. What it reports as
failed is delivered again from the first failure on; a batch that raises is halved until one
record is left; a record that keeps failing goes to the on-failure destination, and its
neighbours go on. See docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from push_dispatch.adapters.sqlite.feed import Feed

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

__all__ = ["Deliveries", "Delivery", "FeedPump", "StreamPump", "log_failed", "matches"]

log = logging.getLogger(__name__)

Records = list[dict[str, Any]]
Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_BATCH = 100
#: Deliveries of a record that fails alone.
_DELIVERIES = 5
#: Seconds between two reads: of a busy stream, so that what comes together is delivered together,
#: and doubling up to those of an idle one, which costs little.
_SHORTEST, _LONGEST = 0.02, 0.1
#: The iterator is too old, or what it pointed at.
_GONE = ("ExpiredIteratorException", "TrimmedDataAccessException")
#: Records of one read, and seconds until a feed is read again without a poke: one may be lost.
_READ, _UNTIL_POKED = 1000, 30.0


class Delivery:
    """One function behind a stream: the records that match its filters, in batches."""

    def __init__(
        self,
        handler: Handler,
        filters: Sequence[Mapping[str, Any]],
        failed: Callable[[Records], None],
    ) -> None:
        """`failed` takes the records that keep failing."""
        self._handler = handler
        self._filters = filters
        self._failed = failed

    def deliver(self, records: Records) -> None:
        """Deliver what matches, in order, until nothing is left."""
        wanted = [r for r in records if any(matches(f, r) for f in self._filters)]
        for start in range(0, len(wanted), _BATCH):
            self._deliver(wanted[start : start + _BATCH])

    def _deliver(self, records: Records) -> None:
        deliveries = 0
        while records:
            deliveries += 1
            rest = self._invoke(records)
            if len(rest) < len(records):
                deliveries = 0
            elif len(rest) > 1:
                # Nothing of it went well: halve, to part the bad record from its neighbours.
                middle = len(rest) // 2
                self._deliver(rest[:middle])
                rest, deliveries = rest[middle:], 0
            elif deliveries >= _DELIVERIES:
                self._failed(rest)
                rest = []
            else:
                time.sleep(0.05 * 2**deliveries)
            records = rest

    def _invoke(self, records: Records) -> Records:
        """What is left to be delivered."""
        try:
            reply = self._handler({"Records": records})
        except Exception:
            log.exception("a batch of %s stream records failed", len(records))
            return records
        failed = {entry["itemIdentifier"] for entry in reply.get("batchItemFailures", ())}
        for place, record in enumerate(records):
            if record["dynamodb"]["SequenceNumber"] in failed:
                return records[place:]
        return []


class Deliveries:
    """Several functions behind one stream."""

    def __init__(self, *deliveries: Delivery) -> None:
        self._deliveries = deliveries

    def deliver(self, records: Records) -> None:
        """Deliver to each in turn."""
        for delivery in self._deliveries:
            delivery.deliver(records)


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


class FeedPump:
    """Delivers the changes of a SQLite file. One thread at a time."""

    def __init__(self, feed: Feed, delivery: Delivery | Deliveries) -> None:
        self._feed = feed
        self._delivery = delivery

    def step(self) -> float:
        """Deliver all that is there; whoever changes something pokes."""
        while records := self._feed.read(_READ):
            self._delivery.deliver(records)
            # Only now: what a killed runtime did not deliver is read again.
            self._feed.handled(records[-1])
        return _UNTIL_POKED

    def drain(self) -> None:
        """Deliver everything that is there."""
        self.step()


def log_failed(records: Records) -> None:
    """The on-failure destination: `doctor --repair` finds what these records would have led to."""
    for record in records:
        log.error("stream record given up: %s", record["dynamodb"].get("Keys"))


def matches(pattern: Any, value: Any) -> bool:
    """Whether a record passes a filter pattern: nested objects, lists of alternatives, `prefix`."""
    if isinstance(pattern, Mapping):
        return isinstance(value, Mapping) and all(
            name in value and matches(inner, value[name]) for name, inner in pattern.items()
        )
    return any(_is(alternative, value) for alternative in pattern)


def _is(alternative: Any, value: Any) -> bool:
    if isinstance(alternative, Mapping):
        return isinstance(value, str) and value.startswith(alternative["prefix"])
    return bool(alternative == value)
