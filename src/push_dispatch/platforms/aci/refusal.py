"""Azure has said no, or nothing: what does that mean?

Every 409 of Azure Resource Manager is the same exception in the SDK, and so is every 404, so the
table, in `answers.toml`, goes by status and by the code and message of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from azure.core import exceptions as sdk

from push_dispatch.core.errors import PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.refusals import Answer, Refusals, rows

__all__ = ["ERRORS", "REFUSALS", "is_sign_in", "refused", "translated"]

ERRORS = rows(__name__)


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the SDK raises as one of our errors."""
    try:
        yield
    except sdk.AzureError as error:
        raise refused(error) from error


def refused(error: sdk.AzureError) -> PlatformError:
    """Our error for one of the SDK's."""
    if isinstance(error, sdk.ClientAuthenticationError) and is_sign_in(error):
        return _not_signed_in(error)
    if isinstance(error, sdk.HttpResponseError) and error.response is not None:
        return REFUSALS.error(error)
    # A request that was never sent is told from one that may have been.
    unsent = isinstance(error, sdk.ServiceRequestError)
    return Uncertain(
        str(error), reason=Reason.PLATFORM_UNAVAILABLE if unsent else Reason.PUSH_UNCERTAIN
    )


def is_sign_in(error: sdk.ClientAuthenticationError) -> bool:
    """Whether it comes from Microsoft Entra, and not from the platform itself."""
    request: Any = error.response.request if error.response is not None else None
    return request is None or "/oauth2/" in str(request.url)


def _not_signed_in(error: sdk.ClientAuthenticationError) -> PlatformError:
    """Microsoft Entra says no, or nothing: nothing was asked of the platform itself. Only a code of
    its own, such as AADSTS7000215, says that asking again is of no use."""
    status = error.status_code or 0
    if status == 429:
        return Throttled(error.message, after_seconds=_read(error).after_seconds)
    if status >= 500 or not re.search(r"AADSTS\d+", error.message):
        return Uncertain(error.message, reason=Reason.PLATFORM_UNAVAILABLE)
    remedy = "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and the federated credential or the secret."
    return Rejected(f"{error.message.strip()} {remedy}", reason=Reason.ACCESS_DENIED)


def _read(error: sdk.HttpResponseError) -> Answer:
    """Without an answer nothing is known."""
    text = str(error.message)
    if error.error is not None and error.error.code:
        text = f"{error.error.code}: {error.error.message}"
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    said = headers.get("Retry-After", "")
    return Answer(error.status_code or 0, text, float(said) if said.isdigit() else None)


REFUSALS = Refusals(ERRORS, _read)
