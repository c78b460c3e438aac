"""Pools, their base job templates and their queues."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from push_dispatch.api.v1 import answers, declarations, queries
from push_dispatch.api.v1.configuration import (
    changed_pool,
    changed_queue,
    check_match,
    creates_only,
    fields_of,
    keep_fallbacks,
    pool_of,
    queue_of,
    template_of,
    whole,
)
from push_dispatch.api.v1.table import TABLE, Answer, Call, Nothing
from push_dispatch.control.known import pool_named, queue_named
from push_dispatch.control.pool_checks import check_pool
from push_dispatch.control.pools import (
    change_pool,
    create_pool,
    create_queue,
    delete_pool,
    delete_queue,
    keep_defaults,
    keep_template,
)
from push_dispatch.core.errors import NotFound, Refused, Unreadable
from push_dispatch.core.model import Pool, Queue
from push_dispatch.core.reasons import Reason
from push_dispatch.core.template import with_defaults
from push_dispatch.core.validation import check_template
from push_dispatch.insight.views import pool_view, queue_view
from push_dispatch.ports import Ports

__all__: list[str] = []

log = logging.getLogger(__name__)
_CONDITIONS = ("If-Match", "If-None-Match")


@TABLE.route("GET", "/v1/pools", {200: answers.Page[answers.Pool]})
def list_pools(call: Call[queries.Cursor, Nothing]) -> Answer:
    """List the pools with their queues and the slots they hold, in the order of names."""
    names = [name for name in call.ports.store.pool_names() if name > call.query.after]
    page = names[: call.query.limit]
    items = [view for name in page if (view := _readable(call.ports, name))]
    return Answer({"items": items, "next": page[-1] if len(names) > len(page) else None})


@TABLE.route("GET", "/v1/pools/{pool}", {200: answers.Pool}, etag=True)
def show_pool(call: Call[Nothing, Nothing]) -> Answer:
    """Show a pool with its queues and the slots they hold. The ETag names the version of its
    configuration."""
    return _pool(call, pool_named(call.ports, call.path["pool"]))


@TABLE.route(
    "PUT",
    "/v1/pools/{pool}",
    {200: answers.Pool, 201: answers.Pool},
    headers=_CONDITIONS,
    etag=True,
)
def put_pool(call: Call[Nothing, declarations.PoolSettings]) -> Answer:
    """Create a pool with its default queue, or replace its settings. Its queues stay, and what
    runs goes on."""
    name, settings = call.path["pool"], call.body
    given, variables = settings.of_template
    template = with_defaults(template_of(settings.type, given), variables)
    wanted = pool_of(name, settings)
    check_pool(wanted, template)
    if call.ports.store.pool(name) is None:
        check_match(call.headers, None, f"pool {name!r}")
        fallbacks = keep_fallbacks(call.ports, name, settings.fallbacks)
        created = create_pool(call.ports, replace(wanted, fallbacks=fallbacks), template)
        return _pool(call, created, 201)
    if creates_only(call.headers):
        raise Refused(f"pool {name!r} exists", reason=Reason.POOL_EXISTS)

    def replaced(pool: Pool) -> Pool:
        check_match(call.headers, str(pool.version), f"pool {name!r}")
        if pool.type != settings.type:
            problem = f"pool {name!r} has the type {pool.type!r}: delete it first"
            raise Refused(problem, reason=Reason.POOL_EXISTS)
        return replace(
            wanted,
            template=digest,
            fallbacks=fallbacks,
            queues=pool.queues,
            retired=pool.retired,
            deployment_limits=pool.deployment_limits,
            deployment_max_waiting=pool.deployment_max_waiting,
            laned=pool.laned,
            version=pool.version,
        )

    fallbacks = keep_fallbacks(call.ports, name, settings.fallbacks)
    digest = keep_template(call.ports, name, template)
    return _pool(call, change_pool(call.ports, name, replaced))


@TABLE.route("PATCH", "/v1/pools/{pool}", {200: answers.Pool}, headers=("If-Match",), etag=True)
def change_pool_settings(call: Call[Nothing, declarations.PoolChange]) -> Answer:
    """Change what is given of a pool, and leave the rest; null clears a limit or a rate. Stops no
    run."""
    name = call.path["pool"]

    def changed(pool: Pool) -> Pool:
        check_match(call.headers, str(pool.version), f"pool {name!r}")
        after = changed_pool(pool, call.body)
        return replace(after, template=_template_after(call.ports, pool, call.body))

    return _pool(call, change_pool(call.ports, name, changed))


@TABLE.route(
    "POST", "/v1/pools/{pool}/change", {200: answers.Pool}, headers=("If-Match",), etag=True
)
def change_pool_and_queues(call: Call[Nothing, declarations.Change]) -> Answer:
    """Change what is given of a pool and of its queues, all at once or not at all: what
    `simulate` has tried out, in the same words."""
    name = call.path["pool"]

    def changed(pool: Pool) -> Pool:
        check_match(call.headers, str(pool.version), f"pool {name!r}")
        after = whole(pool, call.body)
        return replace(after, template=_template_after(call.ports, pool, call.body.pool))

    return _pool(call, change_pool(call.ports, name, changed))


@TABLE.route("DELETE", "/v1/pools/{pool}", {200: answers.Deleted})
def remove_pool(call: Call[queries.DeletePool, Nothing]) -> Answer:
    """Delete a pool and its queues. Runs that hold a slot keep it from being deleted."""
    cancelled = delete_pool(call.ports, call.path["pool"], force=call.query.force)
    return Answer({"deleted": call.path["pool"], "runs": cancelled})


@TABLE.route("POST", "/v1/pools/{pool}/pause", {200: answers.Pool}, etag=True)
def pause_pool(call: Call[Nothing, Nothing]) -> Answer:
    """Stop admitting runs of a pool; those that run go on."""
    return _pool(call, _set_paused(call, paused=True))


@TABLE.route("POST", "/v1/pools/{pool}/resume", {200: answers.Pool}, etag=True)
def resume_pool(call: Call[Nothing, Nothing]) -> Answer:
    """Admit runs of a pool again."""
    return _pool(call, _set_paused(call, paused=False))


@TABLE.route("GET", "/v1/pools/{pool}/template", {200: answers.Template}, etag=True)
def show_template(call: Call[Nothing, Nothing]) -> Answer:
    """Show the base job template of a pool."""
    pool = pool_named(call.ports, call.path["pool"])
    template = call.ports.store.template(pool.name, pool.template)
    if template is None:
        raise NotFound(f"pool {pool.name!r} has no base job template")
    value = {"digest": pool.template, "base_job_template": template}
    return Answer(value, etag=str(pool.version))


@TABLE.route(
    "PUT", "/v1/pools/{pool}/template", {200: answers.Pool}, headers=("If-Match",), etag=True
)
def put_template(call: Call[Nothing, declarations.TemplateSettings]) -> Answer:
    """Replace the base job template of a pool. Attempts that were claimed before keep theirs."""
    name = call.path["pool"]
    check_template(call.body.base_job_template)
    digest = keep_template(call.ports, name, call.body.base_job_template)

    def changed(pool: Pool) -> Pool:
        check_match(call.headers, str(pool.version), f"pool {name!r}")
        return replace(pool, template=digest)

    return _pool(call, change_pool(call.ports, name, changed))


# -- queues -----------------------------------------------------------------------------------


@TABLE.route("GET", "/v1/pools/{pool}/queues", {200: answers.Items[answers.Queue]}, etag=True)
def list_queues(call: Call[Nothing, Nothing]) -> Answer:
    """List the queues of a pool, first served first."""
    pool = pool_named(call.ports, call.path["pool"])
    ledger = call.ports.store.ledger(pool.name)
    items = [queue_view(pool, queue, ledger) for queue in pool.in_order]
    return Answer({"items": items}, etag=str(pool.version))


@TABLE.route("GET", "/v1/pools/{pool}/queues/{queue}", {200: answers.Queue}, etag=True)
def show_queue(call: Call[Nothing, Nothing]) -> Answer:
    """Show a queue and the slots it holds. The ETag is that of its pool."""
    return _queue(call, pool_named(call.ports, call.path["pool"]))


@TABLE.route(
    "PUT",
    "/v1/pools/{pool}/queues/{queue}",
    {200: answers.Queue, 201: answers.Queue},
    headers=_CONDITIONS,
    etag=True,
)
def put_queue(call: Call[Nothing, declarations.QueueSettings]) -> Answer:
    """Create a queue, or replace its settings; a priority that is taken shifts other queues."""
    pool, name, settings = call.path["pool"], call.path["queue"], call.body
    before = pool_named(call.ports, pool)
    if before.queue(name) is None:
        check_match(call.headers, None, f"queue {name!r}")
        wanted, priority = queue_of(name, settings), fields_of(settings).get("priority")
        after = create_queue(call.ports, pool, wanted, priority=priority)
        return _queue(call, after, 201)
    if creates_only(call.headers):
        problem = f"pool {pool!r} has a queue {name!r} already"
        raise Refused(problem, reason=Reason.QUEUE_EXISTS)
    return _queue(call, _changed(call, settings))


@TABLE.route(
    "PATCH",
    "/v1/pools/{pool}/queues/{queue}",
    {200: answers.Queue},
    headers=("If-Match",),
    etag=True,
)
def change_queue_settings(call: Call[Nothing, declarations.QueueChange]) -> Answer:
    """Change what is given of a queue, and leave the rest; null clears a limit or a rate."""
    return _queue(call, _changed(call, call.body))


@TABLE.route("DELETE", "/v1/pools/{pool}/queues/{queue}", {200: answers.Deleted})
def remove_queue(call: Call[Nothing, Nothing]) -> Answer:
    """Delete a queue; the runs that wait in it move to the default queue."""
    moved = delete_queue(call.ports, call.path["pool"], call.path["queue"])
    return Answer({"deleted": call.path["queue"], "runs": moved})


@TABLE.route("POST", "/v1/pools/{pool}/queues/{queue}/pause", {200: answers.Queue}, etag=True)
def pause_queue(call: Call[Nothing, Nothing]) -> Answer:
    """Stop admitting runs of a queue; those that run go on."""
    return _queue(call, _changed(call, declarations.QueueChange(paused=True)))


@TABLE.route("POST", "/v1/pools/{pool}/queues/{queue}/resume", {200: answers.Queue}, etag=True)
def resume_queue(call: Call[Nothing, Nothing]) -> Answer:
    """Admit runs of a queue again."""
    return _queue(call, _changed(call, declarations.QueueChange(paused=False)))


# -- details ----------------------------------------------------------------------------------


def _template_after(ports: Ports, pool: Pool, change: declarations.PoolChange) -> str:
    """The digest of the pool's template after a change, which is kept."""
    return keep_defaults(ports, pool, *change.of_template)


