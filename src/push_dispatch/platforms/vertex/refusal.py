"""Vertex AI has said no: what does that mean? The table is in `answers.toml`."""

from __future__ import annotations

from push_dispatch.platforms.refusals import Answer, Refusals, rows
from push_dispatch.platforms.rest import Reply

__all__ = ["ERRORS", "REFUSALS"]

ERRORS = rows(__name__)


def _read(reply: Reply) -> Answer:
    """The name of the code and the platform's own words."""
    error = reply.json.get("error") if isinstance(reply.json, dict) else None
    text = reply.text
    if isinstance(error, dict):
        text = f"{error.get('status', reply.status)}: {error.get('message', '')}"
    return Answer(reply.status, text, reply.retry_after)


REFUSALS = Refusals(ERRORS, _read)
