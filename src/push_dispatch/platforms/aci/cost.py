"""What does a container group cost?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.aci.arm import resource_in
from push_dispatch.platforms.prices import prices

__all__ = ["estimate"]


def estimate(configuration: Mapping[str, Any], seconds: float) -> float | None:
    """US dollars by the prices of East US (elsewhere up to a half more). None for Windows, GPUs and
    confidential containers, and where the template cannot be read.

    Azure counts from the first byte of the image that is pulled to the end of the group.
    """
    try:
        names = {"container_group_name": "group", "container_name": "job"}
        resource = resource_in(configuration.get("arm_template") or {}, names)
        properties = resource.get("properties") or {}
        sizes = [_size(container, configuration) for container in properties["containers"]]
    except (Rejected, KeyError, TypeError, ValueError):
        return None
    if None in sizes or str(properties.get("osType") or "Linux") != "Linux":
        return None
    if str(properties.get("sku") or "Standard") != "Standard":
        return None
    listed = prices("aci")
    cores, memory = (sum(size[index] for size in sizes if size) for index in (0, 1))
    hourly = cores * listed["vcpu_hour"] + memory * listed["gb_hour"]
    if properties.get("priority") == "Spot":
        hourly *= listed["spot_factor"]
    return float(hourly * seconds / 3600)


def _size(
    container: Mapping[str, Any], configuration: Mapping[str, Any]
) -> tuple[float, float] | None:
    """Cores and GB; None with a GPU."""
    requests = ((container.get("properties") or {}).get("resources") or {}).get("requests") or {}
    if requests.get("gpu") or configuration.get("gpu_count"):
        return None
    cores = requests.get("cpu") or configuration.get("cpu") or 1
    memory = requests.get("memoryInGB") or configuration.get("memory") or 1
    return float(cores), float(memory)