def _pool(call: Call[Any, Any], pool: Pool, status: int = 200) -> Answer:
    view = pool_view(pool, call.ports.store.ledger(pool.name))
    return Answer(view, status, etag=str(pool.version), location=_created(status, call))


def _queue(call: Call[Any, Any], pool: Pool, status: int = 200) -> Answer:
    queue: Queue = queue_named(pool, call.path["queue"])
    view = queue_view(pool, queue, call.ports.store.ledger(pool.name))
    return Answer(view, status, etag=str(pool.version), location=_created(status, call))


def _created(status: int, call: Call[Any, Any]) -> str | None:
    if status != 201:
        return None
    pool, queue = call.path["pool"], call.path.get("queue")
    return f"/v1/pools/{pool}" + (f"/queues/{queue}" if queue else "")


def _set_paused(call: Call[Any, Any], *, paused: bool) -> Pool:
    return change_pool(call.ports, call.path["pool"], lambda p: replace(p, paused=paused))


def _changed(call: Call[Any, Any], change: declarations.QueueChange) -> Pool:
    pool, name = call.path["pool"], call.path["queue"]

    def changed(before: Pool) -> Pool:
        check_match(call.headers, str(before.version), f"queue {name!r}")
        return changed_queue(before, name, change)

    return change_pool(call.ports, pool, changed)


def _readable(ports: Ports, name: str) -> dict[str, object] | None:
    """The view of a pool; None if it is malformed in the table, which the log says."""
    try:
        pool = ports.store.pool(name)
    except Unreadable as error:
        log.warning("%s", error.message)
        return None
    return None if pool is None else pool_view(pool, ports.store.ledger(name))
