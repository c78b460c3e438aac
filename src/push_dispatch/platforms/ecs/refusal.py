"""ECS has said no, or nothing: what does that mean for the push?

Tables, first match first. RunTask says no in three ways: an error, HTTP 200 with `failures`, and
`ConflictException`, which is no refusal at all (the adapter adopts what it names).
Sources: the errors of the ECS API reference, and "API failure reasons" of the developer guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore import exceptions as sdk

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled, Uncertain

__all__ = ["code_of", "failed", "refused", "translated"]


@dataclass(frozen=True, slots=True)
class _Row:
    pattern: str
    error: type[PlatformError]
    reason: str
    after_seconds: float | None = None

    def matches(self, text: str) -> bool:
        return re.search(self.pattern, text, re.IGNORECASE) is not None

    def raised(self, message: str) -> PlatformError:
        if self.error is Throttled:
            return Throttled(message, reason=self.reason, after_seconds=self.after_seconds)
        return self.error(message, reason=self.reason)


#: What the text of a `ClientException` or `InvalidParameterException` tells beyond its code.
_BY_TEXT = (
    _Row(r"overrides? length|\b8192\b", Rejected, "overrides_too_long"),
    _Row(r"PROVISIONING state|tasks? in provisioning", Throttled, "platform_throttled", 30),
    _Row(r"too many concurrent attempts|rate exceeded", Throttled, "platform_throttled"),
    _Row(r"you can run concurrently", Throttled, "platform_throttled", 60),
    _Row(r"capacity is unavailable|(insufficient|no) capacity", NoCapacity, "no_capacity"),
    _Row(r"no container instances were found", NoCapacity, "no_capacity"),
    _Row(r"unable to assume the role|not authorized", Rejected, "access_denied"),
)

#: By error code; every code that is not listed is final, unless its HTTP status is 5xx.
_BY_CODE = (
    _Row(r"^(Throttl|TooManyRequests|RequestLimitExceeded)", Throttled, "platform_throttled"),
    _Row(r"^(ExpiredToken|RequestExpired)", Throttled, "access_denied", 5),
    _Row(r"^(AccessDenied|Unauthorized|UnrecognizedClient|AuthFailure)", Rejected, "access_denied"),
    _Row(
        r"^(InvalidClientTokenId|SignatureDoesNotMatch|InvalidSignature)", Rejected, "access_denied"
    ),
    _Row(r"^(Server|ServiceUnavailable|Internal|ServiceException)", Uncertain, "push_uncertain"),
    _Row(r"", Rejected, "platform_rejected"),
)

#: By the reason of a failure at HTTP 200: nothing was started, for certain.
_BY_FAILURE = (
    _Row(r"^(RESOURCE|AGENT|LOCATION)\b", NoCapacity, "no_capacity"),
    _Row(r"capacity", NoCapacity, "no_capacity"),
    _Row(r"you can run concurrently", Throttled, "platform_throttled", 60),
    _Row(r"rate exceeded|throttl", Throttled, "platform_throttled"),
    _Row(r"^(ATTRIBUTE|MISSING|INACTIVE)\b", Rejected, "platform_rejected"),
    _Row(r"above your limit", Rejected, "platform_rejected"),
    # Unknown words: the slot goes back and the run is tried again, with the words as its reason.
    _Row(r"", NoCapacity, "no_capacity"),
)

#: By what the SDK raises before or instead of an answer; a later entry is less specific.
_BY_EXCEPTION: tuple[tuple[type[Exception], type[PlatformError], str], ...] = (
    (sdk.NoCredentialsError, Rejected, "credentials_missing"),
    (sdk.PartialCredentialsError, Rejected, "credentials_missing"),
    (sdk.ProfileNotFound, Rejected, "credentials_missing"),
    (sdk.ParamValidationError, Rejected, "platform_rejected"),
    (sdk.NoRegionError, Rejected, "platform_rejected"),
    (sdk.ConnectTimeoutError, Uncertain, "platform_unavailable"),
    (sdk.EndpointConnectionError, Uncertain, "platform_unavailable"),
    (sdk.BotoCoreError, Uncertain, "push_uncertain"),
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the SDK raises as one of our errors."""
    try:
        yield
    except (sdk.ClientError, sdk.BotoCoreError) as error:
        raise refused(error) from error


def refused(error: Exception) -> PlatformError:
    """Our error for one of the SDK's."""
    if isinstance(error, sdk.ClientError):
        return _answered(error)
    for kind, ours, reason in _BY_EXCEPTION:
        if isinstance(error, kind):
            return ours(str(error), reason=reason)
    return Uncertain(str(error))


def failed(failure: Mapping[str, Any]) -> PlatformError:
    """Our error for an entry of RunTask's `failures`."""
    reason = str(failure.get("reason", ""))
    words = [reason, failure.get("detail"), failure.get("arn")]
    message = " · ".join(str(word) for word in words if word)
    return next(row for row in _BY_FAILURE if row.matches(reason)).raised(message)


def code_of(error: sdk.ClientError) -> str:
    """The error's code, such as `ConflictException`."""
    code: str = error.response.get("Error", {}).get("Code", "")
    return code


def _answered(error: sdk.ClientError) -> PlatformError:
    code, text = code_of(error), error.response.get("Error", {}).get("Message", "")
    message = f"{code}: {text}"
    if code in {"ClientException", "InvalidParameterException", "LimitExceededException"}:
        for row in _BY_TEXT:
            if row.matches(text):
                return row.raised(message)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status == 429:
        return Throttled(message)
    if status >= 500 and not _BY_CODE[0].matches(code):
        return Uncertain(message)
    return next(row for row in _BY_CODE if row.matches(code)).raised(message)
