from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.base import Platform
from push_dispatch.platforms.kubernetes import Kubernetes
from push_dispatch.testing.platform_contract import PlatformContract
from tests.fakes.kubernetes import FakeKubernetes, kubeconfig

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

    def without_credentials(self, fake: FakeKubernetes) -> Platform:
        """The context's user is not there."""
        path = Path(fake.kubeconfig)
        path.write_text(path.read_text().replace("users:\n- name: u", "users:\n- name: other"))
        return Kubernetes({"KUBECONFIG": str(path)})

    def unknown_handle(self, fake: FakeKubernetes) -> str:
        return "context:fake/default/pd-never-was-1"

    # -- signing in ------------------------------------------------------------------------------

    def test_sign_in_is_one_harmless_question(
        self, platform: Platform, fake: FakeKubernetes
    ) -> None:
        assert isinstance(platform, Kubernetes)
        assert platform.sign_in() == f"signed in to the cluster context:fake at {fake.url}"
        assert [(r.method, r.path) for r in fake.received] == [("GET", "/apis/batch/v1")]

    def test_sign_in_of_nobody_is_denied(self, fake: FakeKubernetes, tmp_path: Path) -> None:
        """What a cluster tells everybody proves nothing."""
        config = tmp_path / "config"
        config.write_text(kubeconfig(fake.url, {}))
        with pytest.raises(Rejected, match="system:anonymous") as caught:
            Kubernetes({"KUBECONFIG": str(config)}).sign_in()
        assert caught.value.reason == "access_denied"

    def test_sign_in_with_a_token_that_cannot_be_read_says_so(
        self, fake: FakeKubernetes, tmp_path: Path
    ) -> None:
        config = tmp_path / "config"
        config.write_text(kubeconfig(fake.url, {"tokenFile": "gone"}))
        with pytest.raises(Rejected, match=r"context:fake: .*gone") as caught:
            Kubernetes({"KUBECONFIG": str(config)}).sign_in()
        assert caught.value.reason == "credentials_missing"

    @pytest.mark.parametrize("named", ["PUSH_DISPATCH_KUBERNETES_CLUSTER", "cluster"])
    def test_sign_in_asks_the_cluster_of_jobs_that_name_none(
        self, fake: FakeKubernetes, tmp_path: Path, named: str
    ) -> None:
        config = tmp_path / "config"
        text = kubeconfig(fake.url, {"token": "let-me-in"})
        config.write_text(text.replace("current-context: fake\n", ""))
        kubernetes = Kubernetes({"KUBECONFIG": str(config), named: "context:fake"})
        if named == "cluster":  # a variable of jobs, and none of the environment
            assert kubernetes.sign_in().startswith("nothing to check: ")
            assert fake.calls() == 0
        else:
            assert kubernetes.sign_in().startswith("signed in to the cluster context:fake ")
