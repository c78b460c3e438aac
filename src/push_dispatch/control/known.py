"""Which pools and queues are there, and what belongs to them?"""

from __future__ import annotations

import logging

from push_dispatch.core.errors import NotFound, Unreadable
from push_dispatch.core.model import Ledger, Pool, Queue, Run, RunState
from push_dispatch.core.reasons import Reason
from push_dispatch.ports import Ports

__all__ = [
    "UNDER_WAY",
    "deployments_of",
    "pool_named",
    "pools_of",
    "queue_named",
    "runs_under_way",
]

log = logging.getLogger(__name__)

#: States of runs that wait, or may hold a slot.
UNDER_WAY = frozenset({RunState.SCHEDULED, RunState.PENDING, RunState.RUNNING, RunState.CANCELLING})


def runs_under_way(ports: Ports, pool: str) -> tuple[list[Run], int]:
    """The runs of a pool that wait, and the number of those that hold a slot."""
    waiting, busy = [], 0
    for run in ports.store.list_runs(pool, states=UNDER_WAY):
        if run.state is RunState.SCHEDULED:
            waiting.append(run)
        else:
            busy += 1
    return waiting, busy


def deployments_of(ports: Ports, pool: str) -> list[str]:
    """The names of the deployments that name this pool."""
    found = ports.store.deployments().items()
    return sorted(name for name, document in found if document.get("pool") == pool)


def pool_named(ports: Ports, name: str) -> Pool:
    """The pool. Raises NotFound (`pool_not_found`)."""
    pool = ports.store.pool(name)
    if pool is None:
        raise NotFound(f"there is no pool {name!r}", reason=Reason.POOL_NOT_FOUND)
    return pool


def pools_of(ports: Ports) -> list[tuple[Pool, Ledger]]:
    """Every pool with its ledger, in the order of names. One that is malformed in the table is left
    out, with a warning in the log that says what is wrong with it: the others are not its fault.
    Raises Unavailable."""
    found = []
    for name in ports.store.pool_names():
        try:
            pool = ports.store.pool(name)
            if pool is not None:
                found.append((pool, ports.store.ledger(name)))
        except Unreadable as error:
            log.warning("%s", error.message)
    return found


def queue_named(pool: Pool, name: str) -> Queue:
    """The pool's queue of that name. Raises NotFound (`queue_not_found`)."""
    queue = pool.queue(name)
    if queue is None:
        names = ", ".join(q.name for q in pool.in_order)
        raise NotFound(
            f"pool {pool.name!r} has no queue {name!r}; it has: {names}",
            reason=Reason.QUEUE_NOT_FOUND,
        )
    return queue
