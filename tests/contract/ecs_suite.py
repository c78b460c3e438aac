"""What the tests of ECS share: a fake, the platform on it, and Fargate jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from push_dispatch.platforms.base import Job, Observation, Watched
from push_dispatch.platforms.ecs import Ecs
from push_dispatch.testing.platform_suite import PlatformSuite
from tests.fakes.ecs import FakeEcs
from tests.fakes.ecs_service import ACCOUNT

ROLE = f"arn:aws:iam::{ACCOUNT}:role/execution"


class EcsSuite(PlatformSuite):
    platform_type = "ecs"
    variables: ClassVar[Mapping[str, Any]] = {
        "image": "busybox",
        "command": "echo hello",
        "execution_role_arn": ROLE,
        "network_configuration": {"subnets": ["subnet-a"], "securityGroups": ["sg-1"]},
    }

    @pytest.fixture
    def fake(self) -> Iterator[FakeEcs]:
        with FakeEcs() as fake:
            yield fake

    @pytest.fixture
    def ecs(self, fake: FakeEcs) -> Ecs:
        return Ecs(fake.environ())

    def seen(self, ecs: Ecs, job: Job, handle: str) -> Observation:
        [observation] = ecs.observe([Watched(handle, job.run_id, job.attempt)])
        return observation
