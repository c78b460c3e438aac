"""May so many more runs wait, and who stops counting?

Seats: where `max_waiting` is set, each run that waits for its first start has a small item under
each bound that it falls under. The items are a set: putting and removing them twice is nothing, and
what a crash leaves is removed by whoever finds the bound full, and by the sweep.

A submission puts its seats first and counts afterwards. Of all that were taken at once, the last to
put its seats has counted the others, so a bound is never exceeded; two that come at the same moment
for the last place may both be refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from push_dispatch.core.errors import Refused
from push_dispatch.core.model import Pool, Ready, Run, RunState, first_id_at
from push_dispatch.core.waiting import WAITING, Bound, bounds_of, full, has_bounds, seats_of
from push_dispatch.ports import Ports

__all__ = ["leave", "take_seats", "tidy_seats", "vacate"]

#: Submissions at the same moment that let each other go first, before one is refused.
_TRIES = 5
#: Seats of a full bound, the oldest, whose runs are read before a submission is refused.
_CHECKED = 100
#: Seats that one sweep looks at.
_PAGE = 500
#: A submission that has not stored its run after this time has died.
_STORED_SECONDS = 120


def take_seats(ports: Ports, pools: Mapping[str, Pool], runs: Sequence[Run]) -> frozenset[str]:
    """Take a seat for each of these new runs under each bound that it falls under; return the
    `order` of those that have one. Runs that exist already need none.

    Raises Refused (`too_many_waiting`); then none of the runs has a seat. Raises Unavailable.
    """
    taken: list[tuple[Pool, Ready]] = []
    for pool in pools.values():
        if not has_bounds(pool):
            continue
        new = [Ready.of(run) for run in _new(ports, [r for r in runs if r.pool == pool.name])]
        try:
            _take(ports, pool, new)
        except Refused:
            for other, place in taken:
                vacate(ports, other, [place])
            ports.meter({"SubmissionsRefused": len(new)}, pool=pool.name)
            raise
        taken += ((pool, place) for place in new)
    return frozenset(place.order for pool, place in taken if seats_of(pool, place))


def leave(ports: Ports, pool: Pool, entries: Sequence[Ready]) -> None:
    """Remove these places from the line, and with them the seats of runs that wait for their first
    start: they start now, or have ended. Idempotent."""
    ports.store.dequeue(pool.name, [*entries, *_seats(pool, entries)])


def vacate(ports: Ports, pool: Pool, entries: Sequence[Ready]) -> None:
    """Remove the seats of these runs. Idempotent."""
    if seats := _seats(pool, entries):
        ports.store.dequeue(pool.name, seats)


def tidy_seats(ports: Ports, pool: Pool, after: str) -> None:
    """Remove the seats of runs that do not wait, of a page of them behind the lane `after`."""
    behind = Ready(WAITING, 0, "", "", 1, lane=after)
    seats = ports.store.line(pool.name, WAITING, _PAGE, lane="", after=behind)
    if len(seats) < _PAGE:
        seats += ports.store.line(pool.name, WAITING, _PAGE - len(seats), lane="")
    ports.store.dequeue(pool.name, _stale(ports, pool, seats))


def _new(ports: Ports, runs: Sequence[Run]) -> list[Run]:
    """Those of the runs that do not exist: a request that is repeated is not refused."""
    keyed = [run.uuid for run in runs if run.idempotency_key]
    known = ports.store.runs(runs[0].pool, keyed) if keyed else {}
    return [run for run in runs if run.uuid not in known]


def _take(ports: Ports, pool: Pool, places: Sequence[Ready]) -> None:
    wanted: dict[Bound, int] = defaultdict(int)
    for place in places:
        for bound in bounds_of(pool, place):
            wanted[bound] += 1
    seats = _seats(pool, places)
    for race in range(_TRIES):
        for bound, more in wanted.items():
            _check_room(ports, pool, bound, more)
        ports.store.enqueue(pool.name, seats, ports.clock())
        if all(len(_waiting(ports, pool, bound)) <= bound.most for bound in wanted):
            return
        # Others came at the same moment, and may withdraw as well.
        ports.store.dequeue(pool.name, seats)
        ports.rest(race)
    bound, more = next(iter(wanted.items()))
    raise full(pool.name, bound, bound.most, more)


def _check_room(ports: Ports, pool: Pool, bound: Bound, more: int) -> None:
    waiting = _waiting(ports, pool, bound)
    if len(waiting) + more <= bound.most:
        return
    stale = _stale(ports, pool, waiting[:_CHECKED])
    ports.store.dequeue(pool.name, stale)
    if (left := len(waiting) - len(stale)) + more > bound.most:
        raise full(pool.name, bound, left, more)


def _waiting(ports: Ports, pool: Pool, bound: Bound) -> list[Ready]:
    return ports.store.line(pool.name, WAITING, bound.most + 1, lane=bound.lane)


def _seats(pool: Pool, entries: Iterable[Ready]) -> list[Ready]:
    return [seat for entry in entries for seat in seats_of(pool, entry)]


def _stale(ports: Ports, pool: Pool, seats: Sequence[Ready]) -> list[Ready]:
    """Those of the seats whose runs do not wait, or not under this bound."""
    if not seats:
        return []
    runs = ports.store.runs(pool.name, {seat.run for seat in seats})
    unstored = first_id_at(ports.clock() - _STORED_SECONDS * 1000)
    found = []
    for seat in seats:
        run = runs.get(seat.run)
        if run is None:
            stale = seat.order < unstored
        else:
            waits = run.state is RunState.SCHEDULED and run.order == seat.order
            now = {own.lane for own in seats_of(pool, Ready.of(run))} if waits else set()
            stale = seat.lane not in now
        if stale:
            found.append(seat)
    return found
