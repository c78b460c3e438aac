"""For how long was this machine asleep? What runs on it did not run then.

The wall clock goes on while a laptop sleeps, or jumps when it is set; the monotonic clock counts
what really passed, for all processes of one boot. Where the two drift apart by more than an
ordinary correction there was a nap. Naps are kept in a file: jobs outlive a runtime.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock

__all__ = ["Naps"]

log = logging.getLogger(__name__)

#: A smaller difference is a correction of the clock, or a thread that did not get its turn.
_LEAST_MS = 5000
#: Naps that are remembered.
_MOST = 100


class Naps:
    """Compares both clocks at each look, and when it is asked. Safe to share between threads."""

    def __init__(
        self,
        file: Path,
        clock: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` returns epoch milliseconds, `monotonic` seconds."""
        self._file = file
        self._clock = clock
        self._monotonic = monotonic
        self._lock = Lock()
        self._ahead = self._difference()
        #: When each ended, in epoch milliseconds, and how many milliseconds it took.
        self._naps: list[tuple[int, int]] = []
        with suppress(OSError, ValueError, TypeError):
            self._naps = [(int(at), int(took)) for at, took in json.loads(file.read_text("utf-8"))]

    def since(self, began: int) -> int:
        """Return the milliseconds for which what began then, in epoch milliseconds, did not run."""
        with self._lock:
            self._compare()
            return sum(min(took, at - began) for at, took in self._naps if at > began)

    def measure(self) -> None:
        """Notice a nap soon after its end; who looks too rarely takes what began after it for older
        than it is."""
        with self._lock:
            self._compare()

    def _compare(self) -> None:
        ahead = self._difference()
        slept, self._ahead = ahead - self._ahead, ahead
        if slept < _LEAST_MS:
            return  # Corrected bit by bit; or set back, and nothing ends too soon.
        log.warning("the clock went on for %s s in which nothing ran: timeouts wait", slept // 1000)
        self._naps = [*self._naps, (self._clock(), slept)][-_MOST:]
        with suppress(OSError):  # This runtime knows it all the same.
            self._file.touch(mode=0o600)
            self._file.write_text(json.dumps(self._naps), "utf-8")

    def _difference(self) -> int:
        return self._clock() - round(self._monotonic() * 1000)
