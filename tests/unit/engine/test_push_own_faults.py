"""Does a fault of ours, or of the input, count against the platform?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.control.pools import change_pool, keep_template
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import Uncertain
from push_dispatch.core.model import Fallback, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit
from push_dispatch.platforms.base import Job
from tests.fakes.world import POOL, TEMPLATE, World


@pytest.mark.parametrize(
    ("error", "counts"), [(KeyError("valueFrom"), False), (Uncertain("no answer"), True)]
)
def test_only_the_platform_s_own_failures_open_its_circuit(
    monkeypatch: pytest.MonkeyPatch, error: Exception, counts: bool
) -> None:
    world = World()
    digest = keep_template(world.ports, POOL, TEMPLATE)
    fallbacks = (Fallback("docker", digest),)
    change_pool(world.ports, POOL, lambda pool: replace(pool, fallbacks=fallbacks))

    def fail(_: Job) -> str:
        raise error

    monkeypatch.setattr(world.platform, "push", fail)
    submit(world.ports, Request(POOL))
    for _ in range(4):
        world.deliver_all()
    assert (world.store.circuit(POOL, "process") != Circuit()) == counts


@pytest.mark.parametrize(
    ("error", "ends"),
    [(ValueError("embedded null byte"), True), (TimeoutError("no answer"), False)],
    ids=["code", "network"],
)
def test_a_fault_in_a_platform_s_code_ends_the_run_within_minutes(
    monkeypatch: pytest.MonkeyPatch, error: Exception, ends: bool
) -> None:
    """It started nothing, says the look-up, and would meet each try again: the run does not take
    its slot hour after hour. What the network raises may pass."""
    world = World()

    def fail(_: Job) -> str:
        raise error

    monkeypatch.setattr(world.platform, "push", fail)
    run = submit(world.ports, Request(POOL)).run
    for _ in range(120):
        world.deliver_all()
        world.now += 5_000
    after = world.store.run(POOL, run.uuid)
    assert after is not None
    assert after.state.ended == ends
    if ends:
        assert (after.state, after.reason) == (RunState.CRASHED, "push_failed")
        assert after.message == "ValueError: embedded null byte"
        assert world.store.ledger(POOL).holders == ()


def test_what_no_platform_can_take_ends_the_run_at_once_with_its_path() -> None:
    world = World()
    secret = {"name": "KEY", "valueFrom": "{{ arn }}"}
    definition = {"containerDefinitions": [{"secrets": [secret]}]}
    template = {
        "job_configuration": {"task_definition": definition},
        "variables": {"properties": {"arn": {"type": "string"}}},
    }
    digest = keep_template(world.ports, POOL, template)
    change_pool(world.ports, POOL, lambda pool: replace(pool, template=digest))
    run = submit(world.ports, Request(POOL)).run
    for _ in range(4):
        world.deliver_all()
    ended = world.store.run(POOL, run.uuid)
    assert ended is not None
    assert (ended.state, ended.reason) == (RunState.CRASHED, "template_invalid")
    path = "job_configuration.task_definition.containerDefinitions[0].secrets[0].valueFrom"
    assert ended.message == f"{path} is not set"
    assert world.platform.starts == {}
