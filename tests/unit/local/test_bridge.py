"""When does the local bridge look at a server, and when does it wake dispatch?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from push_dispatch.local.bridge import LocalBridge
from push_dispatch.ports.messages import Wake
from tests.fakes.bridged import START, Bridged, Clock
from tests.fakes.prefect import FakePrefect


@pytest.fixture
def server() -> Iterator[FakePrefect]:
    with FakePrefect(Clock()) as started:
        yield started


@pytest.fixture
def ours(server: FakePrefect) -> Bridged:
    assert isinstance(server.clock, Clock)
    return Bridged(server, server.clock)


@pytest.fixture
def local(ours: Bridged) -> LocalBridge:
    return LocalBridge(ours.bridge, 4711)


def looks(server: FakePrefect) -> int:
    return sum(request.path.endswith("/flow_runs/filter") for request in server.received)


def test_nothing_is_asked_while_nothing_is_attached(
    server: FakePrefect, local: LocalBridge
) -> None:
    assert local.step() == pytest.approx(2)
    assert server.received == []


def test_a_pool_that_is_attached_is_noticed_and_looked_at_each_minute(
    server: FakePrefect, ours: Bridged, local: LocalBridge
) -> None:
    server.pool("etl")
    local.step()
    ours.attach("etl")
    before = looks(server)
    for _ in range(180):
        local.step()
        ours.clock.now += 1000
    assert looks(server) - before == 3


def test_dispatch_is_woken_at_the_millisecond_at_which_a_run_is_due(
    server: FakePrefect, ours: Bridged, local: LocalBridge
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    server.flow_run(deployment, at=START + 30_300)
    local.step()
    ours.mail.waiting.clear()
    ours.clock.now = START + 30_299
    assert local.step() == pytest.approx(0.001)
    assert ours.mail.waiting == []
    ours.clock.now = START + 30_300
    local.step()
    assert [mail.message for mail in ours.mail.waiting] == [Wake("etl")]


def test_hints_are_looked_after_at_once_but_not_each_for_itself(
    server: FakePrefect, ours: Bridged, local: LocalBridge
) -> None:
    server.pool("etl")
    ours.attach("etl", hint_url="local", hint_secret="s3cret")
    local.step()
    before = looks(server)
    ours.clock.now += 5000
    good = {"headers": {"X-Push-Dispatch-Hint": "s3cret"}, "rawPath": "/prefect", "body": ""}
    for _ in range(20):
        assert local.hint(good)["statusCode"] == 200
        local.step()
        ours.clock.now += 10
    assert looks(server) - before == 1
    ours.clock.now += 200
    local.step()
    assert looks(server) - before == 2
    assert local.hint({**good, "headers": {}})["statusCode"] == 401


def test_the_server_calls_the_door_of_this_runtime_and_no_older_one(
    server: FakePrefect, ours: Bridged, local: LocalBridge
) -> None:
    pool = server.pool("etl")
    ours.attach("etl", hint_url="local", hint_secret="s3cret")
    local.step()
    LocalBridge(ours.bridge, 4712).step()
    (webhook,) = server.webhooks.values()
    assert webhook["data"]["url"] == "http://127.0.0.1:4712/prefect"
    assert webhook["data"]["headers"]["X-Push-Dispatch-Hint"] == "s3cret"
    (automation,) = server.automations.values()
    related = automation["trigger"]["match_related"][0]["prefect.resource.id"]
    assert related == f"prefect.work-pool.{pool['id']}"
    assert automation["actions"][0]["block_document_id"] == webhook["id"]
