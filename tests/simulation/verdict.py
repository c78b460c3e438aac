"""Was it a good end? Nothing is left, nothing is lost, and nobody ended for no reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from push_dispatch.core.model import Run, RunState
from tests.simulation.plan import Act

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

__all__ = ["complaints"]


def complaints(sim: Simulation) -> Iterator[str]:
    """What is wrong with the end of a story."""
    for what in sim.left():
        yield f"not drained: {what}"
    runs = {run.uuid: run for run in sim.runs()}
    for uuid in sim.people.accepted:
        if uuid not in runs:
            yield f"the run {uuid} was accepted, and is lost"
    yield from _requests(sim, runs.values())
    for run in runs.values():
        if run.state is RunState.CRASHED and not _may_crash(sim, run):
            yield f"{run.name} crashed for no reason: {run.reason}, {run.message}"
        if run.state is RunState.CANCELLED and not _may_be_cancelled(run):
            yield f"{run.name} was cancelled for no reason: {run.reason}"
    for queue in sim.queues:
        for message in queue.dead:
            if message.receives <= queue.facts.max_receives:
                yield f"a loop was stopped: {message.body[:80]}"


def _requests(sim: Simulation, runs: Iterable[Run]) -> Iterator[str]:
    deleted = any(isinstance(p, Act) and p.what == "delete_queue" for p in sim.plan.parts)
    keys = {run.idempotency_key for run in runs}
    for key in sim.people.requested:
        if key not in keys and not deleted:
            yield f"the request {key} was accepted, and is lost"


def _may_crash(sim: Simulation, run: Run) -> bool:
    """A run crashes when its platform rejected it, when it vanished, when its time was up, or when
    what was sent is in doubt for an hour; never because it had to wait."""
    if run.reason in ("timed_out", "start_timeout"):
        return run.timeout_seconds is not None or run.reason == "start_timeout"
    if run.reason in ("invalid_input", "pool_not_found"):
        return True
    name = f"pd-{run.uuid.replace('-', '')}-{run.attempt}"
    if run.reason == "push_uncertain":
        return name in sim.cloud.in_doubt
    return name in sim.cloud.rejected | sim.cloud.vanished


def _may_be_cancelled(run: Run) -> bool:
    if run.reason == "expired":
        return run.expires is not None
    if run.reason == "cancelled_by_collision":
        return bool(run.deployment or run.concurrency_key)
    if run.reason in ("superseded", "replaced"):
        return bool(run.deployment or run.concurrency_key)
    if run.reason == "debounced":
        return run.debounce_seconds is not None
    return run.reason in ("cancelled_by_user", "invalid_input")
