"""The submit function: events that ask for runs, from the bus and from schedules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from push_dispatch import bootstrap
from push_dispatch.adapters.telemetry import LambdaContext, logger
from push_dispatch.control.documents import fired, requested
from push_dispatch.core.bounds import parse_json
from push_dispatch.core.errors import Invalid, NotFound, Refused
from push_dispatch.core.request import Request
from push_dispatch.core.validation import check
from push_dispatch.engine.submit import submit
from push_dispatch.ports import Ports

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

__all__ = ["handle", "handler"]


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda entry point for an EventBridge event, a schedule's firing, or a batch of them."""
    url = bootstrap.settings().rejected_queue
    return handle(bootstrap.ports(), event, rejected_queue=url)


def handle(ports: Ports, event: Mapping[str, Any], *, rejected_queue: str = "") -> dict[str, Any]:
    """Submit what is asked for. What can never be submitted goes to the rejected-requests queue,
    with its reason; anything else that fails is raised, to be delivered again."""
    if "Records" not in event:
        return _one(ports, event, rejected_queue)
    failed = [r["messageId"] for r in event["Records"] if not _record(ports, r, rejected_queue)]
    return {"batchItemFailures": [{"itemIdentifier": i} for i in failed]}


def _record(ports: Ports, record: Mapping[str, Any], rejected_queue: str) -> bool:
    try:
        _one(ports, _event(record["body"]), rejected_queue)
    except Exception:
        logger.exception("request failed", extra={"body": record["body"]})
        return False
    return True


def _event(body: str) -> Any:
    """The event in a body; the body itself if it is none, which is then rejected with a reason."""
    try:
        return parse_json(body)
    except ValueError:
        return body


def _one(ports: Ports, event: Any, rejected_queue: str) -> dict[str, Any]:
    try:
        request = _request(ports, event)
        if request is None:
            return {"run": None}
        submitted = submit(ports, request, check=check)
    except (Invalid, NotFound, Refused) as error:
        logger.warning("request refused", extra={"reason": error.reason, "error": error.message})
        _reject(rejected_queue, event, error)
        return {"run": None, "reason": error.reason, "message": error.message}
    fields = {"run": submitted.run.id, "is_new": submitted.created, "differs": submitted.differs}
    logger.info("submitted", extra=fields)
    return {"run": submitted.run.id, "created": submitted.created}


def _request(ports: Ports, event: Any) -> Request | None:
    if not isinstance(event, Mapping):
        raise Invalid("an event is a JSON object, nested at most 100 levels deep")
    if "schedule" in event:
        return fired(ports, event)
    # The bus delivers at least once: the event's id tells that it is the same request.
    key = f"event:{event['id']}" if event.get("id") else ""
    return requested(ports, event.get("detail", event), idempotency_key=key)


def _reject(queue: str, event: Any, error: Invalid | NotFound | Refused) -> None:
    if not queue:
        return
    _sqs().send_message(
        QueueUrl=queue,
        MessageBody=event if isinstance(event, str) else json.dumps(event),
        MessageAttributes={
            "reason": {"DataType": "String", "StringValue": error.reason},
            "message": {"DataType": "String", "StringValue": error.message[:1024]},
        },
    )


@cache
def _sqs() -> SQSClient:
    from push_dispatch.adapters import aws  # noqa: PLC0415 - a local runtime has no such queue

    sqs: SQSClient = aws.client("sqs", config=bootstrap.client_config())
    return sqs
