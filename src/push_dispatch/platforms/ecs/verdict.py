"""What does ECS's description of a task, polled or in an event, say about the attempt?

The exit code of the command's own container decides, unless it was killed (137, 143) or never ran.
Then the stop code does, which is a field, and words only where there is nothing else: those of the
task and of that container, anchored, so that no name, path or account number is taken for one.
Sources: `stopCode` of the API reference's Task, "Stopped task error messages" of the developer
guide. Tables, first match first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from push_dispatch.core.model import Observation, Status
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.ecs.handle import Handle, own_container
from push_dispatch.platforms.ends import BROKEN, KILLED, End, ended, ends
from push_dispatch.platforms.shared import milliseconds

__all__ = ["ENDS", "observation", "verdict"]

#: Until STOPPED the task holds its network interface and may still write logs: it has not ended.
_STATUS = {
    "PROVISIONING": Status.STARTING,
    "PENDING": Status.STARTING,
    "ACTIVATING": Status.STARTING,
    "RUNNING": Status.RUNNING,
    "STOPPED": Status.ENDED,
    "DELETED": Status.ENDED,
}

#: Stopped from outside.
_BY_STOP_CODE = {
    "UserInitiated": End(Reason.STOPPED_ON_REQUEST),
    "SpotInterruption": End(Reason.SPOT_INTERRUPTION),
    "TerminationNotice": BROKEN,
    "InfrastructureHealth": BROKEN,
    "ServiceSchedulerInitiated": BROKEN,
}

#: Of the task's reason, and of its own container's, each for itself, for a process that did not
#: run or was killed.
ENDS = ends(__name__)


def observation(task: Mapping[str, Any], run_id: str, attempt: int, handle: Handle) -> Observation:
    """Return the observation in a task as DescribeTasks or an event shows it: UNKNOWN if it has
    ended and the handle does not say which of its containers ran the command."""
    status = _STATUS.get(task.get("lastStatus", ""))
    if status is None:  # on its way down: DEACTIVATING, STOPPING, DEPROVISIONING
        status = Status.RUNNING if task.get("startedAt") else Status.STARTING
    seen = Observation(
        run_id=run_id,
        attempt=attempt,
        status=status,
        handle=str(handle),
        started_at=milliseconds(task.get("startedAt")),
        version=task.get("version"),
    )
    return _ended(seen, task, handle.container) if status is Status.ENDED else seen


def verdict(task: Mapping[str, Any], container: str = "") -> End:
    """Return why a stopped task stopped; `container` is the one of the command."""
    stop_code, code = task.get("stopCode", ""), _exit_code(task, container)
    started = stop_code != "TaskFailedToStart"
    if started and code is not None and code not in KILLED:
        return End()
    if stop_code in _BY_STOP_CODE:
        return _BY_STOP_CODE[stop_code]
    texts = _texts(task, container)
    found = (end for end in ENDS for text in texts if end.matches(text))
    return next(found, End() if started and code is not None else BROKEN)


def _ended(seen: Observation, task: Mapping[str, Any], container: str) -> Observation:
    if own_container(task, container) is None and task.get("containers"):
        # To take another one's word may turn a failure into a success; a poll knows the name.
        return replace(seen, status=Status.UNKNOWN)
    end, code = verdict(task, container), _exit_code(task, container)
    silent = end.reason is None and code == 0
    return ended(
        seen,
        end,
        None if silent else " · ".join(_texts(task, container)),
        exit_code=code,
        ended_at=milliseconds(task.get("stoppedAt") or task.get("executionStoppedAt")),
    )


def _exit_code(task: Mapping[str, Any], container: str) -> int | None:
    main = own_container(task, container)
    return main.get("exitCode") if main else None


def _texts(task: Mapping[str, Any], container: str) -> list[str]:
    """Return the reasons of the task and of its own container; of the others only if it never ran
    and has none itself: one of them kept the task from starting."""
    main = own_container(task, container) or {}
    words = [task.get("stoppedReason"), main.get("reason")]
    if not main.get("reason") and main.get("exitCode") is None:
        words += [other.get("reason") for other in task.get("containers") or []]
    return list(dict.fromkeys(word for word in words if word))
