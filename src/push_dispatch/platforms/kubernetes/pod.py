"""What do a Job and its pods look like? Pure readers of their fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from push_dispatch.platforms.ends import ends
from push_dispatch.platforms.kubernetes.request import CONTAINERS, START_SECONDS
from push_dispatch.platforms.shared import milliseconds

__all__ = ["Pod", "changed_at", "ends_of", "event_time", "has_waited"]

_DISRUPTIONS = ends(__name__, "disruptions")


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod that speaks for an attempt, as the API shows it."""

    shown: Mapping[str, Any]
    #: The container of the command, and the others that were asked for.
    own: str
    others: Sequence[str]

    @classmethod
    def of(cls, job: Mapping[str, Any] | None, pods: Sequence[Mapping[str, Any]]) -> Pod | None:
        """Return a pod that lives, else the youngest; None if there is none."""
        shown = max(pods, key=_age, default=None)
        if shown is None:
            return None
        own, *others = _containers_of(job, shown)
        return cls(shown, own, others)

    @property
    def status(self) -> Mapping[str, Any]:
        return self.shown.get("status") or {}

    @property
    def phase(self) -> str:
        return str(self.status.get("phase"))

    @property
    def over(self) -> bool:
        return _is_over(self.shown)

    def state_of(self, container: str) -> Mapping[str, Any]:
        """Return the state of a container. An init container that fails or waits keeps all others
        from starting, and is what there is to tell."""
        status = self.status
        states = {c.get("name"): c.get("state") for c in status.get("containerStatuses") or []}
        state: Mapping[str, Any] = states.get(container) or {}
        if state.get("running") or state.get("terminated"):
            return state
        for init in status.get("initContainerStatuses") or []:
            first: Mapping[str, Any] = init.get("state") or {}
            if first.get("waiting") or (first.get("terminated") or {}).get("exitCode"):
                return first
        return state

    @property
    def waiting(self) -> Mapping[str, Any]:
        """Reason and message of a container of the command that waits; empty if it does not."""
        return self.state_of(self.own).get("waiting") or {}

    @property
    def end(self) -> Mapping[str, Any]:
        """How the container of the command has ended; empty if it has not."""
        return self.state_of(self.own).get("terminated") or {}

    @property
    def started_at(self) -> int | None:
        state = self.state_of(self.own)
        return milliseconds((state.get("running") or self.end).get("startedAt"))

    @property
    def ended_at(self) -> int | None:
        return milliseconds(self.end.get("finishedAt"))

    @property
    def failed_containers(self) -> str:
        """Which containers have failed, for people."""
        codes = {
            c.get("name"): (c.get("state") or {}).get("terminated", {}).get("exitCode")
            for c in self.status.get("containerStatuses") or []
        }
        failed = [f"{name} has exited with {code}" for name, code in codes.items() if code]
        return ", ".join(failed) or "see its conditions"

    @property
    def disruption(self) -> str | None:
        """Return why the node or the scheduler has ended the pod, if one of them has."""
        reason = str(self.status.get("reason"))
        if any(known.matches(reason) for known in _DISRUPTIONS):
            return reason
        target = _condition(self.shown, "DisruptionTarget")
        return str(target.get("reason")) if target else None

    @property
    def unscheduled(self) -> str | None:
        """Return why the pod has no node (yet): to wait for one is no error."""
        without = _condition(self.shown, "PodScheduled", "False")
        if not without:
            return None
        return f"{without.get('reason', 'Unschedulable')}: {without.get('message', '')}"


def ends_of(job: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the conditions of a Job that has ended, by type: Complete, Failed."""
    found = {kind: _condition(job, kind) for kind in ("Complete", "Failed")}
    return {kind: condition for kind, condition in found.items() if condition}


def changed_at(condition: Mapping[str, Any]) -> int | None:
    return milliseconds(condition.get("lastTransitionTime"))


def has_waited(job: Mapping[str, Any], pod: Pod | None, now: float) -> bool:
    """Whether an attempt has waited for as long as it may: since its pod has a node, if it has."""
    scheduled = _condition(pod.shown, "PodScheduled") if pod else {}
    shown = pod.shown if pod else job
    since = changed_at(scheduled) or milliseconds(shown["metadata"].get("creationTimestamp")) or 0
    return now - since / 1000 >= float(_annotation(job, START_SECONDS) or 0)


def event_time(event: Mapping[str, Any]) -> str:
    """When an event was last seen, in the API's own notation."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((time for time in times if time), ""))


def _containers_of(job: Mapping[str, Any] | None, pod: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of the containers that were asked for, that of the command first; of Jobs
    that an earlier version has made, those of the Job."""
    for shown in (job, pod):
        if shown is not None and (names := _annotation(shown, CONTAINERS)):
            return names.split(",")
    spec = ((job or {}).get("spec") or {}).get("template") or pod
    names_of = [str(c.get("name")) for c in (spec.get("spec") or {}).get("containers") or []]
    return names_of or [""]


def _condition(shown: Mapping[str, Any], kind: str, status: str = "True") -> Mapping[str, Any]:
    """Return the condition of this type that has this status; empty if there is none."""
    conditions: Sequence[Mapping[str, Any]] = (shown.get("status") or {}).get("conditions") or []
    found = (c for c in conditions if c.get("type") == kind and c.get("status") == status)
    return next(found, {})


def _annotation(shown: Mapping[str, Any], key: str) -> str | None:
    return ((shown.get("metadata") or {}).get("annotations") or {}).get(key)


def _is_over(pod: Mapping[str, Any]) -> bool:
    return str((pod.get("status") or {}).get("phase")) in {"Succeeded", "Failed"}


def _age(pod: Mapping[str, Any]) -> tuple[bool, str]:
    return not _is_over(pod), str(pod["metadata"].get("creationTimestamp") or "")
