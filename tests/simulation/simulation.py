"""The whole service on one virtual clock: real handlers, simulated AWS, faults by plan.

people ──► submit ──► table ──► stream ──► dispatch ──► queue ──► push ──► platform
                        ▲                                            │ events
                        └────────────── finish ◄── queue ◄───────────┘      sweep, each minute
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from greenlet import getcurrent

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.control.pools import create_pool
from push_dispatch.core.errors import NotFound
from push_dispatch.core.model import Run
from push_dispatch.core.polling import IN_AWS
from push_dispatch.core.retry import longest_rest
from push_dispatch.handlers import dispatch, finish, push, submit, sweep
from push_dispatch.platforms.base import Job
from push_dispatch.ports import Ports
from push_dispatch.ports.eager import Eager
from push_dispatch.ports.messages import Message as Order, Poll, Push, StopAttempt, Wake, encode
from push_dispatch.ports.store import Change
from tests.fakes.memory.store import MemoryStore
from tests.simulation.aws import Account, Function, Handler, Message, SimQueue
from tests.simulation.cloud import Cloud
from tests.simulation.deployed import deployed
from tests.simulation.oracle import Oracle, waiting_places
from tests.simulation.people import People
from tests.simulation.plan import POOL, Act, Fault, Plan, Submit
from tests.simulation.progress import MINUTE, Progress
from tests.simulation.stream import SimStream
from tests.simulation.timeline import Task, Timeline
from tests.simulation.verdict import complaints
from tests.simulation.weather import Weather
from tests.simulation.wire import Wire

__all__ = ["Outcome", "Simulation", "simulate"]

START = 1_800_000_000_000
#: After the last fault everything is to end within this time.
_DRAIN = 48 * 60 * MINUTE
_TEMPLATE = {
    "job_configuration": {"command": "{{ command }}"},
    "variables": {"properties": {"command": {"type": "string"}}},
}
_THINGS = {Push: "push", Wake: "wake", StopAttempt: "stop", Poll: "look"}


@dataclass
class Outcome:
    """What came of a story."""

    plan: Plan
    broken: list[str]
    #: Milliseconds that passed.
    time: int
    #: Faults that happened, by kind.
    faults: dict[str, int]
    calls: int
    runs: int
    trace: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What is broken, without numbers and names: two failures of one kind are one bug."""
        return kind_of(self.broken[0]) if self.broken else ""


def kind_of(what: str) -> str:
    """The words in it that name no run."""
    words = [w for w in what.split() if not any(c.isdigit() for c in w)]
    return " ".join(words)[:60]


def simulate(plan: Plan, *, trace: bool = False) -> Outcome:
    """Play the story until everything is over, or something is broken."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        return Simulation(plan, trace=trace).play()
    finally:
        logging.disable(disabled)


class _Mail:
    """The port of messages: queues by name."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def send(self, platform: str, messages: Sequence[Order], delay_seconds: int = 0) -> None:
        if platform != "ecs":
            raise NotFound(f"no function for {platform}", reason="platform_not_configured")
        for message in messages:
            self._sim.put(self._sim.push_queue, message, delay_seconds)

    def wake(self, wakes: Sequence[Wake], delay_seconds: int = 0) -> None:
        for wake in wakes:
            self._sim.put(self._sim.wake_queue, wake, delay_seconds)


