"""The lives of runs from submission to release, with what each step asks of AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from uuid import UUID

import boto3
from moto import mock_aws

from push_dispatch.adapters.dynamodb.ledgers import PLAIN_BYTES
from push_dispatch.adapters.dynamodb.schema import create_table
from push_dispatch.adapters.dynamodb.store import DynamoStore
from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.adapters.sqs import SqsMessages
from push_dispatch.bootstrap import new_id, now
from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Holder, Observation, Pool, Run, Status
from push_dispatch.core.request import Request, copies
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.eager import release
from push_dispatch.engine.finish import finish
from push_dispatch.engine.hints import Hints, hints_of
from push_dispatch.engine.push import push
from push_dispatch.engine.submit import submit_many
from push_dispatch.platforms.base import Job, Watched
from push_dispatch.ports import Ports
from push_dispatch.ports.eager import Eager
from push_dispatch.ports.messages import Message, Messages, Push, Wake
from push_dispatch.ports.store import Change
from tests.fakes.meter import Meter, metered
from tests.ministack import PLAIN

__all__ = ["VARIABLES", "Lives", "Step", "lives_of"]

ARN = "arn:aws:ecs:eu-central-1:123456789012"
VARIABLES = {"image": f"{ARN}/etl:2026-12-01", "command": "python -m etl --day 2026-12-01"}
_TEMPLATE: dict[str, Any] = {
    "job_configuration": {"image": "{{ image }}", "command": "{{ command }}"},
    "variables": {"type": "object", "properties": {"image": {}, "command": {}}},
}

#: Calls, write units and read units.
Step = tuple[int, int, float]


class Accepting:
    """A platform that takes everything."""

    name: ClassVar[str] = "ecs"

    def push(self, job: Job) -> str:
        """Start nothing, and return a handle as long as a real one."""
        return f"{ARN}:task/default/0123456789abcdef0123456789abcdef#pd-etl:12/job"

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        """See nothing."""
        return []

    def cancel(self, handle: str) -> None:
        """Stop nothing."""


@dataclass
class Outbox:
    """Sends by real calls, and remembers what was sent to a platform."""

    inner: Messages
    sent: list[Message] = field(default_factory=list)

    def send(self, platform: str, messages: Sequence[Message], delay_seconds: int = 0) -> None:
        """See `Messages.send`."""
        self.inner.send(platform, messages, delay_seconds)
        self.sent += messages

    def wake(self, wakes: Sequence[Wake], delay_seconds: int = 0) -> None:
        """See `Messages.wake`."""
        self.inner.wake(wakes, delay_seconds)


@dataclass
class Lives:
    """The lives of `k` runs that come and go together, step by step. Each function has ports of
    its own: what one of them has in memory helps no other."""

    functions: Mapping[str, Ports]
    meter: Meter
    pool: str
    outbox: Outbox
    runs: list[Run] = field(default_factory=list)
    #: The calls of each step, in order.
    logs: list[list[str]] = field(default_factory=list)
    #: Who stores a run or its end runs the pass: the stream's records come later.
    eager: bool = False

    def steps(self, count: int) -> dict[str, Step]:
        """Calls, write units and read units of each step of all of them."""
        if self.eager:
            return {
                "submit: put, admit, hand over": self._measure(lambda: self._submit(count)),
                "push: claim, send, record": self._measure(self._push),
                "dispatch: the run's record": self._measure(self._dispatch),
                "RUNNING": self._measure(lambda: self._see(Status.RUNNING, None)),
                "end, release": self._measure(lambda: self._see(Status.ENDED, 0)),
                "dispatch: the end's record": self._measure(self._dispatch),
            }
        return {
            "submit": self._measure(lambda: self._submit(count)),
            "dispatch: admit, hand over": self._measure(self._dispatch),
            "push: claim, send, record": self._measure(self._push),
            "RUNNING": self._measure(lambda: self._see(Status.RUNNING, None)),
            "end": self._measure(lambda: self._see(Status.ENDED, 0)),
            "dispatch: release": self._measure(self._dispatch),
        }

    @property
    def store(self) -> DynamoStore:
        """That of dispatch."""
        store = self.functions["dispatch"].store
        assert isinstance(store, DynamoStore)
        return store

    def hold(self, slots: int) -> None:
        """Have other runs hold so many slots."""
        ledger = self.store.ledger(self.pool)
        holders = [Holder(str(UUID(int=n)), 1, "default", n) for n in range(1, slots + 1)]
        self.store.commit(replace(ledger, version=ledger.version + 1, holders=tuple(holders)))

    def steady(self, count: int) -> Step:
        """The same of so many runs, one at a time, while as many slots stay held: whenever one has
        started, the one that has held its slot longest gives it back."""
        taken: list[Step] = []
        for _ in range(count):
            self.runs.clear()
            steps: list[Callable[[], object]] = [
                lambda: self._submit(1),
                self._dispatch,
                self._push,
                lambda: self._see(Status.RUNNING, None),
                lambda: self._see(Status.ENDED, 0),
                self._release_oldest,
            ]
            taken += [self._measure(step) for step in steps]
        calls, writes, reads = zip(*taken, strict=True)
        return sum(calls), sum(writes), sum(reads)

    def submit(self, request: Request) -> Run:
        """Submit one."""
        return submit_many(self.functions["submit"], [request])[0].run

    def _measure(self, step: Callable[[], object]) -> Step:
        self.meter.take()
        step()
        self.logs.append(list(self.meter.log))
        return self.meter.take()

    def _submit(self, count: int) -> None:
        # One at a time, as moto has it: a thread more or less makes no call more or less.
        for request in copies(Request(self.pool, variables=VARIABLES), count):
            self.runs.append(self.submit(request))

    def _dispatch(self) -> None:
        changes = [Change(self.pool, None, run) for run in self.runs]
        dispatch(self.functions["dispatch"], self.pool, hints_of(changes)[self.pool])

    def _release_oldest(self) -> None:
        [oldest, *_] = self.functions["submit"].store.ledger(self.pool).holders
        self.meter.take()
        dispatch(self.functions["dispatch"], self.pool, Hints(ended={oldest.slot}))

    def _push(self) -> None:
        sent, self.outbox.sent = self.outbox.sent, []
        for message in sent:
            assert isinstance(message, Push)
            push(self.functions["push"], message)

    def _see(self, status: Status, exit_code: int | None) -> None:
        seen = [
            finish(
                self.functions["finish"],
                Observation(run.id, 1, status, exit_code=exit_code, version=2),
            )
            for run in self.runs
        ]
        self.runs = [run for run in seen if run is not None]
        release(self.functions["finish"], [run for run in self.runs if run.state.ended])


@contextmanager
def lives_of(
    plain_bytes: int = PLAIN_BYTES, *, eager: bool = False
) -> Iterator[Callable[[str], Lives]]:
    """Start lives in a pool of that name, on a table of moto's. `plain_bytes` is that of
    `Ledgers`."""
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="us-east-1", config=PLAIN)
        sqs = boto3.client("sqs", region_name="us-east-1", config=PLAIN)
        create_table(dynamodb, "cost")
        queue = sqs.create_queue(QueueName="ecs")["QueueUrl"]
        # It stands still: a busy machine makes no run an old one.
        began = now()
        outbox = Outbox(SqsMessages(lambda: sqs, {"ecs": queue}, queue))

        def function() -> Ports:
            return Ports(
                store=DynamoStore(dynamodb, "cost", plain_bytes=plain_bytes),
                messages=outbox,
                clock=lambda: began,
                new_id=new_id,
                platform=lambda _name: Accepting(),
                secrets=secrets_from({}),
                eager=Eager() if eager else None,
            )

        functions = {name: function() for name in ("submit", "dispatch", "push", "finish")}
        with metered(dynamodb, sqs) as meter:

            def start(pool: str) -> Lives:
                create_pool(functions["submit"], Pool(pool, "ecs"), _TEMPLATE)
                return Lives(functions, meter, pool, outbox, eager=eager)

            yield start
