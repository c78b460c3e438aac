"""How does the backend become what a file declares? First a plan that speaks of the runs
concerned, then the changes, each of which can be repeated.

Live state is never touched: occupancy is in the ledgers, which no plan writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from push_dispatch.control.declaration import Declaration, DeclaredPool
from push_dispatch.control.deployments import (
    Deployment,
    check_deployment,
    delete_deployment,
    from_document,
    save_deployment,
    to_document,
)
from push_dispatch.control.pools import (
    change_pool,
    create_pool,
    delete_pool,
    delete_queue,
    pool_named,
)
from push_dispatch.core.model import DEFAULT_QUEUE, Pool, Queue
from push_dispatch.core.schedule import Schedule, expression_of
from push_dispatch.ports import Ports

__all__ = ["Action", "Step", "carry_out", "plan"]

#: Waiting runs of a queue that a plan counts.
_COUNT = 1000


class Action(StrEnum):
    """What a step does."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a plan."""

    action: Action
    #: `pool` or `deployment`.
    kind: str
    name: str
    #: What changes, such as `limit 8 → 4`, each with what it means for runs.
    changes: tuple[str, ...] = ()
    pool: DeclaredPool | None = None
    deployment: Deployment | None = None


def plan(ports: Ports, declared: Declaration, *, prune: bool = False) -> list[Step]:
    """The steps that are needed, in order; none if everything is as declared. Reads only.

    With `prune`, pools and deployments that are not declared are deleted. Raises Invalid, NotFound
    if a declaration could not be carried out.
    """
    steps: list[Step] = []
    for name, pool in declared.pools.items():
        steps += _plan_pool(ports, name, pool)
    for name, deployment in declared.deployments.items():
        steps += _plan_deployment(ports, declared, name, deployment)
    if prune:
        steps += _plan_prune(ports, declared)
    return steps


def carry_out(ports: Ports, step: Step) -> None:
    """Carry out one step. Idempotent. Raises as the use cases of `configure` do."""
    match step.action, step.kind:
        case Action.DELETE, "pool":
            delete_pool(ports, step.name)
        case Action.DELETE, _:
            delete_deployment(ports, step.name)
        case Action.CREATE, "pool":
            _create_pool(ports, _declared(step))
        case Action.UPDATE, "pool":
            _update_pool(ports, _declared(step))
        case _:
            if step.deployment is not None:
                save_deployment(ports, step.deployment)


# -- planning ---------------------------------------------------------------------------------


def _plan_pool(ports: Ports, name: str, declared: DeclaredPool) -> Iterator[Step]:
    current = ports.store.pool(name)
    if current is None:
        text = f"type {declared.pool.type}, {_limit(declared.pool.limit)}"
        yield Step(Action.CREATE, "pool", name, (text, *_new_queues(declared.pool)), declared)
        return
    changes = tuple(_pool_changes(ports, current, declared.pool))
    if changes:
        yield Step(Action.UPDATE, "pool", name, changes, declared)


def _pool_changes(ports: Ports, now: Pool, then: Pool) -> Iterator[str]:
    held = ports.store.ledger(now.name).holders
    if now.type != then.type:
        yield f"type {now.type} → {then.type}: runs that start from now on"
    if now.limit != then.limit:
        yield _limit_change(now.limit, then.limit, len(held))
    if now.paused != then.paused:
        yield _pause_change(paused=then.paused, held=len(held))
    if now.template != then.template:
        yield f"base job template {now.template} → {then.template}: runs that start from now on"
    for field in ("description", "key_limit", "rate", "platform_rate", "fallbacks"):
        before, after = getattr(now, field), getattr(then, field)
        if before != after:
            yield f"{field.replace('_', ' ')} {_shown(before)} → {_shown(after)}"
    used = Counter(holder.queue for holder in held)
    for queue in then.in_order:
        known = now.queue(queue.name)
        if known is None:
            yield f"queue `{queue.name}` created: priority {queue.priority}, {_limit(queue.limit)}"
        else:
            yield from _queue_changes(known, queue, used[queue.name])
    for queue in now.in_order:
        if then.queue(queue.name) is None:
            yield _queue_deleted(ports, now.name, queue.name)


def _queue_changes(now: Queue, then: Queue, held: int) -> Iterator[str]:
    name = f"queue `{now.name}`"
    if now.priority != then.priority:
        yield f"{name}: priority {now.priority} → {then.priority}"
    if now.limit != then.limit:
        yield f"{name}: {_limit_change(now.limit, then.limit, held)}"
    if now.paused != then.paused:
        yield f"{name}: {_pause_change(paused=then.paused, held=held)}"
    for field in ("description", "key_limit", "rate"):
        before, after = getattr(now, field), getattr(then, field)
        if before != after:
            yield f"{name}: {field.replace('_', ' ')} {_shown(before)} → {_shown(after)}"


