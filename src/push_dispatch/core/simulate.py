"""What would happen under this load? The same `decide()` as in dispatch, on a virtual clock."""

from __future__ import annotations

import heapq
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import quantiles

from push_dispatch.core.admission import Snapshot, apply, decide, next_turn
from push_dispatch.core.collision import NEWEST_STAYS, group_of, to_stop
from push_dispatch.core.debounce import stands_for
from push_dispatch.core.model import Collision, Ledger, Pool, Ready, Slot
from push_dispatch.core.waiting import bounds_of

__all__ = ["Arrival", "Simulated", "Summary", "simulate", "summarize"]

#: Places of each queue that a decision looks at first.
_HEADS = 50


@dataclass(frozen=True, slots=True)
class Arrival:
    """A run of the load."""

    #: When it comes, in epoch milliseconds; not before, whatever `ready` says.
    at: int
    #: For how long it will hold a slot, in milliseconds.
    duration: int
    #: What a decision knows of it. Without a run's id it is named after its place in the load.
    ready: Ready

    @property
    def queue(self) -> str:
        """The queue in which it waits."""
        return self.ready.queue


@dataclass(frozen=True, slots=True)
class Simulated:
    """What became of an arrival; `started` is None if it was never started."""

    arrival: Arrival
    started: int | None
    ended: int | None

    @property
    def waited(self) -> int | None:
        """Milliseconds from its time to its start."""
        return None if self.started is None else self.started - self.arrival.at


def simulate(
    pool: Pool,
    arrivals: Iterable[Arrival],
    *,
    ledger: Ledger | None = None,
    remaining: Mapping[Slot, int] | None = None,
    until: int | None = None,
) -> Iterator[Simulated]:
    """Play a load against a pool and yield each run once its fate is known, in that order.

    `ledger` holds the slots taken at the beginning, `remaining` the time at which each of them
    ends. Ends when everything has, or at `until`. Deterministic. Runs of the load that wait already
    have an id; the others are refused where `max_waiting` says so.
    """
    world = _World(pool, ledger or Ledger(pool.name))
    for holder in world.ledger.holders:
        ends = (remaining or {}).get(holder.slot)
        if ends is not None:
            world.schedule(ends, holder.slot)
    coming = sorted(arrivals, key=lambda a: a.at)
    debounced = stands_for((n, world.place(each, n)) for n, each in enumerate(coming))
    number = 0
    while number < len(coming) or world.events:
        now = min(
            coming[number].at if number < len(coming) else _NEVER,
            world.events[0][0] if world.events else _NEVER,
        )
        if until is not None and now > until:
            return
        while number < len(coming) and coming[number].at <= now:
            if number in debounced:
                yield Simulated(coming[number], None, None)
            else:
                yield from world.arrive(coming[number], number)
            number += 1
        yield from world.step(now)


_NEVER = 1 << 62


def _start_by(arrival: Arrival) -> int | None:
    """As long after it comes as after it is due; that of a run that waits already stays."""
    ready = arrival.ready
    if ready.start_by is None or ready.run:
        return ready.start_by
    return arrival.at + ready.start_by - ready.due


