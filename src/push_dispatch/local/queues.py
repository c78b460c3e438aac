"""The queue mapping: SQS to a function, with Lambda's semantics."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

__all__ = ["QueuePump", "create_queue"]

log = logging.getLogger(__name__)

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_BATCH = 10
#: Longer than any handler takes: a message that is being handled is not delivered twice.
_VISIBILITY_SECONDS = 60
#: How long an empty queue is asked; also how long a stop may take.
_WAIT_SECONDS = 2


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
