"""What do a batch job and its cluster say about the attempt? A pure function.

The words are those that Coiled's client tells apart: a job whose state has `done` in it is over,
its task has an exit code, and its cluster a state of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from push_dispatch.core.model import Observation, Status

__all__ = ["read"]

#: States of a cluster on which nothing runs any more.
_OVER = {"stopped": "stopped_on_request", "error": "infrastructure_failure"}


def read(jobs: Sequence[Mapping[str, Any]], seen: Observation) -> Observation:
    """`seen` with what is known of the cluster's only job."""
    if not jobs:
        return replace(seen, status=Status.STARTING)
    [job, *_] = jobs
    task: Mapping[str, Any] = next(iter(job.get("tasks") or []), {})
    seen = replace(
        seen, started_at=_milliseconds(task.get("start")), ended_at=_milliseconds(task.get("stop"))
    )
    if task.get("exit_code") is not None and task.get("stop"):
        return replace(seen, status=Status.ENDED, exit_code=int(task["exit_code"]))
    cluster = str(job.get("cluster_state") or "")
    why = job.get("cluster_state_reason") or f"the cluster is {cluster}"
    if cluster in _OVER:
        return replace(seen, status=Status.ENDED, reason=_OVER[cluster], message=str(why)[:500])
    if "done" in str(job.get("state") or ""):
        return replace(seen, status=Status.ENDED, reason="infrastructure_failure", message=str(why))
    return replace(seen, status=Status.RUNNING if task.get("start") else Status.STARTING)


def _milliseconds(timestamp: str | None) -> int | None:
    if not timestamp:
        return None
    moment = datetime.fromisoformat(timestamp)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
