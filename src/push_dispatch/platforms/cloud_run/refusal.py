"""Google has said no, or nothing: what does that mean?

The SDK's exceptions have both a gRPC code and the HTTP status that belongs to it. The table,
in `answers.toml`, goes by the status, and by the name of the code and the words of the message.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from google.api_core import exceptions as sdk
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]

from push_dispatch.platforms.refusals import Answer, Refusals, rows

__all__ = ["ERRORS", "REFUSALS", "translated"]

ERRORS = rows(__name__)


def _read(error: Any) -> Answer:
    """The name of the code and the platform's own words; nothing of an error without an answer."""
    if not isinstance(error, sdk.GoogleAPICallError):
        return Answer(500, str(error))
    code = getattr(error.grpc_status_code, "name", None) or type(error).__name__
    delay = next((d.retry_delay for d in error.details if isinstance(d, RetryInfo)), None)
    after = None if delay is None else delay.seconds + delay.nanos / 1e9
    return Answer(int(error.code or 500), f"{code}: {error.message}", after)


REFUSALS = Refusals(ERRORS, _read)
#: Around what asks Cloud Run.
translated = partial(REFUSALS.translated, sdk.GoogleAPIError)
