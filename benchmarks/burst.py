"""How long does it take to start a thousand runs that are submitted at once?"""

from __future__ import annotations

import time

from benchmarks.world import POOL, figure, instant_runtime, until
from push_dispatch.core.request import Request, copies
from push_dispatch.engine.submit import submit_many

__all__ = ["main"]

RUNS = 1000
#: Prefect 3 with its default polling: see docs/performance.md.
PREFECT = 140


def main() -> None:
    """Print the seconds to the last start, from the first submission and from the last."""
    with instant_runtime() as (ports, instant):
        began = time.time()
        submit_many(ports, copies(Request(POOL), RUNS))
        submitted = time.time()
        until(instant, RUNS, 300)
        last = max(instant.starts.values()) / 1000
    print(f"a burst of {RUNS} runs on a platform whose start returns at once")
    figure("submitted after", f"{submitted - began:.1f} s", "none", "-")
    figure(f"all started after (Prefect {PREFECT} s)", f"{last - began:.1f} s", "2 s", "5.3 s")
