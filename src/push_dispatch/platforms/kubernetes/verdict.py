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
from push_dispatch.platforms.kubernetes.pod import (
    changed_at,
    containers_of,
    disruption_of,
    ends_of,
    event_time,
    failed_others,
    is_over,
    newest,
    patience_of,
    phase_of,
    started_at,
    state_of,
    unscheduled,
    waiting_since,
)
from push_dispatch.platforms.shared import milliseconds

__all__ = ["Stuck", "is_waiting", "read"]


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
    own, ended = containers_of(job, pod)[0], ends_of(job)
    if pod is not None and not is_over(pod):
        # Also when the Job has failed already: its slot is free when its pod is gone.
        return _alive(seen, job, pod, now, events)
    if failed := ended.get("Failed"):
        return _failed(seen, failed, pod, own)
    if "Complete" in ended:
        return _completed(seen, ended["Complete"], pod, own)
    if pod is None:
        return _without_pod(seen, job, now, events)
    return replace(seen, status=Status.RUNNING, started_at=started_at(pod, own))


def is_waiting(
    job: Mapping[str, Any] | None, pods: Sequence[Mapping[str, Any]], now: float
) -> bool:
    """Whether it has waited for its patience, and only events can say what for."""
    pod = newest(pods)
    if job is None or ends_of(job) or now - waiting_since(job, pod) < patience_of(job):
        return False
    if pod is None:
        return not (job.get("spec") or {}).get("suspend")
    state = state_of(pod, containers_of(job, pod)[0]).get("waiting") or {}
    silent = state.get("reason") in {None, "ContainerCreating", "PodInitializing"}
    return phase_of(pod) == "Pending" and silent and unscheduled(pod) is None


# -- a Job and its pod ------------------------------------------------------------------------


def _deleted(seen: Observation, pod: Mapping[str, Any] | None) -> Observation:
    """A deleted Job is gone at once; its pod has its grace period to end."""
    if pod is None:
        return replace(seen, status=Status.LOST, message="the Job is gone")
    if not is_over(pod):
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
    if now - waiting_since(job, None) < patience_of(job):
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
    if phase_of(pod) in {"Running", "Unknown"}:
        return _running(seen, pod, own, others, now)
    waiting = state_of(pod, own).get("waiting") or {}
    cause, message = waiting.get("reason", ""), waiting.get("message") or waiting.get("reason")
    tired = now - waiting_since(job, pod) >= patience_of(job)
    reason = _HOPELESS.get(cause) or (_FAILING.get(cause) if tired else None)
    if reason:
        if cause == "RunContainerError" and _EXEC.search(str(message)):
            reason = "command_not_found"
        ended = replace(seen, status=Status.ENDED)
        return Stuck(replace(ended, reason=reason, message=message, retryable=False))
    if tired and (stuck := _stuck_by(seen, events)):
        return stuck
    return replace(seen, message=unscheduled(pod) or message)


def _running(
    seen: Observation, pod: Mapping[str, Any], own: str, others: Sequence[str], now: float
) -> Observation | Stuck:
    """A pod runs as long as one of its containers does. What a webhook has put beside ours must
    not hold the slot once ours have ended; what the manifest has beside it may."""
    running = replace(seen, status=Status.RUNNING, started_at=started_at(pod, own))
    end = state_of(pod, own).get("terminated")
    if not end:
        return running
    code = end.get("exitCode")
    if (pod.get("spec") or {}).get("restartPolicy") != "Never" and code != 0:
        return running  # it is started again
    message = f"container {own} has exited with {code}; the pod goes on with others"
    over = all("terminated" in state_of(pod, name) for name in others)
    if not over or now * 1000 - (milliseconds(end.get("finishedAt")) or 0) < _LINGER_SECONDS * 1000:
        return replace(running, message=message)
    return Stuck(_ended_with(seen, pod, own))


def _stuck_by(seen: Observation, events: Sequence[Mapping[str, Any]]) -> Stuck | None:
    """Return the end that the newest warning explains."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    if not warnings:
        return None
    told = str(max(warnings, key=event_time).get("message") or "")
    reason, again = next((r, again) for pattern, r, again in _EVENTS if pattern.search(told))
    ended = replace(seen, status=Status.ENDED)
    return Stuck(replace(ended, reason=reason, message=told, retryable=again))


def _completed(
    seen: Observation, condition: Mapping[str, Any], pod: Mapping[str, Any] | None, own: str
) -> Observation:
    """Complete is complete, whatever word stands beside the exit code."""
    ended = replace(seen, status=Status.ENDED, exit_code=0, ended_at=changed_at(condition))
    if pod is None:
        return ended
    end = state_of(pod, own).get("terminated") or {}
    at = milliseconds(end.get("finishedAt")) or ended.ended_at
    return replace(ended, started_at=started_at(pod, own), ended_at=at)


def _failed(
    seen: Observation, condition: Mapping[str, Any], pod: Mapping[str, Any] | None, own: str
) -> Observation:
    message = condition.get("message")
    ended = replace(seen, status=Status.ENDED, ended_at=changed_at(condition), message=message)
    if condition.get("reason") == "DeadlineExceeded":
        return replace(ended, reason="timed_out", started_at=started_at(pod, own) if pod else None)
    if pod is None:
        return replace(ended, reason="infrastructure_failure")
    told = _ended_with(ended, pod, own, reason="infrastructure_failure", message=message)
    if told.exit_code == 0 and told.reason is None:
        # Something else has failed it, a sidecar for instance. The work may be done, so it is not
        # done again.
        why = f"container {own} has exited with 0, and the Job has failed: {failed_others(pod)}"
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
    end = state_of(pod, own).get("terminated") or {}
    code, cause = end.get("exitCode"), end.get("reason")
    ended = replace(
        seen,
        status=Status.ENDED,
        exit_code=code,
        started_at=started_at(pod, own),
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
    if disruption := disruption_of(pod):
        return replace(ended, reason="infrastructure_failure", message=ended.message or disruption)
    if cause == "ContainerStatusUnknown":  # the node went away with it
        return replace(ended, reason="infrastructure_failure")
    if not end:
        return replace(ended, reason=reason)
    return replace(ended, message=status.get("message") or end.get("message"))
