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

from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.base import Observation, Status, Watched
from push_dispatch.platforms.ends import BROKEN, KILLED, End, ended, ends
from push_dispatch.platforms.kubernetes.pod import Pod, changed_at, ends_of, event_time, has_waited

__all__ = ["EVENTS", "Stuck", "is_waiting", "read"]


@dataclass(frozen=True, slots=True)
class Stuck:
    """The pod waits for what will not come; the Job must be deleted for the attempt to end."""

    observation: Observation


#: Reasons to wait that no waiting cures, and those that the kubelet tries again and again, which
#: are hopeless after a while.
_HOPELESS, _FAILING = ends(__name__, "hopeless"), ends(__name__, "failing")
#: Events that say why a Job gets no pod, or a pod no container; the newest decides.
EVENTS = ends(__name__, "events")
_EXEC = re.compile(r"\bexec: \\?[\"'/].*(not found|no such file|permission denied|format error)")
#: Terminated reasons of a container whose process never ran.
_NOT_STARTED = {"ContainerCannotRun", "StartError"}
_NO_COMMAND = End(Reason.COMMAND_NOT_FOUND, retryable=False)
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
    pod = Pod.of(job, pods)
    if job is None:
        return _deleted(seen, pod)
    over = ends_of(job)
    if pod is not None and not pod.over:
        # Also when the Job has failed already: its slot is free when its pod is gone.
        if pod.phase in {"Running", "Unknown"}:
            return _running(seen, pod, now)
        return _pending(seen, pod, events, tired=has_waited(job, pod, now))
    if failed := over.get("Failed"):
        return _failed(seen, failed, pod)
    if complete := over.get("Complete"):
        # Complete is complete, whatever word stands beside the exit code.
        begun, at = (pod.started_at, pod.ended_at) if pod else (None, None)
        at = at or changed_at(complete)
        return ended(seen, End(), exit_code=0, started_at=begun, ended_at=at)
    if pod is None:
        return _without_pod(seen, job, events, tired=has_waited(job, None, now))
    return replace(seen, status=Status.RUNNING, started_at=pod.started_at)


def is_waiting(
    job: Mapping[str, Any] | None, pods: Sequence[Mapping[str, Any]], now: float
) -> bool:
    """Whether it has waited for its patience, and only events can say what for."""
    pod = Pod.of(job, pods)
    if job is None or ends_of(job) or not has_waited(job, pod, now):
        return False
    if pod is None:
        return not (job.get("spec") or {}).get("suspend")
    silent = pod.waiting.get("reason") in {None, "ContainerCreating", "PodInitializing"}
    return pod.phase == "Pending" and silent and pod.unscheduled is None


# -- a Job and its pod ------------------------------------------------------------------------


def _deleted(seen: Observation, pod: Pod | None) -> Observation:
    """A deleted Job is gone at once; its pod has its grace period to end."""
    if pod is None:
        return replace(seen, status=Status.LOST, message="the Job is gone")
    if not pod.over:
        return replace(seen, status=Status.RUNNING, message="the Job is gone, its pod is ending")
    stopped = End(Reason.STOPPED_ON_REQUEST)
    last = _ended_with(seen, pod, stopped, "the Job was deleted")
    killed = last.exit_code in KILLED and last.reason is None
    return replace(last, reason=stopped.reason) if killed else last


def _without_pod(
    seen: Observation, job: Mapping[str, Any], events: Sequence[Mapping[str, Any]], *, tired: bool
) -> Observation | Stuck:
    if (job.get("spec") or {}).get("suspend"):
        return replace(seen, message="the Job is suspended: whoever did that has to resume it")
    if not tired:
        return seen
    why = "the Job got no pod, and no event says why"
    return _stuck_by(seen, events) or Stuck(ended(seen, End(Reason.START_TIMEOUT), why))


def _pending(
    seen: Observation, pod: Pod, events: Sequence[Mapping[str, Any]], *, tired: bool
) -> Observation | Stuck:
    cause = pod.waiting.get("reason", "")
    message = pod.waiting.get("message") or pod.waiting.get("reason")
    known = _HOPELESS + (_FAILING if tired else ())
    if end := next((end for end in known if end.matches(cause)), None):
        if cause == "RunContainerError" and _EXEC.search(str(message)):
            end = _NO_COMMAND
        return Stuck(ended(seen, end, message))
    if tired and (stuck := _stuck_by(seen, events)):
        return stuck
    return replace(seen, message=pod.unscheduled or message)


def _running(seen: Observation, pod: Pod, now: float) -> Observation | Stuck:
    """A pod runs as long as one of its containers does. What a webhook has put beside ours must
    not hold the slot once ours have ended; what the manifest has beside it may."""
    running = replace(seen, status=Status.RUNNING, started_at=pod.started_at)
    if not pod.end:
        return running
    code = pod.end.get("exitCode")
    if (pod.shown.get("spec") or {}).get("restartPolicy") != "Never" and code != 0:
        return running  # it is started again
    over = all("terminated" in pod.state_of(name) for name in pod.others)
    if over and now - (pod.ended_at or 0) / 1000 >= _LINGER_SECONDS:
        return Stuck(_ended_with(seen, pod))
    message = f"container {pod.own} has exited with {code}; the pod goes on with others"
    return replace(running, message=message)


def _stuck_by(seen: Observation, events: Sequence[Mapping[str, Any]]) -> Stuck | None:
    """Return the end that the newest warning explains."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    if not warnings:
        return None
    text = str(max(warnings, key=event_time).get("message") or "")
    return Stuck(ended(seen, next(end for end in EVENTS if end.matches(text)), text))


def _failed(seen: Observation, condition: Mapping[str, Any], pod: Pod | None) -> Observation:
    message = condition.get("message")
    begun = pod.started_at if pod else None
    seen = replace(seen, ended_at=changed_at(condition), started_at=begun)
    if condition.get("reason") == "DeadlineExceeded":
        return ended(seen, End(Reason.TIMED_OUT), message)
    if pod is None:
        return ended(seen, BROKEN, message)
    last = _ended_with(seen, pod, BROKEN, message)
    if last.exit_code == 0 and last.reason is None:
        # Something else has failed it, a sidecar for instance. The work may be done, so it is not
        # done again.
        why = f"container {pod.own} has exited with 0, and the Job has failed: "
        done = replace(BROKEN, retryable=False)
        return ended(last, done, why + pod.failed_containers)
    return last


def _ended_with(
    seen: Observation, pod: Pod, silent: End | None = None, message: str | None = None
) -> Observation:
    """Return the end as the pod shows it; `silent` and `message` are for a pod that shows none."""
    why = _why(pod, silent or End())
    text = pod.status.get("message") or pod.end.get("message")
    return ended(
        seen,
        why,
        text or (why.reason and (message or pod.disruption)),
        exit_code=None if why is _NO_COMMAND else pod.end.get("exitCode"),
        started_at=pod.started_at,
        ended_at=pod.ended_at or seen.ended_at,
    )


def _why(pod: Pod, silent: End) -> End:
    cause = pod.end.get("reason")
    if cause in _NOT_STARTED:
        return _NO_COMMAND
    if pod.end and pod.end.get("exitCode") not in KILLED:
        return End()
    if cause == "OOMKilled":
        return End(Reason.OUT_OF_MEMORY)
    if pod.status.get("reason") == "DeadlineExceeded":
        return End(Reason.TIMED_OUT)
    if pod.disruption or cause == "ContainerStatusUnknown":  # the node went away with it
        return BROKEN
    return End() if pod.end else silent
