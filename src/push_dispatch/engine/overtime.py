"""Has an attempt had its time? What counts is what ran: jobs of this machine sleep when it does.

The sweep stops who has, and finish tells a timeout from a stop by others.
"""

from __future__ import annotations

from push_dispatch.core.ending import overdue
from push_dispatch.core.model import Run
from push_dispatch.ports import Ports

__all__ = ["overtime"]


def overtime(ports: Ports, run: Run) -> tuple[str, int] | None:
    """Why the current attempt has to be stopped, and for how many milliseconds it has had to be;
    None if it may go on. See `core.ending.overdue`."""
    now = ports.clock()
    if run.current is None or overdue(run, now) is None:
        return None  # Before anybody is asked for naps.
    began = run.current.started_at or run.current.pushed_at or now
    awake = now - ports.slept(run.current.platform, began)
    found = overdue(run, awake)
    return None if found is None else (found[0], awake - found[1])
