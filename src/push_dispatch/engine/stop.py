"""How is a run cancelled, whatever its state, and its attempt stopped?

Waiting: it never starts. Being pushed: it is not pushed, or stopped as soon as its handle is
known. Running: its platform is asked to stop it, and it keeps its slot until its end is seen.
"""

from __future__ import annotations

import logging

from push_dispatch.core.errors import PlatformError, Refused
from push_dispatch.core.events import Stop
from push_dispatch.core.model import Run, RunState, parse_run_id
from push_dispatch.core.reasons import Reason
from push_dispatch.engine.transition import readable, transition
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import StopAttempt

__all__ = ["cancel", "stop", "stop_attempt"]

log = logging.getLogger(__name__)

#: Waits before the platform is asked again after it could not be reached. Then the sweep does so,
#: once a minute.
_PAUSES = (5, 15, 30)


def cancel(ports: Ports, run_id: str) -> Run:
    """Ask the run to stop and return it: CANCELLED, or CANCELLING. Idempotent meanwhile.

    Raises Invalid, NotFound (`run_not_found`), Refused (`already_ended`).
    """
    pool, uuid = parse_run_id(run_id)
    run = transition(ports, pool, uuid, Stop(Reason.CANCELLED_BY_USER))
    if run.state.ended and run.stop is None and run.reason != Reason.CANCELLED_BY_USER:
        raise Refused(
            f"run {run_id} has already ended: {run.state.value} ({run.reason})",
            reason=Reason.ALREADY_ENDED,
        )
    return run


def stop(ports: Ports, message: StopAttempt) -> None:
    """Carry out an order to stop, if it still stands. Idempotent. The run keeps its slot until
    its infrastructure is known to have ended."""
    pool, uuid = parse_run_id(message.run)
    run = readable(ports, pool, uuid)
    if run and run.state is RunState.CANCELLING and run.attempt == message.attempt:
        stop_attempt(ports, run, message.tries)


def stop_attempt(ports: Ports, run: Run, tries: int = 0) -> None:
    """Ask the platform to stop the run's attempt.

    Without a handle it is being pushed right now, and that push stops it; or that push died, and
    the next one finds the order.
    """
    attempt = run.current
    if attempt is None or attempt.handle is None:
        return
    try:
        platform = ports.platform(attempt.platform)
        with ports.timed(attempt.platform, "cancel"):
            platform.cancel(attempt.handle)
    except PlatformError as error:
        log.warning("stopping %s: %s; asked again later", run.id, error.message)
        if tries < len(_PAUSES):
            again = StopAttempt(run.id, attempt.number, tries + 1)
            ports.messages.send(attempt.platform, [again], _PAUSES[tries])
