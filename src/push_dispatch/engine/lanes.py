"""How do runs get out of the way while their key is full, and back when it is not?

Parking: a place in a lane is put, and the one in the queue's line goes. Coming back: the place in
the line is put again, and the one in the lane stays until the run leaves for good, so that two
passes that do both at once never leave a run without a place.

What is parked is found again by the pass that frees a slot of its key, or takes a run of its key
out of the line: it reads the lanes after its commit. A pass that parks reads the ledger after that.
So of the two the later one sees what the other did. What a crash leaves between is found by the
sweep.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from push_dispatch.core.lanes import full_lane, rated_lanes, room_in
from push_dispatch.core.model import NOT_DUE_LANE, Holder, Ledger, Pool, Ready
from push_dispatch.core.usage import Used
from push_dispatch.engine.snapshot import BATCH
from push_dispatch.engine.transition import move
from push_dispatch.ports import Ports

__all__ = [
    "has_lanes",
    "heads_of_lanes",
    "is_looser",
    "park",
    "park_new",
    "surface",
    "surface_all",
    "unpark_queue",
]

#: Lanes of a queue that one sweep looks at.
_LANES = 200


def has_lanes(pool: Pool) -> bool:
    """Whether a run of the pool may wait for a key of its own."""
    return bool(
        pool.key_limit is not None
        or pool.deployment_limits
        or pool.limits
        or any(queue.key_limit is not None for queue in pool.queues)
    )


def park_new(ports: Ports, pool: Pool, entries: Sequence[Ready]) -> list[Ready]:
    """Enqueue these places, those in a lane whose key is full and has a lane already. Return those:
    the pass to come has to look at their lanes."""
    now = ports.clock()
    due = [entry for entry in entries if entry.due <= now] if has_lanes(pool) else []
    parked: list[Ready] = []
    if any(entry.concurrency_key or entry.deployment or entry.keys for entry in due):
        used = Used.of(pool, ports.store.ledger(pool.name), now)
        lanes = {entry: lane for entry in due if (lane := full_lane(pool, used, entry))}
        wanted = {(entry.queue, lane) for entry, lane in lanes.items()}
        there = {each for each in wanted if ports.store.line(pool.name, each[0], 1, lane=each[1])}
        parked = [
            replace(entry, lane=lane)
            for entry, lane in lanes.items()
            if (entry.queue, lane) in there
        ]
    kept = set(parked)
    in_line = [entry for entry in entries if entry not in kept]
    ports.store.enqueue(pool.name, [*in_line, *parked], now)
    return parked


def park(
    ports: Ports,
    pool: Pool,
    ledger: Ledger,
    entries: Sequence[Ready],
    staying: Sequence[Ready] = (),
) -> list[Ready]:
    """Move these places into the lanes that are full by this ledger; return those that moved.
    Those that are `staying` in line get a place in their lane beside it: a lane whose first is in
    line needs nobody else there."""
    now = ports.clock()
    used = Used.of(pool, ledger, now)
    lanes = [(entry, full_lane(pool, used, entry)) for entry in entries]
    parked = [(entry, replace(entry, lane=lane)) for entry, lane in lanes if lane]
    if not parked:
        return []
    both = [(entry, full_lane(pool, used, entry)) for entry in staying]
    new = [(entry, lane) for entry, lane in both if lane and lane != entry.also_in]
    firsts = [replace(entry, lane=lane) for entry, lane in new]
    firsts += [replace(entry, also_in=lane) for entry, lane in new]
    ports.store.enqueue(pool.name, [*firsts, *(moved for _, moved in parked)], now)
    # Only from the line: it may be in another lane as well, which somebody may look into.
    gone = [replace(entry, also_in="") for entry, _ in parked]
    ports.store.dequeue(pool.name, gone)
    return [entry for entry, _ in parked]


def surface(
    ports: Ports,
    pool: Pool,
    ledger: Ledger,
    touched: Sequence[Ready | Holder],
    *,
    left: Sequence[Ready] = (),
    but: Collection[tuple[str, str]] = (),
    unlimited: bool = False,
    blindly: bool = False,
) -> list[Ready]:
    """Put the first places of the lanes of these runs into line, as many as each lane has room for;
    return those that were not there. Of the runs that have `left` the line lanes with a rate are
    among them, `but` for those that are known to be empty, by queue. `unlimited` also looks at
    lanes that have lost their limit; `blindly` does not ask which are in line: it puts, and
    returns, them all."""
    used = Used.of(pool, ledger, ports.clock())
    rooms: dict[tuple[str, str], int] = {}
    for queue in pool.queues:
        for run in (*touched, *left):
            for lane, room in room_in(pool, queue, used, run, unlimited=unlimited):
                rooms[queue.name, lane] = min(room, BATCH)
        for run in left:
            for lane, room in rated_lanes(pool, queue, used, run):
                if (queue.name, lane) not in but:
                    rooms[queue.name, lane] = min(room, BATCH)
    moved: list[Ready] = []
    for (queue_name, lane), room in rooms.items():
        entries = ports.store.line(pool.name, queue_name, room, lane=lane)
        there = set() if blindly else ports.store.in_line(pool.name, entries, lanes=False)
        missing = [replace(e, lane="", also_in=lane) for e in entries if e not in there]
        ports.store.enqueue(pool.name, missing, ports.clock())
        moved += missing
    return moved


def surface_all(ports: Ports, pool: Pool) -> None:
    """Where a limit is raised or removed: bring back what has room under it. The sweep goes on
    where there are more lanes."""
    ledger = ports.store.ledger(pool.name)
    heads = heads_of_lanes(ports, pool, "")
    surface(ports, pool, ledger, ledger.holders, left=heads, unlimited=True)


def is_looser(before: Pool, after: Pool) -> bool:
    """Whether a limit that runs are parked for may let in more than it did."""
    return any(
        old is not None and (new is None or new > old)
        for old, new in _pairs_of_limits(before, after)
    )


def _pairs_of_limits(before: Pool, after: Pool) -> Iterator[tuple[int | None, int | None]]:
    yield before.key_limit, after.key_limit
    for queue in before.queues:
        same = after.queue(queue.name)
        yield queue.key_limit, same.key_limit if same else None
    for name, limit in before.deployment_limits.items():
        yield limit, after.deployment_limits.get(name)
    named = {limit.name: limit for limit in after.limits}
    for each in before.limits:
        same_name = named.get(each.name)
        yield each.limit, same_name.limit if same_name else None
        if each.rate is not None and (same_name is None or same_name.rate != each.rate):
            yield 0, None  # Those of a rate that is raised come one after the other by themselves.


def heads_of_lanes(ports: Ports, pool: Pool, after: str) -> list[Ready]:
    """The first place of each lane, of a bounded number of lanes from `after` on and round."""
    found: list[Ready] = []
    for queue in pool.queues:
        heads = ports.store.lanes(pool.name, queue.name, after, _LANES)
        if len(heads) < _LANES and after:
            heads += ports.store.lanes(pool.name, queue.name, "", _LANES - len(heads))
        found += heads
    return found


def unpark_queue(ports: Ports, pool: str, queue: str) -> None:
    """Move everything that is parked in a queue back into its line: the queue goes."""
    while entries := ports.store.line(pool, queue, BATCH, lane=""):
        # Who is not due stays out of any line.
        move(ports, pool, [entry for entry in entries if entry.lane == NOT_DUE_LANE])
        parked = [entry for entry in entries if entry.lane != NOT_DUE_LANE]
        ports.store.enqueue(pool, [replace(entry, lane="") for entry in parked], ports.clock())
        ports.store.dequeue(pool, parked)
