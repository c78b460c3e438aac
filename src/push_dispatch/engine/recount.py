"""Do a pool's ledger and line say what its runs say? Counted anew, and put right.

On the normal path they always do. They can differ when changes of the table were never handled: a
stream mapping that was off for longer than a day, dead letters, a table that was restored.

The order of the reads is what makes an answer true: runs, then the line, then the ledger, and then
what looks wrong once more. A run that was in flight before the ledger was read, and still is in
the same attempt afterwards, has held its slot all the time in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from push_dispatch.core.errors import Conflict
from push_dispatch.core.model import Holder, Ledger, Pool, Ready, Run, RunState, Slot
from push_dispatch.ports import Ports

__all__ = ["SETTLED_SECONDS", "Recount", "put_right", "recount"]

#: What has changed more recently may still be on its way through the stream.
SETTLED_SECONDS = 60
_UNDER_WAY = frozenset(state for state in RunState if not state.ended)
_PAGE = 1000
_RACES = 25


@dataclass(frozen=True, slots=True)
class Recount:
    """What was found in one pool."""

    pool: str
    #: Slots that the ledger says are held.
    held: int
    #: Runs that were looked at and have not ended.
    under_way: int
    #: Held by attempts that are over, or by runs that do not exist.
    drifted: tuple[Holder, ...] = ()
    #: Runs in flight that hold no slot.
    missing: tuple[Run, ...] = ()
    #: Runs that wait and are not in line: nobody would ever start them.
    lost: tuple[Run, ...] = ()

    @property
    def right(self) -> bool:
        """Whether there is nothing to put right."""
        return not (self.drifted or self.missing or self.lost)


def recount(
    ports: Ports, pool: Pool, *, every_run: bool, settled_seconds: int = SETTLED_SECONDS
) -> Recount:
    """Compare the pool's ledger with the runs that hold its slots and, if `every_run`, with all
    others, too, and those with its line: that reads the pool's whole history.

    What has changed within `settled_seconds` is left alone. Changes nothing; safe beside anything
    else. Raises Unavailable.
    """
    before = ports.clock() - settled_seconds * 1000
    runs = list(ports.store.list_runs(pool.name, states=_UNDER_WAY)) if every_run else []
    # The whole place, as dispatch asks: one of before the run was moved or put off is stale.
    waiting = {Ready.of(run): run for run in runs if run.state is RunState.SCHEDULED}
    in_line = {waiting[ready].uuid for ready in _line(ports, pool) if ready in waiting}
    ledger = ports.store.ledger(pool.name)
    held = {holder.slot for holder in ledger.holders}
    lacking = [run for run in runs if _slot(run) not in held and run.uuid not in in_line]
    again = ports.store.runs(pool.name, [r.uuid for r in lacking] + [s.run for s in held])
    still = [
        run for run in lacking if _is_same(run, again.get(run.uuid)) and _changed_at(run) <= before
    ]
    return Recount(
        pool=pool.name,
        held=len(held),
        under_way=len(runs) or len(held),
        drifted=tuple(h for h in ledger.holders if _is_over(again.get(h.run), h, before)),
        missing=tuple(run for run in still if run.state is not RunState.SCHEDULED),
        lost=tuple(run for run in still if run.state is RunState.SCHEDULED),
    )


def put_right(ports: Ports, found: Recount) -> None:
    """Give back the slots that drifted, book those that are missing, also above a limit, and put
    lost runs in line; the next sweep starts what can start.

    Every statement of a recount stays true or is taken back by the next pass, so this is
    idempotent and safe beside anything else. Raises Unavailable, Conflict.
    """
    ports.store.enqueue(found.pool, [Ready.of(run) for run in found.lost], ports.clock())
    for race in range(_RACES):
        ledger = ports.store.ledger(found.pool)
        after = _corrected(ports, ledger, found)
        if after.holders == ledger.holders:
            return
        try:
            ports.store.commit(replace(after, version=ledger.version + 1))
        except Conflict:
            ports.rest(race)
            continue
        return
    raise Conflict(f"pool {found.pool!r}: lost {_RACES} races for the ledger")


def _corrected(ports: Ports, ledger: Ledger, found: Recount) -> Ledger:
    ledger = ledger.without({holder.slot for holder in found.drifted})
    held = {holder.slot for holder in ledger.holders}
    # They may have ended since, and nobody would release what is booked after that.
    now = ports.store.runs(found.pool, [run.uuid for run in found.missing])
    new = tuple(
        _holder(run)
        for run in found.missing
        if _slot(run) not in held and _is_same(run, now.get(run.uuid))
    )
    return replace(ledger, holders=(*ledger.holders, *new))


def _line(ports: Ports, pool: Pool) -> Iterator[Ready]:
    for queue in (*(queue.name for queue in pool.queues), *pool.retired):
        for lane in (None, ""):
            page = ports.store.line(pool.name, queue, _PAGE, lane=lane)
            while page:
                yield from page
                page = ports.store.line(pool.name, queue, _PAGE, after=page[-1], lane=lane)


def _slot(run: Run) -> Slot:
    """What it holds in flight, or waits for."""
    waits = run.state is RunState.SCHEDULED
    return Slot(run.uuid, run.next_attempt if waits else run.attempt)


def _is_same(run: Run, later: Run | None) -> bool:
    return later is not None and not later.state.ended and _slot(later) == _slot(run)


def _is_over(run: Run | None, holder: Holder, before: int) -> bool:
    if run is None:
        return True
    return run.has_ended(holder.attempt) and _changed_at(run) <= before


def _changed_at(run: Run) -> int:
    """When it came to be what it is, as far as the run says."""
    return max(_times(run))


def _times(run: Run) -> Iterable[int]:
    yield run.submitted_at
    yield run.ended_at or 0
    if run.current is not None:
        yield run.current.claimed_at
        yield run.current.ended_at or 0


def _holder(run: Run) -> Holder:
    since = run.current.claimed_at if run.current else run.submitted_at
    return Holder(run.uuid, run.attempt, run.queue, since, run.concurrency_key, run.deployment)
