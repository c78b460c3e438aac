"""How are pools and queues declared and changed?

Every change is one conditional write of the pool's configuration, after which no admission under
the old one can be committed. Changing a limit never stops a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from push_dispatch.control.known import (
    UNDER_WAY,
    deployments_of,
    pool_named,
    queue_named,
    runs_under_way,
)
from push_dispatch.control.pool_checks import (
    check_pool,
    check_queue,
    check_server_decides,
    check_settings,
)
from push_dispatch.core.canonical import digest_of
from push_dispatch.core.errors import Conflict, Refused
from push_dispatch.core.events import Reject, Stop
from push_dispatch.core.model import (
    DEFAULT_QUEUE,
    Pool,
    Queue,
    Ready,
    RunState,
    check_priority,
)
from push_dispatch.core.reasons import Reason
from push_dispatch.core.template import with_defaults
from push_dispatch.core.validation import check_template
from push_dispatch.engine.audit import not_audited
from push_dispatch.engine.lanes import has_lanes, is_looser, surface_all, unpark_queue
from push_dispatch.engine.transition import move, transition
from push_dispatch.ports import Ports

__all__ = [
    "change_pool",
    "change_queue",
    "check_new_pool",
    "create_pool",
    "create_queue",
    "delete_pool",
    "delete_queue",
    "keep_defaults",
    "keep_template",
    "with_priority",
    "with_queue",
]

_TRIES = 20


# -- pools ------------------------------------------------------------------------------------


def create_pool(ports: Ports, pool: Pool, template: Mapping[str, Any]) -> Pool:
    """Declare a pool with its base job template.

    Raises Invalid (`invalid_name`, `invalid_limit`, `invalid_priority`, `unknown_type`,
    `invalid_template`), Refused (`pool_exists`).
    """
    check_pool(pool, template)
    digest = digest_of(template)
    ports.store.put_template(pool.name, digest, template)
    ports.store.create_pool(replace(pool, template=digest))
    return pool_named(ports, pool.name)


def check_new_pool(ports: Ports, pool: Pool, template: Mapping[str, Any]) -> None:
    """Raise what `create_pool` would raise now, and change nothing."""
    check_pool(pool, template)
    if ports.store.pool(pool.name):
        raise Refused(f"pool {pool.name!r} exists", reason=Reason.POOL_EXISTS)


def keep_template(ports: Ports, name: str, template: Mapping[str, Any]) -> str:
    """Keep another base job template of a pool and return its digest, which `change_pool` makes
    the current one. Attempts that were claimed before keep theirs. Raises NotFound, Invalid
    (`invalid_template`)."""
    pool_named(ports, name)
    check_template(template)
    digest = digest_of(template)
    ports.store.put_template(name, digest, template)
    return digest


def keep_defaults(
    ports: Ports, pool: Pool, given: Mapping[str, Any] | None, variables: Mapping[str, Any]
) -> str:
    """Keep a template with other defaults, by default the pool's own, and return its digest, or
    that of the current one if there is nothing to do. To be called within `change_pool`, so that
    two changes at once both count. Raises Invalid (`invalid_template`, `invalid_variables`)."""
    if given is None and not variables:
        return pool.template
    template = ports.store.template(pool.name, pool.template) if given is None else given
    return keep_template(ports, pool.name, with_defaults(template or {}, variables))


def change_pool(
    ports: Ports, name: str, change: Callable[[Pool], Pool], *, mirrors: bool = False
) -> Pool:
    """Apply `change` to the pool as it is and save it; again if somebody else was first.

    `change` is called once a try and returns the same pool if there is nothing to do. Raises
    NotFound (`pool_not_found`), what `change` raises, Invalid (`invalid_limit`), Refused
    (`attached`) for what a server decides, unless the change `mirrors` it.
    """
    for race in range(_TRIES):
        pool = pool_named(ports, name)
        changed = change(pool)
        if changed == pool:
            return pool
        if not mirrors:
            check_server_decides(pool, changed)
        check_settings(changed, before=pool)
        changed = replace(changed, laned=changed.laned or has_lanes(pool) or has_lanes(changed))
        # Before, so that the pass that this change brings about finds them; and after, as a pass
        # under the old limits may have parked some again.
        _surface_if_looser(ports, pool, changed)
        try:
            saved = ports.store.save_pool(changed)
        except Conflict:
            ports.rest(race)
            continue
        _surface_if_looser(ports, pool, saved)
        return saved
    raise Conflict(f"pool {name!r} is being changed all the time")


def delete_pool(ports: Ports, name: str, *, force: bool = False) -> int:
    """Delete a pool and return how many waiting runs that has cancelled.

    Raises NotFound, Refused: `pool_in_use` if deployments name it, `pool_not_empty` if runs wait,
    both without `force` only; `pool_not_empty` if runs hold slots.
    """
    pool = pool_named(ports, name)
    waiting, busy = runs_under_way(ports, name)
    if busy or (waiting and not force):
        raise Refused(
            f"pool {name!r} is not empty: {len(waiting)} runs wait, {busy} are under way",
            reason=Reason.POOL_NOT_EMPTY,
        )
    if not force and (users := deployments_of(ports, name)):
        raise Refused(
            f"pool {name!r} is named by {len(users)} deployments: {', '.join(users)}",
            reason=Reason.POOL_IN_USE,
        )
    # Nothing may start while the runs are cancelled one by one.
    pool = change_pool(ports, name, lambda p: replace(p, paused=True))
    for run in waiting:
        transition(ports, name, run.uuid, Stop(Reason.CANCELLED_BY_USER), run=run)
    held = ports.store.ledger(name).holders
    if held:
        after = ports.store.runs(name, (h.run for h in held))
        if any(run.state in UNDER_WAY for run in after.values()):
            raise Refused(
                f"pool {name!r}: {len(held)} slots are held", reason=Reason.POOL_NOT_EMPTY
            )
    ports.store.delete_pool(pool)
    _end_late(ports, name)
    return len(waiting)


def _end_late(ports: Ports, name: str) -> None:
    """End the runs that were accepted while the pool was being deleted and had been put in line:
    those that come from now on find no pool, and dispatch ends them."""
    for run in ports.store.list_runs(name, states=frozenset({RunState.SCHEDULED})):
        if ports.store.pool(name) is not None:
            return
        why = f"there is no pool {name!r} any more"
        reject = Reject(run.next_attempt, Reason.POOL_NOT_FOUND, why, unless_claimed=True)
        transition(ports, name, run.uuid, reject, run=run)


# -- queues -----------------------------------------------------------------------------------


def create_queue(ports: Ports, pool: str, queue: Queue, *, priority: int | None) -> Pool:
    """Add a queue. Without a priority it gets the first free one; a taken priority shifts others.

    Raises NotFound, Invalid, Refused (`queue_exists`).
    """
    check_queue(queue)

    def add(current: Pool) -> Pool:
        if current.queue(queue.name):
            raise Refused(
                f"pool {pool!r} has a queue {queue.name!r} already", reason=Reason.QUEUE_EXISTS
            )
        retired = tuple(name for name in current.retired if name != queue.name)
        added = with_queue(current, queue, priority)
        return replace(added, retired=retired)

    return change_pool(ports, pool, add)


def change_queue(
    ports: Ports,
    pool: str,
    name: str,
    change: Callable[[Queue], Queue],
    *,
    priority: int | None = None,
) -> Pool:
    """Change a queue in place; with `priority` it moves there and others make room.

    Raises NotFound (`queue_not_found`), Invalid.
    """

    def apply(current: Pool) -> Pool:
        queue = queue_named(current, name)
        changed = replace(change(queue), name=name, priority=queue.priority)
        queues = tuple(changed if q.name == name else q for q in current.queues)
        after = replace(current, queues=queues)
        return after if priority is None else with_priority(after, name, priority)

    return change_pool(ports, pool, apply)


def delete_queue(ports: Ports, pool: str, name: str) -> int:
    """Delete a queue; all its waiting runs move to the default queue, those among them that the
    stream has not brought into line yet. Returns how many did.

    Raises NotFound, Refused (`default_queue`). Interrupted, the sweep goes on with the moving.
    """
    if name == DEFAULT_QUEUE:
        raise Refused(
            f"queue {DEFAULT_QUEUE!r} of pool {pool!r} cannot be deleted",
            reason=Reason.DEFAULT_QUEUE,
        )

    def remove(current: Pool) -> Pool:
        queue_named(current, name)
        queues = tuple(q for q in current.queues if q.name != name)
        return replace(current, queues=queues, retired=(*current.retired, name))

    change_pool(ports, pool, remove)
    moved: set[str] = set()
    # First those that are on their way into line: what arrives there meanwhile is found below.
    new = [Ready.of(run) for run in not_audited(ports, pool) if run.queue == name]
    while new:
        moved |= move(ports, pool, new[:100])
        new = new[100:]
    unpark_queue(ports, pool, name)
    while entries := ports.store.line(pool, name, 100):
        moved |= move(ports, pool, entries)
    return len(moved)


def with_queue(pool: Pool, queue: Queue, priority: int | None) -> Pool:
    """The pool with one more queue."""
    if priority is None:
        taken = {q.priority for q in pool.queues}
        first_free = next(n for n in range(1, len(taken) + 2) if n not in taken)
        return replace(pool, queues=(*pool.queues, replace(queue, priority=first_free)))
    last = max(q.priority for q in pool.queues) + 1
    added = replace(pool, queues=(*pool.queues, replace(queue, priority=last)))
    return with_priority(added, queue.name, priority)


def with_priority(pool: Pool, name: str, priority: int) -> Pool:
    """The pool with one queue moved to `priority`, and others shifted as far as they must be.

    As Prefect does: the queue goes before the first one whose priority is at least the target;
    then whoever does not come after its predecessor goes one behind it. Gaps are not closed.
    """
    check_priority(priority, f"queue {name!r}")
    moving = replace(queue_named(pool, name), priority=priority)
    others = [queue for queue in pool.in_order if queue.name != name]
    before = [queue for queue in others if queue.priority < priority]
    line = [*before, moving, *others[len(before) :]]
    shifted: list[Queue] = []
    for queue in line:
        least = shifted[-1].priority + 1 if shifted else 1
        shifted.append(queue if queue.priority >= least else replace(queue, priority=least))
    return replace(pool, queues=tuple(shifted))


def _surface_if_looser(ports: Ports, before: Pool, after: Pool) -> None:
    if after.laned and is_looser(before, after):
        surface_all(ports, after)
