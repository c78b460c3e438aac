# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""Does the Vertex AI platform keep its promises, over HTTP on loopback?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.core.reasons import REASONS
from push_dispatch.platforms.base import Status
from push_dispatch.platforms.refusals import judge, wording
from push_dispatch.platforms.vertex import ERRORS, Vertex
from push_dispatch.platforms.vertex.adapter import SETTLE_SECONDS
from push_dispatch.testing.platform_contract import PlatformContract
from push_dispatch.testing.platform_suite import PlatformSuite
from tests.contract.google_suite import GoogleSignIn
from tests.fakes.google_sign_in import FakeGoogle
from tests.fakes.rest_server import Answer
from tests.fakes.vertex import PARENT, FakeVertex, refusal, variables


class VertexSuite(PlatformSuite):
    platform_type = "vertex-ai"
    variables: ClassVar[dict[str, Any]] = variables()

    @pytest.fixture
    def fake(self) -> Iterator[FakeVertex]:
        with FakeVertex() as fake:
            yield fake

    def connect(self, fake: FakeVertex) -> Vertex:
        return Vertex(fake.environ(), clock=_later)

    def disconnected(self) -> Vertex:
        nowhere = "http://127.0.0.1:1"
        return Vertex({"PUSH_DISPATCH_VERTEX_ENDPOINT": nowhere}, clock=_later)

    def unknown_handle(self, fake: FakeVertex) -> str:
        return f"{PARENT}/customJobs/404"

    @pytest.fixture
    def vertex(self, fake: FakeVertex) -> Vertex:
        return self.connect(fake)


def _later() -> float:
    """When lists have settled."""
    return time.time() + SETTLE_SECONDS + 1


class TestVertex(GoogleSignIn, VertexSuite, PlatformContract):
    """The contract of all platforms."""

    def service(self, environ: Mapping[str, str]) -> Vertex:
        return Vertex(environ)


class TestDoubt(VertexSuite):
    def test_a_list_that_may_lag_behind_proves_nothing(self, fake: FakeVertex) -> None:
        fake.lagging = True
        now = Vertex(fake.environ())
        job = self.make_job(1)
        now.push(job)
        with pytest.raises(Uncertain, match="not listed yet"):
            now.find(job)

    def test_somebody_elses_jobs_are_not_adopted(self, vertex: Vertex, fake: FakeVertex) -> None:
        handle = vertex.push(self.make_job(1))
        assert vertex.push(self.make_job(2)) != handle


