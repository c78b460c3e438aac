"""Were the limits, the slots and the priorities respected in every commit of a ledger?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from push_dispatch.core.model import Holder, Ledger, Pool, Ready, Run, RunState, Slot


@dataclass
class Commit:
    """One ledger that was written, and what the pass that wrote it had read before."""

    at: int
    before: Ledger
    after: Ledger
    #: Places in line by queue, in the order read.
    seen: dict[str, list[Ready]] = field(default_factory=dict)
    #: Places that turned out to be stale.
    dropped: set[Slot] = field(default_factory=set)

    @property
    def admitted(self) -> set[Slot]:
        return _slots(self.after) - _slots(self.before)


@dataclass
class Limits:
    """What somebody has set, and a version of the ledger from which on it must hold."""

    version: int
    pool: int
    paused: bool
    #: By queue: priority, limit, paused.
    queues: dict[str, tuple[int, int | None, bool]]
    holds_from: int = 0

    @classmethod
    def of(cls, pool: Pool) -> Limits:
        queues = {q.name: (q.priority, q.limit, q.paused) for q in pool.queues}
        return cls(pool.version, pool.slots, pool.paused, queues)

    def is_held(self, queue: str, used: Counter[str]) -> bool:
        """Whether the queue itself holds its runs back."""
        _, limit, paused = self.queues[queue]
        return paused or (limit is not None and used[queue] >= limit)


def violations(
    commits: Sequence[Commit],
    limits: Mapping[int, Limits],
    runs: Mapping[str, Run],
    capacity: int | None = None,
) -> list[str]:
    """Everything that is wrong with a history whose runs have all ended; empty if it is right.

    With a `capacity`, runs take of it what their parameter `w` says, and one run of each tag may
    run at once; then what holds one of them back lets others pass.
    """
    found: list[str] = []
    ordered = sorted(commits, key=lambda commit: commit.after.version)
    chain = ordered[:1]
    for commit in ordered[1:]:
        # Two passes that decide the very same are one: also a lost reply looks like that.
        if commit.after != chain[-1].after:
            if commit.after.version == chain[-1].after.version:
                found.append(f"version {commit.after.version} was written twice")
            chain.append(commit)
    before = Ledger("")
    for commit in chain:
        where = f"version {commit.after.version}: "
        decided_under = limits[commit.after.configuration]
        problems = [
            *_changes(before, commit, runs),
            *_above_limits(before, commit, decided_under),
            *(
                _out_of_turn(commit, decided_under)
                if capacity is None
                else _exceeded(before, commit, runs, capacity)
            ),
        ]
        found += [where + problem for problem in problems]
        before = commit.after
    found += _late_limits(chain, limits)
    found += _admissions(chain, runs)
    if before.holders:
        found.append(f"{len(before.holders)} slots are held for ever")
    highest = max(limit.pool for limit in limits.values())
    if (most := _most_at_once(runs.values())) > highest:
        found.append(f"{most} runs were under way at once, and {highest} was the highest limit")
    return found


def _slots(ledger: Ledger) -> set[Slot]:
    return {holder.slot for holder in ledger.holders}


def _changes(before: Ledger, commit: Commit, runs: Mapping[str, Run]) -> Iterator[str]:
    """Only what has ended may go, and what is there is there once."""
    after = _slots(commit.after)
    if len(after) != len(commit.after.holders):
        yield "a slot is held twice"
    for slot in _slots(before) - after:
        ended_at = runs[slot.run].ended_at
        if ended_at is None or ended_at > commit.at:
            yield f"the slot of {slot.run} is gone before its end"


def _above_limits(before: Ledger, commit: Commit, limits: Limits) -> Iterator[str]:
    """A limit that was lowered stops nothing, so only what was added counts."""
    known = _slots(before)
    added: list[Holder] = [h for h in commit.after.holders if h.slot not in known]
    used = Counter(holder.queue for holder in commit.after.holders)
    if added and limits.paused:
        yield "admits into a paused pool"
    if added and len(commit.after.holders) > limits.pool:
        yield f"{len(commit.after.holders)} slots of {limits.pool}"
    for queue in {holder.queue for holder in added}:
        _, limit, paused = limits.queues[queue]
        if paused or (limit is not None and used[queue] > limit):
            yield f"{used[queue]} slots of {limit} in queue {queue}, paused: {paused}"


def _exceeded(
    before: Ledger, commit: Commit, runs: Mapping[str, Run], capacity: int
) -> Iterator[str]:
    """Nothing that runs share is exceeded, counted from the runs themselves."""
    if _slots(commit.after) <= _slots(before):
        return
    held = [runs[holder.run] for holder in commit.after.holders]
    taken = sum(run.parameters["w"] for run in held)
    if taken > capacity:
        yield f"{taken} taken of {capacity}"
    for tag, count in Counter(tag for run in held for tag in run.tags).items():
        if count > 1:
            yield f"{count} runs of {tag}, of which one may run at once"


def _out_of_turn(commit: Commit, limits: Limits) -> Iterator[str]:
    """Whoever waits while somebody behind them starts is held back by their own queue."""
    used = Counter(holder.queue for holder in commit.after.holders)
    passed_over: Ready | None = None
    ignored = commit.dropped | _slots(commit.before)
    for queue in sorted(commit.seen, key=lambda name: limits.queues[name][0]):
        held = limits.is_held(queue, used)
        own: Ready | None = None
        for place in sorted(commit.seen[queue], key=lambda place: (place.due, place.order)):
            if place.slot in ignored:
                continue
            if place.slot not in commit.admitted:
                own = own or place
            elif blocker := own or passed_over:
                yield f"{place.run} of {queue} starts before {blocker.run} of {blocker.queue}"
        if own and not held:
            passed_over = passed_over or own


def _late_limits(ordered: Sequence[Commit], limits: Mapping[int, Limits]) -> Iterator[str]:
    """Once a change has returned, nothing is decided under an older one."""
    for changed in limits.values():
        for commit in ordered:
            decided = commit.after.configuration
            if commit.after.version > changed.holds_from and decided < changed.version:
                yield f"version {commit.after.version} was decided under configuration {decided}"


def _admissions(ordered: Sequence[Commit], runs: Mapping[str, Run]) -> Iterator[str]:
    admitted = Counter(slot.run for commit in ordered for slot in commit.admitted)
    for run, times in admitted.items():
        if times > 1:
            yield f"{run} was admitted {times} times"
    for run in runs.keys() - admitted.keys():
        if not runs[run].attempts and runs[run].state is RunState.CANCELLED:
            continue  # It collided with others.
        yield f"{run} has run without a slot"


def _most_at_once(runs: Iterable[Run]) -> int:
    """By the runs' own record: from the claim to the end, both inside the time of the slot."""
    steps: list[tuple[int, int]] = []
    for run in runs:
        for attempt in run.attempts:
            steps += [(attempt.claimed_at, 1), (run.ended_at or 0, -1)]
    most = now = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most
