# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""Coiled has said no: what does that mean?"""

from __future__ import annotations

from push_dispatch.core.errors import PlatformError
from push_dispatch.platforms import shared
from push_dispatch.platforms.refusals import Reaction, Row, judge, wording
from push_dispatch.platforms.rest import Reply

__all__ = ["ERRORS", "asked", "refused", "row_of", "told"]

#: The API is undocumented: the codes are those that Coiled's client tells apart, the words those of
#: its messages and of https://docs.coiled.io.
ERRORS: tuple[Row, ...] = (
    Row((), ("no_cloud_setup",), Reaction.PERMANENT, "platform_not_configured", "Connect the workspace with a cloud account: coiled setup."),
    Row((400, 402, 403), ("credit", "spending limit", "billing"), Reaction.PERMANENT, "platform_rejected", "Raise the workspace's spending limit."),
    Row((400, 403, 409), ("quota", "core limit", "limit exceeded", "capacity"), Reaction.CAPACITY, "no_capacity", "Raise the workspace's limits or the cloud's quota, or add a fallback."),
    Row((401,), (), Reaction.PERMANENT, "access_denied", "Check the API token (DASK_COILED__TOKEN)."),
    Row((403,), (), Reaction.PERMANENT, "access_denied", "The token's user may not do this in the workspace."),
    Row((404,), (), Reaction.GONE, "platform_rejected", "Check the workspace and the software environment."),
    Row((413,), (), Reaction.PERMANENT, "overrides_too_long", "Move large values into the image or a file."),
    Row((429,), (), Reaction.RETRY, "platform_throttled", "It is sent again after a while."),
    Row((400, 422), (), Reaction.PERMANENT, "platform_rejected", "Correct the template or the job variable that the message names."),
    Row((500, 502, 503, 504), (), Reaction.UNCERTAIN, "push_uncertain", "The cluster is looked up by its name before anything is sent again."),
)  # fmt: skip


def row_of(reply: Reply) -> Row:
    """The row of an answer."""
    return judge(ERRORS, reply.status, wording(told(reply)))


def refused(reply: Reply) -> PlatformError:
    """The error for a request that was refused. What is not there is no matter of time."""
    row = row_of(reply)
    if row.reaction is Reaction.GONE:
        row = Row(row.status, row.words, Reaction.PERMANENT, row.reason, row.remedy)
    return row.error(told(reply), reply.retry_after)


def asked(reply: Reply) -> PlatformError:
    """Return the error of a refused question: nothing can be concluded, whatever the refusal."""
    return shared.asked(refused(reply))


def told(reply: Reply) -> str:
    """The code and the platform's own words."""
    said = reply.json if isinstance(reply.json, dict) else {}
    message = said.get("message") or said.get("detail")
    return f"{said.get('code') or reply.status}: {message}" if message else reply.text
