"""What does a container group cost?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.aci.arm import resource_in
from push_dispatch.platforms.prices import price, prices

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
    kind = properties.get("osType") or "Linux", properties.get("sku") or "Standard"
    if kind != ("Linux", "Standard"):
        return None
    listed = prices("aci")
    factor = listed["spot_factor"] if properties.get("priority") == "Spot" else 1
    return price(listed, sizes, seconds) * float(factor)


def _size(container: Mapping[str, Any], configuration: Mapping[str, Any]) -> tuple[float, float]:
    """Cores and GB. Raises ValueError with a GPU."""
    requests = ((container.get("properties") or {}).get("resources") or {}).get("requests") or {}
    if requests.get("gpu") or configuration.get("gpu_count"):
        raise ValueError("no price is known for GPUs")
    cores = requests.get("cpu") or configuration.get("cpu") or 1
    memory = requests.get("memoryInGB") or configuration.get("memory") or 1
    return float(cores), float(memory)
