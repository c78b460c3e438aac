"""What does somebody ask for, and which run does it become?

A request is the same whichever door it comes through. `run_of` is the one place that makes a run
of it: a new attribute is a field of `Request` and of `Run`, under one name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from push_dispatch.core import bounds
from push_dispatch.core.bounds import LARGEST, LAST_TIME
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import DEFAULT_QUEUE, MAX_START_BY_SECONDS, Collision, Edge, Run
from push_dispatch.core.reasons import Reason

if TYPE_CHECKING:
    from push_dispatch.core.template import Layer

__all__ = [
    "Check",
    "Request",
    "check_request",
    "copies",
    "differences",
    "keyed_id",
    "request_like",
    "run_of",
]

#: Raises Invalid if job variables, weakest layer first, do not fit a base job template, or if a
#: command is needed (the third argument) and there is none. Handed over by those who submit
#: (`validation.check`), so that the path of a run stays light.
Check = Callable[[Mapping[str, Any], "Sequence[Layer]", bool], None]

_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for. Times in epoch milliseconds, durations in seconds."""

    pool: str
    queue: str = DEFAULT_QUEUE
    variables: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    tags: tuple[str, ...] = ()
    #: Earliest start; None is now.
    at: int | None = None
    #: Seconds after the due time within which the run must start.
    start_within: int | None = None
    #: Seconds after the due time by which it should start: those of its queue that should start
    #: earlier go first.
    start_by_seconds: int | None = None
    timeout_seconds: int | None = None
    retries: int = 0
    crash_retries: int = 0
    retry_delay_seconds: int = 10
    #: The same key in the same pool never creates two runs.
    idempotency_key: str = ""
    concurrency_key: str = ""
    traceparent: str = ""
    deployment: str = ""
    deployment_variables: Mapping[str, Any] = field(default_factory=dict)
    collision: Collision = Collision.ENQUEUE
    debounce_seconds: int | None = None
    debounce_edge: Edge = Edge.TRAILING
    parameters: Mapping[str, Any] = field(default_factory=dict)


#: What a run takes over as it is.
_SAME = tuple({f.name for f in fields(Request)} & {f.name for f in fields(Run)})
#: What makes a request with the same idempotency key another one.
_CONTENT = (
    "variables",
    "deployment_variables",
    "parameters",
    "deployment",
    "name",
    "tags",
    "concurrency_key",
    "timeout_seconds",
    "retries",
    "crash_retries",
    "retry_delay_seconds",
)


def run_of(request: Request, *, now: int, order: str) -> Run:
    """The run that a request creates at `now`; `order` is a fresh uuid7. Checks nothing."""
    keyed = bool(request.idempotency_key)
    due = now if request.at is None else max(now, request.at)
    if request.debounce_seconds and request.debounce_edge is Edge.TRAILING:
        due = min(LAST_TIME, due + request.debounce_seconds * 1000)
    same: dict[str, Any] = {name: getattr(request, name) for name in _SAME}
    return Run(
        **same,
        uuid=keyed_id(request.pool, request.idempotency_key) if keyed else order,
        due=due,
        submitted_at=now,
        order=order,
        expires=_expiry(due, request.start_within),
        start_by=_expiry(due, request.start_by_seconds),
    )


def request_like(run: Run) -> Request:
    """The request that created a run but for its times, with its key and its trace."""
    same: dict[str, Any] = {name: getattr(run, name) for name in _SAME}
    return Request(**same)


def copies(request: Request, count: int) -> list[Request]:
    """The same request `count` times; an idempotency key gets a number."""
    if count < 1:
        raise Invalid(f"count {count} is not valid: an integer of at least 1")
    if not request.idempotency_key:
        return [request] * count
    key = request.idempotency_key
    return [replace(request, idempotency_key=f"{key}-{n}") for n in range(1, count + 1)]


def check_request(request: Request) -> None:
    """Raise Invalid if a number or a text is out of bounds, whatever the pool."""
    _check_numbers(request)
    _check_texts(request)


def differences(ours: Run, stored: Run) -> Iterator[str]:
    """Name what was asked for that the run under the same key has otherwise."""
    for name in _CONTENT:
        wanted, found = getattr(ours, name), getattr(stored, name)
        if isinstance(wanted, Mapping):
            names = dict.fromkeys((*wanted, *found))
            yield from (str(key) for key in names if wanted.get(key) != found.get(key))
        elif wanted != found:
            yield name.replace("_", " ")


def _check_numbers(request: Request) -> None:
    if request.at is not None and request.at > LAST_TIME:
        raise Invalid(
            "the run is due too late: November 2286 at the latest", reason=Reason.INVALID_TIME
        )
    for name, value, least in (
        ("retries", request.retries, 0),
        ("crash retries", request.crash_retries, 0),
        ("retry delay", request.retry_delay_seconds, 0),
        ("timeout", request.timeout_seconds, 1),
        ("start within", request.start_within, 1),
        ("debounce", request.debounce_seconds, 1),
    ):
        if value is not None and not (type(value) is int and least <= value <= LARGEST):
            raise Invalid(f"{name} {value} is not valid: an integer from {least} to {LARGEST}")
    latest = request.start_by_seconds
    if latest is not None and not (type(latest) is int and 1 <= latest <= MAX_START_BY_SECONDS):
        raise Invalid(
            f"start_by_seconds {latest} is not valid: an integer from 1 to {MAX_START_BY_SECONDS}, "
            "7 days"
        )


def _check_texts(request: Request) -> None:
    for what, text, most in (
        ("run name", request.name, bounds.RUN_NAME),
        ("idempotency key", request.idempotency_key, bounds.IDEMPOTENCY_KEY),
        ("concurrency key", request.concurrency_key, bounds.CONCURRENCY_KEY),
        ("traceparent", request.traceparent, bounds.TRACEPARENT),
        *(("tag", tag, bounds.TAG) for tag in request.tags),
    ):
        if _HALF.search(text):
            raise Invalid(f"{what} is not valid Unicode (half of a surrogate pair)")
        if len(text) > most:
            raise Invalid(
                f"{what} {text[:30] + '…'!r} has {len(text)} characters: at most {most} are taken"
            )


def _expiry(due: int, start_within: int | None) -> int | None:
    return None if start_within is None else min(LAST_TIME, due + start_within * 1000)


def keyed_id(pool: str, key: str) -> str:
    """A uuid (version 8) that depends on pool and key alone."""
    digest = bytearray(hashlib.sha256(f"{pool}\0{key}".encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))
