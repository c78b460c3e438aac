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

from push_dispatch.adapters.memory.store import MemoryStore
from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.control.pools import change_pool, change_queue, create_pool, delete_queue
from push_dispatch.core.errors import (
    Conflict,
    NoCapacity,
    NotFound,
    PushDispatchError,
    Refused,
    Throttled,
    Unavailable,
)
from push_dispatch.core.model import Run, RunState
from push_dispatch.core.request import Request
from push_dispatch.core.retry import longest_rest
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit_many
from push_dispatch.handlers import dispatch, finish, push, submit, sweep
from push_dispatch.platforms.base import Job
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Look, Message as Order, Push, StopAttempt, Wake, encode
from push_dispatch.ports.store import Change
from tests.simulation.aws import Account, Function, Message, SimQueue
from tests.simulation.cloud import Cloud
from tests.simulation.deployed import deployed
from tests.simulation.oracle import Oracle, waiting_places
from tests.simulation.plan import POOL, Act, Fault, Plan, Submit
from tests.simulation.progress import MINUTE, Progress
from tests.simulation.stream import SimStream
from tests.simulation.timeline import Task, Timeline
from tests.simulation.wire import Wire

__all__ = ["Outcome", "Simulation", "simulate"]

START = 1_800_000_000_000
#: After the last fault everything is to end within this time.
_DRAIN = 48 * 60 * MINUTE
_TEMPLATE = {
    "job_configuration": {"command": "{{ command }}"},
    "variables": {"properties": {"command": {"type": "string"}}},
}
#: Faults that make functions fail, as opposed to what a platform answers.
_THINGS = {Push: "push", Wake: "wake", StopAttempt: "stop", Look: "look"}


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
    invocations: int
    trace: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What is broken, without numbers and names: two failures of one kind are one bug."""
        words = self.broken[0] if self.broken else ""
        return "".join(" " if c.isdigit() else c for c in words)[:60]


def simulate(plan: Plan, *, trace: bool = False) -> Outcome:
    """Play the story until everything is over, or something is broken."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        return Simulation(plan, trace=trace).play()
    finally:
        logging.disable(disabled)


