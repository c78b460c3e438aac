"""What does a task cost?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch.platforms.ecs.request import is_fargate, size_of
from push_dispatch.platforms.prices import price, prices

__all__ = ["estimate"]


def estimate(configuration: Mapping[str, Any], seconds: float) -> float | None:
    """US dollars on Fargate, by the prices of us-east-1 (elsewhere up to a third more).

    None on instances, which are paid for anyway, on Windows, and where only a task definition
    that the template names knows the size. Spot prices move; the usual discount is assumed.
    """
    size = size_of(configuration)
    platform = (configuration.get("task_definition") or {}).get("runtimePlatform") or {}
    if size is None or not is_fargate(configuration):
        return None
    if str(platform.get("operatingSystemFamily", "LINUX")) != "LINUX":
        return None
    listed = prices("ecs")
    seconds = max(seconds, listed["minimum_seconds"])
    of_kind = listed["arm" if platform.get("cpuArchitecture") == "ARM64" else "linux"]
    cost = price(of_kind, [(size[0] / 1024, size[1] / 1024)], seconds)
    factor = listed["spot_factor"] if _is_spot(configuration) else 1
    return cost * float(factor) + _storage(configuration, listed) * seconds / 3600


def _storage(configuration: Mapping[str, Any], listed: Mapping[str, Any]) -> float:
    overrides = (configuration.get("task_run_request") or {}).get("overrides") or {}
    definition = configuration.get("task_definition") or {}
    storage = overrides.get("ephemeralStorage") or definition.get("ephemeralStorage") or {}
    extra: float = max(0, int(storage.get("sizeInGiB") or 0) - listed["storage_gb_free"])
    return extra * float(listed["storage_gb_hour"])


def _is_spot(configuration: Mapping[str, Any]) -> bool:
    request = configuration.get("task_run_request") or {}
    strategy = request.get("capacityProviderStrategy") or []
    if strategy:
        return all(provider.get("capacityProvider") == "FARGATE_SPOT" for provider in strategy)
    return request.get("launchType") == "FARGATE_SPOT"
