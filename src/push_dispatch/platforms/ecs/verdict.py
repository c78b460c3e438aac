"""What does ECS's description of a task, polled or in an event, say about the attempt?

Sources: `stopCode` of the API reference's Task, "Stopped task error messages" of the developer
guide. Tables, first match first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from push_dispatch.core.model import Observation, Status
from push_dispatch.platforms.ecs.handle import Handle, main_container

__all__ = ["Verdict", "observation", "verdict"]

_MESSAGE_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a stopped task stopped; no reason means that its exit code says all."""

    reason: str | None
    #: Whether a new attempt of the same request may succeed.
    retryable: bool = True


#: Until STOPPED the task holds its network interface and may still write logs: it has not ended.
_STATUS = {
    "PROVISIONING": Status.STARTING,
    "PENDING": Status.STARTING,
    "ACTIVATING": Status.STARTING,
    "RUNNING": Status.RUNNING,
    "STOPPED": Status.ENDED,
    "DELETED": Status.ENDED,
}

#: Stopped from outside: whatever the process then exited with is not its own doing.
_BY_STOP_CODE = {
    "UserInitiated": Verdict("stopped_on_request"),
    "SpotInterruption": Verdict("spot_interruption"),
    "TerminationNotice": Verdict("infrastructure_failure"),
    "InfrastructureHealth": Verdict("infrastructure_failure"),
    "ServiceSchedulerInitiated": Verdict("infrastructure_failure"),
}

_PASSING = (
    r"429|toomanyrequests|too many requests|rate limit|time(d)? ?out|connection|throttl|50\d\b"
)

#: What the texts of the task and its container tell when the process did not run, or was killed.
_BY_TEXT = (
    (r"OutOfMemory", Verdict("out_of_memory")),
    (r"network interface provisioning", Verdict("network_provisioning_timeout")),
    (r"capacity is unavailable|insufficient capacity|RESOURCE:", Verdict("no_capacity")),
    (r"executable file not found|no such file or directory", Verdict("command_not_found", False)),
    (rf"CannotPull.*({_PASSING})", Verdict("image_pull_failed")),
    (r"CannotPull", Verdict("image_pull_failed", False)),
    (rf"ResourceInitializationError.*({_PASSING})", Verdict("resource_initialization_failed")),
    (r"ResourceInitializationError", Verdict("resource_initialization_failed", False)),
    (r"Cannot(Start|Create)Container", Verdict("resource_initialization_failed", False)),
)

_UNEXPLAINED = Verdict("infrastructure_failure")


def observation(task: Mapping[str, Any], run_id: str, attempt: int, handle: Handle) -> Observation:
    """The observation in a task as DescribeTasks or an event shows it."""
    status = _STATUS.get(task.get("lastStatus", ""))
    if status is None:  # on its way down: DEACTIVATING, STOPPING, DEPROVISIONING
        status = Status.RUNNING if task.get("startedAt") else Status.STARTING
    seen = Observation(
        run_id=run_id,
        attempt=attempt,
        status=status,
        handle=str(handle),
        started_at=_millis(task.get("startedAt")),
        version=task.get("version"),
    )
    return _ended(seen, task, handle.container) if status is Status.ENDED else seen


def verdict(task: Mapping[str, Any], container: str = "") -> Verdict:
    """Why a stopped task stopped."""
    stop_code = task.get("stopCode", "")
    if stop_code in _BY_STOP_CODE:
        return _BY_STOP_CODE[stop_code]
    code, text = _exit_code(task, container), _text(task, container)
    if code is not None and stop_code != "TaskFailedToStart":
        killed = code != 0 and re.search("OutOfMemory", text)
        return Verdict("out_of_memory") if killed else Verdict(None)
    found = (
        said for pattern, said in _BY_TEXT if re.search(pattern, text, re.IGNORECASE | re.DOTALL)
    )
    return next(found, _UNEXPLAINED)


def _ended(seen: Observation, task: Mapping[str, Any], container: str) -> Observation:
    said, code = verdict(task, container), _exit_code(task, container)
    silent = said.reason is None and code == 0
    return Observation(
        run_id=seen.run_id,
        attempt=seen.attempt,
        status=seen.status,
        handle=seen.handle,
        exit_code=code,
        reason=said.reason,
        message=None if silent else _text(task, container)[:_MESSAGE_LENGTH] or None,
        retryable=said.retryable,
        started_at=seen.started_at,
        ended_at=_millis(task.get("stoppedAt") or task.get("executionStoppedAt")),
        version=seen.version,
    )


def _exit_code(task: Mapping[str, Any], container: str) -> int | None:
    main = main_container(task, container)
    return main.get("exitCode") if main else None


def _text(task: Mapping[str, Any], container: str) -> str:
    """The task's reason and the containers' own: that of the main one first."""
    main = main_container(task, container)
    containers = sorted(task.get("containers") or [], key=lambda other: other is not main)
    words = [task.get("stoppedReason"), *(other.get("reason") for other in containers)]
    return " · ".join(dict.fromkeys(word for word in words if word))


def _millis(time: Any) -> int | None:
    """The SDK gives datetimes, events ISO 8601."""
    if not time:
        return None
    moment = time if isinstance(time, datetime) else datetime.fromisoformat(str(time))
    return round(moment.timestamp() * 1000)
