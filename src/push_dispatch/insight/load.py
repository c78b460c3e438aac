"""Where does a load for a simulation come from? A file, a pool's history, or what is scheduled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import median
from typing import Any

from push_dispatch.control.deployments import Deployment, all_deployments
from push_dispatch.control.occurrences import occurrences
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import DEFAULT_QUEUE, Ledger, Pool, Run, Slot
from push_dispatch.core.simulate import Arrival
from push_dispatch.ports import Ports

__all__ = [
    "durations_of",
    "expected_ends",
    "from_document_of_runs",
    "from_history",
    "scheduled",
    "typical_durations",
]

#: Runs of a pool's history that are read at most.
_HISTORY = 5000
#: For queues of which no run has ended yet.
_UNKNOWN_SECONDS = 60
#: Runs of a load, for each entry and over all of them.
_LARGEST_LOAD = 1_000_000
#: Seconds: 30 years.
_LONGEST = 10**9
_FIELDS = frozenset({"at", "queue", "duration", "count", "every", "concurrency_key", "deployment"})


def from_document_of_runs(document: Mapping[str, Any]) -> list[Arrival]:
    """`{"runs": [{"at": 0, "queue": "q", "duration": 30, "count": 10, "every": 60}]}`, seconds
    from the beginning. Raises Invalid, naming the entry."""
    entries = document.get("runs")
    if not isinstance(entries, list):
        raise Invalid("a load is an object with a list `runs`")
    arrivals = (arrival for n, entry in enumerate(entries) for arrival in _entry(n, entry))
    found = list(islice(arrivals, _LARGEST_LOAD + 1))
    if len(found) > _LARGEST_LOAD:
        raise Invalid(f"the load has more than {_LARGEST_LOAD:,} runs")
    return found


def from_history(ports: Ports, pool: str) -> list[Arrival]:
    """The pool's last runs that have ended, as they came and for as long as they held a slot."""
    return _ended(islice(ports.store.list_runs(pool), _HISTORY))


def scheduled(
    ports: Ports, pool: Pool, until: int, durations: Mapping[str, int] | None = None
) -> list[Arrival]:
    """What is known to come: places in line, and the firings of the pool's deployments.
    `durations` by queue are read from the history if they are not given."""
    now = ports.clock()
    durations = typical_durations(ports, pool.name) if durations is None else durations
    arrivals = []
    for queue in pool.queues:
        for ready in ports.store.line(pool.name, queue.name, 1000):
            if ready.due <= until:
                duration = durations.get(queue.name, _UNKNOWN_SECONDS * 1000)
                arrivals.append(
                    Arrival(
                        at=max(now, ready.due),
                        queue=queue.name,
                        duration=duration,
                        concurrency_key=ready.concurrency_key,
                        deployment=ready.deployment,
                        collision=ready.collision,
                        expires=ready.expires,
                        name=ready.run,
                    )
                )
    for deployment in all_deployments(ports):
        if deployment.pool == pool.name and not deployment.paused:
            arrivals += _firings(deployment, durations, now, until)
    return arrivals


def expected_ends(
    ports: Ports, ledger: Ledger, durations: Mapping[str, int] | None = None
) -> dict[Slot, int]:
    """When the slots that are held now will be free if these runs take as long as the last.
    `durations` as in `scheduled`."""
    now = ports.clock()
    durations = typical_durations(ports, ledger.pool) if durations is None else durations
    unknown = _UNKNOWN_SECONDS * 1000
    return {
        holder.slot: max(now + 1, holder.since + durations.get(holder.queue, unknown))
        for holder in ledger.holders
    }


def typical_durations(ports: Ports, pool: str) -> dict[str, int]:
    """For how long the last runs of each queue held a slot: the median, in milliseconds."""
    return _medians(from_history(ports, pool))


def durations_of(runs: Iterable[Run]) -> dict[str, int]:
    """The same, of these runs of one pool."""
    return _medians(_ended(runs))


def _ended(runs: Iterable[Run]) -> list[Arrival]:
    arrivals = []
    for run in runs:
        attempt = run.current
        if attempt is not None and attempt.ended_at is not None:
            arrivals.append(
                Arrival(
                    at=run.due,
                    queue=run.queue,
                    duration=max(1, attempt.ended_at - attempt.claimed_at),
                    concurrency_key=run.concurrency_key,
                    deployment=run.deployment,
                    collision=run.collision,
                    name=run.uuid,
                )
            )
    return arrivals


def _medians(arrivals: Iterable[Arrival]) -> dict[str, int]:
    taken: dict[str, list[int]] = {}
    for arrival in arrivals:
        taken.setdefault(arrival.queue, []).append(arrival.duration)
    return {queue: int(median(values)) for queue, values in taken.items()}


def _entry(number: int, entry: Any) -> Iterator[Arrival]:
    where = f"runs[{number}]"
    if not isinstance(entry, Mapping):
        raise Invalid(f"{where}: {entry!r} is not an object with {', '.join(sorted(_FIELDS))}")
    if unknown := sorted(str(name) for name in entry if name not in _FIELDS):
        known = ", ".join(sorted(_FIELDS))
        raise Invalid(f"{where}: unknown fields {', '.join(unknown)}; known: {known}")
    at, every = _number(entry, "at", 0, where), _number(entry, "every", 0, where)
    duration = _number(entry, "duration", 60, where)
    count = entry.get("count", 1)
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _LARGEST_LOAD:
        raise Invalid(f"{where}.count: {count!r} is not an integer from 0 to {_LARGEST_LOAD:,}")
    for name in ("queue", "concurrency_key", "deployment"):
        if not isinstance(entry.get(name, ""), str):
            raise Invalid(f"{where}.{name}: {entry[name]!r} is not text")
    for copy in range(count):
        yield Arrival(
            at=int(1000 * (at + copy * every)),
            queue=entry.get("queue", DEFAULT_QUEUE),
            duration=max(1, int(1000 * duration)),
            concurrency_key=entry.get("concurrency_key", ""),
            deployment=entry.get("deployment", ""),
        )


def _number(entry: Mapping[str, Any], name: str, default: float, where: str) -> float:
    value = entry.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LONGEST:
        raise Invalid(f"{where}.{name}: {value!r} is not a number from 0 to {_LONGEST:,}")
    return value


def _firings(
    deployment: Deployment, durations: Mapping[str, int], now: int, until: int
) -> Iterator[Arrival]:
    after = datetime.fromtimestamp(now / 1000, UTC)
    end = after + timedelta(milliseconds=until - now)
    for schedule in deployment.schedules:
        if not schedule.active:
            continue
        for moment in occurrences(schedule, after):
            if moment > end:
                break
            yield Arrival(
                at=int(moment.timestamp() * 1000),
                queue=deployment.queue,
                duration=durations.get(deployment.queue, _UNKNOWN_SECONDS * 1000),
                concurrency_key=deployment.concurrency_key,
                deployment=deployment.name,
                collision=deployment.collision,
            )
