"""Why does a flow run wait, in Prefect's own interface? Once per change of the reason.

Only runs that are due: the server deletes and makes anew the future runs of a deployment at each
change of it. And only after the server has had its time to mark them Late, so that people's alarms
on Late go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from push_dispatch.control.prefect.attachment import Attachment
from push_dispatch.core.admission import Snapshot, decide
from push_dispatch.core.model import Pool, Ready
from push_dispatch.core.reasons import Reason, describe
from push_dispatch.ports import Ports
from push_dispatch.ports.prefect import FlowRun, Proposal, Server

__all__ = ["SHOWN", "explain_waits", "waiting_text"]

#: Seconds after which a run that is due shows why it waits; the server marks it Late after 15.
SHOWN_AFTER_SECONDS = 20
#: Runs whose reasons one tick writes: each is a state of the server's, which it keeps for ever.
SHOWN = 50
#: Places of each queue that are read to find reasons.
_DEPTH = 100
#: The name of the state: one of our own, since those of the server have side effects.
_NAME = "AwaitingSlot"


def explain_waits(
    ports: Ports,
    server: Server,
    attachment: Attachment,
    flow_runs: Mapping[str, FlowRun],
) -> int:
    """Write the reason of each of these flow runs, by the uuid of our run, that is due and waits
    with us; return how many were written. Those that say so already are left alone."""
    now, written = ports.clock(), 0
    for flow_run, text in _changed(ports, attachment, flow_runs, now):
        if written == SHOWN:
            break
        proposal = Proposal(
            "SCHEDULED",
            ("SCHEDULED",),
            name=_NAME,
            message=text,
            # Without its time it would be due now, and jump the line.
            scheduled_time=flow_run.due_text,
            if_due=flow_run.due_text,
        )
        server.propose([flow_run.id], proposal)
        written += 1
    return written


def _changed(
    ports: Ports, attachment: Attachment, flow_runs: Mapping[str, FlowRun], now: int
) -> Iterator[tuple[FlowRun, str]]:
    latest = now - SHOWN_AFTER_SECONDS * 1000
    due = {uuid: f for uuid, f in flow_runs.items() if f.due is not None and f.due <= latest}
    pool = ports.store.pool(attachment.pool) if due else None
    if pool is None:
        return
    for ready, reason in _reasons(ports, pool, now):
        flow_run = due.get(ready.run)
        if flow_run is not None:
            text = waiting_text(pool, ready.queue, reason, attachment.work_pool)
            if text and text != flow_run.state.message:
                yield flow_run, text


def _reasons(ports: Ports, pool: Pool, now: int) -> Iterator[tuple[Ready, str]]:
    """By the same decision as the admission: it can tell no other story than what happens."""
    ledger = ports.store.ledger(pool.name)
    circuit = ports.store.circuit(pool.name, pool.last_type)
    lines = {q.name: ports.store.line(pool.name, q.name, _DEPTH, due=now) for q in pool.queues}
    for wait in decide(Snapshot(pool, ledger, lines, circuit), now).wait:
        if wait.reason != Reason.HANDING_OVER:
            yield wait.ready, wait.reason


def waiting_text(pool: Pool, queue: str, reason: str, work_pool: str) -> str:
    """One sentence that says why, and one that says what to do in Prefect. It names no place in
    line, which changes all the time."""
    limit = next((q.limit for q in pool.queues if q.name == queue), None)
    known: dict[str, tuple[str, str]] = {
        Reason.POOL_PAUSED: (
            f"Work pool {work_pool!r} is paused.",
            f"prefect work-pool resume {work_pool!r}",
        ),
        Reason.QUEUE_PAUSED: (
            f"Work queue {queue!r} is paused.",
            f"prefect work-queue resume {queue!r} --pool {work_pool!r}",
        ),
        Reason.POOL_LIMIT_ZERO: (
            f"The concurrency limit of work pool {work_pool!r} is 0.",
            f"prefect work-pool set-concurrency-limit {work_pool!r} N",
        ),
        Reason.QUEUE_LIMIT_ZERO: (
            f"The concurrency limit of work queue {queue!r} is 0.",
            f"prefect work-queue set-concurrency-limit {queue!r} N --pool {work_pool!r}",
        ),
        Reason.QUEUE_LIMIT: (
            f"Work queue {queue!r} is full ({limit} of {limit}).",
            "Wait for a run of it to end, or raise its limit.",
        ),
        Reason.POOL_LIMIT: (
            f"Work pool {work_pool!r} is full ({pool.limit} of {pool.limit}).",
            "Wait for a run of it to end, or raise its limit.",
        ),
        Reason.BEHIND_OTHERS: (
            "Runs of a higher priority, or due earlier, are served first.",
            "Wait, or use a queue of a higher priority.",
        ),
    }
    described = describe(reason)
    sentence, remedy = known.get(reason, (described.sentence, described.remedy))
    return f"push-dispatch: {sentence} {remedy}"
