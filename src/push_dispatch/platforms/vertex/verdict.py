"""What does a custom job say about the attempt? A pure function.

The state and the code of the error decide. Of the message only what Vertex AI itself writes is
read, from its beginning: a traceback of the job and links that contain the project's id follow it.
Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/JobState and
https://cloud.google.com/vertex-ai/docs/general/troubleshooting
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from push_dispatch.core.model import Observation, Status
from push_dispatch.platforms.refusals import wording
from push_dispatch.platforms.shared import milliseconds

__all__ = ["read"]

_STATUS = {
    "JOB_STATE_QUEUED": Status.STARTING,
    "JOB_STATE_PENDING": Status.STARTING,
    "JOB_STATE_RUNNING": Status.RUNNING,
    "JOB_STATE_UPDATING": Status.RUNNING,
    "JOB_STATE_CANCELLING": Status.RUNNING,
    "JOB_STATE_PAUSED": Status.RUNNING,
}
#: What is written of a replica that ended; the container's own reason may follow.
_REPLICA = re.compile(
    r"(?:the )?replica (?:\S+ )?(?:\d+ )?(ran out[ -]of[ -]memory and )?"
    r"exited with a non-zero (?:exit )?(?:status|code)(?: code)?(?: of)?:? (\d+)"
    r"(?:\S*\s*Termination reason: (\w+))?",
    re.IGNORECASE,
)
#: Where nothing of the job has run: (pattern at the beginning, reason, whether a new attempt may
#: succeed), first match first.
_BY_TEXT = (
    (r"(the )?(vm|worker|replica|job|instance)\b.{0,40}\bpreempted", "spot_interruption", True),
    (r"resources are insufficient|the following quota metrics exceed", "no_capacity", True),
    (r"failed to pull image|(the )?image (is |was )?not found", "image_pull_failed", False),
    (r"(the )?service account|permission \S* ?denied", "resource_initialization_failed", False),
)
#: By google.rpc.Code; of all others it is the infrastructure.
_BY_CODE = {
    4: ("timed_out", True),
    7: ("resource_initialization_failed", False),
    8: ("no_capacity", True),
}
_BROKEN = ("infrastructure_failure", True)


def read(job: Mapping[str, Any], seen: Observation) -> Observation:
    """Return `seen` with what the job says."""
    state = job.get("state", "")
    started = milliseconds(job.get("startTime"))
    if state in _STATUS:
        return replace(seen, status=_STATUS[state], started_at=started)
    if not state or state == "JOB_STATE_UNSPECIFIED":
        return replace(seen, status=Status.STARTING)
    ended = replace(
        seen, status=Status.ENDED, started_at=started, ended_at=milliseconds(job.get("endTime"))
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
    ended = replace(ended, message=message[:500] or None)
    if replica := _REPLICA.match(message):
        return _exited(ended, int(replica[2]), replica[3] or "", memory=bool(replica[1]))
    by_text = ((why, again) for words, why, again in _BY_TEXT if _begins(words, message))
    code = int((job.get("error") or {}).get("code") or 0)
    reason, again = next(by_text, _BY_CODE.get(code, _BROKEN))
    return replace(ended, reason=reason, retryable=again)


def _exited(ended: Observation, code: int, why: str, *, memory: bool) -> Observation:
    """The code decides; only of a killed process the reason says more, or of one that never was."""
    if why in {"StartError", "ContainerCannotRun"}:
        return replace(ended, reason="command_not_found", retryable=False)
    killed = code in {9, 137} and (memory or why == "OOMKilled")
    return replace(ended, exit_code=code, reason="out_of_memory" if killed else None)


def _begins(words: str, message: str) -> bool:
    return re.match(words, wording(message), re.IGNORECASE) is not None


def _message(job: Mapping[str, Any]) -> str:
    return str((job.get("error") or {}).get("message") or "")
