"""Which runs are there, and how do they stand? What lists show, in the CLI and in the API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from typing import Any

from push_dispatch.control.known import pool_named
from push_dispatch.core.errors import NotFound
from push_dispatch.core.model import Run, RunState, parse_run_id
from push_dispatch.core.reasons import Reason
from push_dispatch.insight.views import run_view
from push_dispatch.insight.why import reasons_of
from push_dispatch.ports import Ports

__all__ = ["newest_runs", "run_named", "run_views"]

#: Runs of a pool that are read at most, to find the newest: those with an idempotency key are not
#: in the order of their submission.
_READ = 1000


def run_named(ports: Ports, run_id: str) -> Run:
    """The run. Raises Invalid, NotFound (`run_not_found`)."""
    pool, uuid = parse_run_id(run_id)
    run = ports.store.run(pool, uuid)
    if run is None:
        raise NotFound(f"there is no run {run_id}", reason=Reason.RUN_NOT_FOUND)
    return run


def newest_runs(
    ports: Ports, pool: str | None, limit: int, *, states: frozenset[RunState] = frozenset()
) -> list[Run]:
    """The runs submitted last, the newest first; of all pools if none is named. Raises NotFound
    (`pool_not_found`)."""
    names = ports.store.pool_names() if pool is None else [pool_named(ports, pool).name]
    found: list[Run] = []
    for name in names:
        found += islice(ports.store.list_runs(name, states=states), max(_READ, limit))
    found.sort(key=lambda run: (run.submitted_at, run.order), reverse=True)
    return found[:limit]


def run_views(ports: Ports, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The views of runs, in their order, each with why it waits or how it ended."""
    by_pool: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_pool[run.pool].append(run)
    reasons: dict[str, str] = {}
    for pool, those in by_pool.items():
        reasons |= reasons_of(ports, pool, those)
    return [run_view(run, reasons.get(run.uuid)) for run in runs]
