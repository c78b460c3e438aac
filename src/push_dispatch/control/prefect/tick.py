"""What happens once a minute, and whenever the server gives a hint? Read ahead, compare, act.

One request answers for all attached pools of a server: the runs that are due within two minutes,
and those that are PENDING, RUNNING or CANCELLING. What is due stands in our line a minute before
its time. Everything else is compared with our table, and what differs is put right: see `judge`.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from push_dispatch.control.prefect import proposals
from push_dispatch.control.prefect.attachment import (
    Attachment,
    Bridge,
    attachments,
    note,
)
from push_dispatch.control.prefect.judge import Act, Judgement, ending, judge, judge_missing
from push_dispatch.control.prefect.mirror import mirror
from push_dispatch.control.prefect.runs import Turn, flow_run_of, newest
from push_dispatch.control.prefect.submits import New, submit_turns
from push_dispatch.control.prefect.waits import explain_waits
from push_dispatch.core.errors import Invalid, NotFound, PushDispatchError, Refused, Unavailable
from push_dispatch.core.events import Expire
from push_dispatch.core.model import Run
from push_dispatch.core.reasons import Reason
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.transition import transition
from push_dispatch.ports import Ports
from push_dispatch.ports.prefect import FlowRun, Server

__all__ = ["AHEAD_SECONDS", "TICK_SECONDS", "Ticked", "tick"]

log = logging.getLogger(__name__)

TICK_SECONDS = 60
#: How far ahead runs are read: a minute before they are due they stand in our line.
AHEAD_SECONDS = 120
#: Pools and queues are read again after this time; sooner while runs wait.
MIRROR_SECONDS, BUSY_MIRROR_SECONDS = 300, 50
#: A heartbeat holds for three times this long.
BEAT_SECONDS = 600


@dataclass(slots=True)
class Ticked:
    """What a tick has done, for the log and for whoever decides when the next one is due."""

    servers: int = 0
    submitted: int = 0
    withdrawn: int = 0
    stopped: int = 0
    reported: int = 0
    explained: int = 0
    failed: list[str] = field(default_factory=list)
    #: Due times of the runs that were submitted ahead, in epoch milliseconds, by our pool.
    ahead: dict[str, list[int]] = field(default_factory=dict)
    #: Seconds until somebody has to look again, if that is before the next tick.
    again_seconds: float | None = None


def tick(bridge: Bridge, *, mirror_now: bool = False) -> Ticked:
    """Look at every attached server once. A server that cannot be reached costs the others
    nothing, and no run its life. Idempotent."""
    ticked = Ticked()
    by_server: dict[str, list[Attachment]] = defaultdict(list)
    for attachment in attachments(bridge.ports):
        by_server[repr(attachment.address)].append(attachment)
    for some in by_server.values():
        ticked.servers += 1
        address = some[0].address
        try:
            _Tick(bridge, bridge.server(address), some, ticked, mirror_now=mirror_now).run()
        except PushDispatchError as error:
            log.warning("Prefect at %s: %s", address.api_url, error.message)
            ticked.failed.append(address.api_url)
            bridge.close(address)
            _note_problem(bridge.ports, some, error.message)
    return ticked


def _note_problem(ports: Ports, some: Iterable[Attachment], problem: str) -> None:
    for attachment in some:
        if attachment.problem != problem:
            note(ports, attachment.pool, problem=problem)


class _Tick:
    """One look at one server."""

    def __init__(
        self,
        bridge: Bridge,
        server: Server,
        some: Sequence[Attachment],
        ticked: Ticked,
        *,
        mirror_now: bool,
    ) -> None:
        self.ports, self.server, self.ticked = bridge.ports, server, ticked
        self.began = bridge.ports.clock()
        self.mirror_now = mirror_now
        self.attachments = list(some)

    def run(self) -> None:
        ids = [attachment.pool_id for attachment in self.attachments]
        until = self.began + AHEAD_SECONDS * 1000
        watched = self.server.watched(ids, until)
        self.attachments = self._mirrored(self._mirror_after(watched))
        by_pool: dict[str, list[FlowRun]] = defaultdict(list)
        for flow_run in watched:
            by_pool[flow_run.pool_id].append(flow_run)
        for attachment in self.attachments:
            try:
                self._pool(attachment, by_pool[attachment.pool_id], until)
            except Unavailable:
                raise  # The others would fail as well.
            except Exception:
                # What one pool cannot take costs the others nothing.
                log.exception("pool %s", attachment.pool)
                self.ticked.failed.append(attachment.pool)

    # -- pools and queues --------------------------------------------------------------------

    def _mirror_after(self, watched: Sequence[FlowRun]) -> int:
        """How many seconds old the mirrored pools may be: while runs wait, a pause or a limit
        counts within the minute, and a run of a queue that is new needs it."""
        known = {queue for a in self.attachments for queue in a.queues}
        waiting = [flow_run for flow_run in watched if flow_run.state.type == "SCHEDULED"]
        if self.mirror_now or any(f.queue_id and f.queue_id not in known for f in waiting):
            return 0
        return BUSY_MIRROR_SECONDS if waiting else MIRROR_SECONDS

    def _mirrored(self, after_seconds: int) -> list[Attachment]:
        """The attachments after what is due of their bookkeeping."""
        stale = self.began - after_seconds * 1000
        if all(attachment.mirrored_at > stale for attachment in self.attachments):
            return self.attachments
        pools = self.server.pools(a.pool_id for a in self.attachments)
        queues = self.server.queues(pools)
        kept: list[Attachment] = []
        for attachment in self.attachments:
            found = pools.get(attachment.pool_id)
            if found is None:
                self._orphaned(attachment)
                continue
            problem = ""
            after = attachment
            try:
                after = mirror(self.ports, attachment, found, queues[found.id])
            except (Invalid, NotFound) as error:
                problem = error.message
                log.warning("pool %s is not mirrored: %s", attachment.pool, error.message)
            kept.append(self._beaten(replace(after, mirrored_at=self.began, problem=problem)))
        return kept

    def _beaten(self, attachment: Attachment) -> Attachment:
        if attachment.beaten_at <= self.began - BEAT_SECONDS * 1000:
            self.server.beat(attachment.work_pool, BEAT_SECONDS)
            attachment = replace(attachment, beaten_at=self.began)
        note(
            self.ports,
            attachment.pool,
            queues=dict(attachment.queues),
            marks=dict(attachment.marks),
            mirrored_at=attachment.mirrored_at,
            beaten_at=attachment.beaten_at,
            problem=attachment.problem,
        )
        return attachment

    def _orphaned(self, attachment: Attachment) -> None:
        """The work pool was deleted: what waits is withdrawn, what runs goes on to its end."""
        problem = f"the work pool {attachment.work_pool!r} was deleted on the server"
        log.warning("pool %s: %s", attachment.pool, problem)
        note(self.ports, attachment.pool, problem=problem, mirrored_at=self.began)
        self._strays(attachment, {}, self.began + AHEAD_SECONDS * 1000)

    # -- runs --------------------------------------------------------------------------------

    def _pool(self, attachment: Attachment, flow_runs: Sequence[FlowRun], until: int) -> None:
        seen = {flow_run.id: flow_run for flow_run in flow_runs}
        turns = newest(self.ports, attachment.pool, seen)
        new: list[tuple[FlowRun, int]] = []
        waiting: dict[str, FlowRun] = {}
        for flow_run in flow_runs:
            turn = turns[flow_run.id]
            verdict = judge(flow_run, turn, attachment.bridge, self.began)
            if verdict.act is Act.SUBMIT:
                if attachment.draining or flow_run.queue_id not in attachment.queues:
                    continue
                new.append((flow_run, turn.number + 1))
            elif verdict.act is Act.NOTHING:
                self._noted(flow_run, turn.run)
                if turn.run is not None and flow_run.state.type == "SCHEDULED":
                    waiting[turn.run.uuid] = flow_run
            else:
                self._act(attachment.bridge, flow_run, turn, verdict)
        self._submit(attachment, new)
        self._strays(attachment, seen, until)
        self.ticked.explained += explain_waits(self.ports, self.server, attachment, waiting)

    def _noted(self, flow_run: FlowRun, run: Run | None) -> None:
        if run is not None and flow_run.state.type in ("PENDING", "RUNNING"):
            proposals.note_handle(self.server, flow_run.id, run, flow_run.infrastructure_pid)

    def _act(self, bridge: str, flow_run: FlowRun, turn: Turn, verdict: Judgement) -> None:
        run, ticked = turn.run, self.ticked
        if verdict.if_claimed and self.server.last_claim(flow_run.id) != bridge:
            return
        match verdict.act:
            case Act.WITHDRAW if run is not None:
                self._withdraw(run)
                # The next look finds it ended, and submits what the server wants now.
                ticked.again_seconds = _sooner(ticked.again_seconds, 1)
            case Act.STOP if run is not None:
                self._stop(run)
            case Act.WAIT:
                ticked.again_seconds = _sooner(ticked.again_seconds, verdict.after_seconds)
            case Act.CANCELLED:
                proposals.cancelled(self.server, flow_run.id, verdict.message)
                ticked.reported += 1
            case Act.CRASHED:
                unstarted = flow_run.state.type != "RUNNING"
                proposals.crashed(
                    self.server,
                    flow_run.id,
                    verdict.message,
                    self.ports.clock(),
                    failed_start=unstarted,
                )
                ticked.reported += 1
            case Act.RETURN if run is not None:
                proposals.returned(self.server, flow_run.id, ending(run), run.due)

    def _withdraw(self, run: Run) -> None:
        transition(self.ports, run.pool, run.uuid, Expire(Reason.WITHDRAWN), run=run)
        self.ticked.withdrawn += 1

    def _stop(self, run: Run) -> None:
        try:
            cancel(self.ports, run.id)
        except Refused:
            return  # It has ended meanwhile.
        self.ticked.stopped += 1
        self.ticked.again_seconds = _sooner(self.ticked.again_seconds, 2)

    def _strays(self, attachment: Attachment, seen: Mapping[str, FlowRun], until: int) -> None:
        """Runs of ours that the server did not list: ended there, withdrawn, deleted, or moved to
        another time or pool."""
        ours = [
            run
            for run in _alive(self.ports, attachment.pool, until)
            if flow_run_of(run) and flow_run_of(run) not in seen
        ]
        found = self.server.runs(flow_run_of(run) for run in ours) if ours else {}
        orphans: list[str] = []
        for run in ours:
            flow_run = found.get(flow_run_of(run))
            if flow_run is None:
                verdict = judge_missing(run)
            elif flow_run.pool_id != attachment.pool_id and flow_run.state.type == "SCHEDULED":
                verdict = judge_missing(run)
                orphans += [] if flow_run.pool_id else [flow_run.id]
            else:
                verdict = judge(flow_run, Turn(1, run), attachment.bridge, self.began)
            if verdict.act is Act.WITHDRAW:
                self._withdraw(run)
            elif verdict.act is Act.STOP:
                self._stop(run)
        proposals.withdrawn_at_server(self.server, orphans, attachment)

    def _submit(self, attachment: Attachment, new: Sequence[tuple[FlowRun, int]]) -> None:
        if not new:
            return
        ids = {flow_run.deployment_id for flow_run, _ in new if flow_run.deployment_id}
        deployments = self.server.deployments(ids)
        names = self.server.flow_names({flow_run.flow_id for flow_run, _ in new})
        turns = [
            New(f, number, deployments.get(f.deployment_id), names.get(f.flow_id, ""))
            for f, number in new
        ]
        done = submit_turns(self.ports, self.server, attachment, turns)
        self.ticked.submitted += len(done.submitted)
        self.ticked.reported += done.refused
        now = self.ports.clock()
        later = [f.due for f in done.submitted if f.due is not None and f.due > now]
        if later:
            self.ticked.ahead.setdefault(attachment.pool, []).extend(later)


def _alive(ports: Ports, pool: str, until: int) -> list[Run]:
    """Our runs that hold a slot, or wait and are due by `until`."""
    held = [holder.run for holder in ports.store.ledger(pool).holders]
    found = ports.store.pool(pool)
    queues = [*(q.name for q in found.queues), *found.retired] if found else []
    for queue in queues:
        after = None
        while True:
            page = ports.store.line(pool, queue, 1000, after=after, due=until)
            held += [entry.run for entry in page]
            if len(page) < 1000:
                break
            after = page[-1]
    return [run for run in ports.store.runs(pool, held).values() if not run.state.ended]


def _sooner(known: float | None, seconds: float) -> float:
    return seconds if known is None else min(known, seconds)
