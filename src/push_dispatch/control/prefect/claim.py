"""Who may start a flow run? Whoever moves it from SCHEDULED to PENDING at the server.

Claim: what stands between admission and push for pools that are attached. Our slot is reserved
first, then the flow run is claimed, then it is pushed, so that a flow run never waits in PENDING
for a slot of ours. The claim carries the bridge's id as its transition id: repeated after a lost
reply it is answered "already made", which is ours; anybody else's is refused.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from push_dispatch.control.prefect.attachment import GATEWAY, Attachment, Bridge, attachments
from push_dispatch.control.prefect.runs import flow_run_of
from push_dispatch.core.errors import NotFound, PushDispatchError
from push_dispatch.core.events import Event, Expire, GiveBack, Reject
from push_dispatch.core.model import Run, parse_run_id
from push_dispatch.core.reasons import Reason
from push_dispatch.engine.transition import transition
from push_dispatch.platforms.registry import entry_for
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Push
from push_dispatch.ports.prefect import Answer, Overloaded, Proposal

__all__ = ["Claimed", "claim"]

log = logging.getLogger(__name__)

#: Seconds until a claim is tried again that the server could not be reached for.
RETRY_SECONDS = 10
#: A message that was tried for so long is dropped: the sweep sends it again each minute.
DROP_AFTER_SECONDS = 150
#: What the server says of a claim that we have made before.
_OURS = "already made"
#: A deployment at its limit is offered again by the server after this time.
_SLOT_WAIT_SECONDS = 30


@dataclass(slots=True)
class Claimed:
    """What a batch has come to, for the log."""

    forwarded: int = 0
    withdrawn: int = 0
    postponed: int = 0
    later: int = 0
    pools: list[str] = field(default_factory=list)


def claim(bridge: Bridge, pushes: Sequence[Push]) -> Claimed:
    """Claim the flow runs of these attempts, and send those that are ours to their platforms.

    Idempotent. A server that cannot be reached fails no run: its attempts are tried again. Raises
    Unavailable if our own store or queue cannot be reached.
    """
    done, found = Claimed(), {a.pool: a for a in attachments(bridge.ports)}
    by_pool: dict[str, list[Push]] = defaultdict(list)
    for push in pushes:
        by_pool[parse_run_id(push.run)[0]].append(push)
    for pool, some in by_pool.items():
        done.pools.append(pool)
        _claim_of(bridge, found.get(pool), pool, some, done)
    return done


def _claim_of(
    bridge: Bridge, attachment: Attachment | None, pool: str, pushes: Sequence[Push], done: Claimed
) -> None:
    ports = bridge.ports
    runs = ports.store.runs(pool, (parse_run_id(push.run)[1] for push in pushes))
    wanted: dict[str, tuple[Push, Run]] = {}
    for push in pushes:
        run = runs.get(parse_run_id(push.run)[1])
        if run is None or not run.waits_for(push.attempt) or not flow_run_of(run):
            _forward(ports, push, done)  # Over, or claimed before: push knows what to do.
        elif attachment is None:
            _end(ports, run, Expire(Reason.WITHDRAWN), done)  # Detached meanwhile.
        else:
            wanted[flow_run_of(run)] = (push, run)
    if attachment is None or not wanted:
        return
    try:
        answers = bridge.server(attachment.address).propose(
            list(wanted), _proposal(attachment.bridge)
        )
    except PushDispatchError as error:
        # Also credentials that are refused: a person corrects them, and no run is lost.
        log.warning("pool %s: flow runs are claimed later: %s", pool, error.message)
        bridge.close(attachment.address)
        _retry(ports, [push for push, _ in wanted.values()], error, done)
        return
    for flow_run, (push, run) in wanted.items():
        _settle(ports, push, run, answers.get(flow_run), done)


def _proposal(bridge: str) -> Proposal:
    # Named "Pending" and nothing else: another name would be accepted from two claimers.
    return Proposal(
        "PENDING",
        ("SCHEDULED", "PENDING"),
        name="Pending",
        message="Claimed by push-dispatch",
        transition_id=bridge,
    )


def _settle(ports: Ports, push: Push, run: Run, answer: Answer | None, done: Claimed) -> None:
    if answer is not None and (answer.status == "ACCEPT" or _OURS in answer.reason):
        _forward(ports, push, done)
        return
    after = answer.state if answer else None
    if answer is not None and answer.status == "WAIT":
        _later(ports, [push], max(1.0, answer.delay_seconds), done)
    elif answer is not None and answer.status == "REJECT" and after and after.type == "SCHEDULED":
        # Its deployment runs as often as it may: the slot goes back, the run waits.
        soonest = ports.clock() + _SLOT_WAIT_SECONDS * 1000
        back = GiveBack(
            push.attempt, Reason.DEPLOYMENT_LIMIT, answer.reason, due=after.scheduled or soonest
        )
        transition(ports, run.pool, run.uuid, back, run=run)
        done.postponed += 1
    else:
        _end(ports, run, Expire(Reason.WITHDRAWN), done)


def _end(ports: Ports, run: Run, event: Event, done: Claimed) -> None:
    transition(ports, run.pool, run.uuid, event, run=run)
    done.withdrawn += 1


def _forward(ports: Ports, push: Push, done: Claimed) -> None:
    try:
        ports.messages.send(entry_for(push.type).platform, [push])
        done.forwarded += 1
    except NotFound as error:
        pool, uuid = parse_run_id(push.run)
        reject = Reject(push.attempt, error.reason, error.message, unless_claimed=True)
        transition(ports, pool, uuid, reject)


def _retry(ports: Ports, pushes: Sequence[Push], error: Exception, done: Claimed) -> None:
    """Keep the slots: a server that restarts is back in seconds."""
    oldest = ports.clock() - DROP_AFTER_SECONDS * 1000
    young = [push for push in pushes if not push.since or push.since > oldest]
    after = error.after_seconds if isinstance(error, Overloaded) else None
    _later(ports, young, max(RETRY_SECONDS, after or 0), done)


def _later(ports: Ports, pushes: Sequence[Push], seconds: float, done: Claimed) -> None:
    if pushes:
        ports.messages.send(GATEWAY, pushes, math.ceil(seconds))
        done.later += len(pushes)
