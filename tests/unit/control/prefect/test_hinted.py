"""Which hints of a server are followed without a look at it?"""

from __future__ import annotations

import pytest

from push_dispatch.control.prefect.attachment import note
from tests.fakes.bridged import Bridged, Clock
from tests.fakes.prefect import FakePrefect


@pytest.mark.parametrize(
    ("field", "value"),
    [("is_paused", True), ("concurrency_limit", 0), ("base_job_template", {"variables": {}})],
)
def test_a_hint_is_not_followed_while_the_pool_is_not_as_it_was_mirrored(
    server: FakePrefect, ours: Bridged, field: str, value: object
) -> None:
    pool = server.pool("etl")
    deployment = server.deployment("d", pool)
    ours.attach("etl", hint_url="https://door", hint_secret="s")
    server.change(pool, **{field: value})
    assert not ours.hint(server.flow_run(deployment))
    assert ours.runs("etl") == []


@pytest.mark.parametrize("change", [{"is_paused": True}, {"concurrency_limit": 3}, {"priority": 9}])
def test_a_hint_is_not_followed_while_the_queue_is_not_as_it_was_mirrored(
    server: FakePrefect, ours: Bridged, change: dict[str, object]
) -> None:
    pool = server.pool("etl")
    deployment = server.deployment("d", pool)
    ours.attach("etl", hint_url="https://door", hint_secret="s")
    server.queues[pool["default_queue_id"]] |= change
    assert not ours.hint(server.flow_run(deployment))
    assert ours.runs("etl") == []


def test_a_hint_at_a_rerun_or_an_older_one_leads_to_a_look(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl", hint_url="https://door", hint_secret="s")
    run = server.flow_run(deployment)
    late = server.hint(run)
    assert ours.hint(run)
    assert not ours.hint(run), "twice"
    ours.deliver()
    ours.execute(run)
    assert not ours.hint(run, late)
    assert not ours.hint(run), "it has ended"
    ours.deliver()
    assert ours.started(run) == 1
    assert server.state(run) == ("COMPLETED", "Completed")


def test_a_hint_at_a_run_of_later_needs_nothing_and_one_of_soon_a_look(
    server: FakePrefect, ours: Bridged, clock: Clock
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl", hint_url="https://door", hint_secret="s")
    assert ours.hint(server.flow_run(deployment, at=clock.now + 3_600_000))
    assert not ours.hint(server.flow_run(deployment, at=clock.now + 30_000))
    assert ours.runs("etl") == []


def test_a_hint_while_the_pool_is_being_detached_starts_nothing(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl", hint_url="https://door", hint_secret="s")
    note(ours.ports, "etl", draining=True)
    assert not ours.hint(server.flow_run(deployment))
    assert ours.runs("etl") == []
