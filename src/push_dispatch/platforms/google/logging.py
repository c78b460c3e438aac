"""What has been written to Cloud Logging? It knows, also after a job is gone.

Source: https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from push_dispatch.core.errors import PlatformError, Throttled, Uncertain
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.google.rest import GoogleRest
from push_dispatch.platforms.rest import Reply, Rest, answered

__all__ = ["LOGGING", "LOGGING_DEFAULT", "lines"]

#: Replaces the address of Cloud Logging.
LOGGING = "PUSH_DISPATCH_CLOUD_LOGGING_ENDPOINT"
LOGGING_DEFAULT = "https://logging.googleapis.com"
_PAGE = 1000


def lines(logging: Rest | GoogleRest, project: str, conditions: str) -> Iterator[str]:
    """The lines of the entries that fit `conditions`, oldest first. Raises Throttled or
    Uncertain."""
    token = ""
    while True:
        question = {
            "resourceNames": [f"projects/{project}"],
            "filter": conditions,
            "orderBy": "timestamp asc",
            "pageSize": _PAGE,
            **({"pageToken": token} if token else {}),
        }
        page = answered(logging.call("POST", "/v2/entries:list", body=question), _refused)
        for entry in page.get("entries", []):
            yield from _text(entry)
        token = page.get("nextPageToken", "")
        if not token:
            return


def _text(entry: Mapping[str, Any]) -> Iterator[str]:
    """A line that is JSON is taken apart by Cloud Logging; its message is what a person reads."""
    if "textPayload" in entry:
        yield from str(entry["textPayload"]).split("\n")
        return
    payload = entry.get("jsonPayload") or {}
    message = payload.get("message")
    text = message if isinstance(message, str) else json.dumps(payload, ensure_ascii=False)
    yield from text.split("\n")


def _refused(reply: Reply) -> PlatformError:
    message = (reply.json.get("error") or {}).get("message") or reply.text
    if reply.status == 429:
        return Throttled(f"Cloud Logging: {message}", after_seconds=reply.retry_after)
    reason = Reason.ACCESS_DENIED if reply.status in {401, 403} else Reason.PLATFORM_UNAVAILABLE
    return Uncertain(f"Cloud Logging: {message}", reason=reason)
