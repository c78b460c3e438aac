"""Why is a run waiting, or why did it end?

`why` answers for every view: lists, the API and explanations. It asks the same `decide()` that
dispatches, over the same reads, so it cannot tell another story than what happens.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from push_dispatch.core.admission import Snapshot, decide, startable_alone
from push_dispatch.core.model import Ready, Run, RunState, Slot
from push_dispatch.core.reasons import Reason
from push_dispatch.engine.snapshot import snapshot_of, with_heads
from push_dispatch.ports import Ports

__all__ = ["reasons_in", "reasons_of", "settled_reason", "why"]

_STATE_REASONS = {
    RunState.SCHEDULED: Reason.POOL_NOT_FOUND,
    RunState.PENDING: Reason.STARTING,
    RunState.RUNNING: Reason.RUNNING,
    RunState.CANCELLING: Reason.CANCELLED_BY_USER,
    RunState.COMPLETED: Reason.COMPLETED,
    RunState.FAILED: Reason.EXIT_CODE,
    RunState.CRASHED: Reason.INFRASTRUCTURE_FAILURE,
    RunState.CANCELLED: Reason.CANCELLED_BY_USER,
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
        (decision.admit, Reason.ADMISSIBLE),
        (decision.resend, Reason.HANDING_OVER),
        (decision.expire, Reason.EXPIRED),
        (decision.collide, Reason.CANCELLED_BY_COLLISION),
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
        reasons |= reasons_in(ports, snapshot_of(ports, pool), waiting)
    return reasons


def reasons_in(ports: Ports, snapshot: Snapshot | None, runs: Sequence[Run]) -> dict[str, str]:
    """Give the reason of each of these waiting runs, by uuid; `snapshot` is of their pool."""
    if snapshot is None:
        return {run.uuid: Reason.POOL_NOT_FOUND for run in runs}
    now, places = ports.clock(), [Ready.of(run) for run in runs]
    reasons = why(with_heads(ports, snapshot, now, places), now)
    # Without its queue, a run is about to move to the default queue.
    return {place.run: reasons.get(place.slot, Reason.QUEUE_NOT_FOUND) for place in places}


def _waits_because(ready: Ready, reason: str, alone: Collection[Slot]) -> str:
    if reason == Reason.NOT_DUE and ready.attempt > 1:
        return Reason.RETRY_BACKOFF
    # Slots and starts are left for it, but not after those that are served first.
    return Reason.BEHIND_OTHERS if reason != Reason.ADMISSIBLE and ready.slot in alone else reason


def settled_reason(run: Run) -> str:
    return run.reason or run.stop or _STATE_REASONS[run.state]
