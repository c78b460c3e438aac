"""Modal has said no, or nothing: what does that mean? The table is in `answers.toml`."""

from __future__ import annotations

from typing import Any

from push_dispatch.platforms.refusals import Answer, Refusals, rows

__all__ = ["ERRORS", "REFUSALS"]

ERRORS = rows(__name__)


def _read(error: Any) -> Answer:
    """The name of the code and the platform's own words."""
    return Answer(0, f"{error.code().name}: {error.details()}")


REFUSALS = Refusals(ERRORS, _read)