class Simulation:
    """One story."""

    def __init__(self, plan: Plan, *, trace: bool = False) -> None:
        self.plan = plan
        self._tracing, self._trace = trace, list[str]()
        rng = self.rng = Random(plan.seed * 7919 + 1)
        timeline = self.timeline = Timeline(START)
        #: By how much the clocks have jumped.
        self.offset = 0
        self._ids = 0
        self._over = False
        self._looked_at = 0
        self.store = MemoryStore()
        self.cloud = Cloud(timeline, self._script, self._tell, rng.random, room=plan.room)
        if plan.silent:
            self.cloud.fall_silent()
        self.oracle = Oracle(self.store, self.cloud, self.clock, plan.skew)
        self.oracle.note, self.oracle.changed = self.note, self.changed
        wire = self.wire = Wire(timeline, rng, self.oracle)
        self.weather, self.people = Weather(self), People(self)
        wire.note, wire.rival = self.note, self.weather.rival
        wire.at_platform, wire.ledger = self.weather.at_platform, self.store.ledger
        platform = wire.around("platform", self.cloud)
        self.ports = Ports(
            store=wire.around("table", self.store),
            messages=wire.around("queues", _Mail(self)),
            clock=self.clock,
            new_id=self._new_id,
            platform=lambda _name: platform,
            secrets=secrets_from({}),
            pauses=IN_AWS,
            eager=Eager() if plan.eager else None,
            rest=lambda race: timeline.sleep(int(rng.random() * longest_rest(race) * 1000)),
        )
        # A process of its own.
        self._finishing = replace(self.ports, eager=Eager() if plan.eager else None)
        self._connect()

    def _connect(self) -> None:
        facts, rng, skew = deployed(), self.rng, self.plan.skew
        self.account = Account(
            self.timeline,
            self.plan.concurrency,
            lambda _number: rng.randint(-skew, skew) if skew else 0,
        )
        self.functions = {
            name: Function(name, facts.functions[name], handler)
            for name, handler in self._handlers().items()
        }
        names = {"wake": "dispatch", "push": "push", "finish": "finish", "request": "submit"}
        self.queues = tuple(
            SimQueue(name, facts.queues[name], self.account, self.functions[function], self.note)
            for name, function in names.items()
        )
        self.wake_queue, self.push_queue, self.finish_queue, self.request_queue = self.queues
        self.stream = SimStream(
            self.account,
            self.functions["dispatch"],
            facts.stream_batch,
            facts.stream_retries,
            lambda note: self.put_body(self.wake_queue, note, 0),
            lambda: rng.randrange(100, 500),
        )
        self.progress = Progress(
            *(self.store, self.cloud, self.oracle, self.wire, self.push_queue, self.wake_queue),
            self.clock,
        )

    def _handlers(self) -> dict[str, Handler]:
        ports = self.ports
        reserve = sweep.RESERVE_SECONDS
        return {
            "dispatch": lambda event, _left: dispatch.handle(ports, event, self._read_again),
            "push": self._push,
            "finish": lambda event, _left: finish.handle(self._finishing, event),
            "submit": lambda event, _left: submit.handle(ports, event),
            "sweep": lambda _event, left: sweep.handle_alone(ports, left() // 1000 - reserve),
        }

    # -- the story ---------------------------------------------------------------------------------

    def play(self) -> Outcome:
        """From the first part to the end."""
        create_pool(self.ports, self.plan.pool, _TEMPLATE)
        for number, part in enumerate(self.plan.parts):
            self.timeline.at(START + part.at, lambda n=number, p=part: self._happen(n, p))  # type: ignore[misc]
        self.timeline.at(START + 30_000, self._minute)
        self.timeline.at(START + self.plan.horizon, self._heal)
        self.timeline.run(START + self.plan.horizon + _DRAIN, self._is_over)
        if not self.oracle.broken:
            for complaint in complaints(self):
                self.oracle.break_(complaint)
        return Outcome(
            plan=self.plan,
            broken=self.oracle.broken,
            time=self.timeline.now - START,
            faults=dict(self.wire.fired),
            calls=sum(self.wire.calls.values()),
            runs=len(self.runs()),
            trace=self._trace,
        )

    def note(self, text: str) -> None:
        """A line of the trace."""
        if self._tracing:
            task = getcurrent()
            who = f"{task.name}#{task.number}" if isinstance(task, Task) else ""
            at = (self.timeline.now - START) / 1000
            self._trace.append(f"{at:10.3f} {who:14} {text}")

    def disturb(self, until: int) -> None:
        """Until then something stands in the way of progress."""
        self.progress.disturbed_at = max(self.progress.disturbed_at, until)

    def left(self) -> list[str]:
        """What is not over."""
        places = waiting_places(self.store, waiting_only=False)
        return [
            *(f"{r.name} is {r.state}" for r in self.runs() if not r.state.ended),
            *(f"{h.run} holds a slot" for h in self.store.ledger(POOL).holders),
            *(f"{place.run} is in line" for place in places),
            *(f"{c.job.name} is alive" for c in self.cloud.live()),
            *([] if self.request_queue.is_empty else ["requests wait"]),
        ]

    def runs(self) -> list[Run]:
        """Every run."""
        return list(self.store.list_runs(POOL))

    def clock(self) -> int:
        """The time as the machine of this function knows it."""
        task = getcurrent()
        return self.timeline.now + self.offset + (task.skew if isinstance(task, Task) else 0)

    def _happen(self, number: int, part: Submit | Act | Fault) -> None:
        match part:
            case Submit():
                self.note(f"people submit {part.count}: {part.fields}")
                self.people.submit(number, part)
            case Act():
                self.note(f"people {part.what} {part.value}")
                self.disturb(self.timeline.now)
                self.people.act(part)
            case Fault():
                self.weather.begin(part)

    def _minute(self) -> None:
        now = self.timeline.now
        if not self.weather.holds("no_sweep"):
            self._sweep(now + MINUTE)
        self.progress.check()
        self.timeline.at(now + MINUTE, self._minute)

    def _sweep(self, until: int) -> None:
        """An asynchronous invocation: throttled, it is tried again for a minute; failed, never.
        https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html"""

        def done(_result: Any, error: BaseException | None) -> None:
            if error is not None:
                self.note(f"the sweep failed: {error!r}")

        if not self.account.invoke(self.functions["sweep"], {}, done):
            now = self.timeline.now
            if now + 5000 < until:
                self.timeline.at(now + 5000, lambda: self._sweep(until))

    def _heal(self) -> None:
        """Nothing goes wrong any more, and nobody holds anything back."""
        self.note("everything is healed")
        self.weather.heal()
        self.disturb(self.timeline.now)
        self.people.open_up(self.plan.pool.limit)
        self.cloud.hurry_up()
        self._over = True

    def _is_over(self) -> bool:
        if self.oracle.broken:
            return True
        if not self._over or self.timeline.now < self._looked_at + MINUTE:
            return False
        self._looked_at = self.timeline.now
        return not self.left()

    # -- what travels ------------------------------------------------------------------------------

    def put(self, queue: SimQueue, message: Order | Wake, delay_seconds: int) -> None:
        """Send a message, if nothing happens to it."""
        fate = self.weather.fate(_THINGS[type(message)])
        kind = fate.kind if fate else ""
        late = fate.amount if fate else 0
        if kind == "lose":
            self.note(f"! lost: {message}")
            return
        body = self._of_another_version(encode(message)) if self.plan.mixed else encode(message)
        # No message can be delayed for longer:
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html
        delay = max(0, min(900, delay_seconds)) * 1000
        self.note(f"  {queue.name} queue +{delay // 1000} s: {message}")
        self.put_body(queue, body, delay + (late if kind == "late" else 0), about=message)
        if kind == "duplicate":
            self.put_body(queue, body, delay + late, about=message)

    def put_body(self, queue: SimQueue, body: str, delay_ms: int, about: Any = None) -> None:
        """Send it; it goes on with the chain of the function that sends it."""
        task = getcurrent()
        chain = task.chain if isinstance(task, Task) else {}
        queue.put(Message(body, next(queue.numbers), about, chain=chain), delay_ms)

    def changed(self, changes: Sequence[Change]) -> None:
        """The table has changed: its stream says so."""
        for change in changes:
            record, after = self.stream.record_of(change), change.after
            if record is None:
                continue
            # Runs with a key are put in line by whoever submits them, and audited by nobody.
            may_fail = after is not None and not after.idempotency_key
            fate = self.weather.fate("record") if may_fail else None
            kind, late = (fate.kind, fate.amount) if fate else ("", 0)
            if kind == "lose":
                self.note(f"! a record is lost: {after.name if after else POOL}")
                continue
            is_late = kind == "late"
            self.stream.append(record, late=late if is_late else 0, out_of_order=is_late)
            if kind == "duplicate":
                self.stream.append(record, late=late, out_of_order=True)

    def _tell(self, event: Mapping[str, Any]) -> None:
        """The platform's own events, by the bus and the finish queue."""
        fate = self.weather.fate("event")
        kind, late = (fate.kind, fate.amount) if fate else ("", 0)
        if kind == "lose":
            self.note(f"! the event {event['detail']} is lost")
            return
        body, soon = json.dumps(event), self.rng.randrange(100, 2000)
        self.put_body(self.finish_queue, body, soon + (late if kind == "late" else 0))
        if kind == "duplicate":
            self.put_body(self.finish_queue, body, soon + late)

    def _of_another_version(self, body: str) -> str:
        """The version before knows fewer fields, the next one more."""
        document = json.loads(body)
        if document["verb"] == "push":
            if self.rng.random() < 0.5:
                for name in ("since", "gated"):
                    document.pop(name, None)
            else:
                document["future"] = 1
        return json.dumps(document)

    def _read_again(self, batch: Mapping[str, Any]) -> Any:
        return self.stream.read_again(batch)

    def _push(self, event: Mapping[str, Any], left: Callable[[], int]) -> Any:
        for record in event["Records"]:
            with suppress(ValueError, KeyError):
                document = json.loads(record["body"])
                if document["verb"] == "push":
                    self.progress.deliveries[document["run"], document["attempt"]] += 1
        return push.handle(self.ports, event, left)

    # -- details -----------------------------------------------------------------------------------

    def _new_id(self) -> str:
        """As uuid7s do, they begin with the time."""
        self._ids += 1
        time = f"{self.clock():012x}"
        return f"{time[:8]}-{time[8:]}-7000-8000-{self._ids:012d}"

    def _script(self, job: Job) -> tuple[int, int]:
        """How long this attempt runs, and how it ends."""
        number = int(job.configuration["command"][1:].partition(".")[0])
        part = self.plan.parts[number] if number < len(self.plan.parts) else None
        if not isinstance(part, Submit):
            return 20_000, 0
        before = sum(c.job.run_id == job.run_id for c in self.cloud.containers.values()) - 1
        return part.duration, part.codes[min(max(0, before), len(part.codes) - 1)]
