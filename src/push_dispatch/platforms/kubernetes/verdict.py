"""What do a Job and its pods say about the attempt? A pure function.

The Job says whether it has ended; its pod says how: exit code, killed for memory, evicted. What
never ends by itself, such as an image that cannot be pulled, is told apart as `Stuck`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from push_dispatch.platforms.base import Observation, Status, Watched
from push_dispatch.platforms.kubernetes.request import START_SECONDS

__all__ = ["Stuck", "read"]


@dataclass(frozen=True, slots=True)
class Stuck:
    """The pod waits for what will not come; the Job must be deleted for the attempt to end."""

    observation: Observation


#: Waiting reasons that no waiting cures.
_HOPELESS = {
    "ErrImageNeverPull": "image_pull_failed",
    "InvalidImageName": "image_pull_failed",
}
#: Waiting reasons that are tried again and again by the kubelet; hopeless after a while.
_FAILING = {
    "ErrImagePull": "image_pull_failed",
    "ImagePullBackOff": "image_pull_failed",
    "ImageInspectError": "image_pull_failed",
    "RegistryUnavailable": "image_pull_failed",
    "CreateContainerConfigError": "resource_initialization_failed",
    "CreateContainerError": "resource_initialization_failed",
}
#: Exit codes of a process that was asked (SIGTERM) or made (SIGKILL) to end.
_KILLED = {143, 137}
#: Terminated reasons of a container whose process never ran.
_NOT_STARTED = {"ContainerCannotRun", "StartError"}
#: Why the node or the scheduler ended a pod (its `status.reason`, or the reason of the condition
#: DisruptionTarget). https://kubernetes.io/docs/concepts/workloads/pods/disruptions/
_DISRUPTED = {
    "Evicted",
    "NodeLost",
    "NodeShutdown",
    "Preempting",
    "PreemptionByScheduler",
    "Shutdown",
    "Terminated",
    "DeletionByPodGC",
    "DeletionByTaintManager",
    "EvictionByEvictionAPI",
    "TerminationByKubelet",
    "UnexpectedAdmissionError",
}


def read(
    watched: Watched,
    job: Mapping[str, Any] | None,
    pods: Sequence[Mapping[str, Any]],
    now: float,
) -> Observation | Stuck:
    """The attempt as its Job (None if there is none) and its pods show it at `now`, in epoch
    seconds."""
    seen = Observation(watched.run_id, watched.attempt, Status.STARTING, handle=watched.handle)
    pod = max(pods, key=_newest, default=None)
    if job is None:
        return _deleted(seen, pod)
    ended = {c["type"]: c for c in _conditions(job) if c.get("status") == "True"}
    if pod is not None and not _over(pod):
        # Also when the Job has failed already: its slot is free when its pod is gone.
        return _alive(seen, job, pod, now)
    if failed := ended.get("Failed"):
        return _failed(seen, failed, pod)
    if "Complete" in ended:
        return _completed(seen, ended["Complete"], pod)
    if pod is None:
        return seen
    return replace(seen, status=Status.RUNNING, started_at=_started(pod))


def _deleted(seen: Observation, pod: Mapping[str, Any] | None) -> Observation:
    """A deleted Job is gone at once; its pod has its grace period to end."""
    if pod is None:
        return replace(seen, status=Status.LOST, message="the Job is gone")
    if not _over(pod):
        return replace(seen, status=Status.RUNNING, message="the Job is gone, its pod is ending")
    ended = _ended_with(seen, pod, reason="stopped_on_request", message="the Job was deleted")
    killed = ended.exit_code in _KILLED and ended.reason is None
    return replace(ended, reason="stopped_on_request") if killed else ended


def _alive(
    seen: Observation, job: Mapping[str, Any], pod: Mapping[str, Any], now: float
) -> Observation | Stuck:
    if pod.get("status", {}).get("phase") in {"Running", "Unknown"}:
        return replace(seen, status=Status.RUNNING, started_at=_started(pod))
    waiting = _state(pod).get("waiting") or {}
    cause, message = waiting.get("reason", ""), waiting.get("message") or waiting.get("reason")
    patience = float(_annotation(job, START_SECONDS) or 0)
    tired = now - _seconds(pod["metadata"].get("creationTimestamp")) >= patience
    reason = _HOPELESS.get(cause) or (_FAILING.get(cause) if tired else None)
    if reason:
        ended = replace(seen, status=Status.ENDED, ended_at=round(now * 1000))
        return Stuck(replace(ended, reason=reason, message=message, retryable=False))
    return replace(seen, message=message or _unschedulable(pod))


def _completed(
    seen: Observation, condition: Mapping[str, Any], pod: Mapping[str, Any] | None
) -> Observation:
    ended = replace(seen, status=Status.ENDED, exit_code=0, ended_at=_since(condition))
    return _ended_with(ended, pod) if pod is not None else ended


def _failed(
    seen: Observation, condition: Mapping[str, Any], pod: Mapping[str, Any] | None
) -> Observation:
    message = condition.get("message")
    ended = replace(seen, status=Status.ENDED, ended_at=_since(condition), message=message)
    if condition.get("reason") == "DeadlineExceeded":
        return replace(ended, reason="timed_out", started_at=_started(pod) if pod else None)
    if pod is None:
        return replace(ended, reason="infrastructure_failure")
    return _ended_with(ended, pod, reason="infrastructure_failure", message=message)


def _ended_with(
    seen: Observation,
    pod: Mapping[str, Any],
    reason: str | None = None,
    message: str | None = None,
) -> Observation:
    """The end as the pod tells it; `reason` and `message` are for a pod that tells nothing."""
    status = pod.get("status") or {}
    end = _state(pod).get("terminated") or {}
    ended = replace(
        seen,
        status=Status.ENDED,
        exit_code=end.get("exitCode"),
        started_at=_started(pod),
        ended_at=_milliseconds(end.get("finishedAt")) or seen.ended_at,
        message=status.get("message") or end.get("message") or message,
    )
    disruption = _disruption(pod)
    if end.get("reason") == "OOMKilled":
        return replace(ended, reason="out_of_memory")
    if end.get("reason") in _NOT_STARTED:
        return replace(ended, exit_code=None, reason="command_not_found", retryable=False)
    if status.get("reason") == "DeadlineExceeded":
        return replace(ended, reason="timed_out")
    if disruption:
        return replace(ended, reason="infrastructure_failure", message=ended.message or disruption)
    if not end:
        return replace(ended, reason=reason)
    return replace(ended, message=status.get("message") or end.get("message"))


# -- details of a pod -------------------------------------------------------------------------


def _over(pod: Mapping[str, Any]) -> bool:
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def _state(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state of its first container, which is the job's; the others are sidecars. An init
    container that fails or waits keeps it from starting, and is what there is to tell."""
    status = pod.get("status") or {}
    names = [c.get("name") for c in (pod.get("spec") or {}).get("containers") or []]
    states = {c.get("name"): c.get("state") or {} for c in status.get("containerStatuses") or []}
    own: Mapping[str, Any] = states.get(names[0] if names else None) or next(
        iter(states.values()), {}
    )
    if own.get("running") or own.get("terminated"):
        return own
    for init in status.get("initContainerStatuses") or []:
        state: Mapping[str, Any] = init.get("state") or {}
        if state.get("waiting") or (state.get("terminated") or {}).get("exitCode"):
            return state
    return own


