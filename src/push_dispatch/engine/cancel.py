"""How is a run cancelled, whatever its state?

Waiting: it never starts. Being pushed: it is not pushed, or stopped as soon as its handle is
known. Running: it is stopped, and keeps its slot until that is known to have happened.
"""

from __future__ import annotations

from push_dispatch.core.errors import Refused
from push_dispatch.core.events import Stop
from push_dispatch.core.model import Run, parse_run_id
from push_dispatch.engine.transition import transition
from push_dispatch.ports import Ports

__all__ = ["cancel"]


def cancel(ports: Ports, run_id: str) -> Run:
    """Ask the run to stop and return it: CANCELLED, or CANCELLING. Idempotent meanwhile.

    Raises Invalid, NotFound (`run_not_found`), Refused (`already_ended`).
    """
    pool, uuid = parse_run_id(run_id)
    run = transition(ports, pool, uuid, Stop("cancelled_by_user"))
    if run.state.ended and run.stop is None and run.reason != "cancelled_by_user":
        raise Refused(
            f"run {run_id} has already ended: {run.state.value} ({run.reason})",
            reason="already_ended",
        )
    return run
