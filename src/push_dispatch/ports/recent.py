"""Which runs has this process written a moment ago?

What a warm function remembers saves it the read before the next write of the same run. It may be
out of date: whoever saves what was made of it finds out by the revision, and reads then.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from push_dispatch.core.model import Run, RunState

__all__ = ["Recent"]

#: Runs that are remembered. Most are of a kilobyte, none of more than 400.
_MOST = 64
#: How long. An idempotency key makes a run under the same id again a day after the end of the
#: former one at the earliest, with the same revisions.
_KEPT_MS = 3_600_000
_UNDER_WAY = (RunState.PENDING, RunState.RUNNING)


class Recent:
    """The last runs under way. Safe to share between threads."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, tuple[int, Run]] = OrderedDict()
        self._lock = Lock()

    def keep(self, run: Run, now: int) -> None:
        """Remember a run as it was just stored or read; what has ended is forgotten."""
        with self._lock:
            self._runs.pop(run.id, None)
            if run.state in _UNDER_WAY and not run.unreadable:
                self._runs[run.id] = (now, run)
            if len(self._runs) > _MOST:
                self._runs.popitem(last=False)

    def get(self, run_id: str, attempt: int, now: int) -> Run | None:
        """The run, if it is remembered and was in this attempt."""
        with self._lock:
            at, run = self._runs.get(run_id, (0, None))
        fits = run is not None and run.attempt == attempt and 0 <= now - at < _KEPT_MS
        return run if fits else None
