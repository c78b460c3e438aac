"""Is it worth asking a platform now, and how many runs may try?

Circuit: what the last pushes of a pool to one type have come to. A *failure* is any push that did
not start its run; pools with fallbacks go elsewhere after several in a row. A *refusal* is an
answer that says "later": no room, or too many requests. Then the pool stops calling, lets one run
try a minute, and after the first success lets in twice as many each second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

__all__ = ["LONGEST_PAUSE_SECONDS", "OPEN_AFTER", "OPEN_SECONDS", "PROBE_SECONDS", "Circuit"]

#: Failures in a row that open the circuit.
OPEN_AFTER = 3
#: How long it stays open after the last of them. Then pushes try again; one more failure opens it
#: for as long again, one success closes it.
OPEN_SECONDS = 60

#: Pause after a first refusal: most are over within a second or two.
_FIRST_PAUSE_SECONDS = 2
#: Pause after each further refusal in a row. With the first one, two calls a minute at most.
PROBE_SECONDS = 60
#: No platform is left alone for longer than this, whatever it asks for: SQS delays no longer.
LONGEST_PAUSE_SECONDS = 900
#: Runs admitted in the first second after a refusal was over; twice as many each second.
_FIRST_STEP = 2
#: By then the steps add up to more than a pool can hold.
_RAMP_SECONDS = 12


@dataclass(frozen=True, slots=True)
class Circuit:
    """What the last pushes to a platform have come to. Times in epoch milliseconds."""

    failures: int = 0
    #: When the last of them failed.
    failed_at: int = 0
    #: Refusals in a row; the platform has no room, or is throttling, while this is not 0.
    refusals: int = 0
    #: The platform is not called before this time.
    next_at: int = 0
    #: A token of kind `wait`: what the platform last refused for.
    reason: str = ""
    #: When it accepted a run after refusals.
    recovered_at: int = 0

    def is_open(self, now: int) -> bool:
        """Whether pushes go to the next fallback without being tried here."""
        return self.failures >= OPEN_AFTER and now < self.failed_at + OPEN_SECONDS * 1000

    def recovers(self, now: int) -> bool:
        """Whether the number of runs that may start still grows after refusals."""
        return self.recovered_at > 0 and now < self.recovered_at + _RAMP_SECONDS * 1000

    def room(self, now: int, admitted: Iterable[int]) -> int | None:
        """How many runs may be admitted now; None if the platform sets no bound.

        `admitted` are the times at which the slots held were given out: who holds one since the
        platform may be called again is the probe, and no other is sent beside it.
        """
        if self.refusals:
            waiting = now < self.next_at or any(at >= self.next_at for at in admitted)
            return 0 if waiting else 1
        if not self.recovers(now):
            return None
        steps = (now - self.recovered_at) // 1000
        since = sum(1 for at in admitted if at >= self.recovered_at)
        return int(max(0, _FIRST_STEP * 2**steps - since))

    def after_failure(self, now: int) -> Circuit:
        """With one more failure of which nobody knows what it means."""
        return replace(self, failures=self.failures + 1, failed_at=now)

    def after_refusal(self, now: int, reason: str, after_seconds: float | None = None) -> Circuit:
        """With one more refusal; `after_seconds` is how long the platform asked us to wait."""
        least = PROBE_SECONDS if self.refusals else _FIRST_PAUSE_SECONDS
        pause = min(LONGEST_PAUSE_SECONDS, max(least, after_seconds or 0))
        return Circuit(
            failures=self.failures + 1,
            failed_at=now,
            refusals=self.refusals + 1,
            next_at=now + int(pause * 1000),
            reason=reason,
        )

    def after_probe(self, now: int) -> Circuit:
        """While a probe is under way nobody else calls, even if it is never heard of again."""
        return replace(self, next_at=now + PROBE_SECONDS * 1000)

    def after_success(self, now: int) -> Circuit:
        """The platform has accepted a run."""
        if self.refusals:
            return Circuit(reason=self.reason, recovered_at=now)
        return replace(self, failures=0, failed_at=0)
