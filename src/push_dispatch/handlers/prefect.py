"""The prefect function: what stands between a Prefect server and our pools.

its queue      attempts of attached pools, each claimed at the server before it is pushed;
               and, from the bus, that an attempt has started, or ended other than well
a minute       read ahead, compare, report: see `control.prefect.tick`
its URL        the server's hints: an ad-hoc run to submit, or that there is something to look at
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from push_dispatch import bootstrap
from push_dispatch.adapters.prefect import hints
from push_dispatch.adapters.telemetry import LambdaContext, logger
from push_dispatch.control.prefect.attachment import GATEWAY, Attachment, Bridge, attachments
from push_dispatch.control.prefect.claim import claim
from push_dispatch.control.prefect.hinted import follow
from push_dispatch.control.prefect.settle import settle
from push_dispatch.control.prefect.tick import Ticked, tick
from push_dispatch.core.bounds import parse_json
from push_dispatch.core.errors import PushDispatchError
from push_dispatch.core.model import Run, parse_run_id
from push_dispatch.ports.messages import Message, Poll, Push, Wake, decode

__all__ = ["HEADER", "followed", "handle", "handler", "trusted"]

#: The header in which the server's webhook proves that it is ours.
HEADER = "x-push-dispatch-hint"


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda entry point."""
    return handle(_bridge(), event)


@cache
def _bridge() -> Bridge:
    return bootstrap.prefect_bridge(bootstrap.ports())


def handle(bridge: Bridge, event: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the event is about. Returns the messages to deliver again, or the answer to a
    request, or what was done."""
    if "Records" in event:
        return _messages(bridge, event["Records"])
    if "rawPath" in event:
        return _door(bridge, event)
    return _logged(tick(bridge))


# -- its queue --------------------------------------------------------------------------------


def _messages(bridge: Bridge, records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    pushes: dict[str, Push] = {}
    polls: list[str] = []
    ended: list[str] = []
    for record in records:
        match _decoded(record):
            case str() as run:
                ended.append(run)
            case Push() as push:
                pushes[record["messageId"]] = push
            case Poll():
                polls.append(record["messageId"])
            case _:
                logger.error("unreadable message", extra={"body": record["body"]})
    failed = pushes if pushes and not _claimed(bridge, list(pushes.values())) else ()
    if ended:
        # What a server cannot be told now, the next tick does.
        settle(bridge, _runs(bridge, ended))
    if polls:
        _logged(tick(bridge))
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def _decoded(record: Mapping[str, Any]) -> Message | Wake | str | None:
    """The message; the id of the run that an event of the bus is about; None for anything else."""
    try:
        document = parse_json(record["body"])
        if isinstance(document, dict) and "detail" in document:
            return str(document["detail"]["run"])
        return decode(record["body"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _claimed(bridge: Bridge, pushes: list[Push]) -> bool:
    try:
        done = claim(bridge, pushes)
    except PushDispatchError as error:
        logger.warning("claims failed", extra={"reason": error.reason, "error": error.message})
        return False
    except Exception:
        logger.exception("claims failed")
        return False
    logger.info("claimed", extra=asdict(done))
    return True


def _runs(bridge: Bridge, ids: Iterable[str]) -> list[Run]:
    found = (bridge.ports.store.run(*parse_run_id(each)) for each in ids)
    return [run for run in found if run is not None]


def _logged(ticked: Ticked) -> dict[str, Any]:
    fields = asdict(ticked)
    logger.info("ticked", extra=fields)
    return fields


# -- its URL ----------------------------------------------------------------------------------


def _door(bridge: Bridge, event: Mapping[str, Any]) -> dict[str, Any]:
    some = trusted(bridge, event)
    if not some:
        return _answer(401, "this is not one of our servers")
    if not followed(bridge, some, event):
        # By the queue: a thousand hints that need a look are a hundred looks.
        bridge.ports.messages.send(GATEWAY, [Poll(GATEWAY, ())])
    return _answer(200, "ok")


def trusted(bridge: Bridge, event: Mapping[str, Any]) -> list[Attachment]:
    """The attachments whose server has sent this request; none if nobody knows who did."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    given = str(headers.get(HEADER) or "").encode()
    found = [a for a in attachments(bridge.ports) if a.hint_secret]
    return [a for a in found if hmac.compare_digest(given, a.hint_secret.encode())]


def followed(bridge: Bridge, some: Iterable[Attachment], event: Mapping[str, Any]) -> bool:
    """Whether the hint in a request was followed; otherwise somebody has to look."""
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body).decode(errors="replace")
    hint = hints.read(body)
    try:
        return hint is not None and follow(bridge, some, hint)
    except PushDispatchError as error:
        logger.warning("hint", extra={"reason": error.reason, "error": error.message})
        return False


def _answer(status: int, text: str) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Content-Type": "text/plain"}, "body": text}
