"""Threads that repeat a step until they are told to stop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

from push_dispatch.local.signals import Signal

__all__ = ["Loop"]

log = logging.getLogger(__name__)

#: After a step that failed.
_PAUSE_SECONDS = 0.5


class Loop:
    """Repeats `step` in a thread. The step returns for how many seconds to sleep, unless `signal`
    is poked; what it raises is logged, and it is tried again."""

    def __init__(self, name: str, step: Callable[[], float], signal: Signal | None = None) -> None:
        self._step = step
        self._signal = signal or Signal()
        self._stop = Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further step; see `join`."""
        self._stop.set()
        self._signal.poke_all()

    def join(self, seconds: float = 30) -> None:
        """Wait for the end of the step that is under way."""
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            # Before the work is looked for: a poke in between is not slept through.
            pokes = self._signal.pokes
            try:
                pause = self._step()
            except Exception:
                if self._stop.is_set():
                    return
                log.exception("%s failed", self._thread.name)
                pause = _PAUSE_SECONDS
            if pause > 0:
                self._signal.wait(pokes, pause)