class TestRequests(VertexSuite):
    def received(self, vertex: Vertex, fake: FakeVertex, **configuration: Any) -> Any:
        job = self.make_job(1, **configuration)
        vertex.push(job)
        [body] = fake.requests(job.name)
        return body

    def test_the_default_template_is_a_job_that_runs_once(
        self, vertex: Vertex, fake: FakeVertex
    ) -> None:
        spec = self.received(vertex, fake)["jobSpec"]
        [pool] = spec["workerPoolSpecs"]
        assert pool["machineSpec"] == {"machineType": "n1-standard-4"}
        assert pool["diskSpec"] == {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100}
        assert pool["containerSpec"]["command"] == ["python", "-m", "etl"]
        assert spec["scheduling"] == {
            "timeout": "3600s",
            "restartJobOnWorkerRestart": False,
            "disableRetries": True,
        }

    def test_a_template_cannot_turn_retries_on(self, vertex: Vertex, fake: FakeVertex) -> None:
        spec = self.configuration()["job_spec"]
        given = {
            "disable_retries": False,
            "restart_job_on_worker_restart": True,
            "strategy": "SPOT",
        }
        body = self.received(vertex, fake, job_spec=spec | {"scheduling": given})
        scheduling = body["jobSpec"]["scheduling"]
        assert scheduling["disableRetries"] is True
        assert scheduling["restartJobOnWorkerRestart"] is False
        assert scheduling["strategy"] == "SPOT"

    def test_labels_are_made_to_fit(self, vertex: Vertex, fake: FakeVertex) -> None:
        body = self.received(vertex, fake, labels={"Team/Name": "Daten & Co", "1": "x"})
        assert body["labels"]["team-name"] == "daten-co"

    @pytest.mark.parametrize(
        ("configuration", "words"),
        [
            ({"region": None}, "region is None"),
            ({"project": None}, "project is None"),
            ({"job_spec": {}}, "job_spec.workerPoolSpecs is not a list"),
            ({"job_spec": {"worker_pool_specs": "x"}}, "job_spec.workerPoolSpecs is not a list"),
            ({"job_spec": {"worker_pool_specs": ["x"]}}, r"workerPoolSpecs\[0\] is not an object"),
            (
                {"job_spec": {"worker_pool_specs": [{"container_spec": "x"}]}},
                "containerSpec is not",
            ),
            ({"env": ["A=1"]}, r"env\[0\] is not an object"),
            ({"labels": ["a"]}, "labels is not an object"),
            ({"image": None, "job_spec": {"worker_pool_specs": [{}]}}, "no image is given"),
        ],
    )
    def test_what_is_no_job_is_refused_before_anything_is_asked(
        self, vertex: Vertex, fake: FakeVertex, configuration: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(Rejected, match=words) as caught:
            vertex.push(self.make_job(1, **configuration))
        assert caught.value.reason == "template_invalid"
        assert fake.calls() == 0

    def test_a_refused_token_is_replaced_once(self, fake: FakeVertex) -> None:
        with FakeGoogle() as google:
            vertex = Vertex({**fake.environ(), **google.federation()}, clock=_later)
            fake.tokens = google.tokens
            vertex.push(self.make_job(1))
            google.tokens.clear()
            vertex.push(self.make_job(2))
            assert len(fake.created) == 2


#: The answer to the job's creation -> what is raised, why.
DOCUMENTED = [
    (refusal(400, "INVALID_ARGUMENT", "machine type n9 is not supported"), Rejected, "platform_rejected"),
    (refusal(400, "INVALID_ARGUMENT", "Unable to find image gcr.io/x"), Rejected, "image_pull_failed"),
    (refusal(400, "FAILED_PRECONDITION", "The project is not ready"), Rejected, "platform_rejected"),
    (refusal(400, "FAILED_PRECONDITION", "Service agents are being provisioned (https://cloud.google.com/vertex-ai/docs/general/access-control#service-agents). Please try again in a few minutes."), Throttled, "platform_throttled"),
    (refusal(403, "PERMISSION_DENIED", "Permission 'artifactregistry.repositories.downloadArtifacts' denied on resource 'x' (or it may not exist)"), Rejected, "image_pull_failed"),
    (refusal(400, "INVALID_ARGUMENT", "projects/quota-image/locations/x: the field is not known"), Rejected, "platform_rejected"),
    (refusal(401, "UNAUTHENTICATED", "invalid authentication credentials"), Rejected, "access_denied"),
    (refusal(403, "PERMISSION_DENIED", "Permission 'aiplatform.customJobs.create' denied"), Rejected, "access_denied"),
    (refusal(403, "PERMISSION_DENIED", "You do not have permission to act as service account"), Rejected, "access_denied"),
    (refusal(403, "PERMISSION_DENIED", "Vertex AI API has not been used in project 1 before"), Rejected, "platform_rejected"),
    (refusal(404, "NOT_FOUND", "Location x is not found"), Rejected, "platform_rejected"),
    (refusal(429, "RESOURCE_EXHAUSTED", "Quota exceeded for requests per minute"), Throttled, "platform_throttled"),
    (refusal(429, "RESOURCE_EXHAUSTED", "The following quota metrics exceed quota limits: custom_model_training_cpus"), NoCapacity, "no_capacity"),
    (refusal(429, "", "slow down"), Throttled, "platform_throttled"),
    (refusal(500, "INTERNAL", "Internal error encountered."), Uncertain, "push_uncertain"),
    (Answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}), Uncertain, "push_uncertain"),
    (refusal(503, "UNAVAILABLE", "The service is currently unavailable."), Uncertain, "push_uncertain"),
    (refusal(504, "DEADLINE_EXCEEDED", "Deadline exceeded"), Uncertain, "push_uncertain"),
]  # fmt: skip

