"""Is a flow run of an `ecs:push` pool a task with what the engine needs, and a dead one Crashed?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from push_dispatch.core.model import Observation
from push_dispatch.engine.finish import finish
from push_dispatch.platforms.base import Watched
from push_dispatch.platforms.ecs import Ecs
from push_dispatch.ports.prefect import Address
from tests.fakes.bridged import Bridged, Clock
from tests.fakes.ecs import FakeEcs
from tests.fakes.prefect import FakePrefect

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:push-dispatch/auth"


@pytest.fixture
def ecs() -> Iterator[FakeEcs]:
    with FakeEcs() as started:
        yield started


@pytest.fixture
def ours(server: FakePrefect, clock: Clock, ecs: FakeEcs) -> Bridged:
    server.auth = "admin:pass"
    bridged = Bridged(server, clock, {"auth": "admin:pass"})
    bridged.secrets.arns["auth"] = ARN
    bridged.serve("ecs", Ecs(ecs.environ()))
    return bridged


def test_a_flow_run_is_a_task_and_its_auth_string_never_in_clear(
    server: FakePrefect, ours: Bridged, ecs: FakeEcs
) -> None:
    pool = server.pool("etl", type="ecs:push")
    variables = {
        "image": "my/flows:1",
        "cpu": 512,
        "memory": 1024,
        "network_configuration": {"subnets": ["subnet-a"]},
        "execution_role_arn": "arn:aws:iam::123456789012:role/execution",
    }
    deployment = server.deployment("d", pool, job_variables=variables)
    ours.attach("etl", address=Address(server.api, auth_secret="auth"))
    run = server.flow_run(deployment, job_variables={"env": {"A": "1"}})
    ours.tick()
    ours.deliver()
    (mine,) = ours.runs("etl")
    assert server.state(run)[0] == "PENDING", (mine.state, mine.message)
    assert mine.current is not None
    name = f"pd-{mine.uuid.replace('-', '')}-1"
    env = ecs.environment(name)
    assert env["PREFECT__FLOW_RUN_ID"] == run
    assert env["PREFECT_API_URL"] == server.api
    assert env["A"] == "1"
    assert env["PREFECT_API_AUTH_STRING"] == f"value of {ARN}"
    assert "admin:pass" not in str([request.body for request in ecs.received])
    # The cluster and the task, as Prefect's own worker notes them.
    assert server.runs[run]["infrastructure_pid"] == mine.current.handle
    assert "arn:aws:ecs" in str(mine.current.handle)
    (request,) = [r.json for r in ecs.received if r.headers["x-amz-target"].endswith("RunTask")]
    tags = {tag["key"]: tag["value"] for tag in request["tags"]}
    assert tags["prefect.io/flow-run-id"] == run
    assert tags["prefect.io/work-pool-name"] == "etl"


def test_a_task_that_has_died_is_crashed_with_the_reason_of_ecs(
    server: FakePrefect, ours: Bridged, ecs: FakeEcs
) -> None:
    pool = server.pool("etl", type="ecs:push")
    deployment = server.deployment(
        "d",
        pool,
        job_variables={
            "image": "my/flows:1",
            "network_configuration": {"subnets": ["subnet-a"]},
            "execution_role_arn": "arn:aws:iam::123456789012:role/execution",
        },
    )
    ours.attach("etl", address=Address(server.api, auth_secret="auth"))
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    server.write(run, {"type": "RUNNING"})
    (mine,) = ours.runs("etl")
    assert mine.current is not None
    name = f"pd-{mine.uuid.replace('-', '')}-1"
    why = "OutOfMemoryError: Container killed due to memory usage"
    ecs.end(name, "EssentialContainerExited", exit_code=137, why=why)
    for seen in _seen(ours, mine.id, str(mine.current.handle)):
        finish(ours.ports, seen)
    ours.deliver()
    assert server.state(run)[0] == "CRASHED"
    assert "memory" in server.message(run)


def _seen(ours: Bridged, run: str, handle: str) -> list[Observation]:
    return ours.ports.platform("ecs").observe([Watched(handle, run, 1)])
