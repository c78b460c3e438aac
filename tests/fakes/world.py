"""The whole service in memory, on a clock that the test moves, with a fault between any two calls.

Every call of the engine to something outside (store, queue, platform) goes through `Faults`,
which may do something just before it or just after it: crash, as a function that is killed, or
whatever else the test wants to happen in between, such as another function's work. Deliveries are
the test's too: what the stream, the queues and the platform have to say waits until it is
delivered, once or more often, in order or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from push_dispatch.configure import create_pool
from push_dispatch.dispatch import dispatch, hints_of
from push_dispatch.errors import NoCapacity, Throttled, Uncertain
from push_dispatch.finish import finish
from push_dispatch.handlers.push import handle as handle_push
from push_dispatch.messages import Message, Wake, encode
from push_dispatch.model import Ledger, Observation, Pool, Ready, Run, RunState, Status
from push_dispatch.platforms.base import Job, Watched
from push_dispatch.ports import Ports
from push_dispatch.secrets import secrets_from
from push_dispatch.store import Change
from push_dispatch.store.memory import MemoryStore
from push_dispatch.sweep import sweep

__all__ = ["POOL", "Crash", "Faults", "World"]

POOL = "p"
START = 1_800_000_000_000
TEMPLATE = {
    "job_configuration": {"command": "{{ command }}"},
    "variables": {"properties": {"command": {"type": "string"}}},
}


class Crash(BaseException):
    """The function is killed. Nothing in the engine catches it."""


@dataclass
class Faults:
    """Counts the points before and after each external call, and acts at one of them."""

    passed: int = 0
    _at: int | None = None
    _act: Callable[[], None] | None = None

    def arm(self, point: int, act: Callable[[], None]) -> None:
        """Act at the `point`-th point to come; 0 is the next one."""
        self._at, self._act = self.passed + point, act

    def disarm(self) -> None:
        self._at = self._act = None

    def point(self) -> None:
        now, self.passed = self.passed, self.passed + 1
        if now == self._at and self._act is not None:
            act = self._act
            self.disarm()
            act()

    def around(self, target: object, watch: Callable[..., None] | None = None) -> Any:
        """The same object, with a point before and after each of its methods."""
        return _Faulty(target, self, watch)


class _Faulty:
    def __init__(self, target: object, faults: Faults, watch: Callable[..., None] | None) -> None:
        self._target, self._faults, self._watch = target, faults, watch

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **options: Any) -> Any:
            self._faults.point()
            if self._watch:
                self._watch(name, arguments, done=False)
            result = value(*arguments, **options)
            if self._watch:
                self._watch(name, arguments, done=True)
            self._faults.point()
            return result

        return call


@dataclass
class Container:
    """One attempt on the platform."""

    job: Job
    running: bool = False
    ended: bool = False
    exit_code: int | None = None
    stop_asked: bool = False


@dataclass
class FakePlatform:
    """Starts each name once, tells the truth, and fails on demand."""

    name: ClassVar[str] = "process"

    containers: dict[str, Container] = field(default_factory=dict)
    #: Observations that the platform has sent as events, not delivered yet.
    events: list[Observation] = field(default_factory=list)
    #: The next pushes fail with these, oldest first; `lost` starts it and then fails.
    failures: list[str] = field(default_factory=list)

    def push(self, job: Job) -> str:
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "throttled":
            raise Throttled("slow down")
        if failure == "no_capacity":
            raise NoCapacity("no room")
        self.containers.setdefault(job.name, Container(job))
        if failure == "lost":
            raise Uncertain("the reply was lost")
        return job.name

    def find(self, job: Job) -> str | None:
        return job.name if job.name in self.containers else None

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        return [self._seen(job) for job in jobs]

    def cancel(self, handle: str) -> None:
        self.containers[handle].stop_asked = True

    # -- what the test does ------------------------------------------------------------------------

    def live(self) -> list[Container]:
        return [c for c in self.containers.values() if not c.ended]

    def begin(self, container: Container) -> None:
        container.running = True
        self.events.append(self._of(container))

    def end(self, container: Container, exit_code: int) -> None:
        container.ended, container.exit_code = True, exit_code
        self.events.append(self._of(container))

    def _seen(self, job: Watched) -> Observation:
        found = self.containers.get(job.handle)
        if found is None:
            return Observation(job.run_id, job.attempt, Status.LOST, job.handle)
        return self._of(found)

    def _of(self, container: Container) -> Observation:
        job = container.job
        status = Status.STARTING
        if container.ended:
            status = Status.ENDED
        elif container.running:
            status = Status.RUNNING
        return Observation(job.run_id, job.attempt, status, job.name, exit_code=container.exit_code)


@dataclass
class Delay:
    """Something in a queue that may be delivered from a time on."""

    at: int
    message: Message | Wake
    receives: int = 0


@dataclass
class Mailbox:
    """The queues."""

    clock: Callable[[], int]
    waiting: list[Delay] = field(default_factory=list)

    def send(self, platform: str, messages: Sequence[Message], delay_seconds: int = 0) -> None:
        self._add(messages, delay_seconds)

    def wake(self, wakes: Sequence[Wake], delay_seconds: int = 0) -> None:
        self._add(wakes, delay_seconds)

    def _add(self, messages: Iterable[Message | Wake], delay: int) -> None:
        self.waiting += [Delay(self.clock() + max(0, delay) * 1000, m) for m in messages]


class World:
    """One pool `p`. `violations` lists every broken guarantee, in words."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.now = START
        self.ids = 0
        self.faults = Faults()
        self.store = store or MemoryStore()
        self.platform = FakePlatform()
        self.mail = Mailbox(lambda: self.now)
        self.changes: list[Change] = []
        self.violations: list[str] = []
        self.configurations: dict[int, Pool] = {}
        self._before: dict[str, Any] = {}
        platform = self.faults.around(self.platform)
        self.ports = Ports(
            store=self.faults.around(self.store, self._watch),
            messages=self.faults.around(self.mail),
            clock=lambda: self.now,
            new_id=self._new_id,
            platform=lambda name: platform,
            secrets=secrets_from({}),
        )
        create_pool(self.ports, Pool(POOL, "process", limit=3), TEMPLATE)

    # -- deliveries --------------------------------------------------------------------------------

    def collect(self) -> None:
        """What the table has told its stream since the last time."""
        self.changes += self.store.changes
        self.store.changes.clear()

    def deliver_changes(self, count: int, *, again: bool = False) -> None:
        """The oldest changes of the stream, as one batch; they stay if the function crashes."""
        self.collect()
        batch = self.changes[:count]
        for pool, hints in hints_of(batch).items():
            dispatch(self.ports, pool, hints)
        if not again:
            # One by one: another function may have been given some of them meanwhile.
            done = {id(change) for change in batch}
            self.changes = [change for change in self.changes if id(change) not in done]

    def due_messages(self) -> list[Delay]:
        return [delay for delay in self.mail.waiting if delay.at <= self.now]

    def deliver_message(self, delay: Delay, *, again: bool = False) -> None:
        """A message that is due; it stays if the function crashes or reports it as failed."""
        delay.receives += 1
        if isinstance(delay.message, Wake):
            dispatch(self.ports, delay.message.pool, hints_of([]).get(POOL))
        else:
            record = {
                "messageId": "m",
                "body": encode(delay.message),
                # The last delivery is a case of its own: see `Reject` in the handler.
                "attributes": {"ApproximateReceiveCount": str(min(delay.receives, 4))},
            }
            if handle_push(self.ports, {"Records": [record]})["batchItemFailures"]:
                return
        if not again and delay in self.mail.waiting:
            self.mail.waiting.remove(delay)

    def deliver_event(self, number: int, *, again: bool = False) -> None:
        """One of the platform's events."""
        seen = self.platform.events[number]
        finish(self.ports, seen)
        if not again and seen in self.platform.events:
            self.platform.events.remove(seen)

    def sweep(self) -> None:
        sweep(self.ports)

    def drain(self, rounds: int = 200) -> None:
        """No more faults: let everything happen that is still to happen."""
        self.faults.disarm()
        self.platform.failures.clear()
        for _ in range(rounds):
            self.collect()
            if self.changes:
                self.deliver_changes(100)
            for delay in self.due_messages():
                self.deliver_message(delay)
            for container in self.platform.live():
                self.platform.end(container, 143 if container.stop_asked else 0)
            for _ in range(len(self.platform.events)):
                self.deliver_event(0)
            self.sweep()
            if self.is_quiet():
                return
            self.now += 30_000

    def is_quiet(self) -> bool:
        ledger = self.store.ledger(POOL)
        return not ledger.holders and all(run.state.ended for run in self.runs())

    def runs(self) -> list[Run]:
        return list(self.store.list_runs(POOL))

    # -- guarantees --------------------------------------------------------------------------------

    def check(self) -> None:
        """What has to be true at any moment. Raises AssertionError."""
        self._check_live()
        self._check_never_started()
        assert not self.violations, self.violations

    def _check_live(self) -> None:
        holders = {holder.slot for holder in self.store.ledger(POOL).holders}
        alive = Counter(c.job.run_id for c in self.platform.live())
        twice = [run for run, count in alive.items() if count > 1]
        if twice:
            self.violations.append(f"two attempts of {twice} are alive at once")
        for container in self.platform.live():
            uuid = container.job.run_id.partition(".")[2]
            if not any(s.run == uuid and s.attempt == container.job.attempt for s in holders):
                self.violations.append(f"{container.job.name} runs without a slot")

    def _check_never_started(self) -> None:
        started = {c.job.run_id for c in self.platform.containers.values()}
        for run in self.runs():
            if run.state is RunState.CANCELLED and not run.attempts and run.id in started:
                self.violations.append(f"{run.id} was cancelled before it started, and started")

    def _watch(self, verb: str, arguments: tuple[Any, ...], *, done: bool) -> None:
        """Looks at each write of the engine as it happens."""
        if verb == "commit":
            if done:
                self._check_commit(self._before["ledger"], arguments[0])
            else:
                self._before["ledger"] = self.store.ledger(POOL)
                self._before["line"] = self._line()
        elif verb == "save_run":
            run: Run = arguments[0]
            if not done:
                self._before["run"] = self.store.run(run.pool, run.uuid)
            elif (before := self._before["run"]) and before.state.ended and before != run:
                self.violations.append(f"{run.id} was {before.state} and became {run.state}")
        elif done and verb in ("create_pool", "save_pool"):
            pool = self.store.pool(POOL)
            if pool is not None:
                self.configurations[pool.version] = pool

    def _line(self) -> list[Ready]:
        pool = self.store.pool(POOL)
        names = [queue.name for queue in pool.in_order] if pool else []
        return [ready for name in names for ready in self.store.line(POOL, name, 10_000)]

    def _check_commit(self, before: Ledger, after: Ledger) -> None:
        pool = self.configurations[after.configuration]
        held = {holder.slot for holder in before.holders}
        admitted = [holder for holder in after.holders if holder.slot not in held]
        if not admitted:
            return
        by_queue = Counter(holder.queue for holder in after.holders)
        by_key = Counter(h.concurrency_key for h in after.holders if h.concurrency_key)
        if pool.paused:
            self.violations.append("a paused pool admitted a run")
        if pool.limit is not None and len(after.holders) > pool.limit:
            self.violations.append(f"{len(after.holders)} slots held of {pool.limit}")
        for holder in admitted:
            queue = pool.queue(holder.queue)
            if queue is None or queue.paused:
                self.violations.append(f"queue {holder.queue} is paused or gone, and admitted")
            elif queue.limit is not None and by_queue[queue.name] > queue.limit:
                self.violations.append(f"queue {queue.name}: {by_queue[queue.name]} slots held")
        if pool.key_limit is not None and any(n > pool.key_limit for n in by_key.values()):
            self.violations.append(f"more than {pool.key_limit} slots of one key")
        self._check_order(pool, admitted, after, by_queue, by_key)

    def _check_order(
        self,
        pool: Pool,
        admitted: Sequence[Any],
        after: Ledger,
        by_queue: Counter[str],
        by_key: Counter[str],
    ) -> None:
        """Nobody is passed by who could have started instead."""
        rank = {queue.name: queue.priority for queue in pool.queues}
        line: list[Ready] = self._before["line"]
        place = {ready.slot: (rank.get(ready.queue, 0), ready.due, ready.order) for ready in line}
        known = [place[h.slot] for h in admitted if h.slot in place]
        if not known:
            return
        held = {holder.slot for holder in after.holders}
        for ready in line:
            queue = pool.queue(ready.queue)
            if ready.slot in held or queue is None or ready.due > self.now:
                continue
            if ready.expires is not None and ready.expires <= self.now:
                continue
            full = queue.limit is not None and by_queue[queue.name] >= queue.limit
            key = ready.concurrency_key
            key_full = bool(key) and pool.key_limit is not None and by_key[key] >= pool.key_limit
            if queue.paused or full or key_full:
                continue
            if place[ready.slot] < max(known):
                self.violations.append(f"{ready.run} was passed by")

    def _new_id(self) -> str:
        self.ids += 1
        return f"0199c1f0-0000-7000-8000-{self.ids:012d}"
