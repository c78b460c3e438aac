"""Is all measured that the table of metrics promises, and told to CloudWatch as it reads it?"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from push_dispatch.adapters.telemetry import NAMESPACE, meter
from push_dispatch.control.pools import change_pool
from push_dispatch.core.errors import Refused
from push_dispatch.core.model import Queue
from push_dispatch.core.request import Request
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit
from push_dispatch.engine.sweep import DRIFT_SECONDS, SILENT_SECONDS
from push_dispatch.ports.meter import METRICS, Values, meter_changes
from push_dispatch.ports.store import Change
from tests.fakes.faults import Point
from tests.fakes.world import POOL, World


@dataclass
class Book:
    """A meter that writes down what it is told."""

    entries: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)

    def __call__(self, values: Values, **dimensions: str) -> None:
        self.entries.append((dict(values), dimensions))

    def of(self, metric: str, **dimensions: str) -> list[Any]:
        """Every value of that metric of the pool with these dimensions, in order."""
        wanted = {"pool": POOL, **dimensions}
        return [v[metric] for v, reported in self.entries if metric in v and reported == wanted]


class Metered(World):
    """A world that counts, and tells the function that notifies of each change."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.ports = replace(self.ports, meter=self.book)

    def deliver_changes(self, count: int, *, again: bool = False) -> None:
        self.collect()
        meter_changes(self.book, self.changes[:count])
        super().deliver_changes(count, again=again)


@pytest.fixture
def world() -> Metered:
    return Metered()


def test_a_life_is_measured_from_due_to_its_end(world: Metered) -> None:
    submit(world.ports, Request(POOL))
    world.now += 700
    world.deliver_changes(10)
    world.deliver_all()
    world.deliver_all()
    assert world.book.of("Admitted") == [1]
    assert world.book.of("Pushes", outcome="pushed") == [1]
    assert world.book.of("DispatchLatency") == [[700]]
    world.drain()
    world.deliver_changes(10)
    assert world.book.of("Ended", state="COMPLETED") == [1]
    assert world.book.of("Failures") == []


def test_a_failure_is_counted_once_with_its_reason(world: Metered) -> None:
    world.platform.failures += ["rejected"]
    submit(world.ports, Request(POOL))
    world.deliver_all()
    world.deliver_all()
    world.deliver_all()
    [run] = world.runs()
    assert run.reason is not None
    assert world.book.of("Failures", reason=run.reason) == [1]
    assert world.book.of("Ended", state=run.state.value) == [1]


def test_the_sweep_tells_how_a_pool_stands(world: Metered) -> None:
    for _ in range(5):
        submit(world.ports, Request(POOL))
    for _ in range(3):
        world.deliver_all()
    world.now += 5000
    world.sweep()
    assert world.book.of("SlotsUsed") == [3]
    assert world.book.of("Waiting", reason="pool_limit") == [2]
    assert world.book.of("OldestWaiting") == [5.0]
    assert world.book.of("SlotDrift") == []


def test_nobody_is_alarmed_by_what_a_person_has_paused(world: Metered) -> None:
    submit(world.ports, Request(POOL))
    change_pool(world.ports, POOL, lambda pool: replace(pool, paused=True))
    world.deliver_all()
    world.now += 5000
    world.sweep()
    assert world.book.of("Waiting", reason="pool_paused") == [1]
    assert world.book.of("OldestWaiting") == []


def test_a_slot_of_an_attempt_that_is_over_is_drift(world: Metered) -> None:
    submit(world.ports, Request(POOL))
    for _ in range(3):
        world.deliver_all()
    for container in world.platform.live():
        world.platform.end(container, 0)
    world.deliver_event(0)
    world.collect()
    world.changes.clear()  # the stream has lost the end
    world.now += DRIFT_SECONDS * 1000
    world.sweep()
    assert world.book.of("SlotDrift") == [1]
    world.sweep()
    assert world.book.of("SlotDrift") == [1], "it was healed"


def test_an_end_that_is_on_its_way_is_no_drift(world: Metered) -> None:
    submit(world.ports, Request(POOL))
    for _ in range(3):
        world.deliver_all()
    for container in world.platform.live():
        world.platform.end(container, 0)
    world.deliver_event(0)
    world.now += DRIFT_SECONDS * 1000 - 1
    world.sweep()
    assert world.book.of("SlotDrift") == []


def test_an_idle_pool_says_nothing(world: Metered) -> None:
    submit(world.ports, Request(POOL))
    world.drain()
    world.deliver_all()
    world.book.entries.clear()
    world.sweep()
    assert world.book.entries == []


