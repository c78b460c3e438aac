"""From due to pushed, for single runs: what somebody who submits one run waits for."""

from __future__ import annotations

from statistics import quantiles

from benchmarks.world import POOL, instant_runtime, until
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit

__all__ = ["main"]

RUNS = 100
#: Prefect 3 with its default polling: see docs/performance.md.
PREFECT = (4.8, 10.0)


def main() -> None:
    """Print p50 and p95 in seconds."""
    waits = []
    with instant_runtime() as (ports, instant):
        for number in range(1, RUNS + 1):
            run = submit(ports, Request(POOL)).run
            until(instant, number, 30)
            waits.append((instant.starts[run.id] - run.due) / 1000)
    cuts = quantiles(waits, n=100)
    print(f"due to pushed, {RUNS} single runs one after another")
    print(f"  p50 {cuts[49]:.3f} s   (mark 0.3 s; Prefect {PREFECT[0]} s)")
    print(f"  p95 {cuts[94]:.3f} s   (mark 0.6 s; Prefect {PREFECT[1]} s)")
