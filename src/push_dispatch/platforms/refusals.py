"""What does a platform's answer mean, and what does the caller do next? One row per cause.

A platform keeps its documented errors as tables of rows in a file `answers.toml` beside its code;
the first row that matches decides. So a table can be read, and walked by a test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.packaged import packaged
from push_dispatch.platforms.shared import uncertain

__all__ = [
    "Answer",
    "Reaction",
    "Refusals",
    "Row",
    "judge",
    "pattern_of",
    "permissions",
    "rows",
    "table",
    "wording",
]

#: What a platform's SDK raises, or the reply of its API.
E = TypeVar("E")
T = TypeVar("T")

#: Exceptions of an SDK.
Kinds = type[Exception] | tuple[type[Exception], ...]

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

    #: The platform is rate-limiting, and has done nothing: Throttled.
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

        What a request needs and is GONE does not come back by itself: that is final. EXISTS, where
        nothing can be adopted, is uncertain.
        """
        text = f"{message.strip().rstrip('.')}. {self.remedy}"
        match self.reaction:
            case Reaction.RETRY:
                after = self.after_seconds if after_seconds is None else after_seconds
                return Throttled(text, reason=self.reason, after_seconds=after)
            case Reaction.CAPACITY:
                return NoCapacity(text, reason=self.reason)
            case Reaction.PERMANENT | Reaction.GONE:
                return Rejected(text, reason=self.reason)
            case _:
                return Uncertain(text, reason=self.reason)

    def unstarted(self, message: str, after_seconds: float | None = None) -> PlatformError:
        """The error to raise of a question that starts nothing, so that nothing is in doubt and
        nothing has to be looked up: what is throttled or refused for good is just that,
        and everything else is a platform that cannot be asked."""
        if self.reaction in {Reaction.RETRY, Reaction.PERMANENT, Reaction.GONE}:
            return self.error(message, after_seconds)
        return Uncertain(message, reason=Reason.PLATFORM_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a table is asked about: an answer's HTTP status, its code and message."""

    status: int
    text: str
    #: How long the platform wants us to wait, if it says so.
    after_seconds: float | None = None


def wording(text: str) -> str:
    """Return a message without the names in it: what a table looks for is never found in a project
    called `classroom`, an image called `secret-etl` or a link."""
    for names, instead in _NAMES:
        text = names.sub(instead, text)
    return text


@dataclass(frozen=True, slots=True)
class Refusals(Generic[E]):
    """A platform's table, and how its answers (or the errors of its SDK) are read by it."""

    rows: Sequence[Row]
    read: Callable[[E], Answer]
    #: Takes out of a text what must not be looked at, in tables that look for words anywhere.
    clean: Callable[[str], str] = wording

    def row(self, error_body: E) -> Row:
        """Return the row of an answer."""
        answer = self.read(error_body)
        return judge(self.rows, answer.status, self.clean(answer.text))

    def gone(self, error_body: E) -> bool:
        """Return whether what was asked about is not there (any more)."""
        return self.row(error_body).reaction is Reaction.GONE

    def exists(self, error_body: E) -> bool:
        """Return whether something of that name is there already."""
        return self.row(error_body).reaction is Reaction.EXISTS

    def error(self, error_body: E, what: str = "") -> PlatformError:
        """Return the error of a request that was refused; `what` says which."""
        answer = self.read(error_body)
        return self.row(error_body).error(what + answer.text, answer.after_seconds)

    def uncertain(self, error_body: E, what: str = "") -> PlatformError:
        """Return the error of a question that was refused: Throttled or Uncertain."""
        return uncertain(self.error(error_body, what))

    def unstarted(self, error_body: E, what: str = "") -> PlatformError:
        """Return the error of a question that starts nothing: see `Row.unstarted`."""
        answer = self.read(error_body)
        return self.row(error_body).unstarted(what + answer.text, answer.after_seconds)

    @contextmanager
    def translated(self, kinds: Kinds, what: str = "", *, harmless: bool = False) -> Iterator[None]:
        """Raise the errors of an SDK, which are of these `kinds`, as ours: those of a push, or of a
        `harmless` question; `what` says of which."""
        try:
            yield
        except kinds as error:
            error_body: Any = error
            raise (self.unstarted if harmless else self.error)(error_body, what) from error

    def found(self, kinds: Kinds, ask: Callable[[], T]) -> T | None:
        """Return what `ask` does; None if what it is about is not there (any more). Other errors of
        an SDK pass."""
        try:
            return ask()
        except kinds as error:
            error_body: Any = error
            if not self.gone(error_body):
                raise
            return None


def permissions(platform: str) -> tuple[str, ...]:
    """What the platform's function needs of its cloud: its entry in `permissions.toml`."""
    return tuple(packaged("permissions.toml")[platform])


# -- tables -----------------------------------------------------------------------------------


def _answers(module: str) -> dict[str, Any]:
    return packaged("answers.toml", module.rpartition(".")[0])


def table(module: str, name: str) -> list[dict[str, Any]]:
    """The entries of a table in the `answers.toml` beside a module, as they are written."""
    entries: list[dict[str, Any]] = _answers(module)[name]
    return entries


def rows(module: str, name: str = "errors") -> tuple[Row, ...]:
    """The rows of a table in the `answers.toml` beside a module. A pattern may be a list, of which
    one has to match."""
    return tuple(
        _row(**entry | {"pattern": pattern_of(module, entry)}) for entry in table(module, name)
    )


def _row(**entry: Any) -> Row:
    entry["reaction"] = Reaction(entry["reaction"])
    for key in ("status", "words"):
        entry[key] = tuple(entry.get(key, ()))
    return Row(**entry)


def pattern_of(module: str, entry: Mapping[str, Any]) -> str:
    """The regular expression of an entry, with the table `words` filled in: `<passing>`."""
    pattern = _one_of(entry.get("pattern", ""))
    for name, words in _answers(module).get("words", {}).items():
        pattern = pattern.replace(f"<{name}>", _one_of(words))
    return pattern


def _one_of(patterns: str | Sequence[str]) -> str:
    return patterns if isinstance(patterns, str) else "|".join(patterns)


def judge(table: Sequence[Row], status: int, text: str) -> Row:
    """The first row that matches; without one, a 4xx is permanent and the rest uncertain."""
    fallback = _REFUSED if 400 <= status < 500 else _UNKNOWN
    return next((row for row in table if row.matches(status, text)), fallback)


_REFUSED = _row(
    reaction=Reaction.PERMANENT,
    reason=Reason.PLATFORM_REJECTED,
    remedy="Correct the template or the job variables.",
)
_UNKNOWN = _row(
    reaction=Reaction.UNCERTAIN,
    reason=Reason.PUSH_UNCERTAIN,
    remedy="It is looked up by its name before it is sent again.",
)
