"""Can a hint of the server be followed without a look at it?

A hint at a flow run that was just scheduled brings all that it is submitted from, so that an ad-hoc
run costs no more than its claim and the note of its place. Whatever else may have happened is found
by a look: the hint may be late, or a copy.
"""

from __future__ import annotations

from collections.abc import Iterable

from push_dispatch.control.prefect.attachment import Attachment, Bridge
from push_dispatch.control.prefect.runs import newest
from push_dispatch.control.prefect.submits import New, submit_turns
from push_dispatch.control.prefect.tick import AHEAD_SECONDS
from push_dispatch.ports.prefect import Hint

__all__ = ["follow"]


def follow(bridge: Bridge, some: Iterable[Attachment], hint: Hint) -> bool:
    """Do what a hint that came for one of these attachments is about; return False if only a look
    can. Idempotent."""
    flow_run = hint.flow_run
    attachment = next((a for a in some if a.pool_id == flow_run.pool_id), None)
    if attachment is None or flow_run.state.type != "SCHEDULED" or flow_run.due is None:
        return False
    now = bridge.ports.clock()
    if flow_run.due > now:
        # The minute's look reads it in time, unless that has been.
        return flow_run.due > now + AHEAD_SECONDS * 1000
    if attachment.draining or not _as_mirrored(attachment, hint):
        return False
    turn = newest(bridge.ports, attachment.pool, [flow_run.id])[flow_run.id]
    if turn.run is not None:
        return False  # A rerun, or old news: `judge` knows which, with what the server says now.
    first = New(flow_run, 1, hint.deployment, hint.flow_name)
    submit_turns(bridge.ports, bridge.server(attachment.address), attachment, [first])
    return True


def _as_mirrored(attachment: Attachment, hint: Hint) -> bool:
    """Whether pool and queue are as we know them: a pause, a limit, a template count at once."""
    marks, flow_run = attachment.marks, hint.flow_run
    return (
        bool(hint.pool_mark)
        and marks.get(flow_run.pool_id) == hint.pool_mark
        and marks.get(flow_run.queue_id) == hint.queue_mark
    )
