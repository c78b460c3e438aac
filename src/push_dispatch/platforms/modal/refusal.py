# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""Modal has said no, or nothing: what does that mean?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from push_dispatch.platforms.refusals import Reaction, Row, judge, wording

__all__ = ["ERRORS", "row_of", "told", "translated"]

#: Of gRPC codes, the HTTP statuses that the tables of other platforms go by
#: (https://cloud.google.com/apis/design/errors#handling_errors).
_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 412,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}

#: Modal documents no codes: these are those that its client tells apart (modal.exception).
ERRORS: tuple[Row, ...] = (
    Row((409,), ("already_exists",), Reaction.EXISTS, "push_uncertain", "The sandbox is looked up by its name and adopted."),
    Row((402, 403, 429), ("spend limit", "billing", "credit"), Reaction.PERMANENT, "platform_rejected", "Raise the workspace's spending limit."),
    Row((429,), ("capacity", "no gpu", "insufficient"), Reaction.CAPACITY, "no_capacity", "Ask for other GPUs or another region, or add a fallback."),
    Row((429,), (), Reaction.RETRY, "platform_throttled", "Give the pool a platform rate, or ask Modal for a higher limit."),
    Row((412,), ("version", "old client"), Reaction.PERMANENT, "platform_rejected", "Modal no longer takes this version of its client: upgrade the modal package."),
    Row((412,), (), Reaction.PERMANENT, "platform_rejected", "See the message."),
    Row((401,), (), Reaction.PERMANENT, "access_denied", "Check the token; it must belong to a user of the workspace."),
    Row((403,), (), Reaction.PERMANENT, "access_denied", "The token may not do this in the environment."),
    Row((404,), (), Reaction.GONE, "platform_rejected", "Check the environment, the image and the secrets."),
    Row((400,), (), Reaction.PERMANENT, "platform_rejected", "Correct the template or the job variable that the message names."),
    Row((501,), (), Reaction.PERMANENT, "platform_rejected", "The server does not know this request: upgrade the modal package."),
    Row((503,), ("failed to connect", "name resolution", "dns"), Reaction.UNCERTAIN, "platform_unavailable", "Nothing was sent; it is looked up by its name before it is sent again."),
    Row((409, 499, 500, 503, 504), (), Reaction.UNCERTAIN, "push_uncertain", "The sandbox is looked up by its name before it is sent again."),
)  # fmt: skip


@contextmanager
def translated() -> Iterator[None]:
    """Raise what gRPC raises as one of our errors."""
    try:
        yield
    except grpc.RpcError as error:
        row = row_of(error)
        if row.reaction is Reaction.GONE:
            row = Row(row.status, row.words, Reaction.PERMANENT, row.reason, row.remedy)
        raise row.error(told(error)) from error


def row_of(error: Any) -> Row:
    """The row of an answer."""
    return judge(ERRORS, _STATUS.get(error.code().name, 500), wording(told(error)))


def told(error: Any) -> str:
    """The name of the code and the platform's own words."""
    return f"{error.code().name}: {error.details()}"