class _Mail:
    """The port of messages: queues by name, on which things get lost, late and twice."""

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
        self.tracing, self.trace = trace, list[str]()
        rng = self.rng = Random(plan.seed * 7919 + 1)
        timeline = self.timeline = Timeline(START)
        self.offset = 0
        self._ids = 0
        #: Losses, repetitions and delays that wait for something to strike, by kind of thing.
        self._misfortunes: list[Fault] = []
        self.store = MemoryStore()
        self.cloud = Cloud(timeline, self._script, self._tell, rng.random, room=plan.room)
        self.oracle = Oracle(self.store, self.cloud, self.clock, plan.skew)
        self.oracle.note = self.note
        wire = self.wire = Wire(timeline, rng, self.oracle)
        wire.note, wire.rival = self.note, self._rival
        wire.at_platform = self._at_platform
        self.ports = Ports(
            store=wire.around("table", self.store),
            messages=wire.around("queues", _Mail(self)),
            clock=self.clock,
            new_id=self._new_id,
            platform=lambda _name, cloud=wire.around("platform", self.cloud): cloud,
            secrets=secrets_from({}),
            rest=lambda race: timeline.sleep(int(rng.random() * longest_rest(race) * 1000)),
        )
        self._wire_up()
        self.expected: list[tuple[int, str]] = []
        self.accepted: list[str] = []
        self._closed = False

    def _wire_up(self) -> None:
        facts, ports, rng = deployed(), self.ports, self.rng
        skew = self.plan.skew
        self.account = Account(
            self.timeline,
            self.plan.concurrency,
            lambda _number: rng.randint(-skew, skew) if skew else 0,
        )
        functions = {
            "dispatch": lambda event, _left: dispatch.handle(ports, event, self._read_again),
            "push": self._push,
            "finish": lambda event, _left: finish.handle(ports, event),
            "submit": lambda event, _left: submit.handle(ports, event),
            "sweep": lambda _event, left: sweep.handle_alone(
                ports, left() // 1000 - sweep.RESERVE_SECONDS
            ),
        }
        self.functions = {n: Function(n, facts.functions[n], h) for n, h in functions.items()}

        def queue(name: str, function: str) -> SimQueue:
            return SimQueue(
                name, facts.queues[name], self.account, self.functions[function], self.note
            )

        self.wake_queue, self.push_queue = queue("wake", "dispatch"), queue("push", "push")
        self.finish_queue, self.request_queue = (
            queue("finish", "finish"),
            queue("request", "submit"),
        )
        self.stream = SimStream(
            self.account,
            self.functions["dispatch"],
            facts.stream_batch,
            facts.stream_retries,
            lambda note: self._put_body(self.wake_queue, note, 0),
            lambda: self.rng.randrange(100, 500),
        )
        self.oracle.changed = self._changed
        self.progress = Progress(
            *(self.store, self.cloud, self.oracle, self.wire, self.push_queue, self.wake_queue),
            self.clock,
        )

    # -- the story ---------------------------------------------------------------------------------

    def play(self) -> Outcome:
        """From the first part to the end."""
        create_pool(self.ports, self.plan.pool, _TEMPLATE)
        for number, part in enumerate(self.plan.parts):
            self.timeline.at(START + part.at, lambda n=number, p=part: self._happen(n, p))
        self.timeline.at(START + 30_000, self._minute)
        self.timeline.at(START + self.plan.horizon, self._heal)
        end = START + self.plan.horizon + _DRAIN
        self.timeline.run(end, self._is_over)
        if not self.oracle.broken:
            self._check_end()
        return Outcome(
            plan=self.plan,
            broken=self.oracle.broken,
            time=self.timeline.now - START,
            faults=dict(self.wire.fired),
            calls=sum(self.wire.calls.values()),
            runs=sum(1 for _ in self.store.list_runs(POOL)),
            invocations=sum(self.account.invocations.values()),
            trace=self.trace,
        )

    def note(self, text: str) -> None:
        """A line of the trace."""
        if self.tracing:
            task = getcurrent()
            who = f"{task.name}#{task.number}" if isinstance(task, Task) else ""
            at = (self.timeline.now - START) / 1000
            self.trace.append(f"{at:10.3f} {who:14} {text}")

    def _minute(self) -> None:
        now = self.timeline.now
        if not self._off("no_sweep"):
            self._sweep(now + MINUTE)
        self.progress.check()
        self.timeline.at(now + MINUTE, self._minute)

    def _sweep(self, until: int) -> None:
        """An asynchronous invocation: throttled, it is tried again for a minute; failed, never."""

        def done(_result: Any, error: BaseException | None) -> None:
            if error is not None:
                self.note(f"the sweep failed: {error!r}")

        if not self.account.invoke(self.functions["sweep"], {}, done):
            now = self.timeline.now
            if now + 5000 < until:
                self.timeline.at(now + 5000, lambda: self._sweep(until))

    def _is_over(self) -> bool:
        if self.oracle.broken:
            return True
        return self._closed and self.timeline.now >= self._checked + MINUTE and self._rests()

    _checked = 0

    def _rests(self) -> bool:
        self._checked = self.timeline.now
        return not self.left()

    def left(self) -> list[str]:
        """What is not over."""
        return [
            *(f"{r.name} is {r.state}" for r in self.runs() if not r.state.ended),
            *(f"{h.run} holds a slot" for h in self.store.ledger(POOL).holders),
            *(
                f"{place.run} is in line"
                for place in waiting_places(self.store, waiting_only=False)
            ),
            *(f"{c.job.name} is alive" for c in self.cloud.live()),
            *(["requests wait"] if self.request_queue.waiting else []),
        ]

    def runs(self) -> list[Run]:
        return list(self.store.list_runs(POOL))

    # -- people ------------------------------------------------------------------------------------

    def _happen(self, number: int, part: Submit | Act | Fault) -> None:
        match part:
            case Submit():
                self.note(f"people submit {part.count}: {part.fields}")
                self._submit(number, part)
            case Act():
                self.note(f"people {part.what} {part.value}")
                self._disturb(self.timeline.now)
                self._do(lambda: self._act(part))
            case Fault():
                self._begin(part)

    def _do(self, act: Callable[[], object], *, what: str = "person") -> None:
        def alone() -> None:
            with suppress(Unavailable, Conflict, NotFound, Refused):
                act()

        self.timeline.start(self.timeline.task(what, alone))

    def _submit(self, number: int, part: Submit) -> None:
        fields = dict(part.fields)
        after = fields.pop("at_after", None)
        labels = [f"r{number}.{copy}" for copy in range(part.count)]
        if part.by_queue:
            for label in labels:
                self._request(label, fields, after)
            return
        requests = [
            Request(
                POOL,
                name=label,
                variables={"command": label},
                at=None if after is None else self.clock() + after,
                **fields,
            )
            for label in labels
        ]

        def act() -> None:
            made = submit_many(self.ports, requests)
            self.accepted += [each.run.uuid for each in made]

        self._do(act, what="submitter")

    def _request(self, label: str, fields: Mapping[str, Any], after: int | None) -> None:
        fields = {k: v for k, v in fields.items() if k not in ("deployment", "collision")}
        document = {**fields, "pool": POOL, "name": label, "job_variables": {"command": label}}
        if after is not None:
            document["in_seconds"] = after // 1000
        key = document.pop("idempotency_key", "")
        event = {"id": key or label, "detail": document}
        self.expected.append((self.timeline.now, key or label))
        self._put_body(self.request_queue, json.dumps(event), 0)

    def _act(self, part: Act) -> None:
        ports, value = self.ports, part.value
        match part.what:
            case "cancel":
                under_way = [run for run in self.runs() if not run.state.ended]
                if under_way:
                    cancel(ports, under_way[value % len(under_way)].id)
            case "limit":
                change_pool(ports, POOL, lambda pool: replace(pool, limit=value))
            case "pause":
                change_pool(ports, POOL, lambda pool: replace(pool, paused=value))
            case "queue_limit":
                change_queue(ports, POOL, value[0], lambda queue: replace(queue, limit=value[1]))
            case "delete_queue":
                delete_queue(ports, POOL, value)

    # -- what goes wrong ---------------------------------------------------------------------------

    def _begin(self, fault: Fault) -> None:
        match fault.kind:
            case "kill" | "unavailable" | "slow" | "half" | "rival" | "lost_reply" | "reject":
                self.wire.arm(fault)
            case "lose" | "duplicate" | "late":
                self._misfortunes.append(fault)
            case "clock_jumps":
                self._jump(fault)
            case "vanish" | "poison_record" | "poison_message" | "poison_run":
                self._poison(fault)
            case _:
                self._window(fault)

    def _jump(self, fault: Fault) -> None:
        # No platform's clock jumps with ours: what it does not know yet is no matter of time then.
        self.cloud.lags = False
        self.note(f"! the clock jumps by {fault.amount // 1000} s")
        self.offset += fault.amount
        self.oracle.clock_jumped = True
        self.wire.fire("clock_jumps")

    def _poison(self, fault: Fault) -> None:
        match fault.kind:
            case "vanish":
                self._vanish()
                return
            case "poison_message":
                for queue in (self.push_queue, self.wake_queue, self.finish_queue):
                    self._put_body(queue, '{"verb": "push", "nonsense": [', 0)
            case "poison_record":
                self.stream.append(self.stream.poison())
            case "poison_run":
                run = next((r for r in self.runs() if not r.state.ended), None)
                if run is None:
                    return
                self.store._runs[POOL, run.uuid] = spoiled = replace(
                    run, unreadable="due is not a number", rev=run.rev + 1
                )
                self._changed([Change(POOL, run, spoiled)], surely=True)
        self.note(f"! {fault.kind}")
        self.wire.fire(fault.kind)

    def _vanish(self) -> None:
        """Only what is known to have started: see `Platform.push` about names."""
        for run in self.runs():
            handle = run.current.handle if run.current else None
            found = self.cloud.containers.get(handle or "")
            if found is not None and found.live:
                self.note(f"! {found.job.name} vanishes")
                self.cloud.vanish(found)
                self.wire.fire("vanish")
                return

    def _window(self, fault: Fault) -> None:
        until = self.timeline.now + fault.length
        self.note(f"! {fault.kind} for {fault.length // 1000} s")
        self.wire.fire(fault.kind)
        self._set(fault, on=True)
        self._windows.append((until, fault.kind))

        def over() -> None:
            if not self._off(fault.kind):
                self._set(fault, on=False)
            self.note(f"! {fault.kind} is over")

        self.timeline.at(until, over)
        self._disturb(until)

    def _disturb(self, until: int) -> None:
        self.progress.disturbed_at = max(self.progress.disturbed_at, until)

    @property
    def _windows(self) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = self.__dict__.setdefault("_open", [])
        return found

    def _off(self, kind: str) -> bool:
        now = self.timeline.now
        return any(name == kind and until > now for until, name in self._windows)

    def _set(self, fault: Fault, *, on: bool) -> None:
        match fault.kind:
            case "table":
                self.wire.table_throttles = fault.amount if on else 0
            case "platform_full":
                self.cloud.refuses = NoCapacity("no room") if on else None
            case "platform_throttles":
                after = float(fault.amount) if fault.amount else None
                self.cloud.refuses = Throttled("slow down", after_seconds=after) if on else None
            case "platform_down":
                self.cloud.down = on
            case "busy":
                self.account.elsewhere = fault.amount if on else 0
            case "dead_letters_full":
                for queue in self._queues:
                    queue.dead_letters_full = on
            case "stream_stalls":
                self.stream.stalled_until = self.timeline.now + fault.length if on else 0

    @property
    def _queues(self) -> tuple[SimQueue, ...]:
        return self.wake_queue, self.push_queue, self.finish_queue, self.request_queue

    def _at_platform(self, fault: Fault) -> bool:
        if fault.kind == "reject":
            self.cloud.rejects = True
        else:
            self.cloud.loses_reply = True
        return True

    def _rival(self) -> None:
        """Another function does something at this very moment."""
        match self.rng.randrange(4):
            case 0:
                self._put_body(self.wake_queue, encode(Wake(POOL)), 0)
            case 1:
                rival = Function(
                    "sweep", self.functions["sweep"].facts, lambda _e, _l: sweep.handle(self.ports)
                )
                self.account.invoke(rival, {}, lambda _result, _error: None)
            case 2:
                under_way = [run for run in self.runs() if not run.state.ended]
                if under_way:
                    victim = self.rng.choice(under_way).id
                    self._do(lambda: cancel(self.ports, victim))
            case _:
                if orders := self.push_queue.waiting:
                    copy = self.rng.choice(orders)
                    self._put_body(self.push_queue, copy.body, 0, about=copy.about)

    def _heal(self) -> None:
        """Nothing goes wrong any more, and nobody holds anything back."""
        self.note("everything is healed")
        self.wire._strikes.clear()
        self.wire.table_throttles = 0
        self._misfortunes.clear()
        self._windows.clear()
        self.cloud.refuses, self.cloud.down, self.cloud.room = None, False, None
        self.cloud.rejects = self.cloud.loses_reply = False
        self.account.elsewhere, self.stream.stalled_until = 0, 0
        for queue in self._queues:
            queue.dead_letters_full = False
        self.progress.disturbed_at = self.timeline.now

        def open_up() -> None:
            limit = self.plan.pool.limit
            pool = change_pool(
                self.ports, POOL, lambda p: replace(p, paused=False, limit=limit or None)
            )
            for queue in pool.queues:
                if queue.limit == 0 or queue.paused:
                    change_queue(
                        self.ports, POOL, queue.name, lambda q: replace(q, paused=False, limit=None)
                    )

        self._do(open_up)
        self.cloud.hurry_up()
        self._closed = True

    # -- what travels ------------------------------------------------------------------------------

    def put(self, queue: SimQueue, message: Order | Wake, delay_seconds: int) -> None:
        """Send a message, if nothing happens to it."""
        fate = self._fate(_THINGS[type(message)])
        if fate is not None and fate.kind == "lose":
            self.note(f"! lost: {message}")
            return
        body = encode(message)
        if self.plan.mixed:
            body = self._of_another_version(body)
        delay = max(0, min(900, delay_seconds)) * 1000
        late = fate.amount if fate is not None and fate.kind == "late" else 0
        self.note(f"  {queue.name} queue +{delay // 1000} s: {message}")
        self._put_body(queue, body, delay + late, about=message)
        if fate is not None and fate.kind == "duplicate":
            self._put_body(queue, body, delay + fate.amount, about=message)

    def _of_another_version(self, body: str) -> str:
        """The version before knows fewer fields, the next one more."""
        document = json.loads(body)
        if document["verb"] == "push":
            if self.rng.random() < 0.5:
                for name in ("since", "gated", "tries"):
                    document.pop(name, None)
            else:
                document["future"] = 1
        return json.dumps(document)

    def _put_body(self, queue: SimQueue, body: str, delay_ms: int, about: Any = None) -> None:
        task = getcurrent()
        chain = task.chain if isinstance(task, Task) else {}
        queue.put(Message(body, next(queue.numbers), about, chain=chain), delay_ms)

    def _fate(self, thing: str) -> Fault | None:
        for number, fault in enumerate(self._misfortunes):
            if fault.verb == thing:
                del self._misfortunes[number]
                self.wire.fire(f"{fault.kind} {thing}")
                return fault
        return None

    def _changed(self, changes: Sequence[Change], *, surely: bool = False) -> None:
        """The table has changed: its stream says so."""
        for change in changes:
            record = self.stream.record_of(change)
            if record is None:
                continue
            after = change.after
            # Whose id does not tell its time is put in line by whoever submits it.
            keyed = after is not None and after.idempotency_key
            fate = None if surely or keyed or after is None else self._fate("record")
            if fate is not None and fate.kind == "lose":
                self.note(f"! the record of {after.name if after else POOL} is lost")
                continue
            late = fate.amount if fate is not None and fate.kind == "late" else 0
            self.stream.append(record, late=late, out_of_order=bool(late))
            if fate is not None and fate.kind == "duplicate":
                self.stream.append(record, late=fate.amount, out_of_order=True)

    def _tell(self, event: Mapping[str, Any]) -> None:
        """The platform's own events, by the bus and the finish queue."""
        fate = self._fate("event")
        if fate is not None and fate.kind == "lose":
            self.note(f"! the event {event['detail']} is lost")
            return
        late = fate.amount if fate is not None and fate.kind == "late" else 0
        body, soon = json.dumps(event), self.rng.randrange(100, 2000)
        self._put_body(self.finish_queue, body, soon + late)
        if fate is not None and fate.kind == "duplicate":
            self._put_body(self.finish_queue, body, soon + fate.amount)

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

    def clock(self) -> int:
        """The time as the machine of this function knows it."""
        task = getcurrent()
        return self.timeline.now + self.offset + (task.skew if isinstance(task, Task) else 0)

    def _new_id(self) -> str:
        """As uuid7s do, they begin with the time."""
        self._ids += 1
        time = f"{self.clock():012x}"
        return f"{time[:8]}-{time[8:]}-7000-8000-{self._ids:012d}"

    def _script(self, job: Job) -> tuple[int, int]:
        number = int(job.configuration["command"][1:].partition(".")[0])
        part = self.plan.parts[number] if number < len(self.plan.parts) else None
        if not isinstance(part, Submit):
            return 20_000, 0
        before = sum(c.job.run_id == job.run_id for c in self.cloud.containers.values()) - 1
        return part.duration, part.codes[min(max(0, before), len(part.codes) - 1)]

    def _check_end(self) -> None:
        """Nothing is left, nothing is lost, and nobody ended for no reason."""
        for what in self.left():
            self.oracle._break(f"not drained: {what}")
        runs = {run.uuid: run for run in self.runs()}
        for uuid in self.accepted:
            if uuid not in runs:
                self.oracle._break(f"the run {uuid} was accepted, and is lost")
        self._check_requests({run.idempotency_key for run in runs.values()})
        for run in runs.values():
            if run.state is RunState.CRASHED and not self._may_crash(run):
                self.oracle._break(f"{run.name} crashed for no reason: {run.reason}, {run.message}")
            if run.state is RunState.CANCELLED and not self._may_be_cancelled(run):
                self.oracle._break(f"{run.name} was cancelled for no reason: {run.reason}")
        for queue in self._queues:
            for message in queue.dead:
                if message.receives <= queue.facts.max_receives:
                    self.oracle._break(f"a loop was stopped: {message.body[:80]}")

    def _check_requests(self, keys: set[str]) -> None:
        deleted = any(isinstance(p, Act) and p.what == "delete_queue" for p in self.plan.parts)
        for _, label in self.expected:
            if f"event:{label}" not in keys and not deleted:
                self.oracle._break(f"the request {label} was accepted, and is lost")

    def _may_crash(self, run: Run) -> bool:
        """A run crashes when its platform rejected it, when it vanished, when its time was up, or
        when what was sent is in doubt for an hour; not because somebody had to wait."""
        if run.reason in ("timed_out", "start_timeout"):
            return run.timeout_seconds is not None or run.reason == "start_timeout"
        if run.reason in ("invalid_input", "pool_not_found"):
            return True
        name = f"pd-{run.uuid.replace('-', '')}-{run.attempt}"
        if run.reason == "push_uncertain":
            return name in self.cloud.in_doubt
        return name in self.cloud.rejected | self.cloud.vanished

    def _may_be_cancelled(self, run: Run) -> bool:
        if run.reason == "expired":
            return run.expires is not None
        if run.reason == "cancelled_by_collision":
            return bool(run.deployment)
        return run.reason in ("cancelled_by_user", "invalid_input")


_ = PushDispatchError, field
