from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from push_dispatch.core.errors import PlatformError, Rejected, Throttled
from push_dispatch.platforms.base import Platform
from push_dispatch.platforms.ecs import Ecs
from push_dispatch.platforms.ecs.managed import Managed
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

    def without_credentials(self, fake: FakeEcs) -> Platform:
        return Ecs(_of_nobody(fake))

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

    def without_credentials(self, fake: FakeEcs) -> Platform:
        return Managed(_of_nobody(fake) | self.stack)

    def test_sign_in_wants_a_cluster_that_is_deployed(self, fake: FakeEcs) -> None:
        with pytest.raises(Rejected, match="ManagedSubnets") as caught:
            Managed(fake.environ()).sign_in()
        assert caught.value.reason == "platform_not_configured"

    def test_sign_in_wants_a_cluster_that_exists(self, platform: Platform, fake: FakeEcs) -> None:
        assert isinstance(platform, Managed)
        assert platform.sign_in() == "signed in to Amazon ECS, with the cluster default"
        fake.clusters.clear()
        with pytest.raises(Rejected, match="default does not exist") as caught:
            platform.sign_in()
        assert caught.value.reason == "platform_not_configured"

    def test_sign_in_asks_where_the_cluster_is(self, fake: FakeEcs) -> None:
        arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/default"
        named = self.stack | {"PUSH_DISPATCH_MANAGED_CLUSTER": arn, "AWS_REGION": ""}
        assert arn in Managed(fake.environ(**named)).sign_in()


class TestSigningIn:
    @pytest.fixture
    def fake(self) -> Iterator[FakeEcs]:
        with FakeEcs() as fake:
            yield fake

    def test_needs_no_cluster(self, fake: FakeEcs) -> None:
        fake.clusters.clear()
        assert Ecs(fake.environ()).sign_in() == f"signed in to Amazon ECS in {REGION}"
        assert fake.actions() == ["ListTasks"]

    def test_needs_a_region(self, fake: FakeEcs) -> None:
        with pytest.raises(Rejected, match="AWS_REGION") as caught:
            Ecs(fake.environ(AWS_REGION="")).sign_in()
        assert caught.value.reason == "credentials_missing"

    @pytest.mark.parametrize(
        ("code", "error", "reason"),
        [
            ("AccessDeniedException", Rejected, "access_denied"),
            ("ExpiredTokenException", Throttled, "access_denied"),
        ],
    )
    def test_passes_on_what_aws_says(
        self, fake: FakeEcs, code: str, error: type[PlatformError], reason: str
    ) -> None:
        fake.fail_next("ListTasks", code, "not authorized to perform: ecs:ListTasks")
        with pytest.raises(error, match="ecs:ListTasks") as caught:
            Ecs(fake.environ()).sign_in()
        assert caught.value.reason == reason


def _of_nobody(fake: FakeEcs) -> dict[str, str]:
    keys = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    kept = {name: value for name, value in fake.environ().items() if name not in keys}
    return kept | {"AWS_PROFILE": "nobody"}
