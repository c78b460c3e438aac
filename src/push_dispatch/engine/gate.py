"""May an attempt be sent to its platform now, or not yet, or not there?

Gate: what stands before one push. Where there are further fallbacks, a platform that failed
several times in a row is skipped. Where there are none, a platform that refuses is called by one
run a minute; the others wait. Two functions that pass at once may each count their failure over
the other's: the circuit opens one push later, which costs nothing but that push.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from push_dispatch.core.circuit import OPEN_AFTER, Circuit
from push_dispatch.core.errors import Misconfigured, NoCapacity, Throttled, Unavailable
from push_dispatch.core.model import Fallback, Pool, Run
from push_dispatch.core.reasons import Reason
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Push, Wake

__all__ = ["Gate", "gate_of", "next_fallback"]


def next_fallback(pool: Pool | None, message: Push) -> Fallback | None:
    """Where this push goes if its platform does not take it."""
    rest = pool.fallbacks[message.fallback :] if pool else ()
    return rest[0] if rest else None


def gate_of(ports: Ports, pool: str, message: Push) -> Gate:
    """The gate before the platform to which `message` goes."""
    found = ports.store.pool(pool) if message.gated else None
    circuit = ports.store.circuit(pool, message.type)
    return Gate(ports, pool, message, next_fallback(found, message), circuit)


@dataclass(frozen=True, slots=True)
class Gate:
    """What stands before one push."""

    ports: Ports
    pool: str
    message: Push
    following: Fallback | None
    circuit: Circuit

    @property
    def may_wait(self) -> bool:
        """Whether the platform has refused, and no fallback takes the run: then not every push may
        call it."""
        return self.following is None and self.circuit.refusals > 0

    def wait(self) -> int:
        """Milliseconds until the platform may be called. With 0 it may be: if it has refused
        before, this push is the one that tries, and nobody else does for a minute."""
        circuit, now = self.circuit, self.ports.clock()
        if not self.may_wait:
            return 0
        if now < circuit.next_at:
            return circuit.next_at - now
        probing = circuit.after_probe(now)
        store = self.ports.store
        ours = store.save_circuit(self.pool, self.message.type, probing, instead_of=circuit)
        return 0 if ours else probing.next_at - now

    def enter(self) -> None:
        """Raise NoCapacity (`circuit_open`) if the next fallback should take it."""
        if self.following is not None and self.circuit.is_open(self.ports.clock()):
            text = f"the last {self.circuit.failures} pushes to it failed"
            raise NoCapacity(text, reason=Reason.CIRCUIT_OPEN)

    def failed(self) -> None:
        """Count a push that says nothing about the pool's next one."""
        if self.following is not None or self.circuit.recovered_at:
            self._save(self.circuit.after_failure(self.ports.clock()))

    def blames(self, run: Run) -> bool:
        """Whether a refusal is about this run, and not about every run of the pool: the platform
        has taken others since it refused it before."""
        others = 0 < run.refused_at < self.circuit.recovered_at or run.blames > 0
        return others and not self.circuit.refusals and self.circuit.failures + 1 < OPEN_AFTER

    def refused(self, error: Throttled | NoCapacity) -> int:
        """Count a refusal; returns the milliseconds for which the platform is not called now."""
        now = self.ports.clock()
        throttled = isinstance(error, Throttled)
        after = error.after_seconds if isinstance(error, Throttled) else None
        circuit = self.circuit.after_refusal(
            now, Reason.THROTTLED if throttled else Reason.NO_ROOM, after
        )
        self._save(circuit)
        return circuit.next_at - now

    def succeeded(self) -> None:
        """The platform has started it. After refusals the pool's others may follow."""
        if self.circuit.failures:
            self._save(self.circuit.after_success(self.ports.clock()))
        if self.circuit.refusals:
            self.ports.messages.wake([Wake(self.pool)])

    def _save(self, circuit: Circuit) -> None:
        # Good to know, and no reason to lose track of an attempt.
        with suppress(Misconfigured, Unavailable):
            self.ports.store.save_circuit(self.pool, self.message.type, circuit)
