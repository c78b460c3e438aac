"""What is to be expected if runs take as long as the last ones did?

Estimate: how long runs hold their slots, when the slots that are held will be free, and what is
in line. Explanations and previews take theirs from here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from statistics import median

from push_dispatch.core.admission import Snapshot
from push_dispatch.core.model import TERMINAL, Ledger, Run, Slot
from push_dispatch.core.simulate import Arrival
from push_dispatch.ports import Ports

__all__ = [
    "Durations",
    "durations_from",
    "durations_of",
    "expected_arrivals",
    "expected_ends",
    "held_for",
]

#: Runs that the estimate goes by: the last ones of the pool that have ended.
_LAST = 200
#: For a pool of which no run has ended yet, in milliseconds.
_UNKNOWN = 60_000


@dataclass(frozen=True, slots=True)
class Durations:
    """For how long runs hold their slots: medians in milliseconds."""

    by_queue: Mapping[str, int]
    #: Of the whole pool; None if no run of it has ended.
    pool: int | None = None

    def of(self, queue: str) -> int:
        """Of a queue: as the pool's, if no run of it has ended; a minute, if none has at all."""
        return self.by_queue.get(queue, _UNKNOWN if self.pool is None else self.pool)


def durations_of(ports: Ports, pool: str) -> Durations:
    """The durations of the pool's last runs. Raises Unavailable."""
    return durations_from(islice(ports.store.list_runs(pool, states=TERMINAL), _LAST))


def durations_from(runs: Iterable[Run]) -> Durations:
    """The durations of these runs of one pool; those that have not ended do not count."""
    taken: dict[str, list[int]] = defaultdict(list)
    for run in runs:
        if (held := held_for(run)) is not None:
            taken[run.queue].append(held)
    values = [value for queue in taken.values() for value in queue]
    medians = {queue: int(median(queue_values)) for queue, queue_values in taken.items()}
    return Durations(medians, int(median(values)) if values else None)


def held_for(run: Run) -> int | None:
    """For how long its last attempt held a slot, in milliseconds; None if that has not ended."""
    attempt = run.current
    if attempt is None or attempt.ended_at is None:
        return None
    return max(1, attempt.ended_at - attempt.claimed_at)


def expected_ends(ledger: Ledger, durations: Durations, now: int) -> dict[Slot, int]:
    """When the slots that are held now will be free."""
    return {h.slot: max(now + 1, h.since + durations.of(h.queue)) for h in ledger.holders}


def expected_arrivals(snapshot: Snapshot, durations: Durations, now: int) -> list[Arrival]:
    """What is in line, without those that hold a slot already: they are being handed over."""
    held = {holder.slot for holder in snapshot.ledger.holders}
    return [
        Arrival(max(ready.due, now), durations.of(ready.queue), ready)
        for line in snapshot.ready.values()
        for ready in line
        if ready.slot not in held
    ]
