from __future__ import annotations

from push_dispatch.testing.platform_contract import PlatformContract
from tests.contract.cloud_run_suite import CloudRunSuite


class TestCloudRunV2(CloudRunSuite, PlatformContract):
    """A group of several tests: the contract of all platforms."""


class TestCloudRunV1(CloudRunSuite, PlatformContract):
    """The same with a template of the first version."""

    platform_type = "cloud-run"
