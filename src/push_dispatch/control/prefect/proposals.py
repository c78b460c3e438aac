"""How does the server hear of what became of a flow run? Never against what it knows meanwhile.

Each proposal names the types of which the flow run must still be: a container that has reported its
own end, a person who has cancelled, a rerun are never written over. A crash is CRASHED and never
FAILED, which the server would turn into a retry that nobody carries out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from push_dispatch.control.prefect.attachment import Attachment
from push_dispatch.core.model import Run
from push_dispatch.ports.prefect import Proposal, Server

__all__ = ["cancelled", "crashed", "note_handle", "returned", "withdrawn_at_server"]

log = logging.getLogger(__name__)

_ERROR = 40


def crashed(
    server: Server, flow_run: str, message: str, now: int, *, failed_start: bool = False
) -> bool:
    """Report that the infrastructure has died; return whether the server took it. Idempotent."""
    proposal = Proposal("CRASHED", ("SCHEDULED", "PENDING", "RUNNING"), message=message)
    answers = server.propose([flow_run], proposal)
    took = any(answer.status == "ACCEPT" for answer in answers.values())
    if took and failed_start:
        # Nothing of it ran, so its logs are empty: say there why.
        server.log(flow_run, _ERROR, message, now)
    return took


def cancelled(server: Server, flow_run: str, message: str) -> None:
    """Report that the infrastructure is gone, which was wanted. Idempotent."""
    types = ("CANCELLING", "PENDING", "RUNNING")
    server.propose([flow_run], Proposal("CANCELLED", types, message=message))


def returned(server: Server, flow_run: str, message: str, due: int) -> None:
    """Give a claim back: the platform has no room, and a flow run must not wait in PENDING, where
    it holds its deployment's slot under a lease that ends. Idempotent."""
    proposal = Proposal(
        "SCHEDULED", ("PENDING",), name="AwaitingSlot", message=message, scheduled_at=due
    )
    server.propose([flow_run], proposal)


def withdrawn_at_server(server: Server, flow_runs: Sequence[str], attachment: Attachment) -> None:
    """Cancel flow runs whose queue or pool was deleted: no one would ever be offered them."""
    if flow_runs:
        message = f"push-dispatch: Its queue or work pool {attachment.work_pool!r} was deleted."
        server.propose(flow_runs, Proposal("CANCELLED", ("SCHEDULED",), message=message))


def note_handle(server: Server, flow_run: str, run: Run, known: str = "") -> None:
    """Say where the run executes, unless the server knows: cancellation and people need it."""
    handle = run.current.handle if run.current else None
    if handle and handle != known:
        server.note_infrastructure(flow_run, handle)
