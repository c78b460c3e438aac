"""How is a run scheduled? By one conditional put: that insert is the run-scheduled event."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from push_dispatch.core.errors import Invalid, Misconfigured, NotFound, Unavailable
from push_dispatch.core.model import DEFAULT_QUEUE, Collision, Pool, Ready, Run, RunState
from push_dispatch.platforms.registry import needs_command
from push_dispatch.ports import Ports

if TYPE_CHECKING:
    from push_dispatch.core.template import Layer

__all__ = [
    "Check",
    "Request",
    "Submitted",
    "check_request",
    "copies",
    "prepare",
    "submit",
    "submit_many",
]

log = logging.getLogger(__name__)

#: Raises Invalid if job variables, weakest layer first, do not fit a base job template, or if a
#: command is needed (the third argument) and there is none. Handed over by those who submit
#: (`validation.check`), so that the path of a run stays light.
Check = Callable[[Mapping[str, Any], "Sequence[Layer]", bool], None]

#: Places in line sort by 13 digits of milliseconds: until November 2286.
_LAST_TIME = 10**13 - 1
_LARGEST = 10**9
_HALF = re.compile("[\ud800-\udfff]")
#: Runs that are stored before the next ones get their ids.
_AT_ONCE = 1000


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
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Submitted:
    """The run as stored, and whether this submission created it."""

    run: Run
    created: bool
    #: If it did not: what was asked for that the run under the same key has otherwise, such as
    #: `command`; nothing of it was stored.
    differs: tuple[str, ...] = ()


def submit(ports: Ports, request: Request, *, check: Check | None = None) -> Submitted:
    """Schedule one run. With an idempotency key, asking again returns the run that is there.

    Raises Invalid (`invalid_input`, `invalid_time`, `invalid_variables`, `enforced_variable`,
    `secret_not_allowed`, `run_too_large`), NotFound (`pool_not_found`, `queue_not_found`),
    Unavailable. Nothing is stored then.
    """
    return submit_many(ports, [request], check=check)[0]


def submit_many(
    ports: Ports, requests: Sequence[Request], *, check: Check | None = None
) -> list[Submitted]:
    """Schedule many runs, in their order. All are validated before the first is stored, their job
    variables if `check` is given; raises as `submit` does."""
    pools = {name: pool_named(ports, name) for name in {r.pool for r in requests}}
    runs = [prepare(ports, pools[request.pool], request) for request in requests]
    if check is not None:
        _check_variables(ports, pools, runs, check)
    _check_secrets(pools, runs)
    submitted: list[Submitted] = []
    for start in range(0, len(runs), _AT_ONCE):
        submitted += _store(ports, [_now(ports, run) for run in runs[start : start + _AT_ONCE]])
    return submitted


def pool_named(ports: Ports, name: str) -> Pool:
    """The pool; raises NotFound (`pool_not_found`)."""
    pool = ports.store.pool(name)
    if pool is None:
        raise NotFound(f"there is no pool {name!r}", reason="pool_not_found")
    return pool


def prepare(ports: Ports, pool: Pool, request: Request) -> Run:
    """The run that a request would create; stores nothing. Raises Invalid, NotFound."""
    if pool.queue(request.queue) is None:
        names = ", ".join(queue.name for queue in pool.in_order)
        raise NotFound(
            f"pool {pool.name!r} has no queue {request.queue!r}; it has: {names}",
            reason="queue_not_found",
        )
    check_request(request)
    now = ports.clock()
    due = now if request.at is None else max(now, request.at)
    order = ports.new_id()
    keyed = bool(request.idempotency_key)
    return Run(
        pool=pool.name,
        uuid=_keyed_id(pool.name, request.idempotency_key) if keyed else order,
        queue=request.queue,
        due=due,
        submitted_at=now,
        order=order,
        name=request.name,
        variables=request.variables,
        deployment_variables=request.deployment_variables,
        deployment=request.deployment,
        collision=request.collision,
        parameters=request.parameters,
        tags=request.tags,
        idempotency_key=request.idempotency_key,
        concurrency_key=request.concurrency_key,
        traceparent=request.traceparent,
        timeout_seconds=request.timeout_seconds,
        expires=_expiry(due, request.start_within),
        retries=request.retries,
        crash_retries=request.crash_retries,
        retry_delay_seconds=request.retry_delay_seconds,
    )


def copies(request: Request, count: int) -> list[Request]:
    """The same request `count` times; an idempotency key gets a number."""
    if count < 1:
        raise Invalid(f"count {count} is not valid: a whole number from 1 on")
    if not request.idempotency_key:
        return [request] * count
    key = request.idempotency_key
    return [replace(request, idempotency_key=f"{key}-{n}") for n in range(1, count + 1)]


def _now(ports: Ports, run: Run) -> Run:
    """The run with a fresh id, if its id is not determined by its key: the sweep's audit takes the
    time in an id for the time of the insert, and storing many runs takes minutes."""
    order = ports.new_id()
    return replace(run, order=order, uuid=run.uuid if run.idempotency_key else order)


def _store(ports: Ports, runs: Sequence[Run]) -> list[Submitted]:
    stored = ports.store.add_runs(runs)
    _enqueue_keyed(ports, stored)
    return [_submitted(ours, run) for ours, run in zip(runs, stored, strict=True)]


#: What makes a request with the same key another one.
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


def _submitted(ours: Run, stored: Run) -> Submitted:
    if stored.order == ours.order:
        return Submitted(stored, created=True)
    return Submitted(stored, created=False, differs=tuple(_differences(ours, stored)))


def _differences(ours: Run, stored: Run) -> Iterator[str]:
    for name in _CONTENT:
        wanted, found = getattr(ours, name), getattr(stored, name)
        if isinstance(wanted, Mapping):
            names = dict.fromkeys((*wanted, *found))
            yield from (str(key) for key in names if wanted.get(key) != found.get(key))
        elif wanted != found:
            yield name.replace("_", " ")


def _enqueue_keyed(ports: Ports, runs: Sequence[Run]) -> None:
    """Enqueue the runs whose ids do not begin with the time: the sweep's audit cannot find them if
    the record of their insert is lost. The stream does the same; only if both fail it is missing.
    """
    places: dict[str, list[Ready]] = defaultdict(list)
    for run in runs:
        if run.idempotency_key and run.state is RunState.SCHEDULED:
            places[run.pool].append(Ready.of(run))
    for pool, entries in places.items():
        try:
            ports.store.enqueue(pool, entries, ports.clock())
        except (Misconfigured, Unavailable) as error:
            # The runs are stored, so the submission has succeeded.
            log.warning("pool %s: left to the stream to enqueue: %s", pool, error.message)


def _check_secrets(pools: Mapping[str, Pool], runs: Sequence[Run]) -> None:
    """Once for all copies of a request, as below. The push checks the same for runs of others."""
    # Like `_check_variables`, it loads the template language.
    from push_dispatch.core import secret_references as secrets  # noqa: PLC0415

    given = {(r.pool, id(v)): v for r in runs for v in (r.variables, r.deployment_variables) if v}
    for (pool, _), variables in given.items():
        secrets.check_secrets(pool, pools[pool].secrets, secrets.secret_references(variables))


def _check_variables(
    ports: Ports, pools: Mapping[str, Pool], runs: Sequence[Run], check: Check
) -> None:
    """Once for all copies of a request: they share their variables."""
    from push_dispatch.engine.job import layers_of  # noqa: PLC0415 - loads the template language

    templates = {name: ports.store.template(name, pool.template) for name, pool in pools.items()}
    distinct = {(r.pool, id(r.variables), id(r.deployment_variables)): r for r in runs}
    for run in distinct.values():
        template = templates[run.pool]
        if template is None:
            raise Invalid(f"pool {run.pool!r} has no base job template", reason="template_invalid")
        check(template, layers_of(run), needs_command(pools[run.pool].type))


def check_request(request: Request) -> None:
    """Raise Invalid if a number or a text is out of bounds, whatever the pool."""
    _check_numbers(request)
    _check_texts(request)


def _check_numbers(request: Request) -> None:
    if request.at is not None and request.at > _LAST_TIME:
        raise Invalid("the run is due too late: November 2286 at the latest", reason="invalid_time")
    for name, value, least in (
        ("retries", request.retries, 0),
        ("crash retries", request.crash_retries, 0),
        ("retry delay", request.retry_delay_seconds, 0),
        ("timeout", request.timeout_seconds, 1),
        ("start within", request.start_within, 1),
    ):
        if value is not None and not (type(value) is int and least <= value <= _LARGEST):
            raise Invalid(f"{name} {value} is not valid: a whole number from {least} to {_LARGEST}")


def _expiry(due: int, start_within: int | None) -> int | None:
    return None if start_within is None else min(_LAST_TIME, due + start_within * 1000)


def _check_texts(request: Request) -> None:
    for what, text, most in (
        ("run name", request.name, 200),
        ("idempotency key", request.idempotency_key, 500),
        ("concurrency key", request.concurrency_key, 100),
        *(("tag", tag, 100) for tag in request.tags),
    ):
        if _HALF.search(text):
            raise Invalid(f"{what} is not valid Unicode (half of a surrogate pair)")
        if len(text) > most:
            raise Invalid(
                f"{what} {text[:30] + '…'!r} has {len(text)} characters: at most {most} are taken"
            )


def _keyed_id(pool: str, key: str) -> str:
    """A uuid (version 8) that depends on pool and key alone."""
    digest = bytearray(hashlib.sha256(f"{pool}\0{key}".encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))
