"""The report function: jobs report on themselves, over HTTPS.

Its URL needs no signature: each request carries the token of its attempt, and a token is good for
reporting on that attempt only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from push_dispatch import bootstrap
from push_dispatch.adapters.telemetry import LambdaContext, logger
from push_dispatch.core.bounds import parse_json
from push_dispatch.core.errors import Invalid, NotFound, PushDispatchError, Refused
from push_dispatch.engine.reports import Report, receive
from push_dispatch.ports import Ports

__all__ = ["handle", "handler"]

_KINDS = ("claim", "beat", "end")
#: A report has some 200; anybody may send anything, and a token is looked at after it is parsed.
_MOST_BYTES = 4096


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda entry point for a function URL (payload format 2.0)."""
    return handle(bootstrap.ports(), event)


def handle(ports: Ports, event: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one request: 200, or an error that says what is wrong."""
    try:
        sent, token = _read(event)
        answer = receive(ports, sent, token)
    except Invalid as error:
        return _answer(400, _problem(error))
    except Refused as error:
        return _answer(401, _problem(error))
    except NotFound as error:
        return _answer(404, _problem(error))
    except PushDispatchError as error:
        logger.warning("report not taken", extra={"reason": error.reason, "error": error.message})
        return _answer(503, _problem(error))
    logger.info("report", extra={"run": sent.run, "attempt": sent.attempt, "what": sent.what})
    return _answer(200, {"go": answer.go, "stop": answer.stop})


def _read(event: Mapping[str, Any]) -> tuple[Report, str]:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    scheme, _, token = headers.get("authorization", "").partition(" ")
    body = event.get("body") or ""
    if len(body) > _MOST_BYTES:
        raise Invalid(f"the body has more than {_MOST_BYTES} bytes: a report is short")
    try:
        sent = parse_json(base64.b64decode(body) if event.get("isBase64Encoded") else body)
        given = Report(
            run=str(sent["run"]),
            attempt=int(sent["attempt"]),
            what=sent["what"],
            by=str(sent["by"])[:100],
            exit_code=None if sent.get("exit_code") is None else int(sent["exit_code"]),
        )
        token = token if scheme.lower() == "bearer" else str(sent.get("token", ""))
        f"{given.run}{given.by}{token}".encode()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise Invalid(f"the body must be a report as JSON: {error!r:.200}") from error
    if given.what not in _KINDS:
        raise Invalid(f"what is {given.what!r}: it must be one of {', '.join(_KINDS)}")
    return given, token


def _problem(error: PushDispatchError) -> dict[str, str]:
    return {"reason": error.reason, "message": error.message}


def _answer(status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body, separators=(",", ":")),
    }
