# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""ECS has refused, or not answered: what does that mean for the push?

RunTask refuses in three ways: an error, HTTP 200 with `failures`, and `ConflictException`, which
is no refusal at all (the adapter adopts what it names). An error's text reads `CODE: MESSAGE`, and
its message may quote an error of another service, as `(ErrorCode: …)`.
Sources: the errors of the ECS API reference, and "API failure reasons" of the developer guide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore import exceptions as sdk

from push_dispatch.core.errors import PlatformError
from push_dispatch.platforms.refusals import Reaction, Row, judge

__all__ = ["ERRORS", "FAILURES", "code_of", "failed", "refused", "translated"]

_PERMISSIONS = "Grant the push function's role what the message names."

#: Of an error, as `CODE: MESSAGE`.
ERRORS: tuple[Row, ...] = (
    Row((400,), (), Reaction.PERMANENT, "overrides_too_long", "Put large values into the image, a file or a secret.", r"overrides? length must be|at most 8192"),
    Row((400,), (), Reaction.RETRY, "platform_throttled", "Tasks are provisioned as fast as the cluster allows; it is sent again.", r"provisioning capacity limit exceeded|tasks in (the )?PROVISIONING", 30),
    Row((400,), (), Reaction.RETRY, "platform_throttled", "Ask for a higher quota if it happens often.", r"you can run concurrently", 60),
    Row((), (), Reaction.RETRY, "platform_throttled", "Ask for fewer starts at once: platform_rate of the pool.", r"^(throttl\w*|toomanyrequests\w*|requestlimitexceeded)\b|\(errorcode: (requestlimitexceeded|throttl\w*)\)|: request limit exceeded|: rate exceeded|^\w+: too many concurrent attempts"),
    Row((429,), (), Reaction.RETRY, "platform_throttled", "Ask for fewer starts at once: platform_rate of the pool."),
    Row((400,), (), Reaction.RETRY, "platform_unavailable", "A service that ECS asks has failed; it is sent again.", r"\(errorcode: (internalerror|internalfailure|unavailable|serviceunavailable)\)", 15),
    Row((400,), (), Reaction.CAPACITY, "no_capacity", "Allow more zones, another size, or fallbacks.", r": .*(capacity is unavailable at this time|insufficient capacity)"),
    Row((400,), (), Reaction.CAPACITY, "no_capacity", "Add instances to the cluster.", r": no container instances were found in your (cluster|capacity provider)"),
    # ECS makes the role at the first request that needs it, and refuses that request.
    Row((400,), (), Reaction.RETRY, "access_denied", "The role is being made; if it stays, run: aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com", r"unable to assume the service linked role", 15),
    Row((400,), (), Reaction.PERMANENT, "access_denied", "Let ecs-tasks.amazonaws.com assume the role, in its trust policy.", r"unable to assume the role"),
    Row((), (), Reaction.RETRY, "access_denied", "New credentials are fetched; it is sent again.", r"^(expiredtoken|requestexpired)", 5),
    Row((), (), Reaction.PERMANENT, "access_denied", _PERMISSIONS, r"^(accessdenied|unauthorized|unrecognizedclient|authfailure|invalidclienttokenid|signaturedoesnotmatch|invalidsignature|optinrequired)|^(client|invalidparameter)exception: .*not authorized to perform"),
    Row((404,), (), Reaction.PERMANENT, "platform_rejected", "Correct the cluster or the region."),
    Row((), (), Reaction.UNCERTAIN, "push_uncertain", "The same request token is sent again.", r"^(server|serviceunavailable|internal|serviceexception)"),
)  # fmt: skip

#: Of a failure at HTTP 200: nothing was started, for certain. The last row is for words that are
#: not known: the slot goes back and the run is tried again, with the words as its reason.
FAILURES: tuple[Row, ...] = (
    Row((), (), Reaction.RETRY, "platform_throttled", "Ask for a higher quota if it happens often.", r"you can run concurrently", 60),
    Row((), (), Reaction.RETRY, "platform_throttled", "Ask for fewer starts at once: platform_rate of the pool.", r"^(rate exceeded|throttl)"),
    Row((), (), Reaction.PERMANENT, "platform_rejected", "No instance has what the placement constraints ask for: correct them.", r"^(memberof|distinctinstance)\b.* unsatisfied"),
    Row((), (), Reaction.PERMANENT, "platform_rejected", "No instance of the cluster has what the task definition needs.", r"^attribute\b"),
    Row((), (), Reaction.PERMANENT, "platform_rejected", "Correct the cluster, the instance or the task definition.", r"^(missing|inactive)\b"),
    Row((), (), Reaction.PERMANENT, "platform_rejected", "Ask for a smaller size, or for a higher quota.", r"above your limit"),
    Row((), (), Reaction.CAPACITY, "no_capacity", "Add instances, allow more zones, or name fallbacks."),
)  # fmt: skip

_CREDENTIALS = Row((), (), Reaction.PERMANENT, "credentials_missing", "Give the push function a role, or set what the AWS CLI reads.")  # fmt: skip
_TEMPLATE = Row((), (), Reaction.PERMANENT, "template_invalid", "Correct the pool's template or the job variables.")  # fmt: skip
_UNREACHED = Row((), (), Reaction.UNCERTAIN, "platform_unavailable", "The same request token is sent again.")  # fmt: skip
_UNANSWERED = Row((), (), Reaction.UNCERTAIN, "push_uncertain", "The same request token is sent again.")  # fmt: skip

#: By what the SDK raises before or instead of an answer; a later entry is less specific.
_BY_EXCEPTION: tuple[tuple[type[Exception], Row], ...] = (
    (sdk.NoCredentialsError, _CREDENTIALS),
    (sdk.PartialCredentialsError, _CREDENTIALS),
    (sdk.ProfileNotFound, _CREDENTIALS),
    # Before anything is sent, with the path of what does not fit.
    (sdk.ParamValidationError, _TEMPLATE),
    (sdk.NoRegionError, _TEMPLATE),
    (sdk.ConnectTimeoutError, _UNREACHED),
    (sdk.EndpointConnectionError, _UNREACHED),
)


@contextmanager
def translated(*, harmless: bool = False) -> Iterator[None]:
    """Raise what the SDK raises as one of our errors: of a push, or of a `harmless` question."""
    try:
        yield
    except (sdk.ClientError, sdk.BotoCoreError) as error:
        row, text = _row(error)
        raise (row.unstarted(text) if harmless else row.error(text)) from error


def refused(error: Exception) -> PlatformError:
    """Return our error for one of the SDK's."""
    row, text = _row(error)
    return row.error(text)


def failed(failure: Mapping[str, Any]) -> PlatformError:
    """Return our error for an entry of RunTask's `failures`."""
    reason = str(failure.get("reason", ""))
    words = [reason, failure.get("detail"), failure.get("arn")]
    message = " · ".join(str(word) for word in words if word)
    return judge(FAILURES, 200, reason).error(message)


def code_of(error: sdk.ClientError) -> str:
    """Return the error's code, such as `ConflictException`."""
    code: str = error.response.get("Error", {}).get("Code", "")
    return code


def _row(error: Exception) -> tuple[Row, str]:
    if isinstance(error, sdk.ClientError):
        text = f"{code_of(error)}: {error.response.get('Error', {}).get('Message', '')}"
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return judge(ERRORS, status, text), text
    row = next((row for kind, row in _BY_EXCEPTION if isinstance(error, kind)), _UNANSWERED)
    return row, str(error)
