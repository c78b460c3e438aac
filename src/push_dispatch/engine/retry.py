"""How is a run that has ended run again? As another run with the same content."""

from __future__ import annotations

from dataclasses import replace

from push_dispatch.core.errors import NotFound, Refused
from push_dispatch.core.model import DEFAULT_QUEUE, Run, parse_run_id
from push_dispatch.core.reasons import Reason
from push_dispatch.core.request import Check, Request, request_like
from push_dispatch.engine.submit import Submitted, pool_named, submit
from push_dispatch.ports import Ports

__all__ = ["again", "retry"]


def retry(ports: Ports, run_id: str, *, check: Check | None = None) -> Submitted:
    """Submit a run that has ended once more, to start as soon as it is its turn. Idempotent: a run
    has one such successor, which may be retried in its turn.

    Raises Invalid, NotFound (`run_not_found`, `pool_not_found`), Refused (`not_ended`), and what
    `submit` raises.
    """
    pool, uuid = parse_run_id(run_id)
    run = ports.store.run(pool, uuid)
    if run is None:
        raise NotFound(f"there is no run {run_id}", reason=Reason.RUN_NOT_FOUND)
    return submit(ports, again(ports, run), check=check)


def again(ports: Ports, run: Run) -> Request:
    """Return the request that `retry` submits. Raises Refused (`not_ended`), NotFound."""
    if not run.state.ended:
        raise Refused(f"run {run.id} has not ended: {run.state.value}", reason=Reason.NOT_ENDED)
    there = pool_named(ports, run.pool).queue(run.queue)
    # A deleted queue's runs go to the default queue.
    queue = run.queue if there else DEFAULT_QUEUE
    key = f"retry of {run.pool}.{run.instance}"
    fresh = replace(request_like(run), traceparent="", debounce_seconds=None)
    return replace(fresh, queue=queue, idempotency_key=key)
