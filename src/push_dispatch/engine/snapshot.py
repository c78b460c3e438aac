"""What does a pool look like now? Snapshots: the one place that knows the order of reads.

    1  the overview        ledger, configuration, circuits and the heads of the line, in one read
                           that has no order: the ledger says which configuration it belongs to
    2  the configuration   again, if that of the overview is older than its ledger
    3  the line            no deeper than the answer needs
    4  the chosen runs     the line is a collection of hints: the run itself says whether it waits

A finished change of the configuration has moved the ledger's version, so what is decided under an
older one cannot be committed: see `Store.save_pool`. Nothing comes from a cache, and every read is
strongly consistent: "nothing to do" must be true.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from push_dispatch.core.admission import Decision, Snapshot, decide
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import Conflict
from push_dispatch.core.events import Expire
from push_dispatch.core.lanes import parkable, rated_lanes
from push_dispatch.core.model import DELETED, Ready, Run, Slot
from push_dispatch.core.usage import Used
from push_dispatch.engine.claims import renewed
from push_dispatch.engine.collide import displaced
from push_dispatch.engine.transition import end_unreadable, transition
from push_dispatch.ports import Ports
from push_dispatch.ports.store import Heads, Overview

__all__ = [
    "BATCH",
    "DEPTH",
    "Read",
    "decided",
    "overview",
    "snapshot_in",
    "snapshot_of",
    "waiting_in",
    "with_heads",
    "with_lines",
]

#: Admissions of one commit: keeps a pass, and what a crash leaves unfinished, small.
BATCH = 100
#: Entries of one queue that are read at most: runs held back by their keys may fill them. What is
#: counted for people ends here, too, as "1000+".
DEPTH = 1000
#: Entries read at first beyond the free slots: some are being handed over, or are stale.
_SLACK = 10
#: Entries that a pass reads beyond the free slots before it parks who is in the way. With those
#: that come back from lanes it is twice the free slots and so many.
_BUDGET = 25

_NOTHING: Mapping[str, Heads] = MappingProxyType({})


class Read(NamedTuple):
    """A decision, and what it was read from."""

    snapshot: Snapshot
    decision: Decision
    #: Places of runs that wait for their keys and keep the pass from reading on: to be parked.
    in_the_way: list[Ready]
    #: Those that wait for the same rates as others that are in the way, and before them.
    before_them: list[Ready]
    #: Places that were removed because their runs do not wait for them.
    stale: list[Ready]
    #: Lanes of those that start now in which nobody waits, by queue.
    empty: frozenset[tuple[str, str]]
    #: New runs that were decided about without a place in line.
    unplaced: frozenset[Ready] = frozenset()


def overview(ports: Ports, name: str) -> Overview:
    """Read a pool at once. Its configuration is not older than its ledger."""
    found = ports.store.overview(name)
    known = found.ledger.configuration
    if found.pool is not None and (known == DELETED or found.pool.version < known):
        # A change was finished between the moments at which the two were read. Or it was declared
        # by other means, which move nothing; or created anew: the first commit says which.
        found = replace(found, pool=ports.store.pool(name))
    return found


def snapshot_in(found: Overview) -> Snapshot | None:
    """The pool of an overview, without its line; None if there is no such pool."""
    if (pool := found.pool) is None:
        return None
    circuit = found.circuits.get(pool.last_type, Circuit())
    return Snapshot(pool, found.ledger, {}, circuit)


def snapshot_of(ports: Ports, name: str) -> Snapshot | None:
    """Read a pool without its line; None if there is no such pool."""
    return snapshot_in(overview(ports, name))


def decided(
    ports: Ports,
    snapshot: Snapshot,
    now: int,
    *,
    thorough: bool,
    heads: Mapping[str, Heads] | None = None,
    back: Sequence[Ready] = (),
    new: Sequence[Ready] = (),
) -> Read:
    """Read the line as far as the decision needs, and decide. What is decided about was confirmed
    by the runs themselves; stale entries are removed. `heads` were read with the snapshot; `back`
    are places that lanes have put in line since, and `new` are runs that have just been submitted:
    they need no place in line to be admitted.

    Where no run can be admitted, whoever it is, only a `thorough` pass reads the line.
    """
    line = _Line(ports, snapshot, now, BATCH)
    unplaced: frozenset[Ready] = frozenset()
    if thorough or _may_admit(snapshot, now):
        line.read_heads(heads or {})
        line.bring_back(back)
        unplaced = line.join(new)
    while True:
        snapshot = replace(snapshot, ready=line.ready, unread=line.unread)
        decision = decide(snapshot, now, at_most=BATCH)
        chosen = (*decision.admit, *decision.resend, *decision.expire, *decision.collide)
        if line.drop_stale(chosen):
            continue
        in_the_way, before_them = parkable((w.ready, w.reason) for w in decision.wait)
        if line.read_lanes(snapshot, decision.admit):
            continue
        enough = len(in_the_way) > _SLACK and line.count >= line.most
        if enough and decision.hungry & line.unread:
            break
        if not line.read_more(decision.hungry):
            in_the_way = before_them = []
            break
    empty = frozenset(lane for lane, found in line.lanes.items() if not found)
    return Read(snapshot, decision, in_the_way, before_them, line.stale, empty, unplaced)


def with_heads(ports: Ports, snapshot: Snapshot, now: int, places: Iterable[Ready]) -> Snapshot:
    """Read what a pass of dispatch would read, with these places where they belong: further
    behind, or about to be enqueued. No more than the free slots can take, however long the line."""
    line = _Line(ports, snapshot, now, DEPTH, renews=False)
    line.read_heads()
    while line.read_more(decide(replace(snapshot, ready=line.ready), now).hungry):
        pass
    return replace(snapshot, ready=_merged(line.ready, places))


def with_lines(ports: Ports, snapshot: Snapshot, places: Iterable[Ready] = ()) -> Snapshot:
    """Read `DEPTH` entries of each queue, those that are not due yet among them, with these places
    where they belong."""
    pool = snapshot.pool
    lines = {q.name: _everybody(ports, pool.name, q.name) for q in pool.queues}
    return replace(snapshot, ready=_merged(lines, places))


def waiting_in(ports: Ports, pool: str, queue: str) -> tuple[int, bool]:
    """Count the runs that wait in a queue; whether there are more than were counted."""
    held = {holder.slot for holder in ports.store.ledger(pool).holders}
    line = _everybody(ports, pool, queue)
    return sum(entry.slot not in held for entry in line), len(line) >= DEPTH


def _everybody(ports: Ports, pool: str, queue: str) -> list[Ready]:
    """Who stands in a queue's line, and who is parked beside it: `DEPTH` at most."""
    line = ports.store.line(pool, queue, DEPTH)
    parked = ports.store.line(pool, queue, DEPTH, lane="")
    if not parked:
        return line
    return sorted({*line, *parked}, key=lambda r: r.place[1:])[:DEPTH]


