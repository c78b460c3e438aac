"""What do a Job and its pods say about the attempt? A pure function.

The Job says whether it has ended; the container of the command says how: exit code, killed for
memory. Which container that is, is known from the manifest that was sent: webhooks put sidecars
into the pod, in front of it too. What never ends by itself, such as an image that cannot be pulled,
is told apart as `Stuck`; why a pod is not made or does not start, only its events say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from push_dispatch.platforms.base import Observation, Status, Watched
from push_dispatch.platforms.kubernetes.request import CONTAINERS, START_SECONDS
from push_dispatch.platforms.shared import milliseconds

__all__ = ["Stuck", "containers_of", "is_waiting", "newest", "read"]


@dataclass(frozen=True, slots=True)
class Stuck:
    """The pod waits for what will not come; the Job must be deleted for the attempt to end."""

    observation: Observation


#: Waiting reasons that no waiting cures.
_HOPELESS = {
    "ErrImageNeverPull": "image_pull_failed",
    "InvalidImageName": "image_pull_failed",
}
_UNPREPARED = "resource_initialization_failed"
#: Waiting reasons that are tried again and again by the kubelet; hopeless after a while.
_FAILING = {
    "ErrImagePull": "image_pull_failed",
    "ImagePullBackOff": "image_pull_failed",
    "ImageInspectError": "image_pull_failed",
    "RegistryUnavailable": "image_pull_failed",
    "SignatureValidationFailed": "image_pull_failed",
    "CrashLoopBackOff": _UNPREPARED,
    "CreateContainerConfigError": _UNPREPARED,
    "CreateContainerError": _UNPREPARED,
    "PostStartHookError": _UNPREPARED,
    "PreCreateHookError": _UNPREPARED,
    "PreStartHookError": _UNPREPARED,
    "RunContainerError": _UNPREPARED,
}
_EXEC = re.compile(r"\bexec: \\?[\"'/].*(not found|no such file|permission denied|format error)")
#: Events that say why a Job gets no pod, or a pod no container; the newest decides. Pattern of the
#: message, reason, whether a new attempt may succeed.
_EVENTS = tuple(
    (re.compile(pattern, re.IGNORECASE), reason, again)
    for pattern, reason, again in (
        (r"exceeded quota", "no_capacity", True),
        (r"failed calling webhook|context deadline exceeded|timed out", _UNPREPARED, True),
        (
            r"not found|forbidden|denied the request|violates PodSecurity|invalid",
            _UNPREPARED,
            False,
        ),
        (r"", _UNPREPARED, True),
    )
)
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
#: How long what was put beside the command may go on after it has ended.
_LINGER_SECONDS = 60


def read(
    watched: Watched,
    job: Mapping[str, Any] | None,
    pods: Sequence[Mapping[str, Any]],
    now: float,
    events: Sequence[Mapping[str, Any]] = (),
) -> Observation | Stuck:
    """Return the attempt as its Job (None if there is none), its pods and their warnings show it at
    `now`, in epoch seconds."""
    seen = Observation(watched.run_id, watched.attempt, Status.STARTING, handle=watched.handle)
    pod = newest(pods)
    if job is None:
        return _deleted(seen, pod)
    own, ended = containers_of(job, pod)[0], _ended(job)
    if pod is not None and not _over(pod):
        # Also when the Job has failed already: its slot is free when its pod is gone.
        return _alive(seen, job, pod, now, events)
    if failed := ended.get("Failed"):
        return _failed(seen, failed, pod, own)
    if "Complete" in ended:
        return _completed(seen, ended["Complete"], pod, own)
    if pod is None:
        return _without_pod(seen, job, now, events)
    return replace(seen, status=Status.RUNNING, started_at=_started(pod, own))


def is_waiting(
    job: Mapping[str, Any] | None, pods: Sequence[Mapping[str, Any]], now: float
) -> bool:
    """Whether it has waited for its patience, and only events can say what for."""
    pod = newest(pods)
    if job is None or _ended(job) or now - _since(job, pod) < _patience(job):
        return False
    if pod is None:
        return not (job.get("spec") or {}).get("suspend")
    state = _state(pod, containers_of(job, pod)[0]).get("waiting") or {}
    silent = state.get("reason") in {None, "ContainerCreating", "PodInitializing"}
    return _phase(pod) == "Pending" and silent and _unscheduled(pod) is None


def newest(pods: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the pod that speaks for the attempt: one that lives, else the youngest."""
    return max(pods, key=_age, default=None)


def containers_of(job: Mapping[str, Any] | None, pod: Mapping[str, Any] | None) -> Sequence[str]:
    """Return the names of the containers that were asked for, that of the command first; of Jobs
    that an earlier version has made, those of the Job."""
    for thing in (job, pod):
        if thing is not None and (names := _annotation(thing, CONTAINERS)):
            return names.split(",")
    spec = ((job or {}).get("spec") or {}).get("template") or pod or {}
    names_of = [str(c.get("name")) for c in (spec.get("spec") or {}).get("containers") or []]
    return names_of or [""]


