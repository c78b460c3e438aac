"""How did an attempt end? What the verdicts of all platforms have in common.

The exit code of the user's own process decides, unless it was killed. What else a platform says is
a table of ends by its words, `[[ends]]` in its `answers.toml`; the first that matches counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from push_dispatch.core.model import Observation, Status
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.refusals import pattern_of, table, wording

__all__ = ["BROKEN", "KILLED", "MESSAGE_LENGTH", "End", "ended", "ends", "explained"]

#: Exit codes of a process that was asked (SIGTERM) or made (SIGKILL) to end.
KILLED = frozenset({137, 143})
MESSAGE_LENGTH = 500


@dataclass(frozen=True, slots=True)
class End:
    """Why an attempt ended; no reason means that its exit code says all."""

    reason: str | None = None
    #: Whether a new attempt of the same request may succeed.
    retryable: bool = True
    #: What the platform says of it, as a regular expression in any case.
    pattern: str = ""

    def matches(self, text: str) -> bool:
        """Whether the platform's words are of this end."""
        return re.search(self.pattern, text, re.IGNORECASE) is not None


BROKEN = End(Reason.INFRASTRUCTURE_FAILURE)


def ends(module: str, name: str = "ends") -> tuple[End, ...]:
    """The ends in the `answers.toml` beside a module. A pattern may be a list."""
    return tuple(
        End(**entry | {"pattern": pattern_of(module, entry)}) for entry in table(module, name)
    )


def explained(known: Sequence[End], text: str) -> End | None:
    """Return the end that a text explains, the names in it left out."""
    words = wording(text)
    return next((end for end in known if end.matches(words)), None)


def ended(seen: Observation, end: End, text: str | None = None, **fields: Any) -> Observation:
    """Return `seen`, ended that way, with the beginning of a text as its message."""
    return replace(
        seen,
        status=Status.ENDED,
        reason=end.reason,
        retryable=end.retryable,
        message=(text or "")[:MESSAGE_LENGTH] or None,
        **fields,
    )
