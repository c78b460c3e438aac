"""Which new runs can be admitted at once, without a place in line?

A newcomer is named by the record of its insert, as it was submitted. If that was just now, and
nothing else in its batch says otherwise, it is decided about as if it stood in line: without the
place that would be put and removed again, and without being read. Whatever may have happened to it
since is found by the push, which claims it or gives its slot back. Everybody else is enqueued.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from push_dispatch.core.model import Pool, Ready, Run
from push_dispatch.engine.claims import declaration_of
from push_dispatch.engine.collide import is_settled
from push_dispatch.engine.hints import Hints
from push_dispatch.ports import Ports

__all__ = ["FRESH_SECONDS", "has_started", "newcomers", "send_again"]

#: The record of an insert that is older than this may be one that comes late or again.
FRESH_SECONDS = 5


#: New runs that are read at once.
_FEW = 25


def has_started(ports: Ports, pool: str, hints: Hints) -> bool:
    """Whether these hints are of a few new runs, and of nothing else, and none of them waits any
    more: whoever submitted them has had them started. One read, in place of that of the pool."""
    if ports.eager is None or not 0 < len(hints.new) <= _FEW or hints != Hints(new=hints.new):
        return False
    runs = ports.store.runs(pool, [run.uuid for run in hints.new])
    return not any((found := runs.get(run.uuid)) and found.waits_for(1) for run in hints.new)


def newcomers(pool: Pool, hints: Hints, now: int) -> list[Ready]:
    """Take the newcomers out of these hints; the other new runs are among those that wait."""
    # Of whom later records of the batch tell, they tell the truth.
    later = {entry.run for entry in hints.waiting} | {slot.run for slot in hints.ended}
    runs = {run.uuid: run for run in hints.new if run.uuid not in later}
    found = list(_newcomers(pool, runs.values(), now))
    at_once = {place.run for place in found}
    hints.waiting += [Ready.of(run) for run in runs.values() if run.uuid not in at_once]
    hints.new = []
    return found


def send_again(ports: Ports, pool: Pool, places: Sequence[Ready]) -> list[Ready]:
    """Those of these places, which hold their slots, whose runs have not been claimed. If their
    message is on its way another one does no harm: one of the two claims the run."""
    runs = ports.store.runs(pool.name, [place.run for place in places])
    return [
        place
        for place in places
        if (run := runs.get(place.run)) and not run.unreadable and run.waits_for(place.attempt)
    ]


def _newcomers(pool: Pool, runs: Iterable[Run], now: int) -> Iterator[Ready]:
    under, queues = declaration_of(pool), {queue.name for queue in pool.queues}
    for run in runs:
        place = Ready.of(run)
        if (
            now - FRESH_SECONDS * 1000 <= run.submitted_at <= now
            and place.due <= now
            and place.queue in queues
            and not is_settled(place)
            and (not under or place.under == under)
        ):
            yield place
