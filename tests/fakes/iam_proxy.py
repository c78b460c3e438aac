"""AWS with IAM in front of it: a proxy that asks of each request whether its sender may do that.

The sender is the access key of the request's signature, the service stands in the signature's scope
(docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html). What is allowed goes on to whoever
plays that service; what is not is refused as the service would do it. Both are written down.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import urllib3

from tests.fakes.iam import Grant, Need, denied
from tests.fakes.iam_calls import needs_of
from tests.fakes.rest_server import Answer, Request, RestServer

__all__ = ["Call", "Iam"]

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/[\w-]+/([\w-]+)/aws4_request")
#: Not what the next server is to hear from this one, or what it says by itself.
_OF_A_HOP = {"accept-encoding", "connection", "content-length", "host", "transfer-encoding"}


@dataclass(frozen=True)
class Call:
    """Who has called what, what that needs, and what of it was not allowed."""

    caller: str
    operation: str
    needs: tuple[Need, ...]
    refused: tuple[Need, ...]

    def __str__(self) -> str:
        return f"{self.caller}: {self.operation}, {', '.join(map(str, self.refused))}"


class Iam(RestServer):
    """One endpoint for all services, as `AWS_ENDPOINT_URL`."""

    def __init__(
        self,
        grants: Mapping[str, Sequence[Grant]],
        upstream: Callable[[str, str], str],
        roles_of: Callable[[str], Sequence[Need]],
    ) -> None:
        """`grants` by access key; `upstream` is the URL of a service, also by access key, and
        `roles_of` what it takes to hand over the roles of a task definition."""
        super().__init__()
        self._grants = grants
        self._upstream = upstream
        self._roles_of = roles_of
        self._http = urllib3.PoolManager(retries=False, timeout=20)
        self.calls_made: list[Call] = []

    def answer(self, request: Request) -> Answer:
        found = _CREDENTIAL.search(request.headers.get("authorization", ""))
        if found is None:
            return Answer(403, {"__type": "MissingAuthenticationToken", "message": "unsigned"})
        caller, service = found.groups()
        operation, body = _asked(request)
        needs = needs_of(service, operation, body)
        if operation == "RunTask":
            needs += self._roles_of(body["taskDefinition"])
        refused = denied(self._grants.get(caller, ()), needs)
        call = Call(caller, f"{service}:{operation}", tuple(needs), tuple(refused))
        self.calls_made.append(call)
        return _refusal(service, call) if refused else self._forward(service, caller, request)

    def _forward(self, service: str, caller: str, request: Request) -> Answer:
        kept = {n: v for n, v in request.headers.items() if n not in _OF_A_HOP}
        url = self._upstream(service, caller) + request.path
        reply = self._http.request(request.method, url, body=request.body, headers=kept)
        headers = {n: v for n, v in reply.headers.items() if n.lower() not in _OF_A_HOP}
        return Answer(reply.status, reply.data, headers)


def _asked(request: Request) -> tuple[str, Mapping[str, Any]]:
    """The operation and its arguments, in AWS's JSON protocol or in its query protocol. Neither
    puts anything into the path; who does that is not understood here."""
    if request.path != "/":
        raise LookupError(request.path)
    if target := request.headers.get("x-amz-target"):
        return target.rpartition(".")[2], request.json
    form = dict(parse_qsl(request.body.decode()))
    return form["Action"], form


def _refusal(service: str, call: Call) -> Answer:
    """As the services say it: botocore reads the code of either."""
    message = f"User: {call.caller} is not authorized to perform: {call.refused[0]}"
    if service == "ec2":
        reported = f"<Code>UnauthorizedOperation</Code><Message>{message}</Message>"
        xml = f"<Response><Errors><Error>{reported}</Error></Errors></Response>"
        return Answer(403, xml.encode(), {"Content-Type": "text/xml"})
    if service == "sts":
        reported = f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
        xml = f"<ErrorResponse>{reported}</ErrorResponse>"
        return Answer(403, xml.encode(), {"Content-Type": "text/xml"})
    refusal = {"__type": "AccessDeniedException", "message": message}
    return Answer(400, json.dumps(refusal).encode())
