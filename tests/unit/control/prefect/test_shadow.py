"""Does the shadow of a worker tell what was late, passed over and exceeded, and change nothing?"""

from __future__ import annotations

import pytest

from push_dispatch.control.prefect.attach import refusals
from push_dispatch.control.prefect.shadow import Shadow, poll
from push_dispatch.ports.prefect import Address
from tests.fakes.bridged import START, Bridged, Clock
from tests.fakes.prefect import FakePrefect


def claim(server: FakePrefect, run: str) -> None:
    server.propose(run, {"type": "PENDING", "state_details": {"transition_id": "worker"}})


def seen(ours: Bridged, server: FakePrefect, shadow: Shadow) -> None:
    poll(ours.bridge.server(Address(server.api)), "etl", shadow, ours.clock.now)


def test_what_a_worker_is_late_with_is_saved(
    server: FakePrefect, ours: Bridged, clock: Clock
) -> None:
    deployment = server.deployment("d", server.pool("etl", concurrency_limit=1))
    shadow = Shadow()
    first, second = (server.flow_run(deployment, at=START + at) for at in (5_000, 6_000))
    seen(ours, server, shadow)
    clock.now = START + 15_000
    claim(server, first)
    seen(ours, server, shadow)
    clock.now = START + 25_000
    server.write(first, {"type": "COMPLETED"})
    seen(ours, server, shadow)
    clock.now = START + 35_000
    claim(server, second)
    seen(ours, server, shadow)
    found = shadow.compare()
    assert (found.runs, found.started) == (2, 2)
    assert found.worker_late_seconds == 10 + 29
    # The first at its second; the second when that has taken its ten seconds.
    assert found.our_late_seconds == pytest.approx(0 + 9, abs=0.1)
    assert found.saved_seconds == pytest.approx(30, abs=0.1)
    assert found.over_admitted_polls == 0


def test_limits_that_are_exceeded_are_counted(
    server: FakePrefect, ours: Bridged, clock: Clock
) -> None:
    deployment = server.deployment("d", server.pool("etl", concurrency_limit=1))
    shadow = Shadow()
    for _ in range(3):
        claim(server, server.flow_run(deployment))
    seen(ours, server, shadow)
    assert (shadow.compare().over_admitted_polls, shadow.compare().most_over) == (1, 2)


def test_who_is_served_first_and_was_passed_over_is_counted(
    server: FakePrefect, ours: Bridged, clock: Clock
) -> None:
    pool = server.pool("etl", concurrency_limit=1)
    low = server.queue(pool, "low")
    high = server.flow_run(server.deployment("high", pool))
    other = server.flow_run(server.deployment("low", pool, work_queue_id=low["id"]))
    shadow = Shadow()
    seen(ours, server, shadow)
    clock.now += 5000
    claim(server, other)
    seen(ours, server, shadow)
    assert shadow.compare().inversions == 1
    assert server.state(high)[0] == "SCHEDULED"


def test_it_only_reads(server: FakePrefect, ours: Bridged, clock: Clock) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    server.flow_run(deployment)
    shadow = Shadow()
    for _ in range(3):
        clock.now += 60_000
        seen(ours, server, shadow)
    writes = [r.path for r in server.received if not r.path.endswith("filter")]
    assert writes == []
    assert ours.store.pool_names() == []


def test_what_would_be_refused_is_told(server: FakePrefect, ours: Bridged) -> None:
    server.pool("etl", type="nomad")
    (refusal,) = refusals(ours.bridge, Address(server.api), "etl")
    assert "'nomad'" in refusal
