"""What does an execution cost?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.cloud_run.request import cleaned
from push_dispatch.platforms.prices import cores, mebibytes, price, prices

__all__ = ["estimate"]


def estimate(configuration: Mapping[str, Any], seconds: float) -> float | None:
    """US dollars by the prices of the cheaper regions (elsewhere up to a half more). None with
    GPUs, and where the template cannot be read.

    Cloud Run counts from the start of the container to its end, in steps of 100 ms, and a minute
    at least. Source: https://cloud.google.com/run/pricing
    """
    try:
        execution = cleaned(configuration)["template"]
        sizes = [_size(container) for container in execution["template"]["containers"]]
        tasks = int(execution.get("taskCount") or 1)
    except (Rejected, KeyError, TypeError, ValueError, AttributeError):
        return None
    if execution["template"].get("nodeSelector"):
        return None
    return price(prices("cloud-run"), sizes, seconds) * tasks


def _size(container: Mapping[str, Any]) -> tuple[float, float]:
    """Cores and GiB, by default those of Cloud Run. Raises ValueError."""
    limits = (container.get("resources") or {}).get("limits") or {}
    return cores(limits.get("cpu") or 1), mebibytes(limits.get("memory") or "512Mi") / 1024
