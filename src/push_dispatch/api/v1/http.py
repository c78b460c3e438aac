"""What is a request, and what is a reply? Values, whichever server stands in front.

Replies that are no success are problems (RFC 9457) with one of our reasons and its remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from push_dispatch.core.errors import (
    Conflict,
    Invalid,
    Misconfigured,
    NotFound,
    PushDispatchError,
    Refused,
    Unreadable,
)
from push_dispatch.core.reasons import Reason, describe

__all__ = ["JSON", "PROBLEM", "Reply", "Request", "problem", "problem_of"]

JSON = "application/json"
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are in lower case, the query is decoded, the path is as sent."""

    method: str
    path: str
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. The body is JSON, or empty."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    type: str = JSON

    @property
    def json(self) -> Any:
        """The body as a value; None if it is empty."""
        return msgspec.json.decode(self.body) if self.body else None


_STATUSES = (
    (Invalid, 422),
    (NotFound, 404),
    (Refused, 409),
    (Conflict, 409),
    (Unreadable, 500),
    (Misconfigured, 500),
)
#: Where the class of the error does not say it.
_BY_REASON: dict[str, int] = {Reason.PRECONDITION_FAILED: 412, Reason.IDEMPOTENCY_KEY_REUSED: 422}


def problem_of(error: PushDispatchError) -> Reply:
    """The problem that an error of a use case is."""
    kind = next((status for cls, status in _STATUSES if isinstance(error, cls)), 503)
    status = _BY_REASON.get(error.reason, kind)
    headers = {"Retry-After": "1"} if status == 503 else {}
    return problem(status, error.reason, error.message, headers)


def problem(
    status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None
) -> Reply:
    """A problem: `type` is where the API explains the reason, `title` is its sentence."""
    about = describe(reason)
    body = {
        "type": f"/v1/reasons/{reason}",
        "title": about.sentence,
        "status": status,
        "detail": detail,
        "reason": reason,
        "remedy": about.remedy,
    }
    return Reply(status, msgspec.json.encode(body), headers or {}, PROBLEM)
