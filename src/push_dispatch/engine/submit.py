"""How is a run scheduled? By one conditional put: that insert is the run-scheduled event."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from push_dispatch.core.errors import Invalid, Misconfigured, NotFound, Unavailable
from push_dispatch.core.model import Pool, Ready, Run, RunState
from push_dispatch.core.reasons import Reason
from push_dispatch.core.request import Check, Request, check_request, differences, run_of
from push_dispatch.engine.claims import claimed
from push_dispatch.engine.eager import FEW, admit, look
from push_dispatch.engine.waiting import take_seats, vacate
from push_dispatch.platforms.registry import needs_command
from push_dispatch.ports import Ports
from push_dispatch.ports.store import Overview

__all__ = [
    "Submitted",
    "prepare",
    "submit",
    "submit_many",
]

log = logging.getLogger(__name__)

#: Runs that are stored before the next ones get their ids.
_AT_ONCE = 1000


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
    `secret_not_allowed`, `run_too_large`), NotFound (`pool_not_found`, `queue_not_found`), Refused
    (`too_many_waiting`), Unavailable. Nothing is stored then.
    """
    return submit_many(ports, [request], check=check)[0]


def submit_many(
    ports: Ports, requests: Sequence[Request], *, check: Check | None = None
) -> list[Submitted]:
    """Schedule many runs, in their order. All are validated before the first is stored, their job
    variables if `check` is given; raises as `submit` does."""
    names = {request.pool for request in requests}
    at_once = len(requests) <= FEW and all(request.at is None for request in requests)
    seen = look(ports, names) if at_once else {}
    pools = {name: _existing(name, s.pool) for name, s in seen.items()}
    pools |= {name: pool_named(ports, name) for name in names - seen.keys()}
    runs = [prepare(ports, pools[request.pool], request) for request in requests]
    if check is not None:
        _check_variables(ports, pools, runs, check)
    _check_secrets(pools, runs)
    runs = claimed(ports, pools, runs)
    seated = take_seats(ports, pools, runs)
    submitted: list[Submitted] = []
    for start in range(0, len(runs), _AT_ONCE):
        batch = runs[start : start + _AT_ONCE]
        # Seats are named after the order of their runs.
        batch = [r if r.order in seated else _now(ports, r) for r in batch]
        submitted += _store(ports, batch, seen)
    if seated:
        _vacate_unused(ports, pools, runs, submitted)
    return submitted


def _vacate_unused(
    ports: Ports, pools: Mapping[str, Pool], runs: Sequence[Run], submitted: Sequence[Submitted]
) -> None:
    """Another submission under the same key was first: its run has a seat of its own."""
    for run, done in zip(runs, submitted, strict=True):
        if not done.created:
            vacate(ports, pools[run.pool], [Ready.of(run)])


def pool_named(ports: Ports, name: str) -> Pool:
    """The pool; raises NotFound (`pool_not_found`)."""
    return _existing(name, ports.store.pool(name))


def _existing(name: str, pool: Pool | None) -> Pool:
    if pool is None:
        raise NotFound(f"there is no pool {name!r}", reason=Reason.POOL_NOT_FOUND)
    return pool


def prepare(ports: Ports, pool: Pool, request: Request) -> Run:
    """The run that a request would create; stores nothing. Raises Invalid, NotFound."""
    if pool.queue(request.queue) is None:
        names = ", ".join(queue.name for queue in pool.in_order)
        raise NotFound(
            f"pool {pool.name!r} has no queue {request.queue!r}; it has: {names}",
            reason=Reason.QUEUE_NOT_FOUND,
        )
    check_request(request)
    return run_of(request, now=ports.clock(), order=ports.new_id())


def _now(ports: Ports, run: Run) -> Run:
    """The run with a fresh id, if its id is not determined by its key: the sweep's audit takes the
    time in an id for the time of the insert, and storing many runs takes minutes."""
    order = ports.new_id()
    return replace(run, order=order, uuid=run.uuid if run.idempotency_key else order)


def _store(ports: Ports, runs: Sequence[Run], seen: Mapping[str, Overview]) -> list[Submitted]:
    stored = ports.store.add_runs(runs)
    new = [there for ours, there in zip(runs, stored, strict=True) if there.order == ours.order]
    started = admit(ports, new, seen)
    _enqueue_keyed(ports, [run for run in stored if run.id not in started])
    return [_submitted(ours, run) for ours, run in zip(runs, stored, strict=True)]


def _submitted(ours: Run, stored: Run) -> Submitted:
    if stored.order == ours.order:
        return Submitted(stored, created=True)
    return Submitted(stored, created=False, differs=tuple(differences(ours, stored)))


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
            raise Invalid(
                f"pool {run.pool!r} has no base job template", reason=Reason.TEMPLATE_INVALID
            )
        check(template, layers_of(run), needs_command(pools[run.pool].type))
