"""Coiled has said no: what does that mean? The table is in `answers.toml`."""

from __future__ import annotations

from push_dispatch.platforms.refusals import Answer, Refusals, rows
from push_dispatch.platforms.rest import Reply

__all__ = ["ERRORS", "REFUSALS"]

ERRORS = rows(__name__)


def _read(reply: Reply) -> Answer:
    """The code and the platform's own words."""
    body = reply.json if isinstance(reply.json, dict) else {}
    message = body.get("message") or body.get("detail")
    text = f"{body.get('code') or reply.status}: {message}" if message else reply.text
    return Answer(reply.status, text, reply.retry_after)


REFUSALS = Refusals(ERRORS, _read)
