"""How does one waiting run go before others, or into another queue?

The change of the run is the order; its place in line follows, here at once and by the stream if
this is cut off. The new place is put before the old one goes, so the run is never without one.
"""

from __future__ import annotations

from push_dispatch.core.errors import NotFound, Refused
from push_dispatch.core.events import Boost, Event, Move
from push_dispatch.core.model import Ready, Run, RunState, parse_run_id
from push_dispatch.core.reasons import Reason
from push_dispatch.engine.snapshot import DEPTH
from push_dispatch.engine.transition import transition
from push_dispatch.ports import Ports

__all__ = ["boost", "move_to"]


def boost(ports: Ports, run_id: str, by: int | None = None) -> Run:
    """Have a waiting run served before the first of its queue, or before the `by` runs in front of
    it and those that are due in the same millisecond as the last of them. Return the run.

    Raises Invalid, NotFound (`run_not_found`), Refused (`not_waiting`), Unavailable.
    """
    run = _waiting(ports, run_id)
    ahead = _ahead(ports, run, 1 if by is None else None)
    if not ahead:
        return run
    target = ahead[0] if by is None else ahead[-min(by, len(ahead))]
    unboosted = Ready.of(run).placed + run.boost
    return _placed(ports, run, Boost(unboosted - (target.placed - 1)))


def move_to(ports: Ports, run_id: str, queue: str) -> Run:
    """Have a waiting run wait in another queue of its pool, in the order of its due time. Return
    the run. Idempotent.

    Raises Invalid, NotFound (`run_not_found`, `queue_not_found`), Refused (`not_waiting`),
    Unavailable.
    """
    run = _waiting(ports, run_id)
    pool = ports.store.pool(run.pool)
    if pool is None or pool.queue(queue) is None:
        names = ", ".join(q.name for q in pool.in_order) if pool else "none"
        raise NotFound(
            f"pool {run.pool!r} has no queue {queue!r}; it has: {names}",
            reason=Reason.QUEUE_NOT_FOUND,
        )
    return _placed(ports, run, Move(queue))


def _waiting(ports: Ports, run_id: str) -> Run:
    pool, uuid = parse_run_id(run_id)
    run = ports.store.run(pool, uuid)
    if run is None:
        raise NotFound(f"there is no run {run_id}", reason=Reason.RUN_NOT_FOUND)
    if run.state is not RunState.SCHEDULED:
        raise Refused(
            f"run {run_id} does not wait: it is {run.state.value}", reason=Reason.NOT_WAITING
        )
    return run


def _ahead(ports: Ports, run: Run, most: int | None) -> list[Ready]:
    """Who stands before the run in its queue, at most so many from the head."""
    place, found = Ready.of(run), list[Ready]()
    page = DEPTH if most is None else most
    while True:
        after = found[-1] if found else None
        entries = ports.store.line(run.pool, run.queue, page, after=after)
        before = [entry for entry in entries if entry.place < place.place]
        found += before
        if len(before) < page or most is not None:
            return found


def _placed(ports: Ports, run: Run, event: Event) -> Run:
    after = transition(ports, run.pool, run.uuid, event, run=run)
    left, place = Ready.of(run), Ready.of(after)
    if after.state is RunState.SCHEDULED and place != left:
        ports.store.enqueue(run.pool, [place], ports.clock())
        if place.place != left.place:
            ports.store.dequeue(run.pool, [left])
    return after
