"""How do notifications reach the event bus? EventBridge, at least once, in the stream's order."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from push_dispatch.ports.notification import Numbered

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

__all__ = ["DETAIL_TYPE", "SOURCE", "EventBus"]

log = logging.getLogger(__name__)

SOURCE = "push-dispatch"
DETAIL_TYPE = "Run State Changed"

#: PutEvents takes 10 entries, and 256 KB in all; the rest is for what is around each detail.
_BATCH = 10
_BATCH_BYTES = 200_000
#: Errors that the same request would meet again.
_NEVER = ("ValidationException", "RequestEntityTooLargeException", "413")


@dataclass(frozen=True)
class EventBus:
    """An event bus of this name."""

    bus: str
    events: EventBridgeClient

    def put(self, notifications: Sequence[Numbered]) -> list[str]:
        """Put them in order. Returns the numbers from the first failure on: a stream delivers again
        from there, and the ids show what was put before."""
        for batch in _batches(notifications):
            if not self._put(batch):
                numbers = [number for number, _ in notifications]
                return numbers[numbers.index(batch[0][0]) :]
        return []

    def _put(self, batch: Sequence[Numbered]) -> bool:
        try:
            reply = self.events.put_events(
                Entries=[
                    {
                        "EventBusName": self.bus,
                        "Source": SOURCE,
                        "DetailType": DETAIL_TYPE,
                        "Detail": json.dumps(detail),
                        "Resources": [detail["run"]],
                    }
                    for _, detail in batch
                ]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _NEVER:
                return self._put_each(batch, error)
            log.warning("the event bus %s cannot be reached: %s", self.bus, error)
            return False
        except BotoCoreError as error:
            log.warning("the event bus %s cannot be reached: %s", self.bus, error)
            return False
        if reply["FailedEntryCount"]:
            log.warning("the event bus %s refused events: %s", self.bus, reply["Entries"])
        return not reply["FailedEntryCount"]

    def _put_each(self, batch: Sequence[Numbered], error: Exception) -> bool:
        """What the bus will never take is left out, and costs no other."""
        if len(batch) == 1:
            log.error("the event bus %s refused %s: %s", self.bus, batch[0][1]["id"], error)
            return True
        taken = [self._put([each]) for each in batch]
        return all(taken)


def _batches(notifications: Sequence[Numbered]) -> Iterator[Sequence[Numbered]]:
    """As many as one request takes, by number and by size."""
    batch: list[Numbered] = []
    size = 0
    for number, detail in notifications:
        bytes_ = len(json.dumps(detail).encode())
        if batch and (len(batch) == _BATCH or size + bytes_ > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((number, detail))
        size += bytes_
    if batch:
        yield batch
