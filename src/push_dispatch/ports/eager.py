"""Does whoever changes something run the pass itself, or leave it to the stream?"""

from __future__ import annotations

from threading import Lock

__all__ = ["Eager"]

#: About the stream's delay: what follows within it shares a commit there.
_SPACING_MS = 250
#: For how long a pool that was busy is left to the stream.
_PAUSE_MS = 2000
#: Pools that are remembered.
_MOST = 1000


class Eager:
    """Which pools this process leaves alone for a while. Safe to share between threads."""

    def __init__(self) -> None:
        self._until: dict[str, int] = {}
        self._lock = Lock()

    def may_try(self, pool: str, now: int) -> bool:
        """Whether it is this pool's turn: it was not busy, and was not tried within the stream's
        delay. Then it is not for so long. A clock that is set back forgets it."""
        with self._lock:
            if 0 < self._until.get(pool, 0) - now <= _PAUSE_MS:
                return False
            if len(self._until) >= _MOST:
                self._until.clear()
            self._until[pool] = now + _SPACING_MS
            return True

    def leave(self, pool: str, now: int) -> None:
        """The pool is busy: leave it to the stream for a while."""
        self._until[pool] = now + _PAUSE_MS
