"""From due to pushed, for single runs: what somebody who submits one run waits for."""

from __future__ import annotations

from statistics import quantiles

from benchmarks.world import POOL, figure, instant_runtime, until
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit

__all__ = ["main"]

RUNS = 100


def main() -> None:
    """Print p50 and p95."""
    waits = []
    with instant_runtime() as (ports, instant):
        for number in range(1, RUNS + 1):
            run = submit(ports, Request(POOL)).run
            until(instant, number, 30)
            waits.append(instant.starts[run.id] - run.due)
    cuts = quantiles(waits, n=100)
    print(f"due to pushed, {RUNS} single runs one after another")
    figure("p50", f"{cuts[49]:.0f} ms", "300 ms", "46 ms")
    figure("p95", f"{cuts[94]:.0f} ms", "600 ms", "102 ms")
