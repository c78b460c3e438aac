"""Do the ecs and managed platforms run real containers? MiniStack's ECS drives a real engine.

What that emulator lacks (events, idempotency, sizes, the code of a stopped task) the fake of ECS
has.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, ClassVar
from uuid import UUID

import pytest

from push_dispatch.core.model import Observation, Status
from push_dispatch.core.template import Layer, render
from push_dispatch.platforms.base import Job, Watched
from push_dispatch.platforms.ecs import Ecs
from push_dispatch.platforms.ecs.managed import Managed
from push_dispatch.platforms.templates import default_template
from tests.engine import IMAGE, engine, missing
from tests.local import eventually
from tests.ministack import client, ministack

pytestmark = [pytest.mark.slow, pytest.mark.containers]

ROLE = "arn:aws:iam::000000000000:role/execution"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if why := missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("engine")
    with engine(folder) as real, ministack(environ=real.environ) as endpoint:
        client("ecs", endpoint).create_cluster(clusterName="default")
        client("logs", endpoint).create_log_group(logGroupName="/push-dispatch/runs")
        yield endpoint


@pytest.fixture(params=["ecs", "managed"])
def platform(request: pytest.FixtureRequest, endpoint: str) -> Ecs:
    environ = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    if request.param == "ecs":
        return Ecs(environ)
    stack = {
        "PUSH_DISPATCH_MANAGED_CLUSTER": "default",
        "PUSH_DISPATCH_MANAGED_SUBNETS": "subnet-a",
        "PUSH_DISPATCH_MANAGED_SECURITY_GROUPS": "sg-1",
        "PUSH_DISPATCH_MANAGED_EXECUTION_ROLE_ARN": ROLE,
        "PUSH_DISPATCH_MANAGED_LOG_GROUP": "/push-dispatch/runs",
    }
    return Managed(environ | stack)


class Numbers:
    last: ClassVar[int] = 0


def job(platform: Ecs, command: str) -> Job:
    Numbers.last += 1
    variables: dict[str, Any] = {"image": IMAGE, "command": command, "env": {"GREETING": "grüß"}}
    if platform.name == "ecs":
        network = {"subnets": ["subnet-a"], "securityGroups": ["sg-1"]}
        variables |= {"execution_role_arn": ROLE, "network_configuration": network}
        variables["configure_cloudwatch_logs"] = True
    run = UUID(int=0x0199_C1F0_0000_7000_8000_0000_0000_0000 + Numbers.last)
    rendered = render(default_template(platform.name), [Layer("run", variables)])
    return Job(
        name=f"pd-{run.hex}-1",
        run_id=f"real.{run}",
        pool="real",
        type=platform.name,
        attempt=1,
        configuration=rendered.configuration,
        claimed_at=time.time_ns() // 1_000_000,
    )


def see(platform: Ecs, wanted: Job, handle: str) -> Observation:
    [seen] = platform.observe([Watched(handle, wanted.run_id, 1)])
    return seen


@pytest.mark.parametrize("code", [0, 7])
def test_exit_code_and_log_are_the_real_ones(platform: Ecs, code: int) -> None:
    wanted = job(platform, f'sh -c \'test "$GREETING" = grüß && echo "$GREETING" && exit {code}\'')
    handle = platform.push(wanted)
    eventually(lambda: see(platform, wanted, handle).status is Status.ENDED)
    end = see(platform, wanted, handle)
    assert (end.exit_code, end.reason) == (code, None)
    eventually(lambda: list(platform.logs(handle)) == ["grüß"])


def test_a_cancellation_stops_the_container(platform: Ecs) -> None:
    wanted = job(platform, "sleep 60")
    handle = platform.push(wanted)
    eventually(lambda: see(platform, wanted, handle).status is Status.RUNNING)
    platform.cancel(handle)
    eventually(lambda: see(platform, wanted, handle).status is Status.ENDED)
    # The emulator says exit code 0 of what it has stopped, and an exit code decides. What ECS says
    # is in the contract's tests; that the run is cancelled follows from its own state.
    assert see(platform, wanted, handle).exit_code == 0