def _merged(
    lines: Mapping[str, Sequence[Ready]], places: Iterable[Ready]
) -> dict[str, Sequence[Ready]]:
    merged = {name: set(line) for name, line in lines.items()}
    for place in places:
        if place.queue in merged:
            merged[place.queue].add(place)
    return {name: sorted(line, key=lambda r: r.place[1:]) for name, line in merged.items()}


def _may_admit(snapshot: Snapshot, now: int) -> bool:
    """Whether anybody in line might be admitted, whoever it is."""
    pool, holders = snapshot.pool, snapshot.ledger.holders
    room = snapshot.circuit.room(now, (holder.since for holder in holders))
    return not pool.paused and len(holders) < pool.slots and room != 0


class _Line:
    """The heads of a pool's queues, in pages of the slots that are free, `at_most` so many."""

    def __init__(
        self, ports: Ports, snapshot: Snapshot, now: int, at_most: int, *, renews: bool = True
    ) -> None:
        """With `renews`, entries under a declaration that was replaced are written again."""
        pool = snapshot.pool
        self._ports, self._declared, self._renews = ports, pool, renews
        self._store, self._pool, self._now = ports.store, pool.name, now
        self._page = min(at_most, max(0, pool.slots - len(snapshot.ledger.holders))) + _SLACK
        #: The last entry read of each queue that may have more.
        self._last: dict[str, Ready] = {}
        self._verified: set[Slot] = set()
        #: Of new runs that are served without a place in line.
        self._joined: set[Slot] = set()
        self._held = {holder.slot for holder in snapshot.ledger.holders}
        #: Places read, and how many a pass reads before it parks who is in the way.
        self.count = 0
        self.most = self._page - _SLACK + _BUDGET
        self.stale: list[Ready] = []
        #: Lanes that were read, by queue: whether anybody waits there.
        self.lanes: dict[tuple[str, str], bool] = {}
        self.ready: dict[str, list[Ready]] = {queue.name: [] for queue in pool.queues}

    @property
    def unread(self) -> frozenset[str]:
        """Queues of which a pass may not have seen all that it has to see."""
        return frozenset(n for n in self._last if len(self.ready[n]) < DEPTH)

    def read_heads(self, known: Mapping[str, Heads] = _NOTHING) -> None:
        """Read the first page of each queue whose first places are not `known`."""
        for name in self.ready:
            if name in known:
                self._take(name, known[name])
            else:
                self._read(name, None)

    def bring_back(self, places: Sequence[Ready]) -> bool:
        """Insert what has come from lanes since the heads were read; True if anybody was not in
        line. Who stands behind all that was read comes in turn."""
        new = False
        for place in renewed(self._ports, self._declared, places):
            line = self.ready[place.queue]
            if place.placed <= self._now and self._is_read(place):
                new |= place not in line
                # This one names its lane, which has to be left as well.
                line[:] = [other for other in line if other != place]
                insort(line, place, key=lambda p: p.place[1:])
        return new

    def read_lanes(self, snapshot: Snapshot, admitted: Iterable[Ready]) -> bool:
        """Insert who waits in lanes for the same rates as these that start now, as many as may
        start: only the first of them stands in line, and others of their keys behind it. True if
        there are any."""
        pool = snapshot.pool
        rated = [ready for ready in admitted if ready.keys]
        if not rated or not any(limit.rate for limit in pool.limits):
            return False
        used = Used.of(pool, snapshot.ledger, self._now)
        wanted: dict[tuple[str, str], int] = {}
        for ready in rated:
            if queue := pool.queue(ready.queue):
                wanted |= {(queue.name, at): n for at, n in rated_lanes(pool, queue, used, ready)}
        new = False
        for (name, lane), starts in wanted.items():
            if (name, lane) not in self.lanes:
                found = self._first_in(name, lane, min(starts, BATCH))
                self.lanes[name, lane] = bool(found)
                new |= self.bring_back([replace(p, lane="", also_in=lane) for p in found])
        return new

    def _first_in(self, queue: str, lane: str, wanted: int) -> list[Ready]:
        """The first places of a lane, so many that hold no slot among them: one that is being
        handed over has not left it yet."""
        size = wanted
        while True:
            found = self._store.line(self._pool, queue, size, lane=lane)
            free = sum(place.slot not in self._held for place in found)
            if len(found) < size or free >= wanted:
                return found
            size += wanted - free

    def join(self, new: Iterable[Ready]) -> frozenset[Ready]:
        """Have these served where they would stand if they were in line; return those that are
        not. Where more stands before them than was read, they are not served: they wait."""
        in_line = {place.slot for line in self.ready.values() for place in line}
        joined = {p for p in new if p.slot not in in_line and self._is_read(p)}
        for place in joined:
            insort(self.ready[place.queue], place, key=lambda p: p.place[1:])
        # What is read from here on may have another place of the same run, which has moved since.
        self._joined = {place.slot for place in joined}
        self._verified |= self._joined
        return frozenset(joined)

    def read_more(self, hungry: Collection[str]) -> bool:
        """Read another page of each hungry queue that has one; False if there is nothing more."""
        behind = {
            name: last
            for name, last in self._last.items()
            if name in hungry and len(self.ready[name]) < DEPTH
        }
        for name, last in behind.items():
            self._read(name, last)
        return bool(behind)

    def drop_stale(self, chosen: Sequence[Ready]) -> bool:
        """Remove the entries whose runs do not wait for them; True if there were any. Stream
        records come late and twice, so an entry may be of a run that has long moved on."""
        unverified = [entry for entry in chosen if entry.slot not in self._verified]
        if not unverified:
            return False
        runs = self._store.runs(self._pool, (entry.run for entry in unverified))
        free = [entry for entry in unverified if entry.slot not in self._held]
        gone = displaced(self._ports, self._pool, free)
        for uuid in (entry.run for entry in free if entry.run in gone):
            end = Expire(gone[uuid])
            runs[uuid] = transition(self._ports, self._pool, uuid, end, run=runs.get(uuid))
        stale = [entry for entry in unverified if not _waits(runs.get(entry.run), entry)]
        self._verified |= {entry.slot for entry in unverified}
        for entry in stale:
            self.ready[entry.queue].remove(entry)
        for run in runs.values():
            self._end_unreadable(run)
        self.stale += stale
        # What the run says now may stand under the same name: that is written again, not removed.
        fresh = {entry: _fresh(runs.get(entry.run), entry) for entry in stale}
        written = [place for place in fresh.values() if place]
        for place in written:
            insort(self.ready[place.queue], place, key=lambda p: p.place[1:])
        self._store.enqueue(self._pool, written, self._now)
        self._store.dequeue(self._pool, [e for e, place in fresh.items() if place is None])
        if stale:
            self.lanes.clear()  # They may have stood before others of their lanes.
        return bool(stale)

    def _is_read(self, place: Ready) -> bool:
        """Whether all that stands before this place was read."""
        last = self._last.get(place.queue)
        return last is None or place.place[1:] <= last.place[1:]

    def _end_unreadable(self, run: Run) -> None:
        """Without its entry nobody would come across it again, if the change that spoiled it is
        lost."""
        with suppress(Conflict):
            end_unreadable(self._ports, run)

    def _take(self, name: str, heads: Heads) -> None:
        """Take over what was read with the snapshot."""
        due = [place for place in heads.places if place.placed <= self._now]
        self.count += len(due)
        if heads.more and len(due) == len(heads.places):
            self._last[name] = due[-1]
        self.ready[name] += renewed(self._ports, self._declared, due) if self._renews else due

    def _read(self, name: str, after: Ready | None) -> None:
        left = self.most - self.count
        size = min(self._page + _BUDGET - _SLACK, left) if after and left > 0 else self._page
        page = self._store.line(self._pool, name, size, after=after, due=self._now)
        self._last.pop(name, None)
        self.count += len(page)
        if len(page) == size:
            self._last[name] = page[-1]
        page = [place for place in page if place.slot not in self._joined]
        self.ready[name] += renewed(self._ports, self._declared, page) if self._renews else page


def _waits(run: Run | None, entry: Ready) -> bool:
    return _is_waiting(run, entry) and run is not None and Ready.of(run) == entry


def _fresh(run: Run | None, entry: Ready) -> Ready | None:
    """The place that the run has under the very name of this one; None if it has none there."""
    if run is None or not _is_waiting(run, entry):
        return None
    place = Ready.of(run)
    return place if place.place == entry.place else None


def _is_waiting(run: Run | None, entry: Ready) -> bool:
    return run is not None and not run.unreadable and run.waits_for(entry.attempt)
