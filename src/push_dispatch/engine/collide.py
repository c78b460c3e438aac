"""How are runs cancelled or stopped that collide?

Where they come in, and not at the head of a queue: a full or a paused pool reads no line, and
others may wait before them. Whoever was overlooked, because a record was lost, is found when its
turn comes: see `snapshot`.
"""

from __future__ import annotations

from collections.abc import Sequence

from push_dispatch.core.admission import colliding
from push_dispatch.core.collision import NEWEST_STAYS, group_of, to_stop
from push_dispatch.core.debounce import is_near, leads_from, order_of, quiet_group
from push_dispatch.core.events import Expire, Stop
from push_dispatch.core.model import Collision, Edge, Ledger, Pool, Ready, Run, RunState
from push_dispatch.core.reasons import Reason
from push_dispatch.engine.hints import Hints
from push_dispatch.engine.transition import transition, transition_all
from push_dispatch.ports import Ports

__all__ = ["displaced", "is_settled", "settle_collisions", "stop_replaced"]


def settle_collisions(ports: Ports, pool: Pool, hints: Hints) -> int:
    """Cancel and stop what the runs of these hints collide with, as they want it; return how many
    were cancelled. Those are taken out of the hints. Idempotent. Raises Unavailable."""
    named = hints.due | {e.run for e in hints.waiting if is_settled(e)}
    if not named:
        return 0
    runs = ports.store.runs(pool.name, named)
    places = [Ready.of(run) for run in runs.values() if run.state is RunState.SCHEDULED]
    superseded = dict.fromkeys(_supersede(ports, pool, places), Reason.SUPERSEDED)
    superseded |= dict.fromkeys(_debounce(ports, pool.name, places), Reason.DEBOUNCED)
    # The ledger last: a run that was admitted after it was read above holds its slot here.
    ledger = ports.store.ledger(pool.name).without(hints.ended)
    now = ports.clock()
    gone = colliding(pool, ledger, places, now)
    transition_all(
        ports, pool.name, [runs[e.run] for e in gone], Expire(Reason.CANCELLED_BY_COLLISION)
    )
    for holder in ledger.holders:
        superseded.pop(holder.run, None)
    for run in ports.store.runs(pool.name, superseded).values():
        transition(ports, pool.name, run.uuid, Expire(superseded[run.uuid]), run=run)
    cancelled = {*superseded, *(entry.run for entry in gone)}
    stop_replaced(ports, pool, ledger, [e for e in places if e.run not in cancelled])
    # Who is due now, and has waited beside the line, stands in it from here on.
    hints.waiting += [e for e in places if e.run in hints.due and e.start_by is not None]
    hints.waiting = [entry for entry in hints.waiting if entry.run not in cancelled]
    return len(cancelled)


def displaced(ports: Ports, pool: str, entries: Sequence[Ready]) -> dict[str, Reason]:
    """The runs of these places, whose turn it is, in whose place another one runs, each with the
    reason to end it: nothing has said so when that one came."""
    found = dict.fromkeys(_debounce(ports, pool, entries), Reason.DEBOUNCED)
    for entry in entries:
        stays = entry.collision not in NEWEST_STAYS or not group_of(entry)
        if not stays and entry.order < ports.store.newest(pool, group_of(entry)):
            found[entry.run] = Reason.SUPERSEDED
    return found


def stop_replaced(ports: Ports, pool: Pool, ledger: Ledger, places: Sequence[Ready]) -> None:
    """Ask the runs to stop that these are to replace. Their slots are handed over when they have
    stopped. Idempotent: who was asked already counts."""
    now = ports.clock()
    held = {holder.slot for holder in ledger.holders}
    for entry in places:
        if entry.collision is not Collision.CANCEL_RUNNING or entry.due > now or entry.slot in held:
            continue
        same = [h.run for h in ledger.holders if group_of(h) == group_of(entry)]
        runs = ports.store.runs(pool.name, same)
        stopping = {uuid for uuid, run in runs.items() if _stops(run)}
        for holder in to_stop(pool, ledger, entry, stopping, now):
            run = runs.get(holder.run)
            # Never a newer one: of two that come at once, the newer one stays.
            if run is not None and run.order < entry.order:
                transition(ports, pool.name, run.uuid, Stop(Reason.REPLACED), run=run)


def is_settled(entry: Ready) -> bool:
    """Whether it may collide with others when it comes: `settle_collisions` is to see it."""
    return entry.collision is not Collision.ENQUEUE or bool(quiet_group(entry))


def _debounce(ports: Ports, pool: str, places: Sequence[Ready]) -> set[str]:
    """The runs in whose place another one starts that is due shortly before or after."""
    found: set[str] = set()
    before: dict[str, Ready] = {}
    for entry in sorted(places, key=order_of):
        if not (group := quiet_group(entry)):
            continue
        order = order_of(entry)
        if entry.debounce_edge is Edge.LEADING:
            other = ports.store.lead(pool, group, order, entry.run, leads_from(entry))
        else:
            before[ports.store.supersede(pool, group, order, entry.run)] = entry
            other = ports.store.newest(pool, group)
        if other != order and is_near(entry, other):
            found.add(entry.run)
    for run in ports.store.runs(pool, before.keys() - {""}).values():
        place, later = Ready.of(run), before[run.uuid]
        waits = run.state is RunState.SCHEDULED and quiet_group(place) == quiet_group(later)
        if waits and order_of(place) < order_of(later) and is_near(later, order_of(place)):
            found.add(run.uuid)
    return found


def _stops(run: Run) -> bool:
    return run.state is RunState.CANCELLING or run.state.ended


def _supersede(ports: Ports, pool: Pool, places: Sequence[Ready]) -> set[str]:
    """The runs that a newer one of their group takes the place of."""
    found: set[str] = set()
    for entry in sorted(places, key=lambda e: e.order):
        if entry.collision in NEWEST_STAYS and (group := group_of(entry)):
            found.add(ports.store.supersede(pool.name, group, entry.order, entry.run))
    return found - {""}
