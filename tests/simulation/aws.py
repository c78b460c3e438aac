"""How do Lambda and SQS deliver? By what AWS documents, on the virtual clock.

- Standard queues deliver at least once and in no order; a message that was received is invisible
  for the visibility timeout, and one that was received more often than `maxReceiveCount` goes to
  the dead-letter queue.
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues.html
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
- The mapping receives batches and invokes the function; what is reported in `batchItemFailures`, or
  was in a batch that failed, timed out or was throttled, is visible again after the visibility
  timeout. Receives count whether the function ran or not.
  https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
  https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
- An account runs so many invocations at once; one more is throttled.
  https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
- A function that was invoked about 16 times in one chain of messages is not invoked again, and the
  message goes to the dead-letter queue, unless it is configured to be allowed to.
  https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
- An invocation that exceeds the function's timeout is killed.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from push_dispatch.core.errors import Unavailable
from tests.simulation.deployed import FunctionFacts, QueueFacts
from tests.simulation.timeline import Task, Timeline

__all__ = ["HOPS", "Account", "Function", "Message", "SimQueue"]

#: Invocations of one function in a chain after which Lambda stops it.
HOPS = 16
#: Receives of one batch happen a few milliseconds after a message is visible.
_POLL_MS = 20
#: Batches that pollers take at once if nothing bounds them: they begin with five.
_POLLERS = 5

Handler = Callable[[Mapping[str, Any], Callable[[], int]], Any]
#: The result, or what the invocation failed with.
Done = Callable[[Any, BaseException | None], None]


@dataclass
class Function:
    """A Lambda function."""

    name: str
    facts: FunctionFacts
    handler: Handler


class Account:
    """Runs functions, so many at once."""

    def __init__(self, timeline: Timeline, limit: int, skew_of: Callable[[int], int]) -> None:
        self.timeline, self.limit = timeline, limit
        self._skew_of = skew_of
        self.running = 0
        #: Used by others at the moment.
        self.elsewhere = 0
        self.throttles = 0
        self.invocations: Counter[str] = Counter()

    @property
    def has_room(self) -> bool:
        return self.running + self.elsewhere < self.limit

    def invoke(
        self,
        function: Function,
        event: Mapping[str, Any],
        done: Done,
        chain: Mapping[str, int] | None = None,
    ) -> bool:
        """Begin an invocation; False if it is throttled."""
        if not self.has_room:
            self.throttles += 1
            return False
        self.running += 1
        self.invocations[function.name] += 1
        timeline = self.timeline

        def left() -> int:
            return max(0, (task.deadline or 0) - timeline.now)

        def finished(result: Any, error: BaseException | None) -> None:
            self.running -= 1
            done(result, error)

        task: Task = timeline.task(function.name, lambda: function.handler(event, left))
        task.deadline = timeline.now + function.facts.timeout_ms
        task.skew = self._skew_of(task.number)
        task.chain = dict(chain or {})
        task.chain[function.name] = task.chain.get(function.name, 0) + 1
        task.done = finished
        timeline.start(task)
        return True


@dataclass(eq=False)
class Message:
    """In a queue, or being received."""

    body: str
    number: int
    #: What it says, for the oracle and the trace.
    about: Any = None
    receives: int = 0
    #: By function, how often it was invoked in the chain that led here.
    chain: Mapping[str, int] = field(default_factory=dict)


class SimQueue:
    """A queue, its dead-letter queue, and the mapping to a function."""

    def __init__(
        self,
        name: str,
        facts: QueueFacts,
        account: Account,
        function: Function,
        note: Callable[[str], None],
    ) -> None:
        self.name, self.facts = name, facts
        self._account, self._function, self._note = account, function, note
        self._timeline = account.timeline
        self._waiting: list[tuple[int, int, Message]] = []
        self._order = count()
        self._busy = 0
        self._wakes_at: int | None = None
        self.dead: list[Message] = []
        self.numbers = count(1)
        #: Whether its dead-letter queue takes nothing now.
        self.dead_letters_full = False

    @property
    def waiting(self) -> list[Message]:
        """What is not deleted, visible or not, but for what is being handled just now."""
        return [message for _, _, message in self._waiting]

    @property
    def is_empty(self) -> bool:
        """Whether everything is deleted, or a dead letter."""
        return not self._waiting and not self._busy

    def put(self, message: Message, delay_ms: int) -> None:
        """It is visible after the delay."""
        at = self._timeline.now + delay_ms
        heapq.heappush(self._waiting, (at, next(self._order), message))
        self._wake(at)

    def pump(self) -> None:
        """Receive what is visible, as far as there is somebody to handle it."""
        most = self.facts.at_once or _POLLERS
        now = self._timeline.now
        while self._busy < most and (batch := self._receive(now)):
            self._deliver(batch)
        if self._waiting and self._busy < most:
            self._wake(self._waiting[0][0])

    def _wake(self, at: int) -> None:
        at = max(at, self._timeline.now) + _POLL_MS
        if self._wakes_at is None or at < self._wakes_at:
            self._wakes_at = at
            self._timeline.at(at, self._poll)

    def _poll(self) -> None:
        if self._wakes_at is not None and self._wakes_at <= self._timeline.now:
            self._wakes_at = None
            self.pump()

    def _receive(self, now: int) -> list[Message]:
        batch: list[Message] = []
        while self._waiting and self._waiting[0][0] <= now and len(batch) < self.facts.batch:
            message = heapq.heappop(self._waiting)[2]
            message.receives += 1
            if message.receives > self.facts.max_receives and not self.dead_letters_full:
                self._bury(message, "received too often")
            else:
                batch.append(message)
        return batch

    def _deliver(self, batch: list[Message]) -> None:
        """One invocation carries one chain: the longest in its batch."""
        name = self._function.name
        for message in list(batch):
            if not self._function.facts.may_loop and message.chain.get(name, 0) >= HOPS:
                batch.remove(message)
                self._bury(message, "recursive loop")
        if not batch:
            return
        chain = max((m.chain for m in batch), key=lambda c: max(c.values(), default=0))
        event = {"Records": [_record(message) for message in batch]}

        def done(result: Any, error: BaseException | None) -> None:
            self._busy -= 1
            failed = {m.number for m in batch}
            if error is None:
                entries = (result or {}).get("batchItemFailures", ())
                failed &= {int(entry["itemIdentifier"]) for entry in entries}
            for message in batch:
                if message.number in failed:
                    self._hide(message)
            self._wake(self._timeline.now)

        self._busy += 1
        if not self._account.invoke(self._function, event, done, chain):
            self._busy -= 1
            self._note(f"{name} is throttled")
            for message in batch:
                self._hide(message)

    def _hide(self, message: Message) -> None:
        """Visible again when the timeout that began at its receive is over."""
        self.put(message, self.facts.visibility_ms)

    def _bury(self, message: Message, why: str) -> None:
        self._note(f"dead letter of {self.name}: {why}: {message.body[:120]}")
        self.dead.append(message)


def _record(message: Message) -> dict[str, Any]:
    return {
        "messageId": str(message.number),
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.receives)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }


def unavailable(what: str) -> Unavailable:
    return Unavailable(f"simulated: {what}")
