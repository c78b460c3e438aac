"""What does a job take of its platform, in real units? Read from its rendered configuration.

Weights: `vcpu`, `memory` in MiB, `gpu`. Plain data only: whoever submits or dispatches needs no
platform's library for it. A platform that is not here says nothing; a pool's own expressions do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from push_dispatch.core.errors import Invalid
from push_dispatch.platforms.prices import cores, mebibytes
from push_dispatch.platforms.registry import entry_for

__all__ = ["WEIGHED", "weights_in"]


def weights_in(pool_type: str, configuration: Mapping[str, Any]) -> dict[str, float]:
    """The units that the configuration names; empty if the platform says nothing, or if it cannot
    be read: then the push says what is wrong with it."""
    try:
        read = WEIGHED.get(entry_for(pool_type).platform)
        return read(configuration) if read else {}
    except (Invalid, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return {}


def _ecs(configuration: Mapping[str, Any]) -> dict[str, float]:
    overrides = (configuration.get("task_run_request") or {}).get("overrides") or {}
    definition = configuration.get("task_definition") or {}
    cpu, memory = (overrides.get(key) or definition.get(key) for key in ("cpu", "memory"))
    found = {"gpu": float(configuration.get("gpu") or 0)}
    if cpu:
        found["vcpu"] = _ecs_units(cpu, "vcpu") / 1024
    if memory:
        found["memory"] = _ecs_units(memory, "gb")
    return found


def _ecs_units(value: Any, unit: str) -> float:
    """CPU units or MiB, which ECS also takes as '.5 vCPU' or '2 GB'."""
    text = str(value).strip().lower()
    return float(text.removesuffix(unit)) * 1024 if text.endswith(unit) else float(text)


def _aci(configuration: Mapping[str, Any]) -> dict[str, float]:
    return {
        "vcpu": float(configuration.get("cpu") or 1),
        "memory": float(configuration.get("memory") or 1) * 1024,
        "gpu": float(configuration.get("gpu_count") or 0),
    }


def _cloud_run(configuration: Mapping[str, Any]) -> dict[str, float]:
    task = configuration["job_body"]["template"]["template"]
    limits = [(c.get("resources") or {}).get("limits") or {} for c in task["containers"]]
    return {
        "vcpu": sum(cores(limit.get("cpu") or "1") for limit in limits),
        "memory": sum(mebibytes(limit.get("memory") or "512Mi") for limit in limits),
        "gpu": 1.0 if configuration.get("gpu_type") else 0.0,
    }


def _kubernetes(configuration: Mapping[str, Any]) -> dict[str, float]:
    containers = configuration["job_manifest"]["spec"]["template"]["spec"]["containers"]
    found = {"vcpu": 0.0, "memory": 0.0, "gpu": 0.0}
    for container in containers:
        resources = container.get("resources") or {}
        limits = resources.get("limits") or {}
        requested = {**limits, **(resources.get("requests") or {})}
        found["vcpu"] += cores(requested.get("cpu") or 0)
        found["memory"] += mebibytes(requested.get("memory") or 0)
        found["gpu"] += float(limits.get("nvidia.com/gpu") or 0)
    return found


def _modal(configuration: Mapping[str, Any]) -> dict[str, float]:
    kind, _, count = str(configuration.get("gpu") or "").partition(":")
    return {
        "vcpu": float(configuration.get("cpu") or 0),
        "memory": float(configuration.get("memory") or 0),
        "gpu": float(count or 1) if kind else 0.0,
    }


#: By platform, what reads the weights of a job.
WEIGHED: Mapping[str, Callable[[Mapping[str, Any]], dict[str, float]]] = {
    "ecs": _ecs,
    "managed": _ecs,
    "aci": _aci,
    "cloud-run": _cloud_run,
    "kubernetes": _kubernetes,
    "modal": _modal,
}
