"""How do requests of the page reach a deployed system? As the client's do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from push_dispatch.api.v1.http import JSON, PROBLEM, Reply, Request, problem, problem_of
from push_dispatch.core.errors import PushDispatchError
from push_dispatch.core.reasons import Reason

if TYPE_CHECKING:
    from push_dispatch.api.client.transport import Transport

__all__ = ["forwarding"]

#: What the API reads: cookies and the page's token are not forwarded.
_PASSED = ("if-match", "if-none-match", "idempotency-key")


def forwarding(transport: Transport) -> Callable[[Request], Reply]:
    """Return a handler that sends each request on and returns its reply; it never raises."""

    def handle(request: Request) -> Reply:
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        try:
            body = json.loads(request.body) if request.body else None
        except ValueError as error:
            return problem(400, Reason.INVALID_INPUT, f"the body is not JSON: {error}")
        try:
            status, value = transport.send(
                request.method, request.path, request.query, body, headers
            )
        except PushDispatchError as error:
            return problem_of(error)
        if status >= 400 and not (isinstance(value, dict) and "reason" in value):
            denied = status in (401, 403)
            reason = Reason.ACCESS_DENIED if denied else Reason.BACKEND_UNAVAILABLE
            return problem(status, reason, (_DENIED if denied else _FOREIGN).format(status))
        content = b"" if value is None else msgspec.json.encode(value)
        return Reply(status, content, {}, JSON if status < 400 else PROBLEM)

    return handle


#: What stands in front of the API refuses in its own words.
_FOREIGN = "the API's gateway answered {}"
_DENIED = (
    "the API's gateway answered {}: your AWS credentials are not valid, or may not invoke the API "
    "(lambda:InvokeFunctionUrl with lambda:InvokeFunction, or execute-api:Invoke)"
)
