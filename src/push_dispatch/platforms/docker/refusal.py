"""What does a refusal of the container engine mean? The tables are in `answers.toml`."""

from __future__ import annotations

from typing import Any

from push_dispatch.platforms.refusals import Answer, Refusals, rows

__all__ = ["ERRORS", "PULLS", "PULL_ERRORS", "REFUSALS"]

ERRORS, PULL_ERRORS = rows(__name__), rows(__name__, "pulls")


def _read(error: Any) -> Answer:
    """An APIError of docker-py; or whatever else a pull raises, which has no status."""
    status = getattr(error, "status_code", None)
    return Answer(status or 0, str(getattr(error, "explanation", None) or error))


REFUSALS = Refusals(ERRORS, _read, clean=str)
#: Of errors, and of the words that come in the middle of an answer that began well.
PULLS = Refusals(PULL_ERRORS, _read, clean=str)
