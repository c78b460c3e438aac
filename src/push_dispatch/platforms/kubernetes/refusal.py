"""What does a refusal of the Kubernetes API server mean? The table is in `answers.toml`."""

from __future__ import annotations

from push_dispatch.platforms.refusals import Answer, Refusals, rows
from push_dispatch.platforms.rest import Reply

__all__ = ["ERRORS", "REFUSALS"]

ERRORS = rows(__name__)


def _read(reply: Reply) -> Answer:
    """The word for the status, such as `AlreadyExists`, and the message; a proxy has neither."""
    message = str(reply.json.get("message") or reply.text or f"HTTP {reply.status}")
    return Answer(
        reply.status, f"{reply.json.get('reason', '')} {message}".strip(), reply.retry_after
    )


REFUSALS = Refusals(ERRORS, _read, clean=str)
