"""How does the table's stream deliver? By what AWS documents, on the virtual clock.

- Each change is in the stream once, in the order of the changes of its item, for 24 hours.
  https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
- Batches of one partition key are handled one after the other, those of others beside them; only
  records that pass the filter are delivered.
  https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html
- A batch that fails is halved and tried again; what is reported as failed is delivered again from
  the first failure on; after the retries a note of where it was goes to the destination.
  https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from push_dispatch.adapters.dynamodb import items, keys
from push_dispatch.core.model import Run
from push_dispatch.handlers.stream import STREAM_FILTERS
from push_dispatch.local.filters import matches
from push_dispatch.ports.store import Change
from tests.simulation.aws import Account, Function
from tests.simulation.timeline import Timeline

__all__ = ["Record", "SimStream"]

_RETENTION_MS = 24 * 3_600_000


@dataclass(eq=False)
class Record:
    """One change."""

    number: int
    at: int
    body: dict[str, Any]
    lane: str


class SimStream:
    """The stream, and the mapping to dispatch."""

    def __init__(
        self,
        account: Account,
        function: Function,
        batch: int,
        retries: int,
        give_up: Callable[[str], None],
        latency: Callable[[], int],
    ) -> None:
        """`give_up` takes the notes of batches that keep failing."""
        self._account, self._function = account, function
        self._timeline: Timeline = account.timeline
        self._batch, self._retries, self._give_up = batch, retries, give_up
        self._latency = latency
        self._lanes: dict[str, _Lane] = {}
        self.records: deque[Record] = deque()
        self._numbers = 0
        self._images: dict[int, tuple[Run, dict[str, Any]]] = {}
        #: Nothing is delivered before this time.
        self.stalled_until = 0

    def record_of(self, change: Change) -> Record | None:
        """The record of a change; None if the filter drops it."""
        self._numbers += 1
        lane, body = self._body(change)
        if not any(matches(pattern, body) for pattern in STREAM_FILTERS):
            return None
        return Record(self._numbers, self._timeline.now, body, lane)

    def append(self, record: Record, *, late: int = 0, out_of_order: bool = False) -> None:
        """It will be delivered. `out_of_order`: behind records that come after it."""
        self.records.append(record)
        lane = record.lane if not out_of_order else f"{record.lane}/{record.number}"
        at = self._timeline.now + self._latency() + late
        self._timeline.at(at, lambda: self._lane(lane).add(record))

    def poison(self) -> Record:
        """A record that nobody can read."""
        self._numbers += 1
        content = {
            "Keys": {"PK": {"S": keys.runs("p")}, "SK": {"S": "nonsense"}},
            "SequenceNumber": str(self._numbers),
            "NewImage": {"state": {"S": "SCHEDULED"}, "attempts": {"S": "["}},
        }
        return Record(self._numbers, self._timeline.now, _event("MODIFY", content), keys.runs("p"))

    def read_again(self, batch: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The records of a note. Raises LookupError if they are too old."""
        first, last = int(batch["startSequenceNumber"]), int(batch["endSequenceNumber"])
        found = [r for r in self.records if first <= r.number <= last]
        if not found or found[0].at < self._timeline.now - _RETENTION_MS:
            raise LookupError("trimmed")
        lane = batch["shardId"]
        yield from (r.body for r in found if r.lane == lane.partition("/")[0])

    def _lane(self, name: str) -> _Lane:
        if name not in self._lanes:
            self._lanes[name] = _Lane(self, name)
        return self._lanes[name]

    def _body(self, change: Change) -> tuple[str, dict[str, Any]]:
        number = str(self._numbers)
        if change.after is None:
            lane = keys.pool(change.pool)
            found = {"Keys": {"PK": {"S": lane}, "SK": {"S": keys.CONFIG}}}
            return lane, _event("MODIFY", {**found, "SequenceNumber": number})
        lane = keys.runs(change.pool)
        images = {"NewImage": self._image(change.after)}
        if change.before is not None:
            images["OldImage"] = self._image(change.before)
        found = {"Keys": {"PK": {"S": lane}, "SK": {"S": change.after.uuid}}}
        name = "MODIFY" if change.before else "INSERT"
        return lane, _event(name, {**found, "SequenceNumber": number, **images})

    def _image(self, run: Run) -> dict[str, Any]:
        known = self._images.get(id(run))
        if known is not None and known[0] is run:
            return known[1]
        if len(self._images) > 500:
            self._images.clear()
        image = items.run_item(run)
        if run.unreadable:
            image["due"] = {"S": "nonsense"}
        self._images[id(run)] = (run, image)
        return image


class _Lane:
    """One partition key: its batches come one after the other."""

    def __init__(self, stream: SimStream, name: str) -> None:
        self._stream, self._name = stream, name
        self._waiting: deque[Record] = deque()
        #: Parts of a batch that failed: halves, or what is left of it, with the tries so far.
        self._failed: list[tuple[list[Record], int]] = []
        self._busy = False

    def add(self, record: Record) -> None:
        self._waiting.append(record)
        self._go()

    def _go(self) -> None:
        if self._busy or not (self._waiting or self._failed):
            return
        stream, timeline = self._stream, self._stream._timeline
        if timeline.now < stream.stalled_until:
            self._later(stream.stalled_until - timeline.now)
            return
        if not self._failed:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), stream._batch))]
            self._failed.append((batch, 0))
        self._deliver()

    def _deliver(self) -> None:
        batch, tries = self._failed[0]
        event = {"Records": [record.body for record in batch]}

        def done(result: Any, error: BaseException | None) -> None:
            self._busy = False
            self._failed.pop(0)
            self._handled(batch, tries, _rest(batch, result, error))

        self._busy = True
        if not self._stream._account.invoke(self._stream._function, event, done):
            self._busy = False
            self._later(1000)  # Throttling costs no retry.

    def _handled(self, batch: list[Record], tries: int, rest: list[Record]) -> None:
        if not rest:
            self._go()
            return
        if len(rest) < len(batch):
            tries = 0
        if tries >= self._stream._retries:
            self._stream._give_up(_note(self._name, rest))
            self._go()
            return
        middle = len(rest) // 2
        halves = [rest[:middle], rest[middle:]] if middle else [rest]
        self._failed[:0] = [(half, tries + 1) for half in halves]
        self._later(min(60_000, 500 << tries))

    def _later(self, milliseconds: int) -> None:
        self._busy = True

        def go() -> None:
            self._busy = False
            self._go()

        timeline = self._stream._timeline
        timeline.at(timeline.now + milliseconds, go)


def _rest(batch: list[Record], result: Any, error: BaseException | None) -> list[Record]:
    if error is not None:
        return batch
    failed = {int(e["itemIdentifier"]) for e in (result or {}).get("batchItemFailures", ())}
    for place, record in enumerate(batch):
        if record.number in failed:
            return batch[place:]
    return []


def _note(lane: str, records: Sequence[Record]) -> str:
    return json.dumps(
        {
            "DDBStreamBatchInfo": {
                "shardId": lane,
                "startSequenceNumber": str(records[0].number),
                "endSequenceNumber": str(records[-1].number),
                "streamArn": "arn",
            }
        }
    )


def _event(name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    return {"eventName": name, "eventSource": "aws:dynamodb", "dynamodb": dict(content)}