def _plan_deployment(
    ports: Ports, declared: Declaration, name: str, deployment: Deployment
) -> Iterator[Step]:
    target = declared.pools.get(deployment.pool)
    pool = target.pool if target else pool_named(ports, deployment.pool)
    check_deployment(pool, deployment, _template(ports, target, pool))
    document = ports.store.deployment(name)
    if document is None:
        text = f"pool {deployment.pool}, queue {deployment.queue}"
        schedules = tuple(f"schedule `{s.name}`: {_when(s)}" for s in deployment.schedules)
        yield Step(Action.CREATE, "deployment", name, (text, *schedules), deployment=deployment)
        return
    changes = _document_changes(to_document(from_document(name, document)), to_document(deployment))
    if changes:
        yield Step(Action.UPDATE, "deployment", name, changes, deployment=deployment)


def _document_changes(now: Mapping[str, Any], then: Mapping[str, Any]) -> tuple[str, ...]:
    names = [field.name for field in fields(Deployment)]
    return tuple(
        f"{name.replace('_', ' ')} {_shown(now.get(name))} → {_shown(then.get(name))}"
        for name in names
        if now.get(name) != then.get(name)
    )


def _template(ports: Ports, declared: DeclaredPool | None, pool: Pool) -> Mapping[str, Any]:
    if declared is not None:
        return declared.templates[pool.template]
    return ports.store.template(pool.name, pool.template) or {}


def _when(schedule: Schedule) -> str:
    return f"{expression_of(schedule)} {schedule.timezone}"


def _plan_prune(ports: Ports, declared: Declaration) -> Iterator[Step]:
    for name in ports.store.deployments():
        if name not in declared.deployments:
            yield Step(Action.DELETE, "deployment", name, ("its runs stay",))
    for name in ports.store.pool_names():
        if name not in declared.pools:
            held = len(ports.store.ledger(name).holders)
            yield Step(Action.DELETE, "pool", name, (f"{held} runs hold slots",))


# -- carrying out -----------------------------------------------------------------------------


def _declared(step: Step) -> DeclaredPool:
    if step.pool is None:
        raise ValueError(f"{step.action} of pool {step.name} declares nothing")
    return step.pool


def _create_pool(ports: Ports, declared: DeclaredPool) -> None:
    if ports.store.pool(declared.pool.name) is not None:
        _update_pool(ports, declared)
        return
    _put_templates(ports, declared)
    create_pool(ports, declared.pool, declared.templates[declared.pool.template])


def _update_pool(ports: Ports, declared: DeclaredPool) -> None:
    _put_templates(ports, declared)
    wanted = declared.pool
    current = pool_named(ports, wanted.name)
    gone = [q.name for q in current.queues if wanted.queue(q.name) is None]

    def change(pool: Pool) -> Pool:
        # The queues that go stay until the rest has changed: deleting one moves its runs.
        kept = tuple(q for q in pool.queues if q.name in gone)
        lowest = max(q.priority for q in wanted.queues)
        behind = tuple(replace(q, priority=lowest + n) for n, q in enumerate(kept, 1))
        return replace(
            wanted,
            queues=(*wanted.queues, *behind),
            deployment_limits=pool.deployment_limits,
            retired=tuple(n for n in pool.retired if wanted.queue(n) is None),
            version=pool.version,
        )

    change_pool(ports, wanted.name, change)
    for name in gone:
        delete_queue(ports, wanted.name, name)


def _put_templates(ports: Ports, declared: DeclaredPool) -> None:
    for digest, template in declared.templates.items():
        if ports.store.template(declared.pool.name, digest) is None:
            ports.store.put_template(declared.pool.name, digest, template)


# -- in words ---------------------------------------------------------------------------------


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


def _queue_deleted(ports: Ports, pool: str, queue: str) -> str:
    waiting = len(ports.store.line(pool, queue, _COUNT))
    count = f"{waiting}" if waiting < _COUNT else f"{_COUNT} or more"
    return f"queue `{queue}` deleted: {count} waiting runs move to `{DEFAULT_QUEUE}`"


def _new_queues(pool: Pool) -> Iterator[str]:
    for queue in pool.in_order:
        yield f"queue `{queue.name}`: priority {queue.priority}, {_limit(queue.limit)}"


def _shown(value: Any) -> str:
    if value in (None, "", (), []):
        return "none"
    return str(value)
