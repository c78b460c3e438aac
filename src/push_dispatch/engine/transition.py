"""How does an event reach the run in the table? Read, advance, save."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from push_dispatch.core.errors import Conflict, NotFound
from push_dispatch.core.events import Event, Move
from push_dispatch.core.lifecycle import advance, end_malformed
from push_dispatch.core.model import DEFAULT_QUEUE, Ready, Run, RunState
from push_dispatch.core.reasons import Reason
from push_dispatch.ports import Ports

__all__ = ["end_unreadable", "move", "readable", "transition", "transition_all"]

log = logging.getLogger(__name__)

#: Writers of one run are few (a push, an event, a person), so that losing this often is a bug.
_TRIES = 12
_PARALLEL = 8


def transition(ports: Ports, pool: str, uuid: str, event: Event, *, run: Run | None = None) -> Run:
    """Apply `event` to the run and return the run as stored afterwards: unchanged if the event
    does not apply (any more). Idempotent. A run that is malformed in the table is ended first.
    `run` is the run as last seen by the caller, which saves a read. Raises NotFound
    (`run_not_found`), Unavailable.
    """
    for race in range(_TRIES):
        run = run or ports.store.run(pool, uuid)
        if run is None:
            raise NotFound(f"there is no run {pool}.{uuid}", reason=Reason.RUN_NOT_FOUND)
        try:
            run = end_unreadable(ports, run)
            after = advance(run, event, ports.clock())
            if after is run:
                return run
            ports.store.save_run(after)
        except Conflict:
            run = None
            ports.rest(race)
        else:
            return after
    raise Conflict(f"run {pool}.{uuid} is being changed all the time")


def transition_all(ports: Ports, pool: str, runs: Sequence[Run], event: Event) -> None:
    """Apply `event` to many runs as last seen by the caller, several at once. Raises as
    `transition` does."""

    def apply(run: Run) -> None:
        transition(ports, pool, run.uuid, event, run=run)

    if len(runs) <= _PARALLEL:
        for run in runs:
            apply(run)
        return
    with ThreadPoolExecutor(_PARALLEL) as threads:
        list(threads.map(apply, runs))


def move(ports: Ports, pool: str, entries: Sequence[Ready]) -> set[str]:
    """Move waiting runs from these places into the default queue; return the runs that wait there.

    The new places are put before the old ones go, so no crash and no lost change can leave a run
    without one. Idempotent. Raises Unavailable.
    """
    moved: list[Ready] = []
    for entry in entries:
        try:
            run = transition(ports, pool, entry.run, Move(DEFAULT_QUEUE))
        except NotFound:
            log.warning("run %s.%s waits in line and does not exist", pool, entry.run)
            continue
        if run.state is RunState.SCHEDULED:
            moved.append(Ready.of(run))
    ports.store.enqueue(pool, moved, ports.clock())
    kept = set(moved)
    ports.store.dequeue(pool, [entry for entry in entries if entry not in kept])
    return {entry.run for entry in moved}


def end_unreadable(ports: Ports, run: Run) -> Run:
    """End a run that is malformed in the table, with the reason `invalid_input`: it would hold up
    its slot, its place in line, and whoever reads it. If its attempt may be alive it is stopped
    first, as by a cancellation. The same run if nothing is wrong with it.

    Idempotent. Raises Conflict if somebody has written it since, Unavailable.
    """
    if not run.unreadable:
        return run
    ended = end_malformed(run, ports.clock())
    ports.store.mend_run(ended)
    return ended


def readable(ports: Ports, pool: str, uuid: str) -> Run | None:
    """The run, after it has been ended if it is malformed in the table; None if there is none.
    Raises Conflict, Unavailable."""
    run = ports.store.run(pool, uuid)
    return None if run is None else end_unreadable(ports, run)
