"""What do the functions tell each other, and when does it arrive?

Messages arrive at least once and in any order. Nothing depends on one that is lost for good: the
sweep sends again whatever the table shows to be unfinished.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

from push_dispatch.core.bounds import parse_json
from push_dispatch.core.model import Slot

__all__ = [
    "Message",
    "Messages",
    "Poll",
    "Push",
    "StopAttempt",
    "Wake",
    "Watch",
    "decode",
    "encode",
]


@dataclass(frozen=True, slots=True)
class Push:
    """Start this attempt."""

    run: str
    attempt: int
    #: The pool's type, or that of the fallback whose turn it is.
    type: str
    #: Digest of the base job template to render.
    template: str
    #: The claim under which it was tried before; that push goes on where this one stopped.
    claim: str = ""
    #: 0 for the pool's own type, n for its n-th fallback.
    fallback: int = 0
    #: The pool has fallbacks: read them first.
    gated: bool = False
    #: Tries that failed; waiting for the platform is none.
    tries: int = 0
    #: The last try may have started it: look first.
    uncertain: bool = False
    #: Since when the run has held its slot without being started, in epoch milliseconds.
    since: int = 0
    #: What the last try failed of, if that was no answer of the platform but a fault in code.
    fault: str = ""


@dataclass(frozen=True, slots=True)
class StopAttempt:
    """Stop this attempt: its run is CANCELLING."""

    run: str
    attempt: int
    #: How often the platform could not be reached.
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Watch:
    """One attempt to look at."""

    handle: str
    run: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask the platform about these attempts, of which nothing was heard for a while; or, with a
    pool, about those of its young attempts whose turn it is."""

    platform: str
    attempts: tuple[Watch, ...]
    #: How often this was sent again.
    tries: int = 0
    pool: str = ""
    #: The turn that this is for, in epoch milliseconds: see `core.polling`.
    at: int = 0


@dataclass(frozen=True, slots=True)
class Wake:
    """Dispatch this pool: a run is due, or slots are free that the stream does not tell about."""

    pool: str
    ended: tuple[Slot, ...] = ()
    #: Runs that are due by then and are cancelled if their deployment runs already.
    due: tuple[str, ...] = ()


Message = Push | StopAttempt | Poll


class Messages(Protocol):
    """Sends. Both verbs raise Unavailable; then some of the messages may have been sent."""

    def send(self, platform: str, messages: Sequence[Message], delay_seconds: int = 0) -> None:
        """To the function of a platform. Raises NotFound (`platform_not_configured`) if none is
        deployed. A delay of more than 900 seconds is cut to that."""
        ...

    def wake(self, wakes: Sequence[Wake], delay_seconds: int = 0) -> None:
        """To dispatch."""
        ...


_VERBS = {"push": Push, "stop": StopAttempt, "look": Poll, "wake": Wake}
_NAMES = {cls: name for name, cls in _VERBS.items()}


def encode(message: Message | Wake) -> str:
    """The body of a message."""
    return json.dumps({"verb": _NAMES[type(message)], **asdict(message)}, separators=(",", ":"))


def decode(body: str) -> Message | Wake:
    """The message in a body. Raises ValueError, KeyError or TypeError if it is none."""
    document = parse_json(body)
    if not isinstance(document, dict):
        raise ValueError("a message is a JSON object")  # noqa: TRY004 - callers catch one kind
    match document.pop("verb"):
        case "look":
            watches = tuple(Watch(**w) for w in document["attempts"])
            more = {name: document[name] for name in ("tries", "pool", "at") if name in document}
            return Poll(document["platform"], watches, **more)
        case "wake":
            ended = tuple(Slot(str(run), int(n)) for run, n in document.get("ended", ()))
            due = tuple(map(str, document.get("due", ())))
            return Wake(_text(document, "pool"), ended, due)
        case verb:
            cls = {"push": Push, "stop": StopAttempt}[verb]
            # While a new version is being deployed, messages of both are on their way.
            known = {field.name for field in fields(cls)}
            _text(document, "run")
            message: Message = cls(**{k: v for k, v in document.items() if k in known})
            return message


def _text(document: dict[str, Any], name: str) -> str:
    found = document[name]
    if not isinstance(found, str):
        raise ValueError(f"{name} is not text")  # noqa: TRY004
    return found