# -- a Job and its pod ------------------------------------------------------------------------


def _deleted(seen: Observation, pod: Mapping[str, Any] | None) -> Observation:
    """A deleted Job is gone at once; its pod has its grace period to end."""
    if pod is None:
        return replace(seen, status=Status.LOST, message="the Job is gone")
    if not _over(pod):
        return replace(seen, status=Status.RUNNING, message="the Job is gone, its pod is ending")
    own = containers_of(None, pod)[0]
    ended = _ended_with(seen, pod, own, reason="stopped_on_request", message="the Job was deleted")
    killed = ended.exit_code in _KILLED and ended.reason is None
    return replace(ended, reason="stopped_on_request") if killed else ended


def _without_pod(
    seen: Observation, job: Mapping[str, Any], now: float, events: Sequence[Mapping[str, Any]]
) -> Observation | Stuck:
    if (job.get("spec") or {}).get("suspend"):
        return replace(seen, message="the Job is suspended: whoever did that has to resume it")
    if now - _since(job, None) < _patience(job):
        return seen
    return _stuck_by(seen, events) or Stuck(
        replace(
            seen,
            status=Status.ENDED,
            reason="start_timeout",
            message="the Job got no pod, and no event says why",
        )
    )


def _alive(
    seen: Observation,
    job: Mapping[str, Any],
    pod: Mapping[str, Any],
    now: float,
    events: Sequence[Mapping[str, Any]],
) -> Observation | Stuck:
    own, *others = containers_of(job, pod)
    if _phase(pod) in {"Running", "Unknown"}:
        return _running(seen, pod, own, others, now)
    waiting = _state(pod, own).get("waiting") or {}
    cause, message = waiting.get("reason", ""), waiting.get("message") or waiting.get("reason")
    tired = now - _since(job, pod) >= _patience(job)
    reason = _HOPELESS.get(cause) or (_FAILING.get(cause) if tired else None)
    if reason:
        if cause == "RunContainerError" and _EXEC.search(str(message)):
            reason = "command_not_found"
        ended = replace(seen, status=Status.ENDED)
        return Stuck(replace(ended, reason=reason, message=message, retryable=False))
    if tired and (stuck := _stuck_by(seen, events)):
        return stuck
    return replace(seen, message=_unscheduled(pod) or message)


def _running(
    seen: Observation, pod: Mapping[str, Any], own: str, others: Sequence[str], now: float
) -> Observation | Stuck:
    """A pod runs as long as one of its containers does. What a webhook has put beside ours must
    not hold the slot once ours have ended; what the manifest has beside it may."""
    running = replace(seen, status=Status.RUNNING, started_at=_started(pod, own))
    end = _state(pod, own).get("terminated")
    if not end:
        return running
    code = end.get("exitCode")
    if (pod.get("spec") or {}).get("restartPolicy") != "Never" and code != 0:
        return running  # it is started again
    message = f"container {own} has exited with {code}; the pod goes on with others"
    over = all("terminated" in _state(pod, name) for name in others)
    if not over or now * 1000 - (milliseconds(end.get("finishedAt")) or 0) < _LINGER_SECONDS * 1000:
        return replace(running, message=message)
    return Stuck(_ended_with(seen, pod, own))