def _started(pod: Mapping[str, Any]) -> int | None:
    state = _state(pod)
    told = state.get("running") or state.get("terminated") or {}
    return _milliseconds(told.get("startedAt"))


def _disruption(pod: Mapping[str, Any]) -> str | None:
    status = pod.get("status") or {}
    if status.get("reason") in _DISRUPTED:
        return str(status["reason"])
    for condition in _conditions(pod):
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return str(condition.get("reason"))
    return None


def _unschedulable(pod: Mapping[str, Any]) -> str | None:
    for condition in _conditions(pod):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return condition.get("message")
    return None


def _conditions(thing: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (thing.get("status") or {}).get("conditions") or []


def _annotation(thing: Mapping[str, Any], key: str) -> str | None:
    return (thing["metadata"].get("annotations") or {}).get(key)


# -- times ------------------------------------------------------------------------------------


def _newest(pod: Mapping[str, Any]) -> tuple[bool, str]:
    return not _over(pod), str(pod["metadata"].get("creationTimestamp") or "")


def _since(condition: Mapping[str, Any]) -> int | None:
    return _milliseconds(condition.get("lastTransitionTime"))


def _seconds(timestamp: str | None) -> float:
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else 0.0


def _milliseconds(timestamp: str | None) -> int | None:
    return round(_seconds(timestamp) * 1000) if timestamp else None
