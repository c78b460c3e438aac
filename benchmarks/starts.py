"""From due to the start of a process, for single runs: what a laptop waits for."""

from __future__ import annotations

import time
from statistics import quantiles

from benchmarks.world import POOL, figure, process_runtime
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit

__all__ = ["main"]

RUNS = 100


def main() -> None:
    """Print p50 and p95."""
    waits = []
    with process_runtime("true") as ports:
        for _ in range(RUNS):
            run = submit(ports, Request(POOL)).run
            while not ((now := ports.store.run(POOL, run.uuid)) and now.state.ended):
                time.sleep(0.005)
            waits.append((now.attempts[0].started_at or 0) - run.due)
    cuts = quantiles(waits, n=100)
    print(f"due to process start, {RUNS} single runs one after another")
    figure("p50", f"{cuts[49]:.0f} ms", "15 ms", "84 ms")
    figure("p95", f"{cuts[94]:.0f} ms", "none", "104 ms")
