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
from typing import Any

from push_dispatch.adapters.sqlite.feed import Feed
from push_dispatch.local.filters import passes

__all__ = ["Deliveries", "Delivery", "FeedPump", "log_failed"]

log = logging.getLogger(__name__)

Records = list[dict[str, Any]]
Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_BATCH = 100
#: Deliveries of a record that fails alone.
_DELIVERIES = 5
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
        wanted = [record for record in records if passes(self._filters, record)]
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
        log.error("stream record not delivered: %s", record["dynamodb"].get("Keys"))
