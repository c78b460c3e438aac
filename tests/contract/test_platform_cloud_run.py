from __future__ import annotations

from collections.abc import Mapping

import pytest
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from grpc import StatusCode

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.core.reasons import REASONS
from push_dispatch.platforms.cloud_run import ERRORS, CloudRun
from push_dispatch.platforms.refusals import Reaction, judge, wording
from push_dispatch.testing.platform_contract import PlatformContract
from tests.contract.cloud_run_suite import CloudRunSuite
from tests.contract.google_suite import GoogleSignIn
from tests.fakes.cloud_run import FakeCloudRun
from tests.fakes.cloud_run_service import Refusal


class CloudRunContract(GoogleSignIn, CloudRunSuite, PlatformContract):
    def service(self, environ: Mapping[str, str]) -> CloudRun:
        return CloudRun(environ)


class TestCloudRunV2(CloudRunContract):
    """A group of several tests: the contract of all platforms."""


class TestCloudRunV1(CloudRunContract):
    """The same with a template of the first version."""

    platform_type = "cloud-run"


PER_MINUTE = "Quota exceeded for quota metric 'Job runs' and limit 'Job runs per minute per region'"
ACT_AS = "Permission 'iam.serviceaccounts.actAs' denied on service account runner@acme"
DISABLED = "Cloud Run Admin API has not been used in project 1 before or it is disabled."
CONNECTOR = (
    "VPC connector projects/p/locations/l/connectors/c does not exist, or Cloud Run has none"
)
SECRET = "Permission denied on secret: projects/1/secrets/key/versions/latest for the job"
#: The answers to CreateJob that Google documents, with what the push makes of them.
DOCUMENTED: list[tuple[StatusCode, str, type[PlatformError], str]] = [
    (
        StatusCode.PERMISSION_DENIED,
        "Permission 'artifactregistry.repositories.downloadArtifacts' denied on resource '//x'",
        Rejected,
        "image_pull_failed",
    ),
    (StatusCode.RESOURCE_EXHAUSTED, PER_MINUTE, Throttled, "platform_throttled"),
    (StatusCode.RESOURCE_EXHAUSTED, "too many requests", Throttled, "platform_throttled"),
    (StatusCode.RESOURCE_EXHAUSTED, "maximum number of jobs: 1000", NoCapacity, "no_capacity"),
    (
        StatusCode.RESOURCE_EXHAUSTED,
        "Quota violated: CpuAllocPerProjectRegion",
        NoCapacity,
        "no_capacity",
    ),
    (
        StatusCode.RESOURCE_EXHAUSTED,
        "Received message larger than max (5242880 vs. 4194304)",
        Rejected,
        "overrides_too_long",
    ),
    (StatusCode.UNAVAILABLE, "Socket closed", Uncertain, "push_uncertain"),
    (StatusCode.UNAVAILABLE, "failed to connect", Uncertain, "platform_unavailable"),
    (StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", Uncertain, "push_uncertain"),
    (StatusCode.INTERNAL, "Internal error encountered.", Uncertain, "push_uncertain"),
    (StatusCode.UNKNOWN, "who knows", Uncertain, "push_uncertain"),
    (StatusCode.DATA_LOSS, "lost", Uncertain, "push_uncertain"),
    (StatusCode.CANCELLED, "cancelled", Uncertain, "push_uncertain"),
    (StatusCode.ABORTED, "Conflict for resource", Uncertain, "push_uncertain"),
    (StatusCode.ALREADY_EXISTS, "but nobody can see it", Uncertain, "push_uncertain"),
    (StatusCode.INVALID_ARGUMENT, "memory must be >= 512Mi", Rejected, "platform_rejected"),
    (StatusCode.OUT_OF_RANGE, "too far", Rejected, "platform_rejected"),
    (StatusCode.INVALID_ARGUMENT, "Image 'nope' not found.", Rejected, "image_pull_failed"),
    (StatusCode.INVALID_ARGUMENT, CONNECTOR, Rejected, "resource_initialization_failed"),
    (StatusCode.INVALID_ARGUMENT, SECRET, Rejected, "resource_initialization_failed"),
    (StatusCode.PERMISSION_DENIED, SECRET, Rejected, "resource_initialization_failed"),
    (StatusCode.PERMISSION_DENIED, ACT_AS, Rejected, "access_denied"),
    (StatusCode.PERMISSION_DENIED, "'run.jobs.create' denied", Rejected, "access_denied"),
    (StatusCode.PERMISSION_DENIED, DISABLED, Rejected, "platform_rejected"),
    (StatusCode.UNAUTHENTICATED, "invalid credentials", Rejected, "access_denied"),
    (StatusCode.NOT_FOUND, "The project does not exist", Rejected, "platform_rejected"),
    (StatusCode.FAILED_PRECONDITION, "Billing is not enabled", Rejected, "platform_rejected"),
    (StatusCode.FAILED_PRECONDITION, "not now, not ever", Rejected, "platform_rejected"),
    (StatusCode.UNIMPLEMENTED, "no such method", Rejected, "platform_rejected"),
]
#: The HTTP status that belongs to a code, as the SDK has it.
HTTP = {
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.CANCELLED: 499,
    StatusCode.ABORTED: 409,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.NOT_FOUND: 404,
    StatusCode.UNIMPLEMENTED: 501,
}


def _name(case: tuple[StatusCode, str, type[PlatformError], str]) -> str:
    code, message, error, _ = case
    return f"{code.name}-{message[:24]}-{error.__name__}"


class TestErrors(CloudRunSuite):
    @pytest.mark.parametrize("case", DOCUMENTED, ids=_name)
    def test_documented_answer_has_its_reaction_and_reason(
        self,
        cloud_run: CloudRun,
        fake: FakeCloudRun,
        case: tuple[StatusCode, str, type[PlatformError], str],
    ) -> None:
        code, message, error, reason = case
        fake.refuse_next(Refusal(code, message), "CreateJob")
        job = self.make_job(1)
        with pytest.raises(PlatformError) as caught:
            cloud_run.push(job)
        assert (type(caught.value), caught.value.reason) == (error, reason)
        assert message.rstrip(".") in caught.value.message
        assert fake.received.count("CreateJob") == 1
        assert fake.starts(job.name) == 0

    def test_every_row_of_the_table_is_documented_above(self) -> None:
        walked = {
            judge(ERRORS, HTTP.get(code, 500), wording(f"{code.name}: {message}"))
            for code, message, _, _ in DOCUMENTED
        }
        assert set(ERRORS) - walked == set()

    def test_every_reason_is_known(self) -> None:
        assert {row.reason for row in ERRORS} <= set(REASONS)
        assert all(row.remedy.endswith(".") for row in ERRORS)

    def test_throttling_says_how_long(self, cloud_run: CloudRun, fake: FakeCloudRun) -> None:
        delay = RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000))
        fake.refuse_next(Refusal(StatusCode.RESOURCE_EXHAUSTED, PER_MINUTE, delay))
        with pytest.raises(Throttled) as caught:
            cloud_run.push(self.make_job(1))
        assert caught.value.after_seconds == 2.5

    def test_full_region_has_no_capacity(self, cloud_run: CloudRun, fake: FakeCloudRun) -> None:
        fake.quota = 1
        handle = cloud_run.push(self.make_job(1))
        with pytest.raises(NoCapacity):
            cloud_run.push(self.make_job(2))
        cloud_run.clean_up(handle)
        cloud_run.push(self.make_job(2))
        assert fake.starts(self.make_job(2).name) == 1

    def test_asking_is_never_final(self, cloud_run: CloudRun, fake: FakeCloudRun) -> None:
        handle = cloud_run.push(self.make_job(1))
        for ask in (
            lambda: cloud_run.find(self.make_job(1)),
            lambda: cloud_run.cancel(handle),
            lambda: cloud_run.clean_up(handle),
        ):
            fake.refuse_next(Refusal(StatusCode.PERMISSION_DENIED, "no right to ask"))
            with pytest.raises(Uncertain, match="no right to ask") as caught:
                ask()
            assert caught.value.reason == "access_denied"

    def test_table_adopts_only_what_exists(self) -> None:
        rows = [row for row in ERRORS if row.reaction is Reaction.EXISTS]
        assert [row.status for row in rows] == [(409,)]
        assert not rows[0].matches(409, "ABORTED: Conflict for resource")
