"""What does a Job or one of its pods look like? Pure readers of their fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from push_dispatch.platforms.kubernetes.request import CONTAINERS, START_SECONDS
from push_dispatch.platforms.shared import milliseconds

__all__ = [
    "changed_at",
    "containers_of",
    "disruption_of",
    "ends_of",
    "event_time",
    "failed_others",
    "is_over",
    "newest",
    "patience_of",
    "phase_of",
    "started_at",
    "state_of",
    "unscheduled",
    "waiting_since",
]

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


def phase_of(pod: Mapping[str, Any]) -> str:
    return str((pod.get("status") or {}).get("phase"))


def is_over(pod: Mapping[str, Any]) -> bool:
    return phase_of(pod) in {"Succeeded", "Failed"}


def state_of(pod: Mapping[str, Any], own: str) -> Mapping[str, Any]:
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


def failed_others(pod: Mapping[str, Any]) -> str:
    codes = {
        c.get("name"): (c.get("state") or {}).get("terminated", {}).get("exitCode")
        for c in (pod.get("status") or {}).get("containerStatuses") or []
    }
    failed = [f"{name} has exited with {code}" for name, code in codes.items() if code]
    return ", ".join(failed) or "see its conditions"


def started_at(pod: Mapping[str, Any], own: str) -> int | None:
    state = state_of(pod, own)
    begun = state.get("running") or state.get("terminated") or {}
    return milliseconds(begun.get("startedAt"))


def disruption_of(pod: Mapping[str, Any]) -> str | None:
    status = pod.get("status") or {}
    if status.get("reason") in _DISRUPTED:
        return str(status["reason"])
    for condition in _conditions(pod):
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return str(condition.get("reason"))
    return None


def unscheduled(pod: Mapping[str, Any]) -> str | None:
    """Return why the pod has no node (yet): to wait for one is no error."""
    for condition in _conditions(pod):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', 'Unschedulable')}: {condition.get('message', '')}"
    return None


def _conditions(thing: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (thing.get("status") or {}).get("conditions") or []


def ends_of(job: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return {
        condition["type"]: condition
        for condition in _conditions(job)
        if condition.get("status") == "True" and condition["type"] in {"Complete", "Failed"}
    }


def _annotation(thing: Mapping[str, Any], key: str) -> str | None:
    return ((thing.get("metadata") or {}).get("annotations") or {}).get(key)


# -- times ------------------------------------------------------------------------------------


def patience_of(job: Mapping[str, Any]) -> float:
    return float(_annotation(job, START_SECONDS) or 0)


def waiting_since(job: Mapping[str, Any], pod: Mapping[str, Any] | None) -> float:
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
    return not is_over(pod), str(pod["metadata"].get("creationTimestamp") or "")


def event_time(event: Mapping[str, Any]) -> str:
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((time for time in times if time), ""))


def changed_at(condition: Mapping[str, Any]) -> int | None:
    return milliseconds(condition.get("lastTransitionTime"))
