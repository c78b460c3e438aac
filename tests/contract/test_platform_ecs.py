from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from push_dispatch.platforms.base import Platform
from push_dispatch.platforms.ecs import Ecs
from push_dispatch.platforms.managed import Managed
from push_dispatch.testing.platform_contract import PlatformContract
from tests.fakes.ecs import FakeEcs
from tests.fakes.ecs_service import ACCOUNT, REGION

ROLE = f"arn:aws:iam::{ACCOUNT}:role/execution"
NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


class EcsContract(PlatformContract):
    @pytest.fixture
    def fake(self) -> Iterator[FakeEcs]:
        with FakeEcs() as fake:
            yield fake

    def connect(self, fake: FakeEcs) -> Platform:
        return Ecs(fake.environ())

    def disconnected(self) -> Platform:
        return Ecs(NOWHERE)

    def unknown_handle(self, fake: FakeEcs) -> str:
        return f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/default/{'0' * 32}#pd-none:1/job"


class TestFargate(EcsContract):
    platform_type = "ecs"
    variables: ClassVar[dict[str, Any]] = {
        "image": "busybox",
        "command": "echo 'hello world'",
        "execution_role_arn": ROLE,
        "configure_cloudwatch_logs": True,
        "network_configuration": {"subnets": ["subnet-a"], "securityGroups": ["sg-1"]},
    }


class TestSpotInSubnetsThatAreLookedUp(EcsContract):
    platform_type = "ecs:push"
    variables: ClassVar[dict[str, Any]] = {
        **TestFargate.variables,
        "network_configuration": {},
        "launch_type": "FARGATE_SPOT",
        "cpu": 512,
        "memory": 4096,
    }


class TestInstances(EcsContract):
    platform_type = "ecs"
    variables: ClassVar[dict[str, Any]] = {
        "image": "busybox",
        "launch_type": "EC2",
        "configure_cloudwatch_logs": True,
    }

    def test_cost_grows_with_time(self, platform: Platform) -> None:
        """Instances are paid for anyway."""
        assert isinstance(platform, Ecs)
        assert platform.estimate_cost(self.configuration(), 3600) is None


class TestManaged(EcsContract):
    platform_type = "managed"
    variables: ClassVar[dict[str, Any]] = {"command": "true"}
    stack: ClassVar[dict[str, str]] = {
        "PUSH_DISPATCH_MANAGED_CLUSTER": "default",
        "PUSH_DISPATCH_MANAGED_SUBNETS": "subnet-a, subnet-b",
        "PUSH_DISPATCH_MANAGED_SECURITY_GROUPS": "",
        "PUSH_DISPATCH_MANAGED_EXECUTION_ROLE_ARN": ROLE,
        "PUSH_DISPATCH_MANAGED_LOG_GROUP": "/push-dispatch/runs",
    }

    def connect(self, fake: FakeEcs) -> Platform:
        return Managed(fake.environ(**self.stack))

    def disconnected(self) -> Platform:
        return Managed({**NOWHERE, **self.stack})
