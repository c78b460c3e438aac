"""Modal has said no, or nothing: what does that mean? The table is in `answers.toml`."""

from __future__ import annotations

from typing import Any

from push_dispatch.platforms.refusals import Answer, Refusals, rows

__all__ = ["ERRORS", "REFUSALS"]

#: Of gRPC codes, the HTTP statuses that the tables of other platforms go by
#: (https://cloud.google.com/apis/design/errors#handling_errors).
_STATUS = {
    **dict.fromkeys(("INVALID_ARGUMENT", "OUT_OF_RANGE"), 400),
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    **dict.fromkeys(("ALREADY_EXISTS", "ABORTED"), 409),
    "FAILED_PRECONDITION": 412,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}

ERRORS = rows(__name__)


def _read(error: Any) -> Answer:
    """The name of the code and the platform's own words."""
    code = error.code().name
    return Answer(_STATUS.get(code, 500), f"{code}: {error.details()}")


REFUSALS = Refusals(ERRORS, _read)
