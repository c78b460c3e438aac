"""What do a batch job and its cluster say about the attempt? A pure function.

The words are those that Coiled's client tells apart: a task is over when its state is `done` or
`error` or when it has an exit code, and its cluster has a state of its own, with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from push_dispatch.core.model import Observation, Status
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.ends import BROKEN, End, ended, ends, explained
from push_dispatch.platforms.shared import milliseconds

__all__ = ["read"]

#: States of a cluster on which nothing runs any more.
_OVER = {"stopped", "error"}
#: What the reason of the cluster's state tells.
ENDS = ends(__name__)


def read(jobs: Sequence[Mapping[str, Any]], seen: Observation) -> Observation:
    """Return `seen` with what is known of the cluster's only job."""
    if not jobs:
        return replace(seen, status=Status.STARTING)
    [job, *_] = jobs
    task: Mapping[str, Any] = next(iter(job.get("tasks") or []), {})
    seen = replace(
        seen, started_at=milliseconds(task.get("start")), ended_at=milliseconds(task.get("stop"))
    )
    cluster, job_state = str(job.get("cluster_state") or ""), str(job.get("state") or "")
    state, code = task.get("state"), task.get("exit_code")
    if code is not None and (task.get("stop") or code or state == "done"):
        return ended(seen, End(), exit_code=int(code))
    if cluster in _OVER or state == "error" or "done" in job_state:
        why = str(job.get("cluster_state_reason") or "")
        return _without_code(seen, cluster, why or f"the cluster is {cluster}, the task {state}")
    return replace(seen, status=Status.RUNNING if task.get("start") else Status.STARTING)


def _without_code(seen: Observation, cluster: str, why: str) -> Observation:
    """A cluster that was stopped says why, if it was not somebody."""
    silent = cluster == "stopped" and why.startswith("the cluster is")
    end = End(Reason.STOPPED_ON_REQUEST) if silent else BROKEN
    return ended(seen, explained(ENDS, why) or end, why)
