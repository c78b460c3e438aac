"""What does a platform's answer mean, and what does the caller do next? One row per cause.

A platform keeps its documented errors as a table of `Row`s; the first that matches decides. So
the table can be read, printed in the documentation, and walked through by a test.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled, Uncertain

__all__ = ["Reaction", "Row", "judge", "wording"]

#: Names that somebody has chosen: addresses, paths, projects, and what stands in quotes.
_NAMES = (
    (re.compile(r"""(?<!\w)(['"`])[^'"`\s]*[-/@:][^'"`\s]*\1"""), r"\1\1"),
    (
        re.compile(
            r"""(?<![^\s'"()\[\],])(?!i/o\b)[^\s'"()\[\],]*[/@][^\s'"()\[\],]*""", re.IGNORECASE
        ),
        "",
    ),
    (re.compile(r"\b(projects?|project id) +(?!id\b)[\w:.-]+", re.IGNORECASE), r"\1"),
)


class Reaction(StrEnum):
    """What is done about an answer that is not a plain yes."""

    #: The platform asks for patience, and has done nothing: Throttled.
    RETRY = "retry"
    #: There is no room now: NoCapacity.
    CAPACITY = "capacity"
    #: The same request will never be accepted: Rejected.
    PERMANENT = "permanent"
    #: Something of that name is there already: look at it and adopt it.
    EXISTS = "exists"
    #: What was asked about is not there (any more).
    GONE = "gone"
    #: The request may or may not have had its effect: Uncertain.
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Row:
    """One cause: how it is recognised, what is done, and what a person can do about it."""

    #: HTTP status codes; empty is any.
    status: tuple[int, ...]
    #: One of these, in lower case, occurs in the platform's code or message; empty is any.
    words: tuple[str, ...]
    reaction: Reaction
    #: A token of `push_dispatch.core.reasons`.
    reason: str
    #: What a person can do about it, as a sentence.
    remedy: str
    #: A regular expression that the code and message match, in any case; empty is any.
    pattern: str = ""
    #: How long to wait if the platform does not say.
    after_seconds: float | None = None

    def matches(self, status: int, text: str) -> bool:
        """Whether an answer with this status and this code and message is of this cause."""
        lowered = text.lower()
        return (
            (not self.status or status in self.status)
            and (not self.words or any(word in lowered for word in self.words))
            and re.search(self.pattern, text, re.IGNORECASE | re.DOTALL) is not None
        )

    def error(self, message: str, after_seconds: float | None = None) -> PlatformError:
        """The error to raise, with the platform's own words and the remedy.

        A cause that has no error of its own (EXISTS and GONE, where nothing can be adopted or
        missed) is uncertain.
        """
        told = f"{message.strip().rstrip('.')}. {self.remedy}"
        match self.reaction:
            case Reaction.RETRY:
                after = self.after_seconds if after_seconds is None else after_seconds
                return Throttled(told, reason=self.reason, after_seconds=after)
            case Reaction.CAPACITY:
                return NoCapacity(told, reason=self.reason)
            case Reaction.PERMANENT:
                return Rejected(told, reason=self.reason)
            case _:
                return Uncertain(told, reason=self.reason)

    def unstarted(self, message: str, after_seconds: float | None = None) -> PlatformError:
        """The error to raise of a question that starts nothing, so that nothing is in doubt and
        nothing has to be looked up: what asks for patience or is refused for good is just that,
        and everything else is a platform that cannot be asked."""
        match self.reaction:
            case Reaction.RETRY | Reaction.PERMANENT:
                return self.error(message, after_seconds)
            case Reaction.GONE:
                return replace(self, reaction=Reaction.PERMANENT).error(message)
            case _:
                return Uncertain(message, reason="platform_unavailable")


def judge(table: Sequence[Row], status: int, text: str) -> Row:
    """The first row that matches; without one, a 4xx is permanent and the rest uncertain."""
    fallback = _REFUSED if 400 <= status < 500 else _UNKNOWN
    return next((row for row in table if row.matches(status, text)), fallback)


_REFUSED = Row(
    status=(),
    words=(),
    reaction=Reaction.PERMANENT,
    reason="platform_rejected",
    remedy="Correct the template or the job variables.",
)
_UNKNOWN = Row(
    status=(),
    words=(),
    reaction=Reaction.UNCERTAIN,
    reason="push_uncertain",
    remedy="It is looked up by its name before it is sent again.",
)


def wording(text: str) -> str:
    """Return a message without the names in it: what a table looks for is never found in a project
    called `classroom`, an image called `secret-etl` or a link."""
    for names, instead in _NAMES:
        text = names.sub(instead, text)
    return text
