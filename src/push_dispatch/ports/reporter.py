"""Where do jobs report on themselves, and what proves that a report is theirs?"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["TOKEN", "Reporter", "token_for"]

#: The environment variable with the token of the attempt.
TOKEN = "PUSH_DISPATCH_REPORT_TOKEN"  # noqa: S105 - its name


@dataclass(frozen=True, slots=True)
class Reporter:
    """Where jobs report to, and the key from which each attempt's token is derived."""

    url: str
    key: Callable[[], str]

    def environment(self, run_id: str, attempt: int) -> dict[str, str]:
        """What the wrapper needs to know. Raises KeyError if the key cannot be read."""
        return {
            "PUSH_DISPATCH_RUN_ID": run_id,
            "PUSH_DISPATCH_ATTEMPT": str(attempt),
            "PUSH_DISPATCH_REPORT_URL": self.url,
            TOKEN: token_for(self.key(), run_id, attempt),
        }


def token_for(key: str, run_id: str, attempt: int) -> str:
    """The token of one attempt: good for reporting on it, and for nothing else."""
    return hmac.new(key.encode(), f"{run_id}/{attempt}".encode(), hashlib.sha256).hexdigest()
