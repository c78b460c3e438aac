"""Azure has said no, or nothing: what does that mean?

Every 409 of Azure Resource Manager is the same exception in the SDK, and so is every 404, so the
table, in `answers.toml`, goes by status and by the code and message of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from azure.core import exceptions as sdk

from push_dispatch.platforms.refusals import Answer, Refusals, rows

__all__ = ["ERRORS", "REFUSALS", "is_sign_in", "translated"]

ERRORS = rows(__name__)


def is_sign_in(error: sdk.HttpResponseError) -> bool:
    """Whether it comes from Microsoft Entra, and not from the platform itself."""
    request: Any = error.response.request if error.response is not None else None
    return isinstance(error, sdk.ClientAuthenticationError) and (
        request is None or "/oauth2/" in str(request.url)
    )


def _read(error: Any) -> Answer:
    """Code and message of an answer, and whether it is one of Microsoft Entra. Without an answer
    only that a request was never sent is known."""
    if not isinstance(error, sdk.HttpResponseError):
        unsent = isinstance(error, sdk.ServiceRequestError)
        return Answer(0, f"{'not sent' if unsent else 'no answer'}: {error}")
    text = str(error.message)
    if is_sign_in(error):
        text = f"Microsoft Entra: {text.strip()}"
    elif error.error is not None and error.error.code:
        text = f"{error.error.code}: {error.error.message}"
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    after = headers.get("Retry-After", "")
    return Answer(error.status_code or 0, text, float(after) if after.isdigit() else None)


REFUSALS = Refusals(rows(__name__, "sign_in") + ERRORS, _read)
#: Around what asks Azure.
translated = partial(REFUSALS.translated, sdk.AzureError)
