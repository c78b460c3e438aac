"""What does a sandbox cost?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch.platforms.prices import price, prices

__all__ = ["estimate"]


def estimate(configuration: Mapping[str, Any], seconds: float) -> float | None:
    """US dollars for what the sandbox asks for; what it uses beyond that costs more. None with
    GPUs."""
    if configuration.get("gpu"):
        return None
    listed = prices("modal")
    try:
        cores = float(configuration.get("cpu") or listed["default_cores"])
        gib = float(configuration.get("memory") or listed["default_mib"]) / 1024
    except (TypeError, ValueError):
        return None
    return price(listed, [(cores, gib)], seconds)
