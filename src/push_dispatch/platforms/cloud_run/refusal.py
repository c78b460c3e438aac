# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""Google has said no, or nothing: what does that mean?

The SDK's exceptions have both a gRPC code and the HTTP status that belongs to it. The table goes by
the status, and by the name of the code and the words of the message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core import exceptions as sdk
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]

from push_dispatch.core.errors import PlatformError, Uncertain
from push_dispatch.platforms.refusals import Reaction, Row, judge, wording

__all__ = ["ERRORS", "refused", "row_of", "told", "translated"]

#: Sources: https://cloud.google.com/run/docs/troubleshooting, https://cloud.google.com/run/quotas and
#: https://cloud.google.com/apis/design/errors#handling_errors.
ERRORS: tuple[Row, ...] = (
    Row((429,), ("larger than max",), Reaction.PERMANENT, "overrides_too_long", "Move large environment variables into the image, a file or a secret."),
    Row((429,), ("per minute", "per second", "rate limit"), Reaction.RETRY, "platform_throttled", "Give the pool a platform rate below the quota of job runs per minute, or ask for more."),
    Row((400, 429), ("maximum number of jobs", "number of jobs", "quota exceeded", "exceeded quota", "quota violated"), Reaction.CAPACITY, "no_capacity", "A region holds 1000 jobs, ended ones included: wait, ask for a higher quota, or add a fallback."),
    Row((429,), (), Reaction.RETRY, "platform_throttled", "It is sent again after a while; ask for a higher quota if it happens often."),
    Row((409,), ("already_exists",), Reaction.EXISTS, "push_uncertain", "The job is looked at and adopted if it is ours."),
    Row((400, 403), ("permission denied on secret", "secret manager secret accessor"), Reaction.PERMANENT, "resource_initialization_failed", "Grant the job's service account roles/secretmanager.secretAccessor on the secret."),
    Row((400, 403), ("artifactregistry.", "permission to read the image"), Reaction.PERMANENT, "image_pull_failed", "Grant roles/artifactregistry.reader on the image's repository to the function's service account, and across projects to Cloud Run's service agent too."),
    Row((400, 404), ("image '", "container image", "image not found"), Reaction.PERMANENT, "image_pull_failed", "Check the image's name and tag, and that it is in Artifact Registry or on Docker Hub."),
    Row((400, 403), ("vpc connector", "vpc network", "vpc access"), Reaction.PERMANENT, "resource_initialization_failed", "Check the job variable vpc_connector_name: the connector must be ready, in the same region, and usable by Cloud Run's service agent."),
    Row((400,), ("billing",), Reaction.PERMANENT, "platform_rejected", "Enable billing for the project."),
    Row((403,), ("service_disabled", "has not been used in project", "is disabled"), Reaction.PERMANENT, "platform_rejected", "Run gcloud services enable run.googleapis.com once per project."),
    Row((403,), ("actas",), Reaction.PERMANENT, "access_denied", "Grant roles/iam.serviceAccountUser on the job's own service account (job variable service_account_name)."),
    Row((403,), (), Reaction.PERMANENT, "access_denied", "Grant the permissions that are listed in CloudRun.google_permissions on the project."),
    Row((401,), (), Reaction.PERMANENT, "access_denied", "Check the audience of the workload identity pool, or the service account key."),
    Row((404,), (), Reaction.GONE, "lost", "It was deleted, or never existed."),
    Row((400,), (), Reaction.PERMANENT, "platform_rejected", "Correct the template or the job variable that the message names."),
    Row((501,), (), Reaction.PERMANENT, "platform_rejected", "The region or the endpoint does not know this request: check the job variable region."),
    Row((503,), ("failed to connect", "dns resolution failed", "name resolution"), Reaction.UNCERTAIN, "platform_unavailable", "Nothing was sent; it is looked up by its name before it is sent again."),
    Row((409, 499, 500, 503, 504), (), Reaction.UNCERTAIN, "push_uncertain", "The job is looked up by its name before it is sent again."),
)  # fmt: skip


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the SDK raises as one of our errors."""
    try:
        yield
    except sdk.GoogleAPIError as error:
        raise refused(error) from error


def refused(error: sdk.GoogleAPIError) -> PlatformError:
    """Our error for one of the SDK's."""
    if isinstance(error, sdk.GoogleAPICallError):
        return row_of(error).error(told(error), _retry_after(error))
    return Uncertain(str(error))


def row_of(error: sdk.GoogleAPICallError) -> Row:
    """The row of an answer."""
    return judge(ERRORS, int(error.code or 500), wording(told(error)))


def told(error: sdk.GoogleAPICallError) -> str:
    """The name of the code and the platform's own words."""
    code = getattr(error.grpc_status_code, "name", None) or type(error).__name__
    return f"{code}: {error.message}"


def _retry_after(error: sdk.GoogleAPICallError) -> float | None:
    """What a RetryInfo among the error's details asks for."""
    delays = (d.retry_delay for d in error.details if isinstance(d, RetryInfo))
    delay = next(delays, None)
    return None if delay is None else delay.seconds + delay.nanos / 1e9
