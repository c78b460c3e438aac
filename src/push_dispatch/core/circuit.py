"""Is it worth asking a platform now, or has it just failed several times in a row?

Kept per pool and type, and only for pools with fallbacks: elsewhere there is nowhere else to go.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OPEN_AFTER", "OPEN_SECONDS", "Circuit"]

#: Failures in a row that open the circuit.
OPEN_AFTER = 3
#: How long it stays open after the last of them. Then pushes try again; one more failure opens it
#: for as long again, one success closes it.
OPEN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Circuit:
    """What the last pushes to a platform have come to."""

    failures: int = 0
    #: When the last of them failed, in epoch milliseconds.
    failed_at: int = 0

    def is_open(self, now: int) -> bool:
        """Whether pushes go to the next fallback without being tried here."""
        return self.failures >= OPEN_AFTER and now < self.failed_at + OPEN_SECONDS * 1000

    def after_failure(self, now: int) -> Circuit:
        """With one more failure."""
        return Circuit(self.failures + 1, now)
