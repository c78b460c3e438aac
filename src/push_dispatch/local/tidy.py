"""What does a runtime that is up for months leave on the disk? What its retention says, no more."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from push_dispatch.platforms.process.attempt import halve

__all__ = ["LOG_BYTES", "Keeps", "Tidy"]

log = logging.getLogger(__name__)

_DAY = 86_400
#: Between two looks at logs, and at what was kept long enough.
_SECONDS, _FORGET_SECONDS = 60.0, 3600.0
#: Of one log: a job's, the runtime's own.
LOG_BYTES = 64_000_000


class Keeps(Protocol):
    """A platform that has files of attempts."""

    def forget(self, before: float) -> int:
        """Delete what is left of attempts that ended before this time, in epoch seconds."""
        ...

    def bound_logs(self, most: int) -> None:
        """Keep the logs of what runs within so many bytes."""
        ...


class Tidy:
    """Bounds logs each minute, and deletes each hour what was kept for long enough."""

    def __init__(
        self,
        platform: Keeps | None,
        logs: Iterable[Path],
        retention_days: int,
        *,
        clock: Callable[[], float] = time.time,
        most: int = LOG_BYTES,
    ) -> None:
        """`logs` are files that others append to; `clock` returns epoch seconds. With a retention
        of 0 days attempts are kept for good."""
        self._platform = platform
        self._logs = list(logs)
        self._days = retention_days
        self._clock = clock
        self._most = most
        self._forgets_at = 0.0

    def step(self) -> float:
        """Do what is due; return the seconds until the next time."""
        for file in self._logs:
            with suppress(OSError):  # It may not be there.
                halve(file, self._most)
        if self._platform is not None:
            self._platform.bound_logs(self._most)
            self._forget(self._platform, self._clock())
        return _SECONDS

    def _forget(self, platform: Keeps, now: float) -> None:
        if not self._days or now < self._forgets_at:
            return
        self._forgets_at = now + _FORGET_SECONDS
        if gone := platform.forget(now - self._days * _DAY):
            log.info("%s attempts were kept for %s days: their files are gone", gone, self._days)
