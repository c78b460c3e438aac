"""What is counted and measured? One table of metrics, and a port that takes their values.

In Lambda the values go to CloudWatch (`telemetry.py`), in a local runtime to an OTLP collector, if
there is one (`otlp.py`). Nothing is reported while nothing happens: each metric that CloudWatch
hears of is charged by the hour.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from push_dispatch.core.model import RunState
from push_dispatch.ports.store import Change

__all__ = ["METRICS", "Meter", "Metric", "Values", "meter_changes", "no_meter"]

#: By the name of the metric, one value, or one for each time it was measured.
Values = Mapping[str, float | Sequence[float]]


class Meter(Protocol):
    """Takes values of `METRICS` with their dimensions, but for `service`, which all have."""

    def __call__(self, values: Values, **dimensions: str) -> None: ...


class Metric(NamedTuple):
    """One metric: what it means, and by which dimensions it is divided."""

    name: str
    #: A unit of CloudWatch.
    unit: str
    #: Beside `service`, the name of the system.
    dimensions: tuple[str, ...]
    sentence: str
    #: Alarms use it: CloudWatch receives it for the whole system only, as each combination of
    #: dimensions is charged. Its other dimensions are in the log.
    of_system: bool = False
    #: How much there is at a moment, which is not added up.
    is_level: bool = False


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "DispatchLatency",
            "Milliseconds",
            ("pool",),
            "From when a run was due until its platform had accepted it: the time that it waited"
            " for a slot and for the platform is included.",
        ),
        Metric("Admitted", "Count", ("pool",), "Runs that got a slot."),
        Metric(
            "RacesLost",
            "Count",
            ("pool",),
            "Ledger commits lost to a concurrent writer and retried. Many of them mean that one"
            " pool is as busy as a pool can be.",
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
            "Orders to start an attempt, by outcome: pushed, later (throttled, or its"
            " fate is unknown), no_capacity, fell_back, rejected, nothing_to_do.",
        ),
        Metric(
            "PlatformCallLatency",
            "Milliseconds",
            ("platform", "call"),
            "Calls to a platform, failed ones included: push, find, observe, cancel.",
        ),
        Metric(
            "SubmissionsRefused",
            "Count",
            ("pool",),
            "Runs that were refused when they were submitted, because as many wait as"
            " `max_waiting` allows.",
        ),
        Metric(
            "SlotsUsed",
            "Count",
            ("pool",),
            "Slots held, once a minute while there are any.",
            is_level=True,
        ),
        Metric(
            "Waiting",
            "Count",
            ("pool", "reason"),
            "Waiting runs at the heads of the queues, by reason, once a minute while there are"
            " any. A queue is read only as deep as a decision needs: of a long one, a part.",
            is_level=True,
        ),
        Metric(
            "OldestWaiting",
            "Seconds",
            ("pool",),
            "Age of the longest-waiting run since it was due, once a minute while one waits."
            " Runs held back by a pause or a limit of zero are not counted.",
            of_system=True,
            is_level=True,
        ),
        Metric(
            "StartsAtRisk",
            "Count",
            ("pool",),
            "Runs that waited two minutes before the time by which they should start.",
        ),
        Metric(
            "SlotDrift",
            "Count",
            ("pool",),
            "Slots held by attempts that had ended more than a minute before, found and released"
            " by the sweep: the stream record of the end was lost.",
            of_system=True,
        ),
        Metric(
            "EnqueuedLate",
            "Count",
            ("pool",),
            "Runs that waited without a place in line, found by the sweep's audit and enqueued: the"
            " stream record of their submission was lost.",
            of_system=True,
        ),
    )
}


def no_meter(values: Values, **dimensions: str) -> None:
    """Count nothing."""


def meter_changes(meter: Meter, changes: Iterable[Change]) -> None:
    """Count the starts and ends in a batch of changes, one value per dimension set."""
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
