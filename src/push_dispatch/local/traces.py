"""How do traces and metrics of a local runtime reach a collector? By a thread of its own.

A run that has ended is taken from the change feed, and nothing else waits for the collector. What
it does not take is sent again, for as long as the runtime is up.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from push_dispatch.core.model import Run
from push_dispatch.handlers.stream import changes_of
from push_dispatch.local.loops import Loop
from push_dispatch.local.signals import Signal
from push_dispatch.ports.settings import traces_wanted
from push_dispatch.ports.store import Change

if TYPE_CHECKING:
    from push_dispatch.adapters.otlp import Otlp

__all__ = ["Traces", "collector_of"]

log = logging.getLogger(__name__)

#: Runs that are kept for a collector that takes none: then the oldest are left out.
_KEPT = 5_000
#: Runs of one request.
_BATCH = 200
#: Seconds until the next try.
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0
#: Seconds that a stop waits for the collector.
_LAST_SECONDS = 5.0
_UNTIL_POKED = 3600.0


def collector_of(environ: Mapping[str, str]) -> Otlp | None:
    """Return the collector that the environment names. None if it names none; None, too, and the
    log says why, if it cannot be reached in the way in which we send."""
    if not traces_wanted(environ):
        return None
    endpoint = environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
    if not endpoint.startswith(("http://", "https://")):
        log.warning("no traces: OTEL_EXPORTER_OTLP_ENDPOINT is %r, and no http:// URL", endpoint)
        return None
    try:
        from push_dispatch.adapters.otlp import Otlp  # noqa: PLC0415 - few want it
    except ModuleNotFoundError as error:
        log.warning("no traces: %s is missing: pip install 'push-dispatch[otel]'", error.name)
        return None
    return Otlp(environ, lasts=True)


class Traces:
    """Runs on their way to a collector. `start` it, give it changes, and `close` it."""

    def __init__(self, collector: Otlp) -> None:
        self._signal = Signal()
        self._loop = Loop("traces", self._step, self._signal)
        self._collector = collector
        self._runs: deque[Run] = deque()
        self._lock = Lock()
        #: 0 while the collector takes what it is sent.
        self._pause = 0.0

    def start(self) -> None:
        """Start the thread."""
        self._loop.start()

    def handle(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take the runs that have ended from a batch of changes."""
        for _, change in changes_of(event["Records"]):
            if isinstance(change, Change) and (run := _just_ended(change)):
                self._keep([run])
        if not self._pause:
            self._signal.poke()
        return {}

    def close(self) -> None:
        """Send what is left, if the collector takes it at once: nothing waits for it for longer."""
        self._loop.stop()
        thread = Thread(target=self._end, name="last-traces", daemon=True)
        thread.start()
        thread.join(_LAST_SECONDS)
        if self._runs or thread.is_alive():
            log.warning("the OTLP collector did not take the last traces")

    def _step(self) -> float:
        while batch := self._take():
            if not self._collector.export(batch):
                self._pause = min(2 * self._pause, _LONGEST_PAUSE) or _FIRST_PAUSE
                self._keep(batch, first=True)
                said = "the OTLP collector took no traces: %s runs are sent again in %s seconds"
                log.warning(said, len(self._runs), round(self._pause))
                return self._pause
            self._pause = 0
        return _UNTIL_POKED

    def _end(self) -> None:
        self._loop.join()
        self._step()
        self._collector.close()

    def _take(self) -> list[Run]:
        with self._lock:
            return [self._runs.popleft() for _ in range(min(_BATCH, len(self._runs)))]

    def _keep(self, runs: Sequence[Run], *, first: bool = False) -> None:
        with self._lock:
            if first:
                self._runs.extendleft(reversed(runs))
            else:
                self._runs.extend(runs)
            if (too_many := len(self._runs) - _KEPT) > 0:
                for _ in range(too_many):
                    self._runs.popleft()
                log.error("traces of %s runs are lost: the OTLP collector takes none", too_many)


def _just_ended(change: Change) -> Run | None:
    before, after = change.before, change.after
    if after is None or not after.state.ended or after.unreadable:
        return None
    return None if before is not None and before.state.ended else after
