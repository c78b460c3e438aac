"""What does an execution cost?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.cloud_run.request import cleaned
from push_dispatch.platforms.prices import cores, mebibytes, prices

__all__ = ["estimate"]


def estimate(configuration: Mapping[str, Any], seconds: float) -> float | None:
    """US dollars by the prices of the cheaper regions (elsewhere up to a half more). None with
    GPUs, and where the template cannot be read.

    Cloud Run counts from the start of the container to its end, in steps of 100 ms, and a minute
    at least. Source: https://cloud.google.com/run/pricing
    """
    try:
        task = cleaned(configuration)["template"]["template"]
        if task.get("nodeSelector"):
            return None
        sizes = [_size(container) for container in task["containers"]]
    except (Rejected, KeyError, TypeError, ValueError, AttributeError):
        return None
    listed = prices("cloud-run")
    vcpus, memory = (sum(size[index] for size in sizes) for index in (0, 1))
    each_second = vcpus * listed["vcpu_second"] + memory * listed["gib_second"]
    tasks = int(cleaned(configuration)["template"].get("taskCount") or 1)
    return float(each_second * max(seconds, listed["minimum_seconds"]) * tasks)


def _size(container: Mapping[str, Any]) -> tuple[float, float]:
    """Cores and GiB, by default those of Cloud Run. Raises ValueError."""
    limits = (container.get("resources") or {}).get("limits") or {}
    return cores(limits.get("cpu") or 1), mebibytes(limits.get("memory") or "512Mi") / 1024
