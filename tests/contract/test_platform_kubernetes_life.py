# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""What do the API server's refusals, and a Job with its pods, make of an attempt?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pytest

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.core.reasons import REASONS
from push_dispatch.platforms.base import Status, Watched
from push_dispatch.platforms.kubernetes import Kubernetes
from push_dispatch.testing.platform_suite import PlatformSuite
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.rest_server import Answer


class KubernetesSuite(PlatformSuite):
    platform_type = "kubernetes"
    variables: ClassVar[Mapping[str, Any]] = {"image": "job:1", "command": "python -m etl"}

    @pytest.fixture
    def fake(self) -> Iterator[FakeKubernetes]:
        with FakeKubernetes() as fake:
            yield fake

    @pytest.fixture
    def kubernetes(self, fake: FakeKubernetes) -> Kubernetes:
        return Kubernetes({"KUBECONFIG": fake.kubeconfig})


#: HTTP status, reason and message of the answer to the Job's creation -> what is raised, why.
ERRORS = [
    (400, "BadRequest", "the object provided is unrecognized", Rejected, "platform_rejected"),
    (401, "Unauthorized", "Unauthorized", Rejected, "access_denied"),
    (403, "Forbidden", 'User "x" cannot create resource "jobs"', Rejected, "access_denied"),
    (403, "Forbidden", "exceeded quota: jobs, used: count/jobs.batch=5", NoCapacity, "no_capacity"),
    (403, "Forbidden", "unable to create new content in namespace etl because it is being terminated", Rejected, "platform_rejected"),
    (400, "BadRequest", 'admission webhook "policy" denied the request: no root', Rejected, "platform_rejected"),
    (404, "NotFound", 'namespaces "etl" not found', Rejected, "platform_rejected"),
    (409, "Conflict", "the object has been modified", Throttled, "platform_throttled"),
    (413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728", Rejected, "overrides_too_long"),
    (422, "Invalid", "Job.batch is invalid: spec.template.spec", Rejected, "platform_rejected"),
    (429, "TooManyRequests", "the server has received too many requests", Throttled, "platform_throttled"),
    (500, "InternalError", "etcdserver: request timed out", Uncertain, "push_uncertain"),
    (502, "", "Bad Gateway", Uncertain, "push_uncertain"),
    (503, "ServiceUnavailable", "apiserver is shutting down", Throttled, "platform_unavailable"),
    (504, "Timeout", "the server was unable to return a response in time", Uncertain, "push_uncertain"),
]  # fmt: skip


class TestRefusals(KubernetesSuite):
    @pytest.mark.parametrize(("status", "why", "message", "error", "reason"), ERRORS)
    def test_each_refusal_has_its_reaction_and_reason(
        self,
        kubernetes: Kubernetes,
        fake: FakeKubernetes,
        status: int,
        why: str,
        message: str,
        error: type[PlatformError],
        reason: str,
    ) -> None:
        job = self.make_job(1)
        body = {"kind": "Status", "status": "Failure", "reason": why, "message": message}
        fake.refuse_next(Answer(status, body), "POST", "/jobs")
        with pytest.raises(error) as caught:
            kubernetes.push(job)
        assert (type(caught.value), caught.value.reason) == (error, reason)
        assert message in caught.value.message
        assert fake.starts(job.name) == 0

    def test_a_namespace_without_room_takes_it_later(
        self, kubernetes: Kubernetes, fake: FakeKubernetes
    ) -> None:
        fake.quota = 0
        with pytest.raises(NoCapacity, match="exceeded quota"):
            kubernetes.push(self.make_job(1))
        fake.quota = 1
        kubernetes.push(self.make_job(1))
        assert fake.starts(self.make_job(1).name) == 1


def _without_pod(fake: FakeKubernetes, name: str, reason: str) -> None:
    fake.lose_pod(name)
    fake.condition(name, "Failed", reason, "see the reason")


#: What happens to the pod -> reason, exit code, whether again.
ENDS: list[tuple[str, Callable[[FakeKubernetes, str], None], str | None, int | None, bool]] = [
    ("exit 0", lambda f, n: f.finish(n, 0), None, 0, True),
    ("exit 3", lambda f, n: f.finish(n, 3), None, 3, True),
    ("memory", lambda f, n: f.kill_for_memory(n), "out_of_memory", 137, True),
    ("no such command", lambda f, n: f.finish(n, 128, reason="StartError", message="exec: not found"), "command_not_found", None, False),
    ("cannot run", lambda f, n: f.finish(n, 127, reason="ContainerCannotRun"), "command_not_found", None, False),
    ("evicted", lambda f, n: f.evict(n), "infrastructure_failure", None, True),
    ("preempted", lambda f, n: f.disrupt(n, "PreemptionByScheduler"), "infrastructure_failure", None, True),
    ("drained", lambda f, n: f.disrupt(n, "EvictionByEvictionAPI"), "infrastructure_failure", None, True),
    ("too long", lambda f, n: _without_pod(f, n, "DeadlineExceeded"), "timed_out", None, True),
    ("no pod", lambda f, n: _without_pod(f, n, "BackoffLimitExceeded"), "infrastructure_failure", None, True),
    ("bad image name", lambda f, n: f.wait_for(n, "InvalidImageName", "couldn't parse"), "image_pull_failed", None, False),
    ("never pulled", lambda f, n: f.wait_for(n, "ErrImageNeverPull"), "image_pull_failed", None, False),
]  # fmt: skip


class TestEnds(KubernetesSuite):
    @pytest.mark.parametrize(
        ("happens", "reason", "code", "again"),
        [row[1:] for row in ENDS],
        ids=[row[0] for row in ENDS],
    )
    def test_each_end_has_its_reason(
        self,
        kubernetes: Kubernetes,
        fake: FakeKubernetes,
        happens: Callable[[FakeKubernetes, str], None],
        reason: str | None,
        code: int | None,
        again: bool,
    ) -> None:
        job = self.make_job(1)
        handle = kubernetes.push(job)
        fake.begin(job.name)
        happens(fake, job.name)
        seen = self.see(kubernetes, job, handle)
        assert (seen.status, seen.reason, seen.exit_code) == (Status.ENDED, reason, code)
        assert seen.retryable == again
        assert reason is None or reason in REASONS

    @pytest.mark.parametrize("why", ["ErrImagePull", "ImagePullBackOff", "CreateContainerError"])
    def test_what_the_kubelet_tries_again_has_not_ended(
        self, kubernetes: Kubernetes, fake: FakeKubernetes, why: str
    ) -> None:
        job = self.make_job(1)
        handle = kubernetes.push(job)
        fake.wait_for(job.name, why, "Back-off pulling image")
        seen = self.see(kubernetes, job, handle)
        assert (seen.status, seen.message) == (Status.STARTING, "Back-off pulling image")

    def test_it_has_once_its_patience_is_over_and_nothing_is_left(
        self, kubernetes: Kubernetes, fake: FakeKubernetes
    ) -> None:
        job = self.make_job(1, pod_watch_timeout_seconds=0)
        handle = kubernetes.push(job)
        fake.wait_for(job.name, "ImagePullBackOff", "Back-off pulling image")
        seen = self.see(kubernetes, job, handle)
        assert (seen.status, seen.reason) == (Status.ENDED, "image_pull_failed")
        assert fake.leftovers() == [], "the kubelet would go on trying"

    def test_no_node_fits_says_why_it_waits(
        self, kubernetes: Kubernetes, fake: FakeKubernetes
    ) -> None:
        job = self.make_job(1)
        handle = kubernetes.push(job)
        fake.unschedulable(job.name, "0/3 nodes are available: insufficient cpu")
        seen = self.see(kubernetes, job, handle)
        assert seen.status is Status.STARTING
        assert "insufficient cpu" in (seen.message or "")

    def test_a_deleted_job_has_ended_when_its_pod_has(
        self, kubernetes: Kubernetes, fake: FakeKubernetes
    ) -> None:
        fake.linger = True
        job = self.make_job(1)
        handle = kubernetes.push(job)
        fake.begin(job.name)
        kubernetes.cancel(handle)
        assert self.see(kubernetes, job, handle).status is Status.RUNNING
        fake.reap(job.name)
        assert self.see(kubernetes, job, handle).status in (Status.ENDED, Status.LOST)


class TestSidecars(KubernetesSuite):
    """Webhooks put containers into the pod, in front of the job's."""

    @pytest.mark.parametrize("code", [0, 7])
    def test_the_job_s_exit_code_and_log_are_its_own(
        self, kubernetes: Kubernetes, fake: FakeKubernetes, code: int
    ) -> None:
        fake.sidecar = "gke-gcsfuse-sidecar"
        job = self.make_job(1)
        handle = kubernetes.push(job)
        fake.begin(job.name)
        fake.write_log(job.name, "mine")
        fake.finish(job.name, code)
        seen = self.see(kubernetes, job, handle)
        assert (seen.status, seen.exit_code) == (Status.ENDED, code)
        assert list(kubernetes.logs(handle)) == ["mine"]


class TestJobsWithoutPods(KubernetesSuite):
    MISSING = 'Error creating: pods "x" is forbidden: serviceaccount "sa" not found'

    def test_the_events_say_why_and_nothing_is_left(
        self, kubernetes: Kubernetes, fake: FakeKubernetes
    ) -> None:
        job = self.make_job(1, pod_watch_timeout_seconds=0)
        handle = kubernetes.push(job)
        fake.lose_pod(job.name)
        fake.warn("uid-0", self.MISSING)
        seen = self.see(kubernetes, job, handle)
        assert (seen.status, seen.reason) == (Status.ENDED, "resource_initialization_failed")
        assert seen.message == self.MISSING
        assert not seen.retryable
        assert fake.leftovers() == []

    def test_where_events_may_not_be_read_it_ends_all_the_same(
        self, kubernetes: Kubernetes, fake: FakeKubernetes
    ) -> None:
        job = self.make_job(1, pod_watch_timeout_seconds=0)
        handle = kubernetes.push(job)
        fake.lose_pod(job.name)
        fake.refuse_next(Answer(403, {"message": "events is forbidden"}), "GET", "/events")
        seen = self.see(kubernetes, job, handle)
        assert (seen.status, seen.reason) == (Status.ENDED, "start_timeout")

    def test_a_pod_that_waits_for_a_volume_says_which(
        self, kubernetes: Kubernetes, fake: FakeKubernetes
    ) -> None:
        job = self.make_job(1, pod_watch_timeout_seconds=0)
        handle = kubernetes.push(job)
        fake.wait_for(job.name, "ContainerCreating")
        fake.warn(f"uid-of-{job.name}-x7k2p", 'MountVolume.SetUp failed: configmap "c" not found')
        seen = self.see(kubernetes, job, handle)
        assert (seen.status, seen.reason) == (Status.ENDED, "resource_initialization_failed")
        assert 'configmap "c" not found' in (seen.message or "")

    def test_a_handle_that_is_none_costs_only_itself(
        self, kubernetes: Kubernetes, fake: FakeKubernetes
    ) -> None:
        job = self.make_job(1)
        good = Watched(kubernetes.push(job), job.run_id, 1)
        seen = kubernetes.observe([Watched("nonsense", "p.u", 1), good])
        assert {one.run_id: one.status for one in seen} == {
            "p.u": Status.LOST,
            job.run_id: Status.STARTING,
        }
        kubernetes.cancel("nonsense")
        assert list(kubernetes.logs("nonsense")) == []
