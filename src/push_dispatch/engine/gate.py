"""May an attempt be sent to its platform now, or not yet, or not there?

Only pools with a platform rate or with fallbacks have a gate; all others pay nothing for it. Two
functions that pass at once may each count their failure over the other's: the circuit opens one
push later, which costs nothing but that push.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import NoCapacity, Throttled, Unavailable
from push_dispatch.core.model import Fallback, Pool
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Push

__all__ = ["Gate", "gate_of", "has_gate", "next_fallback"]


def has_gate(pool: Pool) -> bool:
    """Whether pushes of this pool have to ask."""
    return pool.platform_rate is not None or bool(pool.fallbacks)


def next_fallback(pool: Pool | None, message: Push) -> Fallback | None:
    """Where this push goes if its platform does not take it."""
    rest = pool.fallbacks[message.fallback :] if pool else ()
    return rest[0] if rest else None


def gate_of(ports: Ports, pool: str, platform: str, message: Push) -> Gate:
    """The gate before the platform to which `message` goes."""
    found = ports.store.pool(pool) if message.gated else None
    if found is None or not found.fallbacks:
        return Gate(ports, found, platform, message, None)
    return Gate(ports, found, platform, message, ports.store.circuit(pool, message.type))


@dataclass(frozen=True, slots=True)
class Gate:
    """What stands before one push; `circuit` is None where there are no fallbacks."""

    ports: Ports
    pool: Pool | None
    platform: str
    message: Push
    circuit: Circuit | None

    def enter(self) -> None:
        """Raises NoCapacity (`circuit_open`) if the next fallback should take it, Throttled if the
        pool's platform rate is used up: a burst queues here and not in error messages."""
        if self.pool is None:
            return
        now = self.ports.clock()
        if self.circuit and self.circuit.is_open(now) and next_fallback(self.pool, self.message):
            text = f"the last {self.circuit.failures} pushes to it failed"
            raise NoCapacity(text, reason="circuit_open")
        if self.pool.platform_rate is None:
            return
        wait = self.ports.store.take_start(
            self.pool.name, self.platform, self.pool.platform_rate, now
        )
        if wait:
            raise Throttled("the pool's platform rate is used up", after_seconds=wait / 1000)

    def failed(self) -> None:
        """The platform was asked and did not, or perhaps not, start it."""
        if self.circuit is not None:
            self._save(self.circuit.after_failure(self.ports.clock()))

    def succeeded(self) -> None:
        """The platform has started it."""
        if self.circuit is not None and self.circuit.failures:
            self._save(Circuit())

    def _save(self, circuit: Circuit) -> None:
        assert self.pool is not None  # noqa: S101 - only a pool with fallbacks has a circuit
        with suppress(Unavailable):  # Good to know, and no reason to lose track of an attempt.
            self.ports.store.save_circuit(self.pool.name, self.message.type, circuit)
