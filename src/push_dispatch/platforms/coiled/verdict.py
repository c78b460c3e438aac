"""What do a batch job and its cluster say about the attempt? A pure function.

The words are those that Coiled's client tells apart: a task is over when its state is `done` or
`error` or when it has an exit code, and its cluster has a state of its own, with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from push_dispatch.core.model import Observation, Status
from push_dispatch.platforms.refusals import wording
from push_dispatch.platforms.shared import milliseconds

__all__ = ["read"]

#: States of a cluster on which nothing runs any more.
_OVER = {"stopped", "error"}
#: What the reason of the cluster's state tells, first match first, and whether again.
_BY_TEXT = (
    (r"\bspot\b.*\b(interrupt|terminat|reclaim)|\bpreempted", "spot_interruption", True),
    (r"account is currently blocked", "platform_rejected", False),
    (r"capacity|insufficient|\bquota\b|stockout|core limit", "no_capacity", True),
    (r"\bimage\b.*\b(not found|denied|unauthorized)|manifest unknown", "image_pull_failed", False),
    (r"\bout of memory\b|\boom.?kill", "out_of_memory", True),
    (r"\b(stopped|closed|shut down|requested) by\b|\bcancel", "stopped_on_request", True),
)
_BROKEN = ("infrastructure_failure", True)


def read(jobs: Sequence[Mapping[str, Any]], seen: Observation) -> Observation:
    """Return `seen` with what is known of the cluster's only job."""
    if not jobs:
        return replace(seen, status=Status.STARTING)
    [job, *_] = jobs
    task: Mapping[str, Any] = next(iter(job.get("tasks") or []), {})
    seen = replace(
        seen, started_at=milliseconds(task.get("start")), ended_at=milliseconds(task.get("stop"))
    )
    cluster, told = str(job.get("cluster_state") or ""), str(job.get("state") or "")
    state, code = task.get("state"), task.get("exit_code")
    if code is not None and (task.get("stop") or code or state == "done"):
        return replace(seen, status=Status.ENDED, exit_code=int(code))
    if cluster in _OVER or state == "error" or "done" in told:
        why = str(job.get("cluster_state_reason") or "")
        return _without_code(seen, cluster, why or f"the cluster is {cluster}, the task {state}")
    return replace(seen, status=Status.RUNNING if task.get("start") else Status.STARTING)


def _without_code(seen: Observation, cluster: str, why: str) -> Observation:
    """A cluster that was stopped says why, if it was not somebody."""
    told = wording(why)
    found = (
        (reason, again)
        for words, reason, again in _BY_TEXT
        if re.search(words, told, re.IGNORECASE)
    )
    silent = cluster == "stopped" and why.startswith("the cluster is")
    reason, again = next(found, ("stopped_on_request", True) if silent else _BROKEN)
    return replace(
        seen, status=Status.ENDED, reason=reason, retryable=again, message=why[:500] or None
    )
