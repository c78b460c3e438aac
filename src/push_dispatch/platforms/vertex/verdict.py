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
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.ends import BROKEN, End, ended, ends, explained
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
#: Where nothing of the job has run: by how the message begins.
ENDS = ends(__name__)
#: By google.rpc.Code; of all others it is the infrastructure.
_BY_CODE = {
    4: End(Reason.TIMED_OUT),
    7: End(Reason.RESOURCE_INITIALIZATION_FAILED, retryable=False),
    8: End(Reason.NO_CAPACITY),
}
#: By the state of a job that has not failed by itself.
_BY_STATE = {
    "JOB_STATE_SUCCEEDED": End(),
    "JOB_STATE_CANCELLED": End(Reason.STOPPED_ON_REQUEST),
    "JOB_STATE_EXPIRED": End(Reason.TIMED_OUT),
}


def read(job: Mapping[str, Any], seen: Observation) -> Observation:
    """Return `seen` with what the job says."""
    state = job.get("state", "")
    started = milliseconds(job.get("startTime"))
    if state in _STATUS:
        return replace(seen, status=_STATUS[state], started_at=started)
    if not state or state == "JOB_STATE_UNSPECIFIED":
        return replace(seen, status=Status.STARTING)
    seen = replace(seen, started_at=started, ended_at=milliseconds(job.get("endTime")))
    message = str((job.get("error") or {}).get("message") or "")
    if end := _BY_STATE.get(state):
        return ended(seen, end, message, exit_code=None if end.reason else 0)
    if replica := _REPLICA.match(message):
        end = _exited(int(replica[2]), replica[3] or "", memory=bool(replica[1]))
        return ended(seen, end, message, exit_code=int(replica[2]) if end.retryable else None)
    code = int((job.get("error") or {}).get("code") or 0)
    return ended(seen, explained(ENDS, message) or _BY_CODE.get(code, BROKEN), message)


def _exited(code: int, why: str, *, memory: bool) -> End:
    """The code decides; only of a killed process the reason says more, or of one that never was."""
    if why in {"StartError", "ContainerCannotRun"}:
        return End(Reason.COMMAND_NOT_FOUND, retryable=False)
    killed = code in {9, 137} and (memory or why == "OOMKilled")
    return End(Reason.OUT_OF_MEMORY if killed else None)