def test_each_metric_of_the_table_is_told_with_its_dimensions(world: Metered) -> None:
    """A scenario that has all of them; and nothing is told that the table has not."""
    world.platform.failures += ["lost"]
    runs = [submit(world.ports, Request(POOL)).run for _ in range(5)]
    world.faults.arm(Point("commit", after=False), lambda: commit_first(world))
    for _ in range(3):
        world.deliver_all()
        world.now += 3000
    world.now += SILENT_SECONDS * 1000
    world.sweep()
    for _ in range(2):
        world.deliver_all()
    cancel(world.ports, runs[1].id)
    world.deliver_all()
    world.platform.failures += ["rejected"]
    for container in world.platform.live():
        world.platform.end(container, 1)
    world.deliver_event(0)
    world.collect()
    lost, world.changes[:] = world.changes[:], []
    world.now += DRIFT_SECONDS * 1000
    world.sweep()
    submit(world.ports, Request(POOL))
    world.collect()
    world.changes.clear()
    world.now += 200_000
    world.sweep()
    world.changes[:0] = lost
    world.drain()
    world.deliver_changes(100)
    entries = world.book.entries + full_line().book.entries
    reported = {(name, frozenset(d)) for values, d in entries for name in values}
    assert reported == {(m.name, frozenset(m.dimensions)) for m in METRICS.values()}
    calls = {d["call"] for _, d in world.book.entries if "call" in d}
    assert calls == {"push", "find", "observe", "cancel"}


def full_line() -> Metered:
    """One slot: the run that waits for it may start too late, and a third one may not wait."""
    world = Metered()
    queue = Queue("default", 1, max_waiting=1)
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=1, queues=(queue,)))
    request = Request(POOL, start_by_seconds=60)
    for _ in range(2):
        submit(world.ports, request)
        for _ in range(3):
            world.deliver_all()
    with pytest.raises(Refused):
        submit(world.ports, request)
    world.sweep()
    return world


def test_the_same_end_is_told_by_one_change_only() -> None:
    world = World()
    run = submit(world.ports, Request(POOL)).run
    world.drain()
    after = world.store.run(POOL, run.uuid)
    book = Book()
    meter_changes(book, [Change(POOL, after, after), Change(POOL, after, None), Change(POOL)])
    assert book.entries == []


def test_cloudwatch_reads_each_metric_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Each combination of dimensions that it hears of is charged."""
    meter({"DispatchLatency": [3, 4.5]}, pool="etl")
    [line] = capsys.readouterr().out.splitlines()
    document = json.loads(line)
    [directive] = document["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == NAMESPACE
    assert [sorted(each) for each in directive["Dimensions"]] == [["pool", "service"]]
    assert directive["Metrics"] == [{"Name": "DispatchLatency", "Unit": "Milliseconds"}]
    assert (document["pool"], document["service"]) == ("etl", "push-dispatch")
    assert document["DispatchLatency"] == [3, 4.5]


def test_what_alarms_look_at_is_told_for_the_whole_system(
    capsys: pytest.CaptureFixture[str],
) -> None:
    meter({"SlotsUsed": 3, "OldestWaiting": 60}, pool="etl")
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    reported = {
        metric["Name"]: directive["Dimensions"]
        for document in documents
        for directive in document["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }
    assert reported["OldestWaiting"] == [["service"]]
    assert sorted(reported["SlotsUsed"][0]) == ["pool", "service"]
    # Which pool it was is in the log, all the same.
    assert [document["pool"] for document in documents] == ["etl", "etl"]


def test_an_ecs_pool_that_is_always_busy_has_ten_paid_metrics(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """docs/guides/operations.md says what that costs."""
    meter({"Admitted": 1, "RacesLost": 1}, pool="etl")
    meter({"DispatchLatency": 1}, pool="etl")
    meter({"Ended": 1}, pool="etl", state="COMPLETED")
    meter({"Pushes": 1}, pool="etl", outcome="pushed")
    meter({"SlotsUsed": 1, "OldestWaiting": 1}, pool="etl")
    meter({"Waiting": 1}, pool="etl", reason="pool_full")
    for call in ("push", "observe"):
        meter({"PlatformCallLatency": 1}, platform="ecs", call=call)
    combinations = set()
    for document in map(json.loads, capsys.readouterr().out.splitlines()):
        for directive in document["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                for names in directive["Dimensions"]:
                    values = tuple((name, document[name]) for name in sorted(names))
                    combinations.add((metric["Name"], values))
    assert len(combinations) == 10


def test_many_values_are_told_in_as_many_documents_as_it_takes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    meter({"DispatchLatency": list(range(250))}, pool="etl")
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [value for d in documents for value in d["DispatchLatency"]] == list(range(250))
    assert all(len(d["DispatchLatency"]) <= 100 for d in documents), "more are not taken"
    assert all(d["pool"] == "etl" for d in documents)


def commit_first(world: World) -> None:
    """Somebody else changes the ledger that is about to be committed."""
    ledger = world.store.ledger(POOL)
    world.store.commit(replace(ledger, version=ledger.version + 1))
