"""What would we have done where a worker serves a pool? Watch, decide, compare; change nothing.

Each observation is a poll of the server. Between two of them the pool is played with the same
`decide()` that admits runs: each run is due when it was, and takes as long as it took. Times are
exact where the server says them, and as fine as the polls elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from push_dispatch.control.prefect.mirror import our_queues, queue_names
from push_dispatch.core.admission import Snapshot, apply, decide
from push_dispatch.core.errors import NotFound
from push_dispatch.core.model import Ledger, Pool, Queue, Ready, Slot
from push_dispatch.core.reasons import Reason
from push_dispatch.ports.prefect import FlowRun, Server, WorkPool, WorkQueue

__all__ = ["Comparison", "Shadow", "poll"]

_HOLD = ("PENDING", "RUNNING")
_POOL = "shadow"


@dataclass(slots=True)
class _Seen:
    """One turn of a flow run, as the worker did it and as we would have."""

    id: str
    name: str
    queue: str
    due: int
    #: When the worker claimed it, and when it had ended.
    claimed: int | None = None
    ended: int | None = None
    #: When we would have admitted it, and when its slot would have been free again.
    ours: int | None = None
    free: int | None = None
    #: It waited for nobody any more: cancelled or deleted.
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was seen. Seconds are summed up over the runs that both have started."""

    runs: int = 0
    started: int = 0
    worker_late_seconds: float = 0.0
    our_late_seconds: float = 0.0
    worst_late_seconds: float = 0.0
    #: Looks at which more runs were under way than the pool or a queue may have, and by how many.
    over_admitted_polls: int = 0
    most_over: int = 0
    #: Claims while a run of a queue that is served first was due, and its queue had room.
    inversions: int = 0
    #: What could not have been started by us, each with the reason.
    refused: tuple[str, ...] = ()
    polls: int = 0

    @property
    def saved_seconds(self) -> float:
        """By how much runs would have started earlier, all together."""
        return self.worker_late_seconds - self.our_late_seconds


