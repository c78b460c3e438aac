"""What do the tests of Cloud Run have in common?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from push_dispatch.platforms.cloud_run import CloudRun
from push_dispatch.testing.platform_suite import PlatformSuite
from tests.fakes.cloud_run import FakeCloudRun, variables
from tests.fakes.cloud_run_service import PARENT

NOWHERE = {
    "PUSH_DISPATCH_CLOUD_RUN_ENDPOINT": "http://127.0.0.1:1",
    "PUSH_DISPATCH_CLOUD_LOGGING_ENDPOINT": "http://127.0.0.1:1",
}


class CloudRunSuite(PlatformSuite):
    """A fake, and the platform that talks to it."""

    platform_type = "cloud-run-v2"
    variables: ClassVar[Mapping[str, Any]] = variables()

    @pytest.fixture
    def fake(self) -> Iterator[FakeCloudRun]:
        with FakeCloudRun() as fake:
            yield fake

    @pytest.fixture
    def cloud_run(self, fake: FakeCloudRun) -> CloudRun:
        return self.connect(fake)

    def connect(self, fake: FakeCloudRun) -> CloudRun:
        return CloudRun(fake.environ())

    def disconnected(self) -> CloudRun:
        return CloudRun(NOWHERE)

    def unknown_handle(self, fake: FakeCloudRun) -> str:
        name = "pd-00000000000000000000000000000000-1"
        return f"{PARENT}/jobs/{name}/executions/{name}-run"
