"""Does the Modal platform keep its promises, over gRPC on loopback?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import grpc
import pytest
from modal._utils.name_utils import is_valid_object_name

from push_dispatch.adapters.secret_stores import system_secrets_from
from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.core.reasons import REASONS
from push_dispatch.platforms.base import Status, Watched
from push_dispatch.platforms.modal import ERRORS, Modal
from push_dispatch.platforms.refusals import judge, wording
from push_dispatch.ports.secrets import Secret
from push_dispatch.testing.platform_contract import PlatformContract
from push_dispatch.testing.platform_suite import PlatformSuite
from tests.fakes.modal import FakeModal, variables

NOWHERE = {
    "MODAL_SERVER_URL": "http://127.0.0.1:1",
    "MODAL_TOKEN_ID": "a",
    "MODAL_TOKEN_SECRET": "b",
}
CODE = grpc.StatusCode


class ModalSuite(PlatformSuite):
    platform_type = "modal:push"
    variables: ClassVar[dict[str, Any]] = variables()

    @pytest.fixture
    def fake(self) -> Iterator[FakeModal]:
        with FakeModal() as fake:
            yield fake

    def connect(self, fake: FakeModal) -> Modal:
        return Modal(fake.environ())

    def disconnected(self) -> Modal:
        return Modal(NOWHERE)

    def unknown_handle(self, fake: FakeModal) -> str:
        return "ap-0/sb-9999999999999999999999@v2"

    def without_credentials(self, fake: FakeModal) -> Modal:
        return Modal({"MODAL_SERVER_URL": fake.environ()["MODAL_SERVER_URL"]})

    @pytest.fixture
    def modal(self, fake: FakeModal) -> Modal:
        return self.connect(fake)


class TestModal(ModalSuite, PlatformContract):
    """The contract of all platforms."""


class TestGpu(ModalSuite, PlatformContract):
    """Sandboxes of the first version, under the same contract."""

    variables: ClassVar[dict[str, Any]] = variables() | {"gpu": "A10G"}

    def unknown_handle(self, fake: FakeModal) -> str:
        return "ap-0/sb-9999999999999999999999@v1"

    def test_cost_grows_with_time(self, modal: Modal) -> None:  # type: ignore[override]
        """GPUs are not in the price list."""
        assert modal.estimate_cost(self.configuration(), 3600) is None


class TestRequests(ModalSuite):
    def created(self, modal: Modal, fake: FakeModal, **configuration: Any) -> Any:
        job = self.make_job(1, **configuration)
        modal.push(job)
        return fake._sandbox(job.name)

    def test_the_default_template_is_a_sandbox(self, modal: Modal, fake: FakeModal) -> None:
        sandbox = self.created(modal, fake)
        assert list(sandbox.definition.entrypoint_args) == ["python", "-m", "etl"]
        assert sandbox.definition.resources.milli_cpu == 1000
        assert sandbox.definition.resources.memory_mb == 512
        assert sandbox.definition.timeout_secs == 300
        assert sandbox.tags["push-dispatch-run"].startswith("contract.")
        assert fake.apps == {"push-dispatch-contract": "ap-0"}

    def test_gpus_are_counted(self, modal: Modal, fake: FakeModal) -> None:
        sandbox = self.created(modal, fake, gpu="h100:2")
        gpu = sandbox.definition.resources.gpu_config
        assert (sandbox.version, gpu.gpu_type, gpu.count) == (1, "H100", 2)

    @pytest.mark.parametrize("gpu", [None, "A10G"])
    def test_secrets_reach_the_environment_and_no_tag(
        self, modal: Modal, fake: FakeModal, gpu: str | None
    ) -> None:
        fake.secrets["team"] = {"TEAM_KEY": "t"}
        job = self.make_job(1, gpu=gpu, secrets=["team"], env={"A": "1", "GONE": None})
        job = replace(job, secrets={"PASSWORD": Secret("db", "", lambda: "hunter2")})
        modal.push(job)
        assert fake.environment(job.name) == {"TEAM_KEY": "t", "PASSWORD": "hunter2", "A": "1"}
        assert "hunter2" not in str(fake._sandbox(job.name).tags)

    def test_a_secret_that_does_not_exist_says_so(self, modal: Modal, fake: FakeModal) -> None:
        with pytest.raises(Rejected, match="Secret 'nope' not found"):
            modal.push(self.make_job(1, secrets=["nope"]))
        assert fake.sandboxes == {}

    def test_an_image_is_built_while_the_push_is_sent_again(
        self, modal: Modal, fake: FakeModal
    ) -> None:
        fake.build_takes = 2
        for _ in range(2):
            with pytest.raises(Throttled) as caught:
                modal.push(self.make_job(1, pip_packages=["dask"]))
            assert caught.value.reason == "image_pulling"
        modal.push(self.make_job(1, pip_packages=["dask"]))
        assert list(fake.images) == ["FROM python:3.12\nRUN python -m pip install dask"]
        modal.push(self.make_job(2, pip_packages=["dask"]))
        assert fake.images["FROM python:3.12\nRUN python -m pip install dask"] == 3

    def test_an_image_that_cannot_be_built_ends_the_attempt(
        self, modal: Modal, fake: FakeModal
    ) -> None:
        fake.broken_images.add("FROM nowhere:1")
        with pytest.raises(Rejected, match="manifest unknown") as caught:
            modal.push(self.make_job(1, image={"tag": "nowhere:1"}))
        assert caught.value.reason == "image_pull_failed"

    @pytest.mark.parametrize("status", ["GENERIC_STATUS_TERMINATED", "GENERIC_STATUS_TIMEOUT"])
    def test_a_build_that_was_stopped_is_asked_for_again(
        self, modal: Modal, fake: FakeModal, status: str
    ) -> None:
        fake.builds = [status]
        with pytest.raises(Throttled) as caught:
            modal.push(self.make_job(1))
        assert caught.value.reason == "image_pulling"
        modal.push(self.make_job(1))
        assert len(fake.sandboxes) == 1

    def test_the_app_of_a_long_pool_has_a_name_that_modal_takes(
        self, modal: Modal, fake: FakeModal
    ) -> None:
        for pool in ("p" * 63, "p" * 62 + "q", "p" * 49):
            modal.push(replace(self.make_job(1), pool=pool))
        assert len(fake.apps) == 3
        assert all(is_valid_object_name(name) and len(name) < 64 for name in fake.apps)
        assert f"push-dispatch-{'p' * 49}" in fake.apps

    def test_no_workdir_is_that_of_the_image(self, modal: Modal, fake: FakeModal) -> None:
        assert not self.created(modal, fake, workdir="").definition.HasField("workdir")

    def test_an_image_by_its_id_is_not_built(self, modal: Modal, fake: FakeModal) -> None:
        sandbox = self.created(modal, fake, image="im-123")
        assert sandbox.definition.image_id == "im-123"
        assert fake.images == {}

    @pytest.mark.parametrize(
        ("configuration", "words"),
        [
            ({"image": None}, "no image"),
            ({"command": None}, "no command"),
            ({"command": "echo 'open"}, "cannot be split"),
            ({"command": {"a": 1}}, "neither a text nor a list"),
            ({"cpu": "many"}, "cannot be a sandbox"),
            ({"gpu": "H100:x"}, "cannot be a sandbox"),
            ({"region": [{"a": 1}]}, "cannot be a sandbox"),
            ({"workdir": "src"}, "must be an absolute path"),
            ({"labels": ["a"]}, "labels is not an object"),
            ({"env": ["A=1"]}, "env is not an object"),
        ],
    )
    def test_what_is_no_sandbox_is_refused_before_anything_is_asked(
        self, modal: Modal, fake: FakeModal, configuration: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(Rejected, match=words) as caught:
            modal.push(self.make_job(1, **configuration))
        assert caught.value.reason == "template_invalid"
        assert fake.calls() == 0


class TestCredentials(ModalSuite):
    def with_secret(self, fake: FakeModal, tmp_path: Path, secret: str) -> Modal:
        file = tmp_path / "secrets.json"
        file.write_text(json.dumps({"push-dispatch/modal": secret}))
        environ = {
            "MODAL_SERVER_URL": fake.environ()["MODAL_SERVER_URL"],
            "PUSH_DISPATCH_MODAL_TOKEN_NAME": "push-dispatch/modal",
        }
        return Modal(environ, system_secrets_from({"PUSH_DISPATCH_SECRETS": f"file:{file}"}))

    def test_a_token_from_the_secret_store(self, fake: FakeModal, tmp_path: Path) -> None:
        token = json.dumps({"token_id": "ak-1", "token_secret": "as-1"})
        self.with_secret(fake, tmp_path, token).push(self.make_job(1))
        assert fake.starts(self.make_job(1).name) == 1

    @pytest.mark.parametrize(
        ("secret", "reason"),
        [("ak-1:as-1", "credentials_missing"), ('{"token_id": "x"}', "secret_unavailable")],
    )
    def test_a_secret_that_is_no_token_says_what_it_must_be(
        self, fake: FakeModal, tmp_path: Path, secret: str, reason: str
    ) -> None:
        with pytest.raises(Rejected, match="PUSH_DISPATCH_MODAL_TOKEN_NAME") as caught:
            self.with_secret(fake, tmp_path, secret).push(self.make_job(1))
        assert caught.value.reason == reason
        assert "ak-1" not in caught.value.message

    def test_sign_in_says_whose_token_it_is_and_reads_it_anew(
        self, fake: FakeModal, tmp_path: Path
    ) -> None:
        modal = self.with_secret(fake, tmp_path, '{"token_id": "ak-1", "token_secret": "old"}')
        with pytest.raises(Rejected, match="Check the token") as caught:
            modal.sign_in()
        assert caught.value.reason == "access_denied"
        self.with_secret(fake, tmp_path, '{"token_id": "ak-1", "token_secret": "as-1"}')
        assert modal.sign_in() == "signed in to Modal as runner, in the workspace acme"
        assert [method for method, _ in fake.received] == ["WorkspaceNameLookup"]

    def test_without_any_it_says_what_to_set(self) -> None:
        with pytest.raises(Rejected, match="MODAL_TOKEN_ID") as caught:
            Modal({}).push(self.make_job(1))
        assert caught.value.reason == "credentials_missing"


#: The answer to the sandbox's creation -> what is raised, why.
DOCUMENTED = [
    (CODE.INVALID_ARGUMENT, "memory is too large", Rejected, "platform_rejected"),
    (CODE.UNAUTHENTICATED, "Token ID not found", Rejected, "access_denied"),
    (CODE.PERMISSION_DENIED, "You may not create sandboxes here", Rejected, "access_denied"),
    (CODE.PERMISSION_DENIED, "Workspace spend limit reached", Rejected, "platform_rejected"),
    (CODE.RESOURCE_EXHAUSTED, "billing cycle spend limit reached", Rejected, "platform_rejected"),
    (CODE.FAILED_PRECONDITION, "Old client", Rejected, "platform_rejected"),
    (CODE.NOT_FOUND, "Image im-1 not found", Rejected, "platform_rejected"),
    (CODE.FAILED_PRECONDITION, "The client version is too old", Rejected, "platform_rejected"),
    (CODE.FAILED_PRECONDITION, "The app is stopped", Rejected, "platform_rejected"),
    (CODE.ALREADY_EXISTS, "Sandbox 'x' already exists", Uncertain, "push_uncertain"),
    (CODE.RESOURCE_EXHAUSTED, "Rate limit exceeded", Throttled, "platform_throttled"),
    (CODE.RESOURCE_EXHAUSTED, "Insufficient capacity to create sandbox", NoCapacity, "no_capacity"),
    (CODE.UNIMPLEMENTED, "Method not found", Rejected, "platform_rejected"),
    (CODE.INTERNAL, "internal error", Uncertain, "push_uncertain"),
    (CODE.UNKNOWN, "unknown", Uncertain, "push_uncertain"),
    (CODE.UNAVAILABLE, "failed to connect to all addresses", Uncertain, "platform_unavailable"),
    (CODE.UNAVAILABLE, "Socket closed", Uncertain, "push_uncertain"),
    (CODE.DEADLINE_EXCEEDED, "Deadline Exceeded", Uncertain, "push_uncertain"),
]  # fmt: skip

#: The result of a sandbox -> reason, exit code, whether again.
ENDS = [
    ("GENERIC_STATUS_SUCCESS", 0, None, 0, True),
    ("GENERIC_STATUS_FAILURE", 3, None, 3, True),
    ("GENERIC_STATUS_FAILURE", 0, "infrastructure_failure", None, True),
    ("GENERIC_STATUS_TERMINATED", 137, "stopped_on_request", 137, True),
    ("GENERIC_STATUS_TIMEOUT", 124, "timed_out", 124, True),
    ("GENERIC_STATUS_IDLE_TIMEOUT", 0, "timed_out", None, True),
    ("GENERIC_STATUS_INIT_FAILURE", 1, "resource_initialization_failed", 1, False),
    ("GENERIC_STATUS_INTERNAL_FAILURE", 0, "infrastructure_failure", None, True),
    ("GENERIC_STATUS_MEMORY_MANAGER_EVICTION", 137, "out_of_memory", 137, True),
    ("GENERIC_STATUS_MEMORY_THRASHING_EVICTION", 137, "out_of_memory", 137, True),
    ("GENERIC_STATUS_KERNEL_OOM_KILL", 137, "out_of_memory", 137, True),
    ("GENERIC_STATUS_KERNEL_OOM_KILL", 0, "out_of_memory", None, True),
    ("GENERIC_STATUS_KERNEL_OOM_KILL", 3, None, 3, True),
]  # fmt: skip


class TestMany(ModalSuite):
    def test_a_list_is_read_page_by_page(self, modal: Modal, fake: FakeModal) -> None:
        fake.page = 2
        jobs = [self.make_job(n) for n in range(5)]
        handles = [modal.push(job) for job in jobs]
        for job in jobs:
            fake.begin(job.name)
        seen = modal.observe(
            [Watched(handle, job.run_id, 1) for job, handle in zip(jobs, handles, strict=True)]
        )
        assert {one.status for one in seen} == {Status.RUNNING}
        assert [method for method, _ in fake.received].count("SandboxListV2") == 3

    def test_what_is_on_no_page_is_asked_for_alone(self, modal: Modal, fake: FakeModal) -> None:
        job = self.make_job(1)
        handle = modal.push(job)
        fake.finish(job.name, 0)
        assert self.see(modal, job, handle).exit_code == 0


class TestTables(ModalSuite):
    @pytest.mark.parametrize(("code", "message", "error", "reason"), DOCUMENTED)
    def test_each_refusal_has_its_reaction_and_reason(
        self,
        modal: Modal,
        fake: FakeModal,
        code: grpc.StatusCode,
        message: str,
        error: type[PlatformError],
        reason: str,
    ) -> None:
        fake.refuse_next("SandboxCreateV2", code, message)
        with pytest.raises(error) as caught:
            modal.push(self.make_job(1))
        assert (type(caught.value), caught.value.reason) == (error, reason)
        assert message in caught.value.message
        assert fake.sandboxes == {}

    def test_each_row_is_reached_and_its_reason_is_known(self) -> None:
        reached = {judge(ERRORS, 0, wording(f"{c.name}: {m}")) for c, m, _, _ in DOCUMENTED}
        assert reached == set(ERRORS)
        assert {row.reason for row in ERRORS} <= set(REASONS)

    @pytest.mark.parametrize(("status", "reported", "reason", "code", "again"), ENDS)
    def test_each_end_has_its_reason(
        self,
        modal: Modal,
        fake: FakeModal,
        status: str,
        reported: int,
        reason: str | None,
        code: int | None,
        again: bool,
    ) -> None:
        job = self.make_job(1)
        handle = modal.push(job)
        fake.begin(job.name)
        fake.end(job.name, status, reported)
        seen = self.see(modal, job, handle)
        assert (seen.status, seen.reason, seen.exit_code) == (Status.ENDED, reason, code)
        assert seen.retryable == again
        assert reason is None or reason in REASONS
        assert seen.started_at is not None
        assert seen.ended_at is not None