@dataclass(slots=True)
class _World:
    pool: Pool
    ledger: Ledger
    #: (time, tie-break, the slot that ends then or None for a mere wake-up)
    events: list[tuple[int, int, Slot | None]] = field(default_factory=list)
    lines: dict[str, list[tuple[int, int, Ready]]] = field(default_factory=dict)
    arrivals: dict[str, Arrival] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)
    ticket: int = 0
    #: Of each group of which only the newest waits, that one.
    newest: dict[str, Ready] = field(default_factory=dict)
    #: Runs that are stopped because another one replaces them.
    stopping: set[str] = field(default_factory=set)
    #: Waiting runs by what `max_waiting` counts together.
    waiting: Counter[str] = field(default_factory=Counter)

    def schedule(self, at: int, slot: Slot | None) -> None:
        self.ticket += 1
        heapq.heappush(self.events, (at, self.ticket, slot))

    def place(self, arrival: Arrival, number: int) -> Ready:
        """Where the arrival of that number stands in line."""
        return replace(
            arrival.ready,
            run=arrival.ready.run or f"#{number}",
            due=arrival.at,
            start_by=_start_by(arrival),
            order=f"{number:012d}",
            refused_at=0,
            blames=0,
            # As far ahead of its line as it is.
            boost=arrival.at - arrival.ready.counts_from if arrival.ready.boost else 0,
        )

    def arrive(self, arrival: Arrival, number: int) -> Iterator[Simulated]:
        """Put it in line, unless it is refused; yield whom it takes the place of."""
        ready = self.place(arrival, number)
        bounds = list(bounds_of(self.pool, ready))
        if not arrival.ready.run and any(self.waiting[b.lane] >= b.most for b in bounds):
            yield Simulated(arrival, None, None)
            return
        self.waiting.update(bound.lane for bound in bounds)
        if ready.collision in NEWEST_STAYS and (group := group_of(ready)):
            if (before := self.newest.pop(group, None)) is not None:
                self._leave_line([before])
                yield Simulated(self.arrivals.pop(before.run), None, None)
            self.newest[group] = ready
        self.arrivals[ready.run] = arrival
        insort(self.lines.setdefault(arrival.queue, []), (ready.placed, number, ready))

    def step(self, now: int) -> Iterator[Simulated]:
        ended: list[Slot] = []
        while self.events and self.events[0][0] <= now:
            _, _, slot = heapq.heappop(self.events)
            if slot is not None:
                ended.append(slot)
        self.ledger = self.ledger.without(ended)
        for slot in ended:
            # Not what was held at the beginning: an earlier attempt of a run that waits again.
            if (started := self.started.pop(slot.run, None)) is not None:
                yield Simulated(self.arrivals.pop(slot.run), started, now)
        yield from self._admit(now)
        self._replace(now)

    def _replace(self, now: int) -> None:
        """Stop those in whose place one that waits is to run. They end at once."""
        for ready in self.newest.values():
            if ready.collision is Collision.CANCEL_RUNNING:
                for holder in to_stop(self.pool, self.ledger, ready, self.stopping, now):
                    self.stopping.add(holder.run)
                    self.schedule(now, holder.slot)

    def _admit(self, now: int) -> Iterator[Simulated]:
        depth = _HEADS
        while True:
            heads = {name: [r for _, _, r in line[:depth]] for name, line in self.lines.items()}
            snapshot = Snapshot(self.pool, self.ledger, heads)
            decision = decide(snapshot, now)
            deeper = any(len(self.lines.get(name, ())) > depth for name in decision.hungry)
            if not deeper:
                break
            depth *= 4
        self.ledger = apply(snapshot, decision.admit, now)
        after = replace(snapshot, ledger=self.ledger)
        gone = (*decision.expire, *decision.collide)
        self._leave_line((*decision.admit, *gone))
        for ready in decision.admit:
            self.started[ready.run] = now
            self.schedule(now + self.arrivals[ready.run].duration, ready.slot)
        for ready in gone:
            yield Simulated(self.arrivals.pop(ready.run), None, None)
        if (turn := next_turn(after, decision, now)) is not None:
            self.schedule(turn, None)

    def _leave_line(self, entries: Sequence[Ready]) -> None:
        for ready in entries:
            self.waiting.subtract(bound.lane for bound in bounds_of(self.pool, ready))
            if self.newest.get(group_of(ready)) == ready:
                del self.newest[group_of(ready)]
        gone = {ready.run for ready in entries}
        for name in {ready.queue for ready in entries}:
            self.lines[name] = [entry for entry in self.lines[name] if entry[2].run not in gone]


# -- reading the result -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Summary:
    """What a queue (or the whole pool, under the name `*`) has been through."""

    queue: str
    runs: int
    never_started: int
    #: Seconds from due to start.
    wait_p50: float
    wait_p95: float
    wait_max: float
    #: Mean number of slots held, and the highest.
    occupancy_mean: float
    occupancy_max: int
    #: Runs that started later than they should have.
    late: int


def summarize(results: Sequence[Simulated]) -> list[Summary]:
    """One summary per queue, in the order of names, and one of the pool first."""
    names = sorted({result.arrival.queue for result in results})
    queues = [_summary(name, [r for r in results if r.arrival.queue == name]) for name in names]
    return [_summary("*", results), *queues]


def _summary(name: str, results: Sequence[Simulated]) -> Summary:
    waits = sorted(r.waited / 1000 for r in results if r.waited is not None)
    p50, p95 = _percentiles(waits)
    mean, most = _occupancy(results)
    return Summary(
        queue=name,
        runs=len(results),
        never_started=len(results) - len(waits),
        wait_p50=p50,
        wait_p95=p95,
        wait_max=waits[-1] if waits else 0.0,
        occupancy_mean=mean,
        occupancy_max=most,
        late=sum(map(_is_late, results)),
    )


def _is_late(result: Simulated) -> bool:
    start_by = _start_by(result.arrival)
    return start_by is not None and (result.started is None or result.started > start_by)


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        only = values[0] if values else 0.0
        return only, only
    cuts = quantiles(values, n=20, method="inclusive")
    return cuts[9], cuts[18]


def occupancy(results: Sequence[Simulated]) -> list[tuple[int, int]]:
    """The number of slots held from each moment on at which it changes."""
    steps: dict[int, int] = {}
    for result in results:
        if result.started is not None and result.ended is not None:
            steps[result.started] = steps.get(result.started, 0) + 1
            steps[result.ended] = steps.get(result.ended, 0) - 1
    held, levels = 0, []
    for at in sorted(steps):
        held += steps[at]
        levels.append((at, held))
    return levels


def _occupancy(results: Sequence[Simulated]) -> tuple[float, int]:
    levels = occupancy(results)
    if len(levels) < 2:
        return 0.0, 0
    area = sum(held * (after - at) for (at, held), (after, _) in pairwise(levels))
    return area / (levels[-1][0] - levels[0][0]), max(held for _, held in levels)
