"""What does the server hear at once, without waiting for the next tick?

Where an attempt executes, as soon as the platform has taken it; and that it has died or was
stopped. An attempt that ended well has reported its own end: the next tick finds out if it has not.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence

from push_dispatch.control.prefect import proposals
from push_dispatch.control.prefect.attachment import Attachment, Bridge, attachments
from push_dispatch.control.prefect.judge import Act, judge
from push_dispatch.control.prefect.runs import Turn, flow_run_of
from push_dispatch.core.errors import PushDispatchError
from push_dispatch.core.model import Run
from push_dispatch.core.reasons import Reason
from push_dispatch.ports.prefect import Server

__all__ = ["settle", "worth_settling"]

log = logging.getLogger(__name__)

#: Ends of which the server knows: by the container itself, or because it wanted them.
_KNOWN = frozenset({Reason.COMPLETED, Reason.WITHDRAWN})


def worth_settling(run: Run) -> bool:
    """Whether the server should hear of this run now."""
    if not flow_run_of(run):
        return False
    if run.state.ended:
        return run.reason not in _KNOWN
    current = run.current
    return current is not None and current.handle is not None


def settle(bridge: Bridge, runs: Iterable[Run]) -> int:
    """Tell the servers of these runs as they are now; return how many ends were reported. What a
    server cannot be told now, the next tick does. Idempotent."""
    by_pool: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        if worth_settling(run):
            by_pool[run.pool].append(run)
    found = {a.pool: a for a in attachments(bridge.ports)} if by_pool else {}
    reported = 0
    for pool, some in by_pool.items():
        attachment = found.get(pool)
        if attachment is None:
            continue
        try:
            reported += _settle(bridge, attachment, some)
        except PushDispatchError as error:
            log.warning("pool %s: left to the next tick: %s", pool, error.message)
    return reported


def _settle(bridge: Bridge, attachment: Attachment, runs: Sequence[Run]) -> int:
    server = bridge.server(attachment.address)
    for run in runs:
        if not run.state.ended:
            proposals.note_handle(server, flow_run_of(run), run)
    ended = {flow_run_of(run): run for run in runs if run.state.ended}
    return _propose_ends(bridge, server, attachment, ended) if ended else 0


def _propose_ends(
    bridge: Bridge, server: Server, attachment: Attachment, ended: dict[str, Run]
) -> int:
    reported, now = 0, bridge.ports.clock()
    for flow_run in server.runs(ended).values():
        run = ended[flow_run.id]
        verdict = judge(flow_run, Turn(1, run), attachment.bridge, now)
        if verdict.if_claimed and server.last_claim(flow_run.id) != attachment.bridge:
            continue
        if verdict.act is Act.CANCELLED:
            proposals.cancelled(server, flow_run.id, verdict.message)
            reported += 1
        elif verdict.act is Act.CRASHED:
            unstarted = flow_run.state.type != "RUNNING"
            proposals.crashed(server, flow_run.id, verdict.message, now, failed_start=unstarted)
            reported += 1
    return reported
