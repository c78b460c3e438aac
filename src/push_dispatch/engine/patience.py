"""How long does a push wait, and when does its run give the slot back?

Patience: a run keeps its slot for a bounded time while its platform has no room or is throttling;
the pool says for how long. Then it waits in line, under a reason that says so.
"""

from __future__ import annotations

from zlib import crc32

from push_dispatch.core.errors import NoCapacity, Throttled
from push_dispatch.core.events import GiveBack, Hold
from push_dispatch.core.model import Pool
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Push

__all__ = ["LEASE_SECONDS", "give_back", "hold", "may_hold", "pause", "spread"]

#: How long a claim is respected. Longer than a push may take, clients' time-outs included.
LEASE_SECONDS = 60
#: Wait before a push that failed is tried again, by number of tries. Few in an hour: each is one
#: more message from this function to itself.
_PAUSES = (2, 5, 15, 30, 60, 120, 300, 600, 900)
#: Those who wait for the same platform come back one after the other, within so many seconds.
_SPREAD_SECONDS = 10


def pause(tries: int) -> int:
    """Seconds to wait after so many tries that failed."""
    return _PAUSES[min(tries, len(_PAUSES) - 1)]


def spread(run: str) -> int:
    """Seconds to wait beyond a time for which many wait: the same for the same run."""
    return 1 + crc32(run.encode()) % _SPREAD_SECONDS


def may_hold(ports: Ports, pool: Pool | None, message: Push, seconds: float) -> bool:
    """Whether the run may keep its slot for so much longer."""
    held = (ports.clock() - message.since) / 1000
    return pool is not None and held + seconds <= pool.hold_seconds


def hold(
    ports: Ports,
    message: Push,
    claim: str,
    seconds: float,
    *,
    unsent: bool,
    reason: str | None = None,
    why: str | None = None,
) -> Hold:
    """Sleep under a claim. The lease covers the pause: an order that sleeps is not sent twice."""
    until = ports.clock() + int((seconds + LEASE_SECONDS) * 1000)
    return Hold(message.attempt, claim, until, unsent, reason, why)


def give_back(
    ports: Ports, message: Push, claim: str, error: Throttled | NoCapacity, *, blamed: bool
) -> GiveBack:
    """Give the slot back. A run that was refused (it has a claim) ends if the pool gives up; one
    that was not sent has not been refused."""
    pool = ports.store.pool(message.run.rpartition(".")[0]) if claim else None
    patience = pool.give_up_seconds if pool else None
    give_up_at = None if patience is None else ports.clock() + patience * 1000
    return GiveBack(
        message.attempt, error.reason, error.message, claim, blamed=blamed, give_up_at=give_up_at
    )
