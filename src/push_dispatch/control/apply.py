"""How does the backend become what a file declares? First a plan that speaks of the runs
concerned, then the changes, each of which can be repeated.

Live state is never touched: occupancy is in the ledgers, which no plan writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from push_dispatch.control.apply_text import (
    deployment_changes,
    new_deployment,
    new_pool,
    pool_changes,
    queue_deleted,
    template_changes,
)
from push_dispatch.control.declaration import Declaration, DeclaredPool
from push_dispatch.control.deployments import (
    check_deployment,
    delete_deployment,
    save_deployment,
    schedules_of,
)
from push_dispatch.control.known import pool_named, runs_under_way
from push_dispatch.control.pool_checks import check_pool
from push_dispatch.control.pools import change_pool, create_pool, delete_pool, delete_queue
from push_dispatch.core.deployment import Deployment, active_schedules, from_document
from push_dispatch.core.errors import Invalid, NotFound, Refused
from push_dispatch.core.model import DEFAULT_QUEUE, Pool
from push_dispatch.core.reasons import Reason
from push_dispatch.engine.snapshot import waiting_in
from push_dispatch.ports import Ports
from push_dispatch.ports.schedules import UnknownSchedules

__all__ = ["Action", "Step", "carry_out", "plan"]


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
    #: Queues of the pool that are deleted.
    queues: tuple[str, ...] = ()


def plan(
    ports: Ports, declared: Declaration, *, prune: bool = False, allow_empty: bool = False
) -> list[Step]:
    """The steps that are needed, in order; none if everything is as declared. Reads only.

    With `prune`, pools, queues and deployments that are not declared are deleted. Raises Invalid or
    NotFound if the declaration could not be carried out, with everything that is wrong; Refused
    if a deletion could not: `nothing_declared` unless `allow_empty`, `pool_not_empty`,
    `pool_in_use`, `schedules_unknown`.
    """
    if prune and not allow_empty and not declared.pools and not declared.deployments:
        raise Refused(
            "the file declares nothing, and --prune would delete everything",
            reason=Reason.NOTHING_DECLARED,
        )
    pools = {name: _wanted(ports, entry, prune=prune) for name, entry in declared.pools.items()}
    _check(ports, declared, pools)
    steps = [
        *(step for name in pools for step in _plan_pool(ports, declared.pools[name], pools[name])),
        *(
            step
            for entry in declared.deployments.values()
            for step in _plan_deployment(ports, entry)
        ),
    ]
    if prune:
        steps += _plan_prune(ports, declared)
    _check_deletions(ports, declared, steps)
    _check_schedules(ports, steps)
    return steps


def carry_out(ports: Ports, step: Step) -> None:
    """Carry out one step. Idempotent. Raises as the use cases of `configure` do."""
    match step.action, step.kind:
        case Action.DELETE, "pool":
            delete_pool(ports, step.name)
        case Action.DELETE, _:
            delete_deployment(ports, step.name)
        case Action.CREATE, "pool":
            _create_pool(ports, step)
        case Action.UPDATE, "pool":
            _update_pool(ports, step)
        case _:
            if step.deployment is not None:
                save_deployment(ports, step.deployment)


# -- what is wanted ---------------------------------------------------------------------------


def _wanted(ports: Ports, declared: DeclaredPool, *, prune: bool) -> Pool:
    current = ports.store.pool(declared.pool.name)
    if current is None:
        return declared.pool
    gone = [q.name for q in current.queues if prune and q.name not in declared.named]
    return _merged(current, declared, [name for name in gone if name != DEFAULT_QUEUE])


def _merged(current: Pool, declared: DeclaredPool, gone: Iterable[str]) -> Pool:
    """The declared pool with the queues that it has beside the declared ones, but for those in
    `gone`. They keep their priorities, unless a declared queue has the same; `default` goes behind
    the declared ones, so that no run jumps ahead by naming no queue."""
    queues = [queue for queue in declared.pool.queues if queue.name in declared.named]
    last = max((queue.priority for queue in queues), default=0)
    others = (q for q in current.in_order if q.name not in declared.named and q.name not in gone)
    for queue in sorted(others, key=lambda q: q.name == DEFAULT_QUEUE):
        taken = {q.priority for q in queues}
        ahead = queue.name == DEFAULT_QUEUE and queue.priority < last
        free = max(taken, default=0) + 1
        moved = queue.priority in taken or ahead
        queues.append(replace(queue, priority=free) if moved else queue)
    return replace(
        declared.pool,
        queues=tuple(sorted(queues, key=lambda queue: queue.priority)),
        deployment_limits=current.deployment_limits,
        deployment_max_waiting=current.deployment_max_waiting,
        laned=current.laned,
        retired=tuple(n for n in current.retired if all(q.name != n for q in queues)),
        version=current.version,
    )


# -- planning ---------------------------------------------------------------------------------


def _plan_pool(ports: Ports, declared: DeclaredPool, wanted: Pool) -> Iterator[Step]:
    name, template = wanted.name, declared.templates[wanted.template]
    current = ports.store.pool(name)
    if current is None:
        changes = tuple(new_pool(wanted, template, declared.variables))
        yield Step(Action.CREATE, "pool", name, changes, declared)
        return
    gone = tuple(q.name for q in current.queues if wanted.queue(q.name) is None)
    changes = tuple(_pool_changes(ports, current, wanted, template, gone))
    if changes:
        yield Step(Action.UPDATE, "pool", name, changes, declared, queues=gone)


def _pool_changes(
    ports: Ports, now: Pool, then: Pool, template: Mapping[str, Any], gone: Iterable[str]
) -> Iterator[str]:
    yield from pool_changes(now, then, ports.store.ledger(now.name))
    if now.template != then.template:
        yield from template_changes(ports.store.template(now.name, now.template) or {}, template)
    for queue in gone:
        waiting, more = waiting_in(ports, now.name, queue)
        yield queue_deleted(queue, waiting, more=more)


def _plan_deployment(ports: Ports, deployment: Deployment) -> Iterator[Step]:
    name = deployment.name
    document = ports.store.deployment(name)
    if document is None:
        changes = tuple(new_deployment(deployment))
        yield Step(Action.CREATE, "deployment", name, changes, deployment=deployment)
        return
    changes = tuple(deployment_changes(from_document(name, document), deployment))
    if changes:
        yield Step(Action.UPDATE, "deployment", name, changes, deployment=deployment)


def _plan_prune(ports: Ports, declared: Declaration) -> Iterator[Step]:
    for name in ports.store.deployments():
        if name not in declared.deployments:
            yield Step(Action.DELETE, "deployment", name, ("its runs stay",))
    for name in ports.store.pool_names():
        if name not in declared.pools:
            yield Step(Action.DELETE, "pool", name, ("with its queues",))


# -- checks: what cannot be finished is not begun -----------------------------------------------


def _check(ports: Ports, declared: Declaration, pools: Mapping[str, Pool]) -> None:
    """Raise what the steps would raise, all of it at once, each with its path."""
    found: list[tuple[str, Invalid | NotFound | Refused]] = []

    def attempt(path: str, check: Callable[[], object]) -> None:
        try:
            check()
        except (Invalid, NotFound, Refused) as error:
            found.append((path, error))

    for name, pool in pools.items():
        template = declared.pools[name].templates[pool.template]
        attempt(f"pools.{name}", lambda pool=pool, template=template: check_pool(pool, template))  # type: ignore[misc]
    for name, deployment in declared.deployments.items():
        attempt(
            f"deployments.{name}",
            lambda d=deployment: _check_deployment(ports, declared, pools, d),  # type: ignore[misc]
        )
    if len(found) == 1:
        ((path, error),) = found
        raise type(error)(f"{path}: {error.message}", reason=error.reason)
    if found:
        lines = [f"{path}: {error.message} [{error.reason}]" for path, error in found]
        raise Invalid("\n".join(["the file cannot be applied", *lines]))


def _check_deployment(
    ports: Ports, declared: Declaration, pools: Mapping[str, Pool], deployment: Deployment
) -> None:
    pool = pools.get(deployment.pool)
    if pool is not None:
        template = declared.pools[pool.name].templates[pool.template]
    else:
        pool = pool_named(ports, deployment.pool)
        template = dict(ports.store.template(pool.name, pool.template) or {})
    now = datetime.fromtimestamp(ports.clock() / 1000, UTC)
    known = schedules_of(ports.store.deployment(deployment.name))
    check_deployment(pool, deployment, template, now=now, known=known)


def _check_deletions(ports: Ports, declared: Declaration, steps: Iterable[Step]) -> None:
    """Raise Refused, naming every pool that cannot be deleted: then nothing is."""
    gone = [s.name for s in steps if (s.action, s.kind) == (Action.DELETE, "pool")]
    problems = [
        f"pool {one.pool!r} is not in the file, whose deployment {one.name!r} names it"
        for one in declared.deployments.values()
        if one.pool in gone
    ]
    reason = Reason.POOL_IN_USE if problems else Reason.POOL_NOT_EMPTY
    for name in gone:
        waiting, busy = runs_under_way(ports, name)
        if waiting or busy:
            problems.append(f"pool {name!r}: {len(waiting)} runs wait, {busy} are under way")
    if problems:
        raise Refused(
            "\n".join(["nothing is changed: --prune could not finish", *problems]), reason=reason
        )


def _check_schedules(ports: Ports, steps: Iterable[Step]) -> None:
    """Raise Refused (`schedules_unknown`) now if schedules could not be saved or deleted."""
    if not isinstance(ports.schedules, UnknownSchedules):
        return
    for step in steps:
        if step.kind == "deployment":
            known = schedules_of(ports.store.deployment(step.name))
            active = active_schedules(step.deployment) if step.deployment else ()
            ports.schedules.sync(step.name, active, known)


# -- carrying out -----------------------------------------------------------------------------


def _declared(step: Step) -> DeclaredPool:
    if step.pool is None:
        raise ValueError(f"{step.action} of pool {step.name} declares nothing")
    return step.pool


def _create_pool(ports: Ports, step: Step) -> None:
    declared = _declared(step)
    if ports.store.pool(declared.pool.name) is not None:
        _update_pool(ports, step)
        return
    _put_templates(ports, declared)
    create_pool(ports, declared.pool, declared.templates[declared.pool.template])


def _update_pool(ports: Ports, step: Step) -> None:
    declared = _declared(step)
    _put_templates(ports, declared)

    def change(pool: Pool) -> Pool:
        # The queues that go stay until the rest has changed: deleting one moves its runs.
        wanted = _merged(pool, declared, step.queues)
        lowest = max(queue.priority for queue in wanted.queues)
        going = (queue for queue in pool.in_order if queue.name in step.queues)
        behind = tuple(replace(q, priority=lowest + n) for n, q in enumerate(going, 1))
        return replace(wanted, queues=(*wanted.queues, *behind))

    pool = change_pool(ports, declared.pool.name, change)
    for name in step.queues:
        if pool.queue(name) is not None:
            delete_queue(ports, pool.name, name)


def _put_templates(ports: Ports, declared: DeclaredPool) -> None:
    for digest, template in declared.templates.items():
        if ports.store.template(declared.pool.name, digest) is None:
            ports.store.put_template(declared.pool.name, digest, template)
