"""What does a custom job say about the attempt? A pure function.

Sources: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/JobState; the wording of
`error.message` is known from troubleshooting pages only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from push_dispatch.core.model import Observation, Status

__all__ = ["read"]

_STATUS = {
    "JOB_STATE_QUEUED": Status.STARTING,
    "JOB_STATE_PENDING": Status.STARTING,
    "JOB_STATE_RUNNING": Status.RUNNING,
    "JOB_STATE_UPDATING": Status.RUNNING,
    "JOB_STATE_CANCELLING": Status.RUNNING,
    "JOB_STATE_PAUSED": Status.RUNNING,
}
_CODE = re.compile(r"non-zero (?:exit )?(?:status|code)(?: of)?:? (\d+)")
#: (pattern, reason, whether a new attempt may succeed), first match first.
_BY_TEXT = (
    (r"out of memory|memory limit|oom", "out_of_memory", True),
    (r"image .*(not found|denied|unauthorized|pull)|failed to pull", "image_pull_failed", False),
    (r"no such file or directory|executable file not found", "command_not_found", False),
    (r"preempted|preemption", "spot_interruption", True),
    (r"resources? (are )?(insufficient|exhausted|unavailable)|stockout|quota", "no_capacity", True),
    (r"permission|service account|secret", "resource_initialization_failed", False),
)
#: google.rpc.Code RESOURCE_EXHAUSTED.
_EXHAUSTED = 8


def read(job: Mapping[str, Any], seen: Observation) -> Observation:
    """`seen` with what the job says."""
    state = job.get("state", "")
    started = _milliseconds(job.get("startTime"))
    if state in _STATUS:
        return replace(seen, status=_STATUS[state], started_at=started)
    if not state or state == "JOB_STATE_UNSPECIFIED":
        return replace(seen, status=Status.STARTING)
    ended = replace(
        seen, status=Status.ENDED, started_at=started, ended_at=_milliseconds(job.get("endTime"))
    )
    match state:
        case "JOB_STATE_SUCCEEDED":
            return replace(ended, exit_code=0)
        case "JOB_STATE_CANCELLED":
            return replace(ended, reason="stopped_on_request")
        case "JOB_STATE_EXPIRED":
            return replace(ended, reason="timed_out", message=_message(job))
        case _:
            return _failed(ended, job)


def _failed(ended: Observation, job: Mapping[str, Any]) -> Observation:
    message = _message(job)
    told = replace(ended, message=message[:500] or None)
    code = _CODE.search(message)
    for pattern, reason, again in _BY_TEXT:
        if re.search(pattern, message, re.IGNORECASE):
            exit_code = int(code[1]) if code else None
            return replace(told, reason=reason, retryable=again, exit_code=exit_code)
    if code:
        return replace(told, exit_code=int(code[1]))
    exhausted = (job.get("error") or {}).get("code") == _EXHAUSTED
    return replace(told, reason="no_capacity" if exhausted else "infrastructure_failure")


def _message(job: Mapping[str, Any]) -> str:
    return str((job.get("error") or {}).get("message") or "")


def _milliseconds(timestamp: str | None) -> int | None:
    if not timestamp:
        return None
    # Nanoseconds are more than Python 3.11 reads.
    cut = re.sub(r"(\.\d{6})\d+", r"\1", timestamp)
    return round(datetime.fromisoformat(cut).timestamp() * 1000)
