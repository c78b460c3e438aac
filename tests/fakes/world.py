"""The whole service in memory, on a clock that the test moves.

Deliveries are the test's too: what the stream, the queues and the platform have to say waits until
it is delivered, once or more often, in order or not. `faults` strikes between any two calls of the
engine, and `guarantees` looks at each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Pool, Ready, Run
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.finish import finish
from push_dispatch.engine.hints import Hints, hints_of
from push_dispatch.engine.sweep import sweep
from push_dispatch.handlers.push import MAX_RECEIVES, handle as handle_push
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Message, Wake, encode
from push_dispatch.ports.store import Change
from tests.fakes.faults import Faults
from tests.fakes.guarantees import Guarantees
from tests.fakes.memory.store import MemoryStore
from tests.fakes.memory_platform import MemoryPlatform

__all__ = ["POOL", "START", "Delivery", "World"]

POOL = "p"
START = 1_800_000_000_000
TEMPLATE = {
    "job_configuration": {"command": "{{ command }}"},
    "variables": {"properties": {"command": {"type": "string"}}},
}


@dataclass(eq=False)
class Delivery:
    """Something in a queue that may be delivered from a time on."""

    at: int
    message: Message | Wake
    receives: int = 0


@dataclass
class Mailbox:
    """The queues."""

    clock: Callable[[], int]
    waiting: list[Delivery] = field(default_factory=list)

    def send(self, platform: str, messages: Sequence[Message], delay_seconds: int = 0) -> None:
        self._add(messages, delay_seconds)

    def wake(self, wakes: Sequence[Wake], delay_seconds: int = 0) -> None:
        self._add(wakes, delay_seconds)

    def _add(self, messages: Iterable[Message | Wake], delay: int) -> None:
        self.waiting += [Delivery(self.clock() + max(0, delay) * 1000, m) for m in messages]


class World:
    """One pool `p` with three slots."""

    def __init__(
        self, store: MemoryStore | None = None, platform: MemoryPlatform | None = None
    ) -> None:
        self.now = START
        self.ids = 0
        self.faults = Faults()
        self.store = store or MemoryStore()
        self.platform = platform or MemoryPlatform()
        self.platform.clock = lambda: self.now
        self.mail = Mailbox(lambda: self.now)
        self.guarantees = Guarantees(POOL, self.store, self.platform)
        #: What the stream has not delivered yet.
        self.changes: list[Change] = []
        faulty = self.faults.around(self.platform)
        self.ports = Ports(
            store=self.faults.around(self.store, self._watch),
            messages=self.faults.around(self.mail),
            clock=lambda: self.now,
            new_id=self._new_id,
            platform=lambda name: faulty,
            secrets=secrets_from({}),
        )
        create_pool(self.ports, Pool(POOL, "process", limit=3), TEMPLATE)

    # -- deliveries --------------------------------------------------------------------------------

    def collect(self) -> None:
        """Take what the table has told its stream since the last time."""
        self.changes += self.store.changes
        self.store.changes.clear()

    def deliver_changes(self, count: int, *, again: bool = False) -> None:
        """The oldest changes of the stream, as one batch; they stay if the function crashes."""
        self.collect()
        batch = self.changes[:count]
        for pool, hints in hints_of(batch).items():
            dispatch(self.ports, pool, hints)
        if not again:
            # By identity: another function may have been given some of them meanwhile.
            done = {id(change) for change in batch}
            self.changes = [change for change in self.changes if id(change) not in done]

    def due_messages(self) -> list[Delivery]:
        """The messages that may arrive now."""
        return [delivery for delivery in self.mail.waiting if delivery.at <= self.now]

    def deliver_message(self, delivery: Delivery, *, again: bool = False) -> None:
        """A message that is due; it stays if the function crashes or reports it as failed, until
        it has been received too often and becomes a dead letter."""
        delivery.receives += 1
        last = delivery.receives >= MAX_RECEIVES
        try:
            done = self._handle(delivery)
        except BaseException:
            self._forget(delivery, if_=last)
            raise
        self._forget(delivery, if_=last or (done and not again))

    def deliver_event(self, number: int, *, again: bool = False) -> None:
        """One of the platform's events."""
        seen = self.platform.events[number]
        finish(self.ports, seen)
        if not again and seen in self.platform.events:
            self.platform.events.remove(seen)

    def deliver_all(self) -> None:
        """Whatever may arrive now."""
        self.deliver_changes(1000)
        for delivery in self.due_messages():
            self.deliver_message(delivery)
        for _ in range(len(self.platform.events)):
            if self.platform.events:  # another function may have had some of them meanwhile
                self.deliver_event(0)

    def sweep(self) -> None:
        """What happens each minute."""
        sweep(self.ports)

    def drain(self, rounds: int = 200) -> None:
        """No more faults: let everything happen that is still to happen."""
        self.faults.disarm()
        self.platform.failures.clear()
        for number in range(rounds):
            for container in self.platform.live():
                self.platform.end(container, 143 if container.stop_asked else 0)
            self.deliver_all()
            self.sweep()
            self.guarantees.check(self.now)
            if not self.left():
                return
            self.now += 30_000 if number < 20 else 300_000

    def left(self) -> list[Any]:
        """What is not over: runs, slots, places in line, attempts."""
        under_way = [run for run in self.runs() if not run.state.ended]
        return [*under_way, *self.store.ledger(POOL).holders, *self.line(), *self.platform.live()]

    def line(self) -> list[Ready]:
        """Every place in line."""
        pool = self.store.pool(POOL)
        names = [*(queue.name for queue in pool.queues), *pool.retired] if pool else []
        return [ready for name in names for ready in self.store.line(POOL, name, 10_000)]

    def runs(self) -> list[Run]:
        """Every run, the newest first."""
        return list(self.store.list_runs(POOL))

    # -- details -----------------------------------------------------------------------------------

    def _handle(self, delivery: Delivery) -> bool:
        message = delivery.message
        if isinstance(message, Wake):
            dispatch(
                self.ports, message.pool, Hints(ended=set(message.ended), due=set(message.due))
            )
            return True
        record = {
            "messageId": "m",
            "body": encode(message),
            "attributes": {"ApproximateReceiveCount": str(delivery.receives)},
        }
        return not handle_push(self.ports, {"Records": [record]})["batchItemFailures"]

    def _forget(self, delivery: Delivery, *, if_: bool) -> None:
        if if_ and delivery in self.mail.waiting:
            self.mail.waiting.remove(delivery)

    def _watch(self, verb: str, arguments: tuple[Any, ...], done: bool) -> None:
        self.guarantees.watch(self.now, verb, arguments, done)

    def _new_id(self) -> str:
        """As uuid7s do, they begin with the time."""
        self.ids += 1
        time = f"{self.now:012x}"
        return f"{time[:8]}-{time[8:]}-7000-8000-{self.ids:012d}"
