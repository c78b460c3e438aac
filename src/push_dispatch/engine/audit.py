"""Which new runs have got lost on their way into line?

Audit: finds waiting runs without a place in line, and enqueues them.

A run is enqueued when its insert arrives through the table's stream. If that record is lost,
nothing else would ever name the run: it holds no slot and stands in no line. The ids of runs begin
with the time (uuid7), so each sweep reads only those between the last one that was audited and two
minutes ago: each run once, however many have ended. Runs whose ids do not begin with the time,
because an idempotency key determines them, are enqueued by whoever submits them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice

from push_dispatch.core.errors import Conflict
from push_dispatch.core.model import Ready, Run, RunState, first_id_at
from push_dispatch.engine.transition import end_unreadable
from push_dispatch.ports import Ports

__all__ = ["SETTLED_SECONDS", "audit", "not_audited"]

log = logging.getLogger(__name__)

#: The record of a younger run may still be on its way.
SETTLED_SECONDS = 120
#: Runs that one audit reads: more than a partition can take in a minute, so it always catches up.
_PAGES, _PAGE = 20, 1000


def audit(ports: Ports, pool: str) -> int:
    """Enqueue the pool's new runs that wait and are not in line, and return how many there were.

    Idempotent; safe beside anything else. Raises Unavailable.
    """
    now = ports.clock()
    until = first_id_at(now - SETTLED_SECONDS * 1000)
    after = ports.store.audited(pool)
    runs = ports.store.list_runs(pool, newest_first=False, after=after, until=until)
    enqueued = 0
    last = ""
    for page in _pages(runs):
        _end_unreadable(ports, page)
        enqueued += _enqueue_lost(ports, pool, page)
        last = page[-1].uuid
    if last:
        ports.store.save_audited(pool, last)
    return enqueued


def not_audited(ports: Ports, pool: str) -> Iterator[Run]:
    """The waiting runs of which no audit has made sure that they are in line: the newest ones."""
    after = ports.store.audited(pool)
    return ports.store.list_runs(pool, states=frozenset({RunState.SCHEDULED}), after=after)


def _pages(runs: Iterator[Run]) -> Iterator[list[Run]]:
    for _ in range(_PAGES):
        page = list(islice(runs, _PAGE))
        if not page:
            return
        yield page


def _enqueue_lost(ports: Ports, pool: str, page: Sequence[Run]) -> int:
    lost = _lost(ports, pool, [Ready.of(r) for r in page if _waits(r)])
    if lost:
        log.warning("pool %s: %s runs were in no line, such as %s", pool, len(lost), lost[0].run)
        ports.store.enqueue(pool, lost, ports.clock())
    return len(lost)


def _waits(run: Run) -> bool:
    return run.state is RunState.SCHEDULED and not run.unreadable


def _end_unreadable(ports: Ports, page: Sequence[Run]) -> None:
    """Those whose state is malformed, too, come through no filter of the stream."""
    for run in page:
        with suppress(Conflict):
            end_unreadable(ports, run)


def _lost(ports: Ports, pool: str, waiting: Sequence[Ready]) -> list[Ready]:
    """Those that are not in line, hold no slot, and still wait.

    The order of the reads makes it true: a place goes only after the slot was taken, and a slot
    only after the run has moved on. The wrong answer would be harmless, but counted.
    """
    if not waiting:
        return []
    in_line = ports.store.in_line(pool, waiting)
    missing = [entry for entry in waiting if entry not in in_line]
    if not missing:
        return []
    held = {holder.slot for holder in ports.store.ledger(pool).holders}
    runs = ports.store.runs(pool, [entry.run for entry in missing])
    return [
        entry
        for entry in missing
        if entry.slot not in held
        and (run := runs.get(entry.run)) is not None
        and run.waits_for(entry.attempt)
        and Ready.of(run) == entry
    ]
