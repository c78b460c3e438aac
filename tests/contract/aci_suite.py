"""What all tests of Azure Container Instances start from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from push_dispatch.platforms.aci import Aci
from push_dispatch.testing.platform_suite import PlatformSuite
from tests.fakes.aci import FakeAci, environ_of, variables
from tests.fakes.aci_service import RESOURCE_GROUP, SUBSCRIPTION

NOWHERE = "https://127.0.0.1:1"


class AciSuite(PlatformSuite):
    platform_type = "azure-container-instance:push"
    variables: ClassVar[dict[str, Any]] = variables()

    @pytest.fixture
    def fake(self) -> Iterator[FakeAci]:
        with FakeAci() as fake:
            yield fake

    def connect(self, fake: FakeAci) -> Aci:
        return Aci(fake.environ())

    def disconnected(self) -> Aci:
        return Aci(environ_of(NOWHERE))

    def unknown_handle(self, fake: FakeAci) -> str:
        return (
            f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
            "/providers/Microsoft.ContainerInstance/containerGroups/pd-never-was-1"
        )

    @pytest.fixture
    def aci(self, fake: FakeAci) -> Aci:
        return self.connect(fake)
