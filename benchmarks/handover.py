"""How well are the slots of a full pool used, and how soon does an end start the next run?"""

from __future__ import annotations

import time
from statistics import quantiles

from benchmarks.world import POOL, figure, process_runtime
from push_dispatch.core.request import Request, copies
from push_dispatch.engine.submit import submit_many

__all__ = ["main"]

RUNS, SLOTS = 120, 10


def main() -> None:
    """Print the time from an end to the next start, and the share of slots that were in use."""
    with process_runtime("sleep 1", SLOTS) as ports:
        submit_many(ports, copies(Request(POOL), RUNS))
        while not all(run.state.ended for run in ports.store.list_runs(POOL)):
            time.sleep(0.5)
        attempts = [run.attempts[0] for run in ports.store.list_runs(POOL)]
    starts = sorted(a.started_at or 0 for a in attempts)
    ends = sorted(a.ended_at or 0 for a in attempts)
    cuts = quantiles([after - end for end, after in zip(ends, starts[SLOTS:], strict=False)], n=100)
    used = sum(ends) - sum(starts)
    share = used / (SLOTS * (ends[-1] - starts[0]))
    print(f"{RUNS} processes of 1 s in a pool of {SLOTS} that is always full")
    figure("from an end to the next start, p50", f"{cuts[49]:.0f} ms", "15 ms", "111 ms")
    figure("p95", f"{cuts[94]:.0f} ms", "none", "151 ms")
    figure("slots used", f"{share:.1%}", "97 %", "89.6 %")
