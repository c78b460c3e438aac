"""The queue mapping: SQS to a function, with Lambda's semantics."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from push_dispatch.adapters.sqlite.queues import Queues, Received

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

__all__ = ["MessagePump", "QueuePump", "create_queue"]

log = logging.getLogger(__name__)

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_BATCH = 10
#: Longer than any handler takes: a message that is being handled is not delivered twice.
_VISIBILITY_SECONDS = 60
#: How long an empty queue is asked; also how long a stop may take.
_WAIT_SECONDS = 2
#: Few, so that those who serve a queue share what is in it.
_AT_ONCE = 4
#: Until a queue is looked at again without a poke: one may be lost.
_LONGEST = 30.0


def create_queue(client: SQSClient, name: str, receives: int) -> str:
    """The URL of a queue, which is created, with its dead-letter queue, if it is not there."""
    # Asked for first: after a restart the emulator has another port, and would create another.
    with suppress(client.exceptions.QueueDoesNotExist):
        return client.get_queue_url(QueueName=name)["QueueUrl"]
    dead = client.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    redrive = {
        "deadLetterTargetArn": arn["Attributes"]["QueueArn"],
        "maxReceiveCount": receives,
    }
    reply = client.create_queue(
        QueueName=name,
        Attributes={
            "VisibilityTimeout": str(_VISIBILITY_SECONDS),
            "RedrivePolicy": json.dumps(redrive),
        },
    )
    return reply["QueueUrl"]


class QueuePump:
    """Receives from one queue and feeds one handler; several may serve the same queue."""

    def __init__(self, client: SQSClient, url: str, handler: Handler) -> None:
        self._client = client
        self._url = url
        self._handler = handler

    def step(self) -> float:
        """Receive and handle one batch, waiting for it a while."""
        reply = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=_WAIT_SECONDS,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        messages = reply.get("Messages", [])
        if messages:
            self._handle(messages)
        return 0

    def _handle(self, messages: list[Any]) -> None:
        try:
            result = self._handler({"Records": [_record(message) for message in messages]})
        except Exception:
            log.exception("a batch of %s messages failed", len(messages))
            return
        failed = {entry["itemIdentifier"] for entry in result.get("batchItemFailures", ())}
        done = [message for message in messages if message["MessageId"] not in failed]
        if done:
            self._client.delete_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(done)
                ],
            )


class MessagePump:
    """Receives from one queue of a SQLite file; several may serve the same queue."""

    def __init__(
        self,
        queues: Queues,
        queue: str,
        handler: Handler,
        *,
        clock: Callable[[], int],
        receives: int,
        at_once: int = _AT_ONCE,
        another: Callable[[], None] = lambda: None,
    ) -> None:
        """`clock` returns epoch milliseconds; after `receives` a message is a dead letter; at most
        `at_once` are handled together; `another` wakes somebody else who serves the queue."""
        self._at_once = at_once
        self._queues = queues
        self._queue = queue
        self._handler = handler
        self._clock = clock
        self._receives = receives
        self._another = another

    def step(self) -> float:
        """Handle what is visible; the seconds until the next message will be, without a poke."""
        while self._handle_some():
            pass
        at = self._queues.next_at(self._queue)
        return _LONGEST if at is None else max(0.0, min(_LONGEST, (at - self._clock()) / 1000))

    def _handle_some(self) -> bool:
        at = self._queues.next_at(self._queue)
        if at is None or at > self._clock():
            return False  # Without a transaction: whoever was faster may have taken it all.
        messages = self._queues.receive(
            self._queue,
            self._at_once,
            hidden_seconds=_VISIBILITY_SECONDS,
            max_receives=self._receives,
        )
        if not messages:
            return True  # Somebody else was faster, or they have become dead letters.
        if self._queues.next_at(self._queue) is not None:
            # One poke wakes one of us: while this one works, somebody else has to watch the rest.
            self._another()
        try:
            result = self._handler({"Records": [_received(message) for message in messages]})
        except Exception:
            log.exception("a batch of %s messages failed", len(messages))
            return True
        failed = {entry["itemIdentifier"] for entry in result.get("batchItemFailures", ())}
        self._queues.delete([message for message in messages if str(message.id) not in failed])
        return True


def _received(message: Received) -> dict[str, Any]:
    """A message as Lambda hands it over."""
    return {
        "messageId": str(message.id),
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.receives)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }


def _record(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as Lambda hands it over."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {"ApproximateReceiveCount": "1"}),
        "messageAttributes": message.get("MessageAttributes", {}),
        "eventSource": "aws:sqs",
    }
