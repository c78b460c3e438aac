"""Where does a load for a simulation come from? A file, a pool's history, or what is scheduled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any, TypeVar

from push_dispatch.control.deployments import all_deployments
from push_dispatch.control.occurrences import occurrences
from push_dispatch.core.deployment import Deployment, request_of
from push_dispatch.core.durations import duration
from push_dispatch.core.errors import Invalid, NotFound
from push_dispatch.core.model import DEFAULT_QUEUE, Collision, Edge, Ledger, Pool, Ready, Slot
from push_dispatch.core.reasons import Reason
from push_dispatch.core.request import run_of
from push_dispatch.core.simulate import Arrival
from push_dispatch.core.units import amount
from push_dispatch.engine.claims import claimed
from push_dispatch.engine.snapshot import snapshot_of, with_lines
from push_dispatch.insight.estimate import (
    Durations,
    durations_of,
    expected_arrivals,
    expected_ends,
    held_for,
)
from push_dispatch.ports import Ports

__all__ = [
    "Forecast",
    "forecast",
    "from_document_of_runs",
    "from_history",
]

#: Runs of a pool's history that are read at most.
_HISTORY = 5000
#: Runs of a load, for each entry and over all of them.
_LARGEST_LOAD = 1_000_000
#: Seconds: 30 years.
_LONGEST = 10**9
_E = TypeVar("_E", bound=StrEnum)
_FIELDS = frozenset(
    {
        "at",
        "queue",
        "start_by",
        "duration",
        "count",
        "every",
        "collision",
        "concurrency_key",
        "debounce",
        "debounce_edge",
        "deployment",
        "limits",
        "weights",
        "timeout",
    }
)


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
    runs = islice(ports.store.list_runs(pool), _HISTORY)
    held = ((run, held_for(run)) for run in runs)
    # Whoever has ended was not late, whatever its time to start was.
    return [
        Arrival(run.due, duration, replace(Ready.of(run), expires=None))
        for run, duration in held
        if duration is not None
    ]


@dataclass(frozen=True, slots=True)
class Forecast:
    """A pool as it is, and what is known to come."""

    pool: Pool
    ledger: Ledger
    #: Entries of the line, and the firings of the pool's deployments.
    arrivals: list[Arrival]
    #: When each of the slots that are held now will be free.
    ends: dict[Slot, int]


def forecast(ports: Ports, name: str, until: int) -> Forecast:
    """What will come to a pool until then. Raises NotFound (`pool_not_found`)."""
    snapshot = snapshot_of(ports, name)
    if snapshot is None:
        raise NotFound(f"there is no pool {name!r}", reason=Reason.POOL_NOT_FOUND)
    now, durations = ports.clock(), durations_of(ports, name)
    arrivals = expected_arrivals(with_lines(ports, snapshot), durations, now)
    arrivals = [arrival for arrival in arrivals if arrival.at <= until]
    for deployment in all_deployments(ports):
        if deployment.pool == name and not deployment.paused:
            claims = _claims_of(ports, snapshot.pool, deployment)
            firings = _firings(deployment, durations, now, until)
            arrivals += [replace(f, ready=replace(f.ready, **claims)) for f in firings]
    ends = expected_ends(snapshot.ledger, durations, now)
    return Forecast(snapshot.pool, snapshot.ledger, arrivals, ends)


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
    weights = _object(entry, "weights", where)
    ready = Ready(
        queue=entry.get("queue", DEFAULT_QUEUE),
        due=0,
        order="",
        run="",
        attempt=1,
        concurrency_key=entry.get("concurrency_key", ""),
        deployment=entry.get("deployment", ""),
        collision=_member(entry, "collision", Collision, where),
        debounce_seconds=int(_number(entry, "debounce", 0, where)) or None,
        debounce_edge=_member(entry, "debounce_edge", Edge, where),
        start_by=int(1000 * _number(entry, "start_by", 0, where)) or None,
        keys=tuple((n, str(key)) for n, key in _object(entry, "limits", where).items()),
        weights=tuple((u, amount(w, f"{where}.weights.{u}")) for u, w in weights.items()),
        timeout_seconds=int(_number(entry, "timeout", 0, where)) or None,
    )
    trailing = ready.debounce_edge is Edge.TRAILING
    at += (ready.debounce_seconds or 0) if trailing else 0
    for copy in range(count):
        yield Arrival(int(1000 * (at + copy * every)), max(1, int(1000 * duration)), ready)


def _member(entry: Mapping[str, Any], name: str, kind: type[_E], where: str) -> _E:
    """The member of an enumeration that an entry names; the first, if it names none."""
    members = list(kind)
    value = entry.get(name, members[0])
    if value not in members:
        raise Invalid(f"{where}.{name}: {value!r} is none of {', '.join(members)}")
    return kind(value)


def _object(entry: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    found = entry.get(name) or {}
    if not isinstance(found, Mapping):
        raise Invalid(f"{where}.{name}: {found!r} is not an object of names and values")
    return found


def _number(entry: Mapping[str, Any], name: str, default: float, where: str) -> float:
    value = entry.get(name, default)
    if isinstance(value, str):
        value = duration(value, f"{where}.{name}:")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LONGEST:
        raise Invalid(
            f"{where}.{name}: {value!r} is not a number from 0 to {_LONGEST:,}, in seconds, or a "
            "duration such as 10m"
        )
    return value


def _claims_of(ports: Ports, pool: Pool, deployment: Deployment) -> dict[str, Any]:
    """The limits that a run of the deployment falls under, and what it takes; nothing if no run
    of it could be made."""
    try:
        run = run_of(request_of(deployment), now=ports.clock(), order="")
        (run,) = claimed(ports, {pool.name: pool}, [run])
    except Invalid:
        return {}
    place = Ready.of(run)
    return {"keys": place.keys, "weights": place.weights, "timeout_seconds": place.timeout_seconds}


def _firings(
    deployment: Deployment, durations: Durations, now: int, until: int
) -> Iterator[Arrival]:
    after = datetime.fromtimestamp(now / 1000, UTC)
    end = after + timedelta(milliseconds=until - now)
    for schedule in deployment.schedules:
        if not schedule.active:
            continue
        for moment in occurrences(schedule, after):
            if moment > end:
                break
            at = int(moment.timestamp() * 1000)
            run = run_of(request_of(deployment, at=at), now=now, order="")
            yield Arrival(run.due, durations.of(run.queue), Ready.of(run))
