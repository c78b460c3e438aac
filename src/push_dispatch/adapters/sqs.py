"""How do messages travel in AWS? One SQS queue per platform, and one that wakes dispatch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from push_dispatch.adapters.aws import translated
from push_dispatch.core.errors import NotFound, Unavailable
from push_dispatch.core.reasons import Reason
from push_dispatch.ports.messages import Message, Wake, encode

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

__all__ = ["SqsMessages"]

#: SendMessageBatch takes 10 messages and, since 2025-08, 1 MiB in all.
_BATCH = 10
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html
_MAX_DELAY = 900


class SqsMessages:
    """Sends through SQS; duplicates are possible, as everywhere."""

    def __init__(
        self,
        client: Callable[[], SQSClient],
        platform_queues: Mapping[str, str],
        wake_queue: str,
    ) -> None:
        """`client` is called for each request: who never sends needs none, and making one takes
        a tenth of a second."""
        self._client = client
        self._platforms = platform_queues
        self._wake = wake_queue

    def send(self, platform: str, messages: Sequence[Message], delay_seconds: int = 0) -> None:
        url = self._platforms.get(platform)
        if url is None:
            raise NotFound(
                f"no function is deployed for platform {platform!r}; deployed: "
                f"{', '.join(sorted(self._platforms)) or 'none'}",
                reason=Reason.PLATFORM_NOT_CONFIGURED,
            )
        self._send(url, [encode(message) for message in messages], delay_seconds)

    def wake(self, wakes: Sequence[Wake], delay_seconds: int = 0) -> None:
        self._send(self._wake, [encode(wake) for wake in wakes], delay_seconds)

    def _send(self, url: str, bodies: Sequence[str], delay_seconds: int) -> None:
        delay = max(0, min(_MAX_DELAY, delay_seconds))
        for entries in _batches(bodies, delay):
            with translated(f"the queue {url}"):
                reply = self._client().send_message_batch(QueueUrl=url, Entries=entries)
            if failed := reply.get("Failed"):
                raise Unavailable(f"the queue {url} refused messages: {failed}")


def _batches(
    bodies: Sequence[str], delay: int
) -> Iterator[list[SendMessageBatchRequestEntryTypeDef]]:
    for start in range(0, len(bodies), _BATCH):
        yield [
            {"Id": str(number), "MessageBody": body, "DelaySeconds": delay}
            for number, body in enumerate(bodies[start : start + _BATCH])
        ]
