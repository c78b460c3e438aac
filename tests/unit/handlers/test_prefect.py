"""What does the prefect function do with each kind of event?"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from push_dispatch.handlers.prefect import handle
from push_dispatch.ports.messages import Poll, Push, encode
from tests.fakes.bridged import Bridged, Clock
from tests.fakes.prefect import FakePrefect


@pytest.fixture
def server() -> Iterator[FakePrefect]:
    with FakePrefect(Clock()) as started:
        yield started


@pytest.fixture
def ours(server: FakePrefect) -> Bridged:
    assert isinstance(server.clock, Clock)
    return Bridged(server, server.clock)


def message(body: str, number: str = "1") -> dict[str, Any]:
    return {"messageId": number, "body": body, "attributes": {"ApproximateReceiveCount": "1"}}


def test_a_minute_reads_ahead(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    server.flow_run(deployment)
    done = handle(ours.bridge, {"source": "aws.events", "detail": {}})
    assert done["submitted"] == 1


def test_attempts_are_claimed_together_in_one_request(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    runs = [server.flow_run(deployment) for _ in range(5)]
    ours.tick()
    pushes = [
        message(encode(Push(run.id, 1, "process", "t")), str(n))
        for n, run in enumerate(ours.runs("etl"))
    ]
    before = ours.requests()
    assert handle(ours.bridge, {"Records": pushes}) == {"batchItemFailures": []}
    assert ours.requests() - before == 1
    assert {server.state(run)[0] for run in runs} == {"PENDING"}


def test_a_start_on_the_bus_is_told_to_the_server(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    server.runs[run]["infrastructure_pid"] = None
    (mine,) = ours.runs("etl")
    body = json.dumps({"detail-type": "Run State Changed", "detail": {"run": mine.id}})
    handle(ours.bridge, {"Records": [message(body)]})
    assert server.runs[run]["infrastructure_pid"] == ours.container(run).job.name


@pytest.mark.parametrize("body", ["", "{}", "[1]", '{"detail": 3}', '{"verb": "nap"}'])
def test_what_cannot_be_read_is_dropped(ours: Bridged, body: str) -> None:
    assert handle(ours.bridge, {"Records": [message(body)]}) == {"batchItemFailures": []}


def test_a_message_may_ask_for_a_look(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    server.flow_run(deployment)
    handle(ours.bridge, {"Records": [message(encode(Poll("prefect", ())))]})
    assert len(ours.runs("etl")) == 1


def test_the_door_opens_for_the_secret_of_an_attached_pool_only(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl", hint_secret="s3cret", hint_url="local")
    server.flow_run(deployment)
    event: dict[str, Any] = {"rawPath": "/", "headers": {}, "body": "{}"}
    for given in ({}, {"X-Push-Dispatch-Hint": "wrong"}, {"X-Push-Dispatch-Hint": ""}):
        assert handle(ours.bridge, {**event, "headers": given})["statusCode"] == 401
    assert ours.runs("etl") == []
    good = {**event, "headers": {"X-Push-Dispatch-Hint": "s3cret"}}
    assert handle(ours.bridge, good)["statusCode"] == 200
    ours.deliver()
    assert len(ours.runs("etl")) == 1


@pytest.mark.parametrize("encoded", [False, True])
def test_a_hint_with_a_run_submits_it_without_a_request(
    server: FakePrefect, ours: Bridged, encoded: bool
) -> None:
    deployment = server.deployment("d", server.pool("etl"), job_variables={"env": {"A": "<é>"}})
    ours.attach("etl", hint_secret="s3cret", hint_url="local")
    body = server.hint(server.flow_run(deployment))
    event: dict[str, Any] = {
        "rawPath": "/",
        "headers": {"x-push-dispatch-hint": "s3cret"},
        "body": base64.b64encode(body.encode()).decode() if encoded else body,
        "isBase64Encoded": encoded,
    }
    before = ours.requests()
    assert handle(ours.bridge, event)["statusCode"] == 200
    assert ours.requests() == before
    assert ours.mail.waiting == []
    (run,) = ours.runs("etl")
    assert run.deployment_variables["env"]["A"] == "<é>"


def test_a_hint_of_one_server_submits_nothing_for_another(
    server: FakePrefect, ours: Bridged
) -> None:
    for name in ("etl", "other"):
        deployment = server.deployment(name, server.pool(name))
        ours.attach(name, hint_secret=f"of-{name}", hint_url="local")
    body = server.hint(server.flow_run(deployment))
    headers = {"x-push-dispatch-hint": "of-etl"}
    handle(ours.bridge, {"rawPath": "/", "headers": headers, "body": body})
    assert ours.runs("other") == []
