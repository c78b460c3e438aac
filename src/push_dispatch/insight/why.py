"""Why is a run waiting, or why did it end?

`why` answers for every view: lists, the API and explanations. It asks the same `decide()` that
dispatches, over the same reads, so it cannot tell another story than what happens.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from push_dispatch.core.admission import Snapshot, decide, startable_alone
from push_dispatch.core.model import Ready, Run, RunState, Slot
from push_dispatch.engine.gate import last_type
from push_dispatch.ports import Ports

__all__ = ["DEPTH", "decided", "deeper", "reasons_of", "settled_reason", "snapshot_with", "why"]

#: Places of a queue that an explanation looks at; behind that the place in line is "at least".
DEPTH = 1000
#: Places of each queue that are read beyond the free slots, for those that are held back.
_SLACK = 10

_STATE_REASONS = {
    RunState.SCHEDULED: "pool_not_found",
    RunState.PENDING: "starting",
    RunState.RUNNING: "running",
    RunState.CANCELLING: "cancelled_by_user",
    RunState.COMPLETED: "completed",
    RunState.FAILED: "exit_code",
    RunState.CRASHED: "infrastructure_failure",
    RunState.CANCELLED: "cancelled_by_user",
}


def why(snapshot: Snapshot, now: int) -> dict[Slot, str]:
    """Give the reason of every place in line of a snapshot: a token of kind `wait`, or of the end
    that the next pass of dispatch makes of it."""
    decision = decide(snapshot, now)
    alone = startable_alone(snapshot, now)
    reasons = {
        wait.ready.slot: _waits_because(wait.ready, wait.reason, alone) for wait in decision.wait
    }
    for entries, reason in (
        (decision.admit, "admissible"),
        (decision.resend, "handing_over"),
        (decision.expire, "expired"),
        (decision.collide, "cancelled_by_collision"),
    ):
        reasons |= {entry.slot: reason for entry in entries}
    return reasons


def reasons_of(ports: Ports, pool: str, runs: Sequence[Run]) -> dict[str, str]:
    """Give the reason of each of these runs of one pool, by uuid.

    A waiting run's reason is decided now, over one snapshot for all of them; others have their
    own. Reads no more of the line than the free slots can take, however long it is.
    """
    reasons = {run.uuid: settled_reason(run) for run in runs}
    waiting = [run for run in runs if run.state is RunState.SCHEDULED]
    if waiting:
        snapshot = snapshot_with(ports, pool, map(Ready.of, waiting))
        reasons |= decided(ports, snapshot, waiting)
    return reasons


def snapshot_with(ports: Ports, name: str, places: Iterable[Ready]) -> Snapshot | None:
    """Read what a pass of dispatch would read, with these places where they belong: further
    behind, or about to be put in line. None if there is no pool."""
    # The ledger first, as a pass of dispatch does.
    ledger, pool = ports.store.ledger(name), ports.store.pool(name)
    if pool is None:
        return None
    now, circuit = ports.clock(), ports.store.circuit(name, last_type(pool))
    page = min(DEPTH, max(0, pool.slots - len(ledger.holders)) + _SLACK)
    lines = {q.name: ports.store.line(name, q.name, page, due=now) for q in pool.queues}
    more = {queue for queue, line in lines.items() if len(line) == page}
    while hungry := more & decide(Snapshot(pool, ledger, lines, circuit), now).hungry:
        # Runs are held back by their keys and slots are left: dispatch reads on, too.
        for queue in hungry:
            line = lines[queue]
            found = ports.store.line(name, queue, page, after=line[-1], due=now)
            line += found
            if len(found) < page or len(line) >= DEPTH:
                more.discard(queue)
    return Snapshot(pool, ledger, _with(lines, places), circuit)


def deeper(ports: Ports, snapshot: Snapshot, *places: Ready) -> Snapshot:
    """Read the lines as far as numbers and estimates look, with the runs that are not due yet."""
    pool = snapshot.pool
    lines = {q.name: ports.store.line(pool.name, q.name, DEPTH) for q in pool.queues}
    return replace(snapshot, ready=_with(lines, places))


def _with(
    lines: Mapping[str, Sequence[Ready]], places: Iterable[Ready]
) -> dict[str, Sequence[Ready]]:
    merged = {name: set(line) for name, line in lines.items()}
    for place in places:
        if place.queue in merged:
            merged[place.queue].add(place)
    return {name: sorted(line, key=lambda r: (r.due, r.order)) for name, line in merged.items()}


def decided(ports: Ports, snapshot: Snapshot | None, runs: Iterable[Run]) -> dict[str, str]:
    if snapshot is None:
        return {run.uuid: "pool_not_found" for run in runs}
    reasons = why(snapshot, ports.clock())
    # Without its queue, a run is about to move to the default queue.
    return {run.uuid: reasons.get(Ready.of(run).slot, "queue_not_found") for run in runs}


def _waits_because(ready: Ready, reason: str, alone: Collection[Slot]) -> str:
    if reason == "not_due" and ready.attempt > 1:
        return "retry_backoff"
    # Slots and starts are left for it, but not after those that are served first.
    return "behind_others" if reason != "admissible" and ready.slot in alone else reason


def settled_reason(run: Run) -> str:
    return run.reason or run.stop or _STATE_REASONS[run.state]
