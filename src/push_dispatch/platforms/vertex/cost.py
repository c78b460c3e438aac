"""What does a custom job cost?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from push_dispatch.platforms.prices import price, prices

__all__ = ["estimate"]

#: GB per vCPU.
_MEMORY = {"standard": 3.75, "highmem": 6.5, "highcpu": 0.9}


def estimate(configuration: Mapping[str, Any], seconds: float) -> float | None:
    """US dollars by the prices of us-central1. None with accelerators, and for machines of other
    families than N1, the default's."""
    try:
        [pool] = configuration["job_spec"]["worker_pool_specs"]
        machine = pool["machine_spec"]
        match = re.fullmatch(r"n1-(standard|highmem|highcpu)-(\d+)", machine["machine_type"])
    except (KeyError, TypeError, ValueError):
        return None
    if match is None or machine.get("accelerator_type"):
        return None
    size = int(match[2]), int(match[2]) * _MEMORY[match[1]]
    return price(prices("vertex"), [size], seconds) * int(pool.get("replica_count") or 1)
