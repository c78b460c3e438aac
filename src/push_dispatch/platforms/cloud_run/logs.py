"""What did the attempt write? Cloud Logging knows, also after the job is gone.

Source: https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from push_dispatch.errors import PlatformError, Throttled, Uncertain
from push_dispatch.platforms.cloud_run.request import Place
from push_dispatch.platforms.rest import Reply, Rest

__all__ = ["lines"]

_PAGE = 1000


def lines(logging: Rest, place: Place) -> Iterator[str]:
    """The lines that the attempt has written, oldest first. Raises Throttled or Uncertain."""
    token = ""
    while True:
        reply = logging.call("POST", "/v2/entries:list", body=_question(place, token))
        if not reply.ok:
            raise _refused(reply)
        for entry in reply.json.get("entries", []):
            yield from _text(entry)
        token = reply.json.get("nextPageToken", "")
        if not token:
            return


def _question(place: Place, token: str) -> dict[str, Any]:
    logs = f"projects/{place.project}/logs/run.googleapis.com"
    conditions = (
        'resource.type="cloud_run_job"',
        f'resource.labels.job_name="{place.name}"',
        f'resource.labels.location="{place.location}"',
        f'labels."run.googleapis.com/execution_name"="{place.execution_id}"',
        # Not the audit log, nor what Cloud Run itself says.
        " OR ".join(f'logName="{logs}%2F{stream}"' for stream in ("stdout", "stderr")).join("()"),
    )
    return {
        "resourceNames": [f"projects/{place.project}"],
        "filter": " AND ".join(conditions),
        "orderBy": "timestamp asc",
        "pageSize": _PAGE,
        **({"pageToken": token} if token else {}),
    }


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
    said = (reply.json.get("error") or {}).get("message") or reply.text
    if reply.status == 429:
        return Throttled(f"Cloud Logging: {said}", after_seconds=reply.retry_after)
    reason = "access_denied" if reply.status in {401, 403} else "platform_unavailable"
    return Uncertain(f"Cloud Logging: {said}", reason=reason)
