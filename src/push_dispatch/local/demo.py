"""What do priorities and limits do? Two dozen real processes show it, and the table proves it.

The classic example: a pool limited to 4, with the queues `critical` (priority 1, limit 1),
`high` (5, limit 3) and `low` (10, no limit). What is reported was recorded by a trigger of the
runtime's database: each commit of the pool's ledger, as any other program could read it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from push_dispatch.adapters.dynamodb import items
from push_dispatch.adapters.sqlite.database import Database, decode
from push_dispatch.control.pools import change_pool, change_queue, create_pool, create_queue
from push_dispatch.core.model import DEFAULT_QUEUE, Ledger, Pool, Queue, Run, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit_many
from push_dispatch.local.discovery import Record
from push_dispatch.platforms.templates import default_template
from push_dispatch.ports import Ports

__all__ = ["POOL", "Demo", "QueueSummary", "Summary"]

POOL = "demo"
LIMIT = 4
#: Name, priority, limit, and how many runs are submitted.
QUEUES = (("low", 10, None, 10), ("high", 5, 3, 9), ("critical", 1, 1, 5))
#: What each run executes: a real process that takes a moment.
COMMAND = "sh -c 'echo \"$PUSH_DISPATCH_RUN_ID is process $$\"; sleep 0.7'"

_RECORD = """
CREATE TRIGGER commits AFTER INSERT ON items WHEN NEW.pk = 'POOL#demo' AND NEW.sk = 'LEDGER'
BEGIN INSERT INTO commits (item) VALUES (NEW.item); END
"""


@dataclass(frozen=True, slots=True)
class QueueSummary:
    """What one queue got."""

    name: str
    priority: int
    limit: int | None
    runs: int
    #: Places in the order of starts, from 1.
    starts: tuple[int, ...]
    most_slots: int
    #: From due to started, in seconds.
    median_wait: float
    longest_wait: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What the demo has shown."""

    queues: tuple[QueueSummary, ...]
    runs: tuple[Run, ...]
    most_slots: int
    commits: int
    violations: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether everything went as promised."""
        completed = all(run.state is RunState.COMPLETED for run in self.runs)
        return completed and not self.violations


@dataclass(slots=True)
class Demo:
    """The demo on a local runtime that is up: `begin`, then `watch` until it is over."""

    ports: Ports
    record: Record
    runs: list[str] = field(default_factory=list)
    #: Names of runs in the order in which they got their slots.
    order: list[str] = field(default_factory=list)
    queue_of: dict[str, str] = field(default_factory=dict)
    most: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    commits: int = 0

    def begin(self) -> None:
        """Declare the pool, submit all runs while it is paused, and let it go: so that strict
        priority can be seen from the first start on."""
        create_pool(
            self.ports, Pool(POOL, "process", limit=LIMIT, paused=True), default_template("process")
        )
        for name, priority, limit, _ in QUEUES:
            queue = Queue(name, priority, limit=limit)
            create_queue(self.ports, POOL, queue, priority=priority)
        change_queue(self.ports, POOL, DEFAULT_QUEUE, lambda q: q, priority=100)
        requests = [
            Request(POOL, queue=name, variables={"command": COMMAND}, name=f"{name}-{number}")
            for name, _, _, count in QUEUES
            for number in range(1, count + 1)
        ]
        submitted = [done.run for done in submit_many(self.ports, requests)]
        self.runs = [run.uuid for run in submitted]
        self.queue_of = {run.uuid: run.queue for run in submitted}

    def release(self) -> None:
        """Resume the pool."""
        change_pool(self.ports, POOL, lambda pool: replace(pool, paused=False))

    def in_line(self) -> bool:
        """Whether all runs have taken their places."""
        places = sum(len(self.ports.store.line(POOL, name, 100)) for name, *_ in QUEUES)
        return places == len(self.runs)

    def watch(self) -> Iterator[tuple[Ledger, dict[str, Run]]]:
        """The pool as it is now, again and again, until all runs have ended. Between two looks it
        reads every commit of the ledger that was recorded, and holds it against the limits."""
        with closing(Database(Path(self.record.state))) as database:
            with database.transaction() as tx:
                tx.execute("CREATE TABLE commits (number INTEGER PRIMARY KEY, item TEXT)")
                tx.execute(_RECORD)
            self.release()
            while True:
                runs = self.ports.store.runs(POOL, self.runs)
                yield self.ports.store.ledger(POOL), runs
                for ledger in self._new_commits(database):
                    self._check(ledger)
                if all(run.state.ended for run in runs.values()):
                    return

    def summarize(self) -> Summary:
        """What was seen, after `watch`."""
        runs = self.ports.store.runs(POOL, self.runs)
        queues = [self._queue(runs, *queue) for queue in sorted(QUEUES, key=lambda q: q[1])]
        return Summary(
            queues=tuple(queues),
            runs=tuple(runs[uuid] for uuid in self.order if uuid in runs),
            most_slots=self.most[""],
            commits=self.commits,
            violations=tuple(self.violations),
        )

    # -- details ----------------------------------------------------------------------------------

    def _new_commits(self, database: Database) -> list[Ledger]:
        select = "SELECT item FROM commits WHERE number > ? ORDER BY number"
        rows = database.rows(select, self.commits)
        return [items.read_ledger(POOL, decode(text)) for (text,) in rows]

    def _check(self, ledger: Ledger) -> None:
        self.commits += 1
        held = Counter(holder.queue for holder in ledger.holders)
        self._count("", len(ledger.holders), LIMIT)
        for name, _, limit, _ in QUEUES:
            self._count(name, held[name], limit)
        new = [holder.run for holder in ledger.holders if holder.run not in self.order]
        new.sort(key=lambda uuid: (self._priority(uuid), self.runs.index(uuid)))
        self.order += new
        self._check_priority(new, held)

    def _count(self, queue: str, slots: int, limit: int | None) -> None:
        self.most[queue] = max(self.most[queue], slots)
        if limit is not None and slots > limit:
            what = f"queue {queue}" if queue else "the pool"
            self.violations.append(f"{what} held {slots} slots, {limit} are allowed")

    def _check_priority(self, admitted: list[str], held: Counter[str]) -> None:
        """Nobody starts while somebody more important waits whose queue has room."""
        waiting = [uuid for uuid in self.runs if uuid not in self.order]
        for name, priority, limit, _ in QUEUES:
            room = limit is None or held[name] < limit
            left_behind = any(self.queue_of[uuid] == name for uuid in waiting)
            passed_by = [u for u in admitted if self._priority(u) > priority]
            if room and left_behind and passed_by:
                self.violations.append(f"a run of a lower priority started before {name}")

    def _priority(self, uuid: str) -> int:
        return next(q[1] for q in QUEUES if q[0] == self.queue_of[uuid])

    def _queue(
        self, runs: Mapping[str, Run], name: str, priority: int, limit: int | None, count: int
    ) -> QueueSummary:
        places = [n for n, uuid in enumerate(self.order, 1) if self.queue_of[uuid] == name]
        waits = [_wait(run) for run in runs.values() if run.queue == name]
        return QueueSummary(
            name=name,
            priority=priority,
            limit=limit,
            runs=count,
            starts=tuple(places),
            most_slots=self.most[name],
            median_wait=median(waits),
            longest_wait=max(waits),
        )


def _wait(run: Run) -> float:
    first = run.attempts[0] if run.attempts else None
    started = first.started_at if first and first.started_at else run.due
    return (started - run.due) / 1000
