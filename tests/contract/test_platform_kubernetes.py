from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from push_dispatch.platforms.base import Platform
from push_dispatch.platforms.kubernetes import Kubernetes
from push_dispatch.testing.platform_contract import PlatformContract
from tests.fakes.kubernetes import FakeKubernetes

NOWHERE = Path(__file__).parents[1] / "fakes" / "kubeconfig-nowhere.yaml"


class TestKubernetes(PlatformContract):
    platform_type = "kubernetes"
    variables: ClassVar[Mapping[str, Any]] = {"image": "job:1", "command": "python -m etl"}

    @pytest.fixture
    def fake(self) -> Iterator[FakeKubernetes]:
        with FakeKubernetes() as fake:
            yield fake

    def connect(self, fake: FakeKubernetes) -> Platform:
        return Kubernetes({"KUBECONFIG": fake.kubeconfig})

    def disconnected(self) -> Platform:
        return Kubernetes({"KUBECONFIG": str(NOWHERE)})

    def unknown_handle(self, fake: FakeKubernetes) -> str:
        return "context:fake/default/pd-never-was-1"
