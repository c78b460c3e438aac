"""How do requests reach the API, and replies leave it? As events of payload format 2.0, which
function URLs, HTTP APIs and the local runtime have in common."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from push_dispatch.adapters.telemetry import logger
from push_dispatch.api import v1
from push_dispatch.api.v1 import Reply, Request
from push_dispatch.core.reasons import Reason
from push_dispatch.ports import Ports

__all__ = ["answered", "query_of", "reply_to"]


def answered(ports: Ports, event: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one request; never raises."""
    return _event_of(reply_to(ports, _request_of(event)))


def reply_to(ports: Ports, request: Request) -> Reply:
    """Answer one request; never raises."""
    try:
        return v1.TABLE.answer(ports, request)
    except Exception:  # noqa: BLE001 - any failure still gets the caller a response
        logger.exception("request failed")
        return v1.problem(
            500, Reason.INTERNAL_ERROR, "something went wrong: see the function's log"
        )


def query_of(text: str) -> dict[str, tuple[str, ...]]:
    """The query behind a path, decoded."""
    return {name: tuple(values) for name, values in parse_qs(text, keep_blank_values=True).items()}


def _request_of(event: Mapping[str, Any]) -> Request:
    """The request in an event."""
    body = event.get("body") or ""
    raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    return Request(
        method=event["requestContext"]["http"]["method"].upper(),
        path=_path(event),
        query=query_of(event.get("rawQueryString") or ""),
        headers={k.lower(): v for k, v in (event.get("headers") or {}).items()},
        body=raw,
    )


def _path(event: Mapping[str, Any]) -> str:
    """The path as it was sent, without the stage of an HTTP API that has a name."""
    path = str(event.get("rawPath") or "/")
    stage = (event.get("requestContext") or {}).get("stage") or "$default"
    return path.removeprefix(f"/{stage}") if stage != "$default" else path


def _event_of(reply: Reply) -> dict[str, Any]:
    return {
        "statusCode": reply.status,
        "headers": {"Content-Type": reply.type, **reply.headers},
        "body": reply.body.decode(),
        "isBase64Encoded": False,
    }
