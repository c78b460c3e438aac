"""What do the lives of some runs say? Nothing here depends on the system that they are from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmarks.beside.sides import Life

__all__ = ["handovers", "inversions", "makespan", "most_at_once", "quantile", "ratio", "used"]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000 * len(ordered)) // 1000) - 1))]


def makespan(lives: Iterable[Life]) -> float:
    """Seconds from the first start to the last end."""
    spans = _spans(lives)
    return max(end for _, end in spans) - min(start for start, _ in spans)


def most_at_once(lives: Iterable[Life]) -> int:
    """How many ran at the same time; who starts at the moment of an end takes its place."""
    steps = [step for start, end in _spans(lives) for step in ((start, 1), (end, -1))]
    now = most = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most


def used(lives: Sequence[Life], slots: int) -> float:
    """The share of the slots that ran something between the first start and the last end."""
    return sum(end - start for start, end in _spans(lives)) / (slots * makespan(lives))


def handovers(lives: Sequence[Life], slots: int) -> list[float]:
    """Seconds from each end to the start that takes its place, in a pool that is always full."""
    spans = _spans(lives)
    starts, ends = sorted(s for s, _ in spans), sorted(e for _, e in spans)
    return [max(0.0, after - end) for end, after in zip(ends, starts[slots:], strict=False)]


def inversions(lives: Sequence[Life], first: str, limit: int, tolerance: float) -> int:
    """Starts in other queues while a run of the `first` queue was due and unstarted, and that queue
    held less than its limit; all of it for longer than the tolerance, in seconds."""
    high = [life for life in lives if life.queue == first]
    found = 0
    for life in lives:
        if life.queue == first or life.started is None:
            continue
        at, since = life.started, life.started - tolerance
        waited = any(h.due <= since and (h.started is None or h.started > at) for h in high)
        held = sum(_overlaps(h, since, at) for h in high)
        found += waited and held < limit
    return found


def ratio(ours: float, theirs: float, *, more_is_better: bool = False) -> str:
    """How many times better we are; BEHIND if we are not."""
    better, worse = (theirs, ours) if more_is_better else (ours, theirs)
    if not better or math.isinf(ours) or math.isinf(theirs):
        return "-"
    times = worse / better
    shown = f"{times:,.0f}x" if times >= 10 else f"{times:.2g}x"
    return shown if times >= 1 else f"{shown} BEHIND"


def _overlaps(life: Life, since: float, until: float) -> bool:
    started, ended = life.started, life.ended
    return started is not None and started <= until and (ended is None or ended >= since)


def _spans(lives: Iterable[Life]) -> list[tuple[float, float]]:
    return [(x.started, x.ended) for x in lives if x.started is not None and x.ended is not None]
