"""How do Prefect's JSON documents become values? Tolerant of what later versions add."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from push_dispatch.ports.prefect import (
    Answer,
    Deployment,
    FlowRun,
    Proposal,
    State,
    WorkPool,
    WorkQueue,
)

__all__ = [
    "answer",
    "deployment",
    "flow_run",
    "iso",
    "milliseconds",
    "proposed",
    "state",
    "work_pool",
    "work_queue",
]

Document = Mapping[str, Any]


def milliseconds(text: str) -> int:
    """Epoch milliseconds of a time, rounded up: what is due then is never begun before."""
    at = datetime.fromisoformat(text)
    seconds = int(at.replace(microsecond=0).timestamp())
    return seconds * 1000 + -(-at.microsecond // 1000)


def iso(at: int) -> str:
    """The text of a time in epoch milliseconds."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat().replace("+00:00", "Z")


def state(found: Document) -> State:
    details = found.get("state_details") or {}
    scheduled = details.get("scheduled_time")
    return State(
        id=found.get("id") or "",
        type=found["type"],
        name=found.get("name") or "",
        message=found.get("message") or "",
        timestamp=milliseconds(found["timestamp"]),
        transition_id=details.get("transition_id") or "",
        scheduled=milliseconds(scheduled) if scheduled else None,
        reschedules=bool(details.get("pause_reschedule")),
    )


def flow_run(found: Document) -> FlowRun:
    due = found.get("next_scheduled_start_time") or ""
    return FlowRun(
        id=found["id"],
        name=found.get("name") or "",
        state=state(found["state"]),
        pool_id=found.get("work_pool_id") or "",
        queue_id=found.get("work_queue_id") or "",
        flow_id=found.get("flow_id") or "",
        deployment_id=found.get("deployment_id") or "",
        due=milliseconds(due) if due else None,
        due_text=due,
        infrastructure_pid=found.get("infrastructure_pid") or "",
        job_variables=found.get("job_variables") or {},
        tags=tuple(found.get("tags") or ()),
        retries_in_process=(found.get("empirical_policy") or {}).get("retry_type") == "in_process",
    )


def work_pool(found: Document) -> WorkPool:
    return WorkPool(
        id=found["id"],
        name=found["name"],
        type=found["type"],
        template=found.get("base_job_template") or {},
        limit=found.get("concurrency_limit"),
        paused=bool(found.get("is_paused")),
        status=found.get("status") or "",
        default_queue_id=found.get("default_queue_id") or "",
        mark=found.get("updated") or "",
    )


def work_queue(found: Document) -> WorkQueue:
    return WorkQueue(
        id=found["id"],
        name=found.get("name") or "",
        priority=found.get("priority") or 1,
        limit=found.get("concurrency_limit"),
        paused=bool(found.get("is_paused")),
    )


def deployment(found: Document) -> Deployment:
    return Deployment(
        id=found["id"],
        name=found["name"],
        job_variables=found.get("job_variables") or {},
        paused=bool(found.get("paused")),
        updated=found.get("updated") or "",
    )


def answer(found: Document) -> Answer:
    details = found.get("details") or {}
    after = found.get("state")
    return Answer(
        status=found["status"],
        state=state(after) if after else None,
        reason=details.get("reason") or "",
        delay_seconds=float(details.get("delay_seconds") or 0),
    )


def proposed(proposal: Proposal) -> dict[str, Any]:
    """The state to send."""
    document: dict[str, Any] = {"type": proposal.type}
    if proposal.name:
        document["name"] = proposal.name
    if proposal.message:
        document["message"] = proposal.message
    details: dict[str, Any] = {}
    if proposal.transition_id:
        details["transition_id"] = proposal.transition_id
    if proposal.scheduled_time:
        details["scheduled_time"] = proposal.scheduled_time
    elif proposal.scheduled_at is not None:
        details["scheduled_time"] = iso(proposal.scheduled_at)
    if details:
        document["state_details"] = details
    return document
