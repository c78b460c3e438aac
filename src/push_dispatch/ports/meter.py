"""What is counted and measured? One table of metrics, and a port that takes their values.

In Lambda the values go to CloudWatch (`telemetry.py`), elsewhere nowhere. Nothing is reported while
nothing happens: each metric that CloudWatch hears of is charged by the hour.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from push_dispatch.core.model import RunState
from push_dispatch.ports.store import Change

__all__ = ["METRICS", "Meter", "Metric", "Values", "meter_changes", "no_meter"]

#: By the name of the metric, one value, or one for each time it was measured.
Values = Mapping[str, float | Sequence[float]]


class Meter(Protocol):
    """Takes values of `METRICS` with their dimensions, but for `service`, which all have."""

    def __call__(self, values: Values, **dimensions: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: what is meant by it, and what it is told apart by."""

    name: str
    #: A unit of CloudWatch.
    unit: str
    #: Beside `service`, the name of the system.
    dimensions: tuple[str, ...]
    sentence: str
    #: Alarms look at it: CloudWatch hears of it for the whole system only, as each combination of
    #: dimensions is charged. What else it is told apart by is in the log.
    of_system: bool = False


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "DispatchLatency",
            "Milliseconds",
            ("pool",),
            "From when a run was due until its platform had taken it: waiting for a slot and for"
            " the platform is in it.",
        ),
        Metric("Admitted", "Count", ("pool",), "Runs that were given a slot."),
        Metric(
            "RacesLost",
            "Count",
            ("pool",),
            "Commits of a pool's ledger that another function had forestalled. They are made anew;"
            " many of them say that one pool is as busy as a pool can be.",
        ),
        Metric(
            "Ended",
            "Count",
            ("pool", "state"),
            "Runs that ended, by state.",
        ),
        Metric(
            "Failures",
            "Count",
            ("pool", "reason"),
            "Runs that ended as FAILED or CRASHED, by reason.",
        ),
        Metric(
            "Pushes",
            "Count",
            ("pool", "outcome"),
            "Orders to start an attempt, by what became of them: pushed, later (throttled, or its"
            " fate is unknown), no_capacity, fell_back, rejected, nothing_to_do.",
        ),
        Metric(
            "PlatformCallLatency",
            "Milliseconds",
            ("platform", "call"),
            "Calls of a platform, failed ones included: push, find, observe, cancel.",
        ),
        Metric("SlotsUsed", "Count", ("pool",), "Slots held, once a minute while there are any."),
        Metric(
            "Waiting",
            "Count",
            ("pool", "reason"),
            "Runs at the heads of the queues that wait, by reason, once a minute while there are"
            " any. Lines are read no deeper than it takes to decide: of a long one it is a part.",
        ),
        Metric(
            "OldestWaiting",
            "Seconds",
            ("pool",),
            "How long the run has been due that has waited longest, once a minute while one"
            " waits. What is held back by a pause or a limit of zero is not in it.",
            of_system=True,
        ),
        Metric(
            "SlotDrift",
            "Count",
            ("pool",),
            "Slots held by attempts that had ended more than a minute before, found by the sweep"
            " and given back: the change that told of the end got lost.",
            of_system=True,
        ),
        Metric(
            "EnqueuedLate",
            "Count",
            ("pool",),
            "Runs that waited without a place in line, found by the sweep's audit and enqueued: the"
            " change that told of their submission got lost.",
            of_system=True,
        ),
    )
}


def no_meter(values: Values, **dimensions: str) -> None:
    """Where nobody counts."""


def meter_changes(meter: Meter, changes: Iterable[Change]) -> None:
    """What a batch of changes tells of starts and ends, summed up by its dimensions."""
    latencies: dict[str, list[float]] = defaultdict(list)
    ended: dict[tuple[str, str], int] = defaultdict(int)
    failures: dict[tuple[str, str], int] = defaultdict(int)
    for change in changes:
        if (latency := _dispatch_latency(change)) is not None:
            latencies[change.pool].append(latency)
        after = change.after
        if after is not None and after.state.ended and not _had_ended(change):
            ended[change.pool, after.state.value] += 1
            if after.state in (RunState.FAILED, RunState.CRASHED):
                failures[change.pool, after.reason or "unknown"] += 1
    for pool, measured in latencies.items():
        meter({"DispatchLatency": measured}, pool=pool)
    for (pool, state), number in ended.items():
        meter({"Ended": number}, pool=pool, state=state)
    for (pool, reason), number in failures.items():
        meter({"Failures": number}, pool=pool, reason=reason)


def _dispatch_latency(change: Change) -> int | None:
    after = change.after.current if change.after else None
    if change.after is None or after is None or after.pushed_at is None:
        return None
    before = change.before.current if change.before else None
    if before is not None and (before.number, before.pushed_at) == (after.number, after.pushed_at):
        return None
    return max(0, after.pushed_at - change.after.due)


def _had_ended(change: Change) -> bool:
    return change.before is not None and change.before.state.ended
