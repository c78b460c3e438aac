"""How is an attempt stopped whose run is CANCELLING? Ask the platform; its end is seen later."""

from __future__ import annotations

import logging

from push_dispatch.core.errors import PlatformError
from push_dispatch.core.model import Run, RunState, parse_run_id
from push_dispatch.engine.transition import readable
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import StopAttempt

__all__ = ["stop", "stop_attempt"]

log = logging.getLogger(__name__)

#: Waits before the platform is asked again after it could not be reached. Then the sweep does so,
#: once a minute.
_PAUSES = (5, 15, 30)


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
