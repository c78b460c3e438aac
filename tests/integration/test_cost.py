"""Does a run cost what docs/reference/cost.md says?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest
from moto import mock_aws

from push_dispatch.adapters.dynamodb.items import run_item, size_of
from push_dispatch.adapters.dynamodb.schema import create_table
from push_dispatch.adapters.dynamodb.store import DynamoStore
from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.adapters.sqs import SqsMessages
from push_dispatch.bootstrap import new_id, now
from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Observation, Pool, Run, Status
from push_dispatch.core.request import Request, copies
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.finish import finish
from push_dispatch.engine.hints import hints_of
from push_dispatch.engine.push import push
from push_dispatch.engine.submit import submit_many
from push_dispatch.platforms.base import Job, Watched
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Push
from push_dispatch.ports.store import Change
from tests.fakes.meter import Meter, metered
from tests.ministack import PLAIN

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "cost.md"
ARN = "arn:aws:ecs:eu-central-1:123456789012"
VARIABLES = {"image": f"{ARN}/etl:2026-12-01", "command": "python -m etl --day 2026-12-01"}

Step = tuple[int, int, float]


class Accepting:
    name: ClassVar[str] = "ecs"

    def push(self, job: Job) -> str:
        return f"{ARN}:task/default/0123456789abcdef0123456789abcdef#pd-etl:12/job"

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        return []

    def cancel(self, handle: str) -> None:
        return None


@dataclass
class Lives:
    """The lives of `k` runs that come and go together, step by step."""

    ports: Ports
    meter: Meter
    pool: str
    template: str
    runs: list[Run] = field(default_factory=list)

    def steps(self, count: int) -> dict[str, Step]:
        """Calls, write units and read units of each step of all of them."""
        return {
            "submit": self._measure(lambda: self._submit(count)),
            "dispatch: line up, admit, hand over": self._measure(self._dispatch),
            "push: claim, send, record": self._measure(self._push),
            "RUNNING": self._measure(lambda: self._see(Status.RUNNING, None)),
            "end": self._measure(lambda: self._see(Status.ENDED, 0)),
            "dispatch: release": self._measure(self._dispatch),
        }

    def _measure(self, step: Callable[[], object]) -> Step:
        self.meter.take()
        step()
        return self.meter.take()

    def _submit(self, count: int) -> None:
        # One at a time, as moto has it: a thread more or less makes no call more or less.
        for request in copies(Request(self.pool, variables=VARIABLES), count):
            self.runs.append(submit_many(self.ports, [request])[0].run)

    def _dispatch(self) -> None:
        changes = [Change(self.pool, None, run) for run in self.runs]
        dispatch(self.ports, self.pool, hints_of(changes)[self.pool])

    def _push(self) -> None:
        for run in self.runs:
            push(self.ports, Push(run.id, 1, "ecs", self.template))

    def _see(self, status: Status, exit_code: int | None) -> None:
        seen = [
            finish(self.ports, Observation(run.id, 1, status, exit_code=exit_code, version=2))
            for run in self.runs
        ]
        self.runs = [run for run in seen if run is not None]


@pytest.fixture
def lives() -> Iterator[Callable[[str], Lives]]:
    """Lives in a pool of that name."""
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="us-east-1", config=PLAIN)
        sqs = boto3.client("sqs", region_name="us-east-1", config=PLAIN)
        create_table(dynamodb, "cost")
        queue = sqs.create_queue(QueueName="ecs")["QueueUrl"]
        ports = Ports(
            store=DynamoStore(dynamodb, "cost"),
            messages=SqsMessages(lambda: sqs, {"ecs": queue}, queue),
            clock=now,
            new_id=new_id,
            platform=lambda _name: Accepting(),
            secrets=secrets_from({}),
        )
        template: dict[str, Any] = {
            "job_configuration": {"image": "{{ image }}", "command": "{{ command }}"},
            "variables": {"type": "object", "properties": {"image": {}, "command": {}}},
        }
        with metered(dynamodb, sqs) as meter:

            def start(pool: str) -> Lives:
                created = create_pool(ports, Pool(pool, "ecs"), template)
                return Lives(ports, meter, pool, created.template)

            yield start


def test_single_run_costs_what_the_table_says(lives: Callable[[str], Lives]) -> None:
    lives("warm").steps(1)
    steps = lives("etl").steps(1)
    told = _table("One run in an idle pool")
    assert {name: list(step) for name, step in steps.items()} == {
        name: told[name] for name in steps
    }
    assert told["in all"] == [sum(column) for column in zip(*steps.values(), strict=True)]


@pytest.mark.parametrize("count", [1, 10, 100])
def test_writes_of_runs_that_share_commits(lives: Callable[[str], Lives], count: int) -> None:
    """7 + 2·L/k: seven writes of their own, and two ledger writes of L kilobytes for k runs."""
    life = lives("busy")
    ledgers = _largest_ledger(life)
    writes = sum(step[1] for step in life.steps(count).values())
    kilobytes = -(-max(ledgers) // 1024)
    assert writes == 7 * count + 2 * kilobytes
    assert kilobytes == {1: 1, 10: 1, 100: 4}[count]


def test_waiting_runs_cost_the_others_nothing(lives: Callable[[str], Lives]) -> None:
    lives("warm").steps(1)
    alone, crowded = lives("alone"), lives("crowded")
    waiting = [Request("crowded", variables=VARIABLES, at=now() + 10**9) for _ in range(60)]
    runs = [submit_many(crowded.ports, [request])[0].run for request in waiting]
    changes = [Change("crowded", None, run) for run in runs]
    crowded.ports.store.enqueue(
        "crowded", hints_of(changes)["crowded"].waiting, now()
    )  # No wake: they are not due for days.
    assert crowded.steps(1) == alone.steps(1)


def test_run_with_an_end_fits_into_a_kilobyte(lives: Callable[[str], Lives]) -> None:
    life = lives("etl-production-eu")
    life.steps(1)
    assert size_of(run_item(life.runs[0])) < 1024


def _largest_ledger(life: Lives) -> list[int]:
    """The sizes of the ledgers that are written, as they are written."""
    sizes: list[int] = []
    store = life.ports.store
    assert isinstance(store, DynamoStore)

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name == "PutItem" and params["Item"]["SK"]["S"] == "LEDGER":
            sizes.append(size_of(params["Item"]))

    store._table.client.meta.events.register("provide-client-params.dynamodb", note)
    return sizes


def _table(title: str) -> dict[str, list[float]]:
    """The numbers of the table under this heading, by the text of their row."""
    section = DOCUMENT.read_text("utf-8").split(f"## {title}\n", 1)[1].split("## ")[0]
    row = re.compile(r"^\| ([^|]+?) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", re.MULTILINE)
    rows = row.findall(section)
    return {name.strip("*"): [float(n) for n in numbers] for name, *numbers in rows}
