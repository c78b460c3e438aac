"""Does the trace function export every run that it hears of, however often that takes?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from push_dispatch.adapters.otlp import Otlp
from push_dispatch.core.request import Request
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit
from push_dispatch.handlers.trace import handle
from tests.fakes.collector import FakeCollector
from tests.fakes.rest_server import Answer
from tests.fakes.world import POOL, World


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with FakeCollector() as made:
        yield made


@pytest.fixture
def otlp(collector: FakeCollector) -> Iterator[Otlp]:
    made = Otlp({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, lasts=False)
    yield made
    made.close()


def reported(*ids: str) -> dict[str, Any]:
    bodies = [json.dumps({"detail": {"run": run_id, "to": "CANCELLED"}}) for run_id in ids]
    return {"Records": [{"messageId": str(n), "body": body} for n, body in enumerate(bodies)]}


def cancelled(world: World) -> str:
    run = submit(world.ports, Request(POOL)).run
    cancel(world.ports, run.id)
    return run.id


def test_each_run_is_exported_once_in_a_batch(otlp: Otlp, collector: FakeCollector) -> None:
    world = World()
    one, other = cancelled(world), cancelled(world)
    assert handle(world.store, otlp, reported(one, other, one)) == {"batchItemFailures": []}
    assert len(collector.spans) == 2


def test_what_the_collector_does_not_take_comes_again(otlp: Otlp, collector: FakeCollector) -> None:
    world = World()
    event = reported(cancelled(world), cancelled(world))
    collector.refuse_next(Answer(401))
    failed = handle(world.store, otlp, event)["batchItemFailures"]
    assert [entry["itemIdentifier"] for entry in failed] == ["0", "1"]
    assert handle(world.store, otlp, event) == {"batchItemFailures": []}
    assert len(collector.spans) == 2


def test_what_cannot_be_exported_costs_no_other(otlp: Otlp, collector: FakeCollector) -> None:
    world = World()
    live = submit(world.ports, Request(POOL)).run.id
    gone = f"{POOL}.0199c1f0-1111-7222-8333-444455556666"
    event = reported("not an id", gone, live, cancelled(world))
    event["Records"].append({"messageId": "4", "body": "{"})
    assert handle(world.store, otlp, event) == {"batchItemFailures": []}
    assert len(collector.spans) == 1