#: The state and the message of a job that has ended -> reason, exit code, whether again.
ENDS = [
    ("JOB_STATE_SUCCEEDED", "", None, 0, True),
    ("JOB_STATE_FAILED", "The replica workerpool0-0 exited with a non-zero status of 3.", None, 3, True),
    ("JOB_STATE_FAILED", "Replica exited with a non-zero status code 1", None, 1, True),
    ("JOB_STATE_FAILED", "The replica workerpool0-0 exited with a non-zero status of 1. To find out more about why your job exited please check the logs: https://console.cloud.google.com/logs/viewer?project=classroom-secret", None, 1, True),
    ("JOB_STATE_FAILED", "The replica master 0 exited with a non-zero status of 1. Termination reason: Error. Traceback (most recent call last): FileNotFoundError: No such file or directory: 'permission'", None, 1, True),
    ("JOB_STATE_FAILED", "The replica workerpool0-0 exited with a non-zero status of 3. Termination reason: OOMKilled.", None, 3, True),
    ("JOB_STATE_FAILED", "The replica workerpool0-0 exited with a non-zero status of 137. Termination reason: OOMKilled.", "out_of_memory", 137, True),
    ("JOB_STATE_FAILED", "Replica workerpool0-0 ran out of memory and exited with a non-zero status of 137", "out_of_memory", 137, True),
    ("JOB_STATE_FAILED", "The replica workerpool0-0 exited with a non-zero status of 128. Termination reason: StartError. \n Termination log message: failed to create containerd task", "command_not_found", None, False),
    ("JOB_STATE_FAILED", "Failed to pull image gcr.io/x: not found", "image_pull_failed", None, False),
    ("JOB_STATE_FAILED", "Resources are insufficient in region: us-central1", "no_capacity", None, True),
    ("JOB_STATE_FAILED", "The VM was preempted", "spot_interruption", None, True),
    ("JOB_STATE_FAILED", "The service account lacks permission", "resource_initialization_failed", None, False),
    ("JOB_STATE_FAILED", "Internal error occurred", "infrastructure_failure", None, True),
    ("JOB_STATE_FAILED", "Internal error in projects/oom/locations/secret: see https://x/?quota=preempted", "infrastructure_failure", None, True),
    ("JOB_STATE_CANCELLED", "", "stopped_on_request", None, True),
    ("JOB_STATE_EXPIRED", "The job timed out", "timed_out", None, True),
]  # fmt: skip


class TestTables(VertexSuite):
    @pytest.mark.parametrize(("answer", "error", "reason"), DOCUMENTED)
    def test_each_refusal_has_its_reaction_and_reason(
        self,
        vertex: Vertex,
        fake: FakeVertex,
        answer: Answer,
        error: type[PlatformError],
        reason: str,
    ) -> None:
        fake.refuse_next(answer, "POST", "/customJobs")
        with pytest.raises(error) as caught:
            vertex.push(self.make_job(1))
        assert (type(caught.value), caught.value.reason) == (error, reason)
        assert fake.created == []

    def test_each_row_is_reached_and_its_reason_is_known(self) -> None:
        reached = set()
        for answer, _, _ in DOCUMENTED:
            reply = answer.body["error"] if isinstance(answer.body, dict) else {}
            text = f"{reply.get('status')}: {reply.get('message')}"
            reached.add(judge(ERRORS, answer.status, wording(text)))
        assert set(ERRORS) == reached
        assert {row.reason for row in ERRORS} <= set(REASONS)

    @pytest.mark.parametrize(("state", "message", "reason", "code", "again"), ENDS)
    def test_each_end_has_its_reason(
        self,
        vertex: Vertex,
        fake: FakeVertex,
        state: str,
        message: str,
        reason: str | None,
        code: int | None,
        again: bool,
    ) -> None:
        job = self.make_job(1)
        handle = vertex.push(job)
        fake.begin(job.name)
        fake.end(job.name, state, message)
        seen = self.see(vertex, job, handle)
        assert (seen.status, seen.reason, seen.exit_code) == (Status.ENDED, reason, code)
        assert seen.retryable == again
        assert reason is None or reason in REASONS
        assert seen.started_at is not None
        assert seen.ended_at is not None
