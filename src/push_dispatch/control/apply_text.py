"""What does a plan say? Every value that changes, in terms of the runs concerned. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from push_dispatch.control.apply_sharing import sharing_changes, waiting_words
from push_dispatch.core.deployment import Deployment, to_document
from push_dispatch.core.model import DEFAULT_QUEUE, Fallback, Ledger, Pool, Queue, Rate
from push_dispatch.core.schedule import Schedule, expression_of
from push_dispatch.core.validation import enforced

__all__ = [
    "deployment_changes",
    "new_deployment",
    "new_pool",
    "pool_changes",
    "queue_deleted",
    "template_changes",
]

#: Values of a template that a plan lists; of others it names the number.
_LISTED = 20
_POOL_FIELDS = (
    "description",
    "key_limit",
    "rate",
    "platform_rate",
    "hold_seconds",
    "give_up_seconds",
    "fallbacks",
    "secrets",
    "weights",
    "backfill",
    "ageing_seconds",
)
_QUEUE_FIELDS = ("description", "key_limit", "rate")


def new_pool(
    pool: Pool, template: Mapping[str, Any], variables: Mapping[str, Any]
) -> Iterator[str]:
    """What a new pool is like; `variables` are the defaults that it sets in its template."""
    yield f"type {pool.type}, {_limit(pool.limit)}"
    if pool.paused:
        yield "paused: nothing starts"
    yield from _values(replace(pool, backfill=""), _POOL_FIELDS)  # type: ignore[arg-type]
    yield from sharing_changes(replace(pool, limits=(), capacity={}), pool, Ledger(pool.name))
    yield f"base job template {pool.template}"
    if variables:
        yield f"job variables {_shown(variables)}"
    for name, allowed in enforced(template).items():
        yield f"variable {name} is enforced" + ("" if allowed is True else f": {_shown(allowed)}")
    for queue in pool.in_order:
        yield _new_queue(queue)


def pool_changes(now: Pool, then: Pool, ledger: Ledger) -> Iterator[str]:
    """What changes about a pool and its queues, but for its template and the queues that go."""
    held = Counter(holder.queue for holder in ledger.holders)
    if now.type != then.type:
        yield f"type {now.type} → {then.type}: runs that start from now on"
    if now.limit != then.limit:
        yield _limit_change(now.limit, then.limit, held.total())
    if now.paused != then.paused:
        yield _pause_change(paused=then.paused, held=held.total())
    yield from _changes(now, then, _POOL_FIELDS)
    yield from sharing_changes(now, then, ledger)
    for queue in then.in_order:
        known = now.queue(queue.name)
        if known is None:
            yield f"{_new_queue(queue)} (created)"
        else:
            for change in _queue_changes(known, queue, held[queue.name]):
                yield f"queue `{queue.name}`: {change}"


def queue_deleted(name: str, waiting: int, *, more: bool) -> str:
    """What becomes of the runs of a queue that goes."""
    count = f"{waiting} or more" if more else str(waiting)
    return f"queue `{name}` deleted: {count} waiting runs move to `{DEFAULT_QUEUE}`"


def template_changes(now: Mapping[str, Any], then: Mapping[str, Any]) -> Iterator[str]:
    """What changes in a base job template, value by value."""
    yield "base job template: runs that start from now on"
    before, after = dict(_leaves(now, "")), dict(_leaves(then, ""))
    paths = [path for path in before | after if before.get(path, _NONE) != after.get(path, _NONE)]
    for path in paths[:_LISTED]:
        old, new = before.get(path, _NONE), after.get(path, _NONE)
        yield f"base job template: {path} {_shown(old)} → {_shown(new)}"
    if len(paths) > _LISTED:
        yield f"base job template: and {len(paths) - _LISTED} more values"


def new_deployment(deployment: Deployment) -> Iterator[str]:
    """What a new deployment is like."""
    yield f"pool {deployment.pool}, queue {deployment.queue}"
    document = to_document(deployment)
    for field in fields(Deployment):
        if field.name in document and field.name not in ("pool", "queue", "schedules"):
            yield f"{_words(field.name)} {_shown(document[field.name])}"
    for schedule in deployment.schedules:
        yield f"schedule `{schedule.name}`: {_schedule(schedule)}"


def deployment_changes(now: Deployment, then: Deployment) -> Iterator[str]:
    """What changes about a deployment and its schedules."""
    names = tuple(f.name for f in fields(Deployment) if f.name not in ("name", "schedules"))
    yield from _changes(now, then, names)
    before = {schedule.name: schedule for schedule in now.schedules}
    after = {schedule.name: schedule for schedule in then.schedules}
    for name in before | after:
        old, new = before.get(name), after.get(name)
        if old != new:
            shown = (_schedule(old) if old else "none", _schedule(new) if new else "none")
            yield f"schedule `{name}`: {' → '.join(shown)}"


# -- details ----------------------------------------------------------------------------------


_NONE = object()


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _new_queue(queue: Queue) -> str:
    more = [*(["paused"] if queue.paused else []), *_values(queue, _QUEUE_FIELDS)]
    if queue.max_waiting is not None:
        more.append(f"max_waiting {queue.max_waiting}")
    facts = ", ".join((f"priority {queue.priority}", _limit(queue.limit), *more))
    return f"queue `{queue.name}`: {facts}"


def _queue_changes(now: Queue, then: Queue, held: int) -> Iterator[str]:
    if now.priority != then.priority:
        yield f"priority {now.priority} → {then.priority}"
    if now.limit != then.limit:
        yield _limit_change(now.limit, then.limit, held)
    if now.paused != then.paused:
        yield _pause_change(paused=then.paused, held=held)
    if now.max_waiting != then.max_waiting:
        yield waiting_words(now.max_waiting, then.max_waiting)
    yield from _changes(now, then, _QUEUE_FIELDS)


def _values(value: Any, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if content := getattr(value, name):
            yield f"{_words(name)} {_shown(content)}"


def _changes(now: Any, then: Any, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        before, after = getattr(now, name), getattr(then, name)
        if before != after:
            yield f"{_words(name)} {_shown(before)} → {_shown(after)}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _limit(limit: int | None) -> str:
    return "no limit" if limit is None else f"limit {limit}"


def _limit_change(now: int | None, then: int | None, held: int) -> str:
    change = f"limit {_shown(now)} → {_shown(then)}"
    if then is not None and held > then:
        return f"{change}: {held - then} runs finish above the limit, nothing is stopped"
    return change


def _pause_change(*, paused: bool, held: int) -> str:
    if paused:
        return f"paused: nothing starts, {held} runs under way go on"
    return "resumed"


def _schedule(schedule: Schedule) -> str:
    facts = [f"{expression_of(schedule)} {schedule.timezone}"]
    if not schedule.active:
        facts.append("not active")
    if schedule.jitter_seconds:
        facts.append(f"jitter {schedule.jitter_seconds} s")
    facts += _values(schedule, ("parameters", "job_variables"))
    return ", ".join(facts)


def _shown(value: Any) -> str:
    match value:
        case None | "" | () | []:
            return "none"
        case str():
            return value
        case Rate():
            return f"{value.starts} starts in {value.period_seconds} s"
        case tuple() | list() if value and all(isinstance(x, Fallback) for x in value):
            return ", ".join(f"{x.type} (template {x.template})" for x in value)
        case _ if value is _NONE:
            return "none"
    return json.dumps(value, ensure_ascii=False, default=list)
