"""What was dead-lettered, and how is it sent again?

Two kinds of dead letters are in one queue. A message that was received too often goes back to the
queue that it comes from. For a batch of the table's changes that a function failed to handle,
Lambda leaves a note that says where in the stream it is: the changes are read there, and the
function is invoked with them. The stream keeps them for 24 hours; of those that dispatch should
have had, a recount finds what they told.

SQS's own redrive moves only what came from a queue, and stops at the first note:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/troubleshooting-dlq-redrive.html
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from push_dispatch.adapters.dynamodb.changes import batch_of, records_of
from push_dispatch.core.errors import NotFound
from push_dispatch.ops.account import Account, FunctionFailed, code_of
from push_dispatch.ops.system import Function, Queue, System

__all__ = ["Given", "Letter", "Redriven", "given_up", "queue_named", "redrive", "show"]

#: How long a message that is being sent again is kept from others.
_VISIBILITY_SECONDS = 120
#: A synchronous invocation takes 6 MB.
_PAYLOAD_BYTES = 4_000_000
#: How Streams says that a change is older than 24 hours.
_TRIMMED = ("TrimmedDataAccessException", "ResourceNotFoundException")


@dataclass(frozen=True, slots=True)
class Given:
    """A queue of dead letters."""

    queue: Queue
    #: Names of what it comes from.
    sources: tuple[str, ...]
    #: Requests that were refused: they come from here only if they are asked for.
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """One message in such a queue."""

    id: str
    receipt: str
    body: str
    #: ARN of the queue that it was in; empty for notes of Lambda, and for refused requests.
    origin: str = ""
    #: Of refused requests, why.
    reason: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def note(self) -> Mapping[str, Any] | None:
        """What Lambda says of a batch of a stream that it gave up; None if it is no such note.
        https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html"""
        return json.loads(self.body) if batch_of(self.body) is not None else None


@dataclass(slots=True)
class Redriven:
    """What became of the letters of one queue."""

    queue: str
    #: How many went where: names of queues and functions.
    sent: Counter[str] = field(default_factory=Counter)
    #: Why others are still there, each with how many.
    kept: Counter[str] = field(default_factory=Counter)


def given_up(system: System) -> list[Given]:
    """The queues, those of refused requests last."""
    found = [
        Given(system.queues[arn], tuple(sources))
        for arn, sources in system.dead_letter_queues.items()
        if arn in system.queues
    ]
    if system.rejected:
        refused, source = system.rejected
        found.append(Given(refused, (source.name,), refused=True))
    return found


def queue_named(known: Sequence[Given], name: str) -> Given:
    """The queue with that name, or the only one whose name has it as a part, in any case.
    Raises NotFound."""
    queues = {given.queue.name: given for given in known}
    if name in queues:
        return queues[name]
    near = [given for full, given in queues.items() if name.lower() in full.lower()]
    if len(near) != 1:
        what = "several queues have" if near else "no queue has"
        raise NotFound(f"{what} {name!r} in the name; there are: {', '.join(queues)}")
    return near[0]


def show(account: Account, given: Given, most: int) -> list[Letter]:
    """Some of the letters of a queue, at most ten; they stay there."""
    letters = _receive(account, given.queue, most, seconds=10)
    for letter in letters:
        _return(account, given.queue, letter)
    return letters


def redrive(
    account: Account, system: System, given: Given, recount: Callable[[], None]
) -> Redriven:
    """Send everything in a queue where it came from, and delete what has arrived there.

    Safe to repeat: every message is idempotent, and one that is out of date does nothing. What
    cannot be sent stays, with the reason. `recount` is called once if changes of the table for
    dispatch are no longer in the stream: it has to find what they told, see `recount`. Lets the
    SDK's errors pass; what was sent until then has been deleted.
    """
    done = Redriven(given.queue.name)
    kept: dict[str, Letter] = {}
    recounted = False
    while letters := _receive(account, given.queue, 10, _VISIBILITY_SECONDS):
        if all(letter.id in kept for letter in letters):
            break  # It takes so long that those which stay come back.
        for letter in letters:
            try:
                done.sent[_send(account, system, given, letter)] += 1
            except _Kept as why:
                if letter.id not in kept:
                    done.kept[str(why)] += 1
                kept[letter.id] = letter
                continue
            except _Trimmed:
                if not recounted:
                    recount()
                recounted = True
                done.sent["a recount of every run: they are older than a day"] += 1
            _delete(account, given.queue, letter)
    for letter in kept.values():
        _return(account, given.queue, letter)
    return done


class _Kept(Exception):
    """It cannot be sent."""


class _Trimmed(Exception):
    """The stream has forgotten what dispatch should have had."""


def _send(account: Account, system: System, given: Given, letter: Letter) -> str:
    """Where it went. Raises _Kept, _Trimmed."""
    if given.refused:
        return _to_queue(account, system, given.sources[0], letter.body, {})
    # A note for dispatch has come by way of its queue, and says itself where it belongs.
    if letter.note is not None:
        return _to_function(account, system, letter.note)
    if letter.origin:
        name = letter.origin.rpartition(":")[2]
        return _to_queue(account, system, name, letter.body, letter.attributes)
    raise _Kept("nothing says where they come from")


# -- messages ---------------------------------------------------------------------------------


def _to_queue(
    account: Account, system: System, name: str, body: str, attributes: Mapping[str, Any]
) -> str:
    queue = next((q for q in system.queues.values() if q.name == name), None)
    if queue is None:
        raise _Kept(f"their queue {name} does not exist any more")
    account.client("sqs").send_message(
        QueueUrl=queue.url, MessageBody=body, MessageAttributes=dict(attributes)
    )
    return name


# -- changes of the table ---------------------------------------------------------------------


def _to_function(account: Account, system: System, note: Mapping[str, Any]) -> str:
    arn = str(note["requestContext"]["functionArn"])
    function = next((f for f in system.functions if _is_of(f, arn)), None)
    if function is None:
        raise _Kept(f"their function {arn.split(':')[6]} does not exist any more")
    try:
        streams = account.client("dynamodbstreams")
        records = list(records_of(streams, note["DDBStreamBatchInfo"]))
    except ClientError as error:
        if code_of(error) not in _TRIMMED:
            raise
        if function.handler == "dispatch":
            raise _Trimmed from error
        raise _Kept(
            f"older than the stream's 24 hours: {function.name} will not receive them"
        ) from (error)
    for part in _parts(records):
        try:
            answer = account.invoke(function.name, {"Records": part})
        except FunctionFailed as error:
            raise _Kept(str(error)) from error
        if (answer or {}).get("batchItemFailures"):
            raise _Kept(f"{function.name} fails to handle them: read its log")
    return function.name


def _is_of(function: Function, arn: str) -> bool:
    """The ARN in a note may end with a version or an alias."""
    return arn == function.arn or arn.startswith(f"{function.arn}:")


def _parts(records: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    size = 0
    for record in records:
        length = len(json.dumps(record))
        if part and size + length > _PAYLOAD_BYTES:
            yield part
            part, size = [], 0
        part.append(record)
        size += length
    if part:
        yield part


# -- letters ----------------------------------------------------------------------------------


def _receive(account: Account, queue: Queue, most: int, seconds: int) -> list[Letter]:
    """Letters that nobody else gets for so many seconds; none if the queue is empty."""
    reply = account.client("sqs").receive_message(
        QueueUrl=queue.url,
        MaxNumberOfMessages=min(10, most),
        VisibilityTimeout=seconds,
        # Asked without waiting, SQS may say that nothing is there although something is.
        WaitTimeSeconds=1,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["DeadLetterQueueSourceArn"],
    )
    return [_letter(message) for message in reply.get("Messages", [])]


def _letter(message: Mapping[str, Any]) -> Letter:
    attributes = message.get("MessageAttributes", {})
    return Letter(
        id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        origin=message.get("Attributes", {}).get("DeadLetterQueueSourceArn", "")
        or _text(attributes, "TARGET_ARN"),
        reason=_text(attributes, "message", "reason", "ERROR_MESSAGE"),
        # What EventBridge notes of an event that it could not deliver is nothing to its target.
        attributes={} if "TARGET_ARN" in attributes else attributes,
    )


def _text(attributes: Mapping[str, Any], *names: str) -> str:
    """The first of the attributes that is there.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html"""
    held = (attributes[name].get("StringValue", "") for name in names if name in attributes)
    return next(held, "")


def _return(account: Account, queue: Queue, letter: Letter) -> None:
    account.client("sqs").change_message_visibility(
        QueueUrl=queue.url, ReceiptHandle=letter.receipt, VisibilityTimeout=0
    )


def _delete(account: Account, queue: Queue, letter: Letter) -> None:
    account.client("sqs").delete_message(QueueUrl=queue.url, ReceiptHandle=letter.receipt)
