"""ECS has refused, or not answered: what does that mean for the push?

RunTask refuses in three ways: an error, HTTP 200 with `failures`, and `ConflictException`, which
is no refusal at all (the adapter adopts what it names). The tables are in `answers.toml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from push_dispatch.core.errors import PlatformError
from push_dispatch.platforms.aws import answer_of
from push_dispatch.platforms.refusals import Refusals, judge, rows

__all__ = ["ERRORS", "FAILURES", "REFUSALS", "failed", "translated"]

ERRORS, FAILURES = rows(__name__), rows(__name__, "failures")


REFUSALS = Refusals(ERRORS, answer_of, clean=str)
#: Around what asks AWS.
translated = partial(REFUSALS.translated, (ClientError, BotoCoreError))


def failed(failure: Mapping[str, Any]) -> PlatformError:
    """Return our error for an entry of RunTask's `failures`."""
    reason = str(failure.get("reason", ""))
    words = [reason, failure.get("detail"), failure.get("arn")]
    message = " · ".join(str(word) for word in words if word)
    return judge(FAILURES, 200, reason).error(message)
