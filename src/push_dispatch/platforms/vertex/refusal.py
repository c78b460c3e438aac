# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""Vertex AI has said no: what does that mean?"""

from __future__ import annotations

from push_dispatch.core.errors import PlatformError
from push_dispatch.platforms import shared
from push_dispatch.platforms.refusals import Reaction, Row, judge, wording
from push_dispatch.platforms.rest import Reply

__all__ = ["ERRORS", "asked", "row_of", "told"]

#: Sources: https://cloud.google.com/vertex-ai/docs/general/troubleshooting,
#: https://cloud.google.com/vertex-ai/docs/quotas, https://cloud.google.com/apis/design/errors
ERRORS: tuple[Row, ...] = (
    Row((400,), ("service agents are being provisioned", "service agent is being", "try again in a few minutes"), Reaction.RETRY, "platform_throttled", "Nothing to do: the first job of a project waits until Google has made its service agents."),
    Row((429,), ("per minute", "per second", "requests per"), Reaction.RETRY, "platform_throttled", "Give the pool a platform rate below the quota, or ask for more."),
    Row((400, 403, 429), ("quota", "resource_exhausted", "stockout", "insufficient", "out of capacity"), Reaction.CAPACITY, "no_capacity", "Ask for a higher quota of this machine or accelerator, use another region, or add a fallback."),
    Row((429,), (), Reaction.RETRY, "platform_throttled", "It is sent again after a while."),
    Row((403,), ("service_disabled", "has not been used in project", "is disabled"), Reaction.PERMANENT, "platform_rejected", "Run gcloud services enable aiplatform.googleapis.com once per project."),
    Row((400, 403), ("artifactregistry.",), Reaction.PERMANENT, "image_pull_failed", "Grant roles/artifactregistry.reader on the image's repository to the function's service account and to Vertex AI's service agent."),
    Row((400, 403), ("actas", "act as service", "service account"), Reaction.PERMANENT, "access_denied", "Grant roles/iam.serviceAccountUser on the job's own service account (job variable service_account_name)."),
    Row((403,), (), Reaction.PERMANENT, "access_denied", "Grant the permissions that are listed in Vertex.google_permissions on the project."),
    Row((401,), (), Reaction.PERMANENT, "access_denied", "Check the audience of the workload identity pool, or the service account key."),
    Row((400,), ("image",), Reaction.PERMANENT, "image_pull_failed", "Check the image's name and tag, and that it is in Artifact Registry or on Docker Hub."),
    Row((400,), ("failed_precondition",), Reaction.PERMANENT, "platform_rejected", "The project or the region is not ready for this: see the message."),
    Row((404,), (), Reaction.GONE, "platform_rejected", "Check the project, and that the region has Vertex AI."),
    Row((400,), (), Reaction.PERMANENT, "platform_rejected", "Correct the template or the job variable that the message names."),
    Row((409, 499, 500, 502, 503, 504), (), Reaction.UNCERTAIN, "push_uncertain", "The job is looked up by its labels before it is sent again."),
)  # fmt: skip


def row_of(reply: Reply) -> Row:
    """The row of an answer."""
    return judge(ERRORS, reply.status, wording(told(reply)))


def told(reply: Reply) -> str:
    """The name of the code and the platform's own words."""
    error = reply.json.get("error") if isinstance(reply.json, dict) else None
    if not isinstance(error, dict):
        return reply.text
    return f"{error.get('status', reply.status)}: {error.get('message', '')}"


def asked(reply: Reply) -> PlatformError:
    """Return the error of a refused question: nothing can be concluded, whatever the refusal."""
    return shared.asked(row_of(reply).error(told(reply), reply.retry_after))