@dataclass
class Shadow:
    """Plays one work pool beside its worker."""

    refused: tuple[str, ...] = ()
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _ledger: Ledger = field(default_factory=lambda: Ledger(_POOL))
    _pool: Pool | None = None
    _last: int = 0
    _polls: int = 0
    _over: list[int] = field(default_factory=list)
    _inversions: int = 0

    def observe(
        self, now: int, pool: WorkPool, queues: Sequence[WorkQueue], runs: Mapping[str, FlowRun]
    ) -> None:
        """Take one poll of the server: its pool, and every run that is due or under way, or that
        was at an earlier poll. Times in epoch milliseconds, polls in their order."""
        names = queue_names(pool, queues, {})
        self._pool = Pool(
            _POOL, "ecs", limit=pool.limit, paused=pool.paused, queues=our_queues(queues, names)
        )
        self._polls += 1
        for run in runs.values():
            self._note(run, names.get(run.queue_id, ""), now)
        self._count_over(runs.values(), names)
        for moment in self._moments(now):
            self._play(moment)
        self._last = now

    @property
    def waited_for(self) -> list[str]:
        """The runs whose end was not seen so far: the next poll is to have them."""
        return [seen.id for seen in self._seen.values() if seen.ended is None and not seen.gone]

    def compare(self) -> Comparison:
        """What was seen so far."""
        both = [s for s in self._seen.values() if s.claimed is not None and s.ours is not None]
        late = [_seconds(s.claimed, s.due) for s in both]
        return Comparison(
            runs=len(self._seen),
            started=len(both),
            worker_late_seconds=sum(late),
            our_late_seconds=sum(_seconds(s.ours, s.due) for s in both),
            worst_late_seconds=max(late, default=0.0),
            over_admitted_polls=len(self._over),
            most_over=max(self._over, default=0),
            inversions=self._inversions,
            refused=self.refused,
            polls=self._polls,
        )

    # -- what the worker did -----------------------------------------------------------------

    def _note(self, run: FlowRun, queue: str, now: int) -> None:
        state, seen = run.state, self._seen.get(run.id)
        if seen is None:
            if state.type not in ("SCHEDULED", *_HOLD):
                return
            # One that is under way already tells nothing about when it was due.
            due = run.due if run.due is not None else state.timestamp
            seen = self._seen[run.id] = _Seen(run.id, run.name, queue, due)
        if state.type == "SCHEDULED":
            if seen.claimed is None and run.due is not None:
                seen.due = run.due
        elif state.type in _HOLD:
            if seen.claimed is None:
                seen.claimed = state.timestamp
                self._inversions += self._is_inverted(seen)
        elif seen.claimed is None:
            seen.gone = True
        elif seen.ended is None:
            seen.ended = min(state.timestamp, now)

    def _is_inverted(self, claimed: _Seen) -> bool:
        """Whether somebody who is served first was passed over."""
        pool, at = self._pool, claimed.claimed or 0
        mine = pool.queue(claimed.queue) if pool else None
        if pool is None or mine is None:
            return False
        held = Counter(s.queue for s in self._seen.values() if _holds(s, at) and s is not claimed)
        return any(
            other.due < at
            and other.claimed is None
            and not other.gone
            and (queue := pool.queue(other.queue)) is not None
            and queue.priority < mine.priority
            and _has_room(queue, held[queue.name])
            for other in self._seen.values()
        )

    def _count_over(self, runs: Iterable[FlowRun], names: Mapping[str, str]) -> None:
        assert self._pool is not None  # noqa: S101 - set by `observe`
        found = [run for run in runs if run.state.type in _HOLD]
        held = Counter(names.get(run.queue_id, "") for run in found)
        over = [len(found) - self._pool.limit] if self._pool.limit is not None else []
        over += [held[q.name] - q.limit for q in self._pool.queues if q.limit is not None]
        if (most := max(over, default=0)) > 0:
            self._over.append(most)

    # -- what we would have done -------------------------------------------------------------

    def _moments(self, now: int) -> Iterator[int]:
        """The times since the last poll at which something would have changed."""
        times = {now}
        for seen in self._seen.values():
            times |= {t for t in (seen.due, seen.free) if t is not None and self._last < t <= now}
            if seen.ours is not None and seen.free is None and seen.ended and seen.claimed:
                # It takes as long as it took with the worker.
                seen.free = seen.ours + max(0, seen.ended - seen.claimed)
                times.add(max(self._last + 1, seen.free))
        yield from sorted(t for t in times if t <= now)

    def _play(self, at: int) -> None:
        assert self._pool is not None  # noqa: S101 - set by `observe`
        over = [s for s in self._seen.values() if s.free is not None and s.free <= at]
        self._ledger = self._ledger.without([Slot(s.id, 1) for s in over])
        ready: dict[str, list[Ready]] = {queue.name: [] for queue in self._pool.queues}
        for seen in sorted(self._seen.values(), key=lambda s: (s.due, s.id)):
            if seen.ours is None and not seen.gone and seen.due <= at and seen.queue in ready:
                ready[seen.queue].append(Ready(seen.queue, seen.due, seen.id, seen.id, 1))
        snapshot = Snapshot(self._pool, self._ledger, ready)
        admitted = decide(snapshot, at).admit
        self._ledger = replace(apply(snapshot, admitted, at), version=0)
        for entry in admitted:
            self._seen[entry.run].ours = at


def poll(server: Server, pool: str, shadow: Shadow, now: int, ahead_seconds: int = 60) -> None:
    """Have `shadow` observe the pool of that name as it is now. Raises Unavailable, and NotFound
    if there is no such pool (any more)."""
    found = server.pool(pool)
    if found is None:
        raise NotFound(f"there is no work pool {pool!r} any more", reason=Reason.POOL_NOT_FOUND)
    queues = server.queues([found.id])[found.id]
    watched = {run.id: run for run in server.watched([found.id], now + ahead_seconds * 1000)}
    missing = [each for each in shadow.waited_for if each not in watched]
    shadow.observe(now, found, queues, watched | (server.runs(missing) if missing else {}))


def _holds(seen: _Seen, at: int) -> bool:
    return seen.claimed is not None and seen.claimed <= at and (seen.ended or at + 1) > at


def _has_room(queue: Queue, held: int) -> bool:
    return not queue.paused and (queue.limit is None or held < queue.limit)


def _seconds(at: int | None, due: int) -> float:
    return max(0, (at or due) - due) / 1000