def _stuck_by(seen: Observation, events: Sequence[Mapping[str, Any]]) -> Stuck | None:
    """Return the end that the newest warning explains."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    if not warnings:
        return None
    told = str(max(warnings, key=_at).get("message") or "")
    reason, again = next((r, again) for pattern, r, again in _EVENTS if pattern.search(told))
    ended = replace(seen, status=Status.ENDED)
    return Stuck(replace(ended, reason=reason, message=told, retryable=again))


def _completed(
    seen: Observation, condition: Mapping[str, Any], pod: Mapping[str, Any] | None, own: str
) -> Observation:
    """Complete is complete, whatever word stands beside the exit code."""
    ended = replace(seen, status=Status.ENDED, exit_code=0, ended_at=_changed(condition))
    if pod is None:
        return ended
    end = _state(pod, own).get("terminated") or {}
    at = milliseconds(end.get("finishedAt")) or ended.ended_at
    return replace(ended, started_at=_started(pod, own), ended_at=at)


def _failed(
    seen: Observation, condition: Mapping[str, Any], pod: Mapping[str, Any] | None, own: str
) -> Observation:
    message = condition.get("message")
    ended = replace(seen, status=Status.ENDED, ended_at=_changed(condition), message=message)
    if condition.get("reason") == "DeadlineExceeded":
        return replace(ended, reason="timed_out", started_at=_started(pod, own) if pod else None)
    if pod is None:
        return replace(ended, reason="infrastructure_failure")
    told = _ended_with(ended, pod, own, reason="infrastructure_failure", message=message)
    if told.exit_code == 0 and told.reason is None:
        # Something else has failed it, a sidecar for instance. The work may be done, so it is not
        # done again.
        why = f"container {own} has exited with 0, and the Job has failed: {_others(pod)}"
        return replace(told, reason="infrastructure_failure", message=why, retryable=False)
    return told


def _ended_with(
    seen: Observation,
    pod: Mapping[str, Any],
    own: str,
    reason: str | None = None,
    message: str | None = None,
) -> Observation:
    """Return the end as the pod shows it; `reason` and `message` are for a pod that shows none."""
    status = pod.get("status") or {}
    end = _state(pod, own).get("terminated") or {}
    code, cause = end.get("exitCode"), end.get("reason")
    ended = replace(
        seen,
        status=Status.ENDED,
        exit_code=code,
        started_at=_started(pod, own),
        ended_at=milliseconds(end.get("finishedAt")) or seen.ended_at,
        message=status.get("message") or end.get("message") or message,
    )
    if cause in _NOT_STARTED:
        return replace(ended, exit_code=None, reason="command_not_found", retryable=False)
    if end and code not in _KILLED:
        return replace(ended, message=status.get("message") or end.get("message"))
    if cause == "OOMKilled":
        return replace(ended, reason="out_of_memory")
    if status.get("reason") == "DeadlineExceeded":
        return replace(ended, reason="timed_out")
    if disruption := _disruption(pod):
        return replace(ended, reason="infrastructure_failure", message=ended.message or disruption)
    if cause == "ContainerStatusUnknown":  # the node went away with it
        return replace(ended, reason="infrastructure_failure")
    if not end:
        return replace(ended, reason=reason)
    return replace(ended, message=status.get("message") or end.get("message"))


# -- details of a pod -------------------------------------------------------------------------


def _phase(pod: Mapping[str, Any]) -> str:
    return str((pod.get("status") or {}).get("phase"))


def _over(pod: Mapping[str, Any]) -> bool:
    return _phase(pod) in {"Succeeded", "Failed"}


def _state(pod: Mapping[str, Any], own: str) -> Mapping[str, Any]:
    """Return the state of a container. An init container that fails or waits keeps all others from
    starting, and is what there is to tell."""
    status = pod.get("status") or {}
    states = {c.get("name"): c.get("state") or {} for c in status.get("containerStatuses") or []}
    state: Mapping[str, Any] = states.get(own) or {}
    if state.get("running") or state.get("terminated"):
        return state
    for init in status.get("initContainerStatuses") or []:
        first: Mapping[str, Any] = init.get("state") or {}
        if first.get("waiting") or (first.get("terminated") or {}).get("exitCode"):
            return first
    return state


def _others(pod: Mapping[str, Any]) -> str:
    codes = {
        c.get("name"): (c.get("state") or {}).get("terminated", {}).get("exitCode")
        for c in (pod.get("status") or {}).get("containerStatuses") or []
    }
    failed = [f"{name} has exited with {code}" for name, code in codes.items() if code]
    return ", ".join(failed) or "see its conditions"


def _started(pod: Mapping[str, Any], own: str) -> int | None:
    state = _state(pod, own)
    begun = state.get("running") or state.get("terminated") or {}
    return milliseconds(begun.get("startedAt"))


def _disruption(pod: Mapping[str, Any]) -> str | None:
    status = pod.get("status") or {}
    if status.get("reason") in _DISRUPTED:
        return str(status["reason"])
    for condition in _conditions(pod):
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return str(condition.get("reason"))
    return None


def _unscheduled(pod: Mapping[str, Any]) -> str | None:
    """Return why the pod has no node (yet): to wait for one is no error."""
    for condition in _conditions(pod):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', 'Unschedulable')}: {condition.get('message', '')}"
    return None


def _conditions(thing: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (thing.get("status") or {}).get("conditions") or []


def _ended(job: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return {
        condition["type"]: condition
        for condition in _conditions(job)
        if condition.get("status") == "True" and condition["type"] in {"Complete", "Failed"}
    }


def _annotation(thing: Mapping[str, Any], key: str) -> str | None:
    return ((thing.get("metadata") or {}).get("annotations") or {}).get(key)


# -- times ------------------------------------------------------------------------------------


def _patience(job: Mapping[str, Any]) -> float:
    return float(_annotation(job, START_SECONDS) or 0)


def _since(job: Mapping[str, Any], pod: Mapping[str, Any] | None) -> float:
    """Return since when it waits, in epoch seconds: since its pod has a node, if it has."""
    if pod is None:
        return (milliseconds(job["metadata"].get("creationTimestamp")) or 0) / 1000
    times = [
        condition.get("lastTransitionTime")
        for condition in _conditions(pod)
        if condition.get("type") == "PodScheduled" and condition.get("status") == "True"
    ]
    since = milliseconds(next(iter(times), None) or pod["metadata"].get("creationTimestamp"))
    return (since or 0) / 1000


def _age(pod: Mapping[str, Any]) -> tuple[bool, str]:
    return not _over(pod), str(pod["metadata"].get("creationTimestamp") or "")


def _at(event: Mapping[str, Any]) -> str:
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((time for time in times if time), ""))


def _changed(condition: Mapping[str, Any]) -> int | None:
    return milliseconds(condition.get("lastTransitionTime"))
