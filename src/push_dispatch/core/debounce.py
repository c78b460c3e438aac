"""Which of several runs starts that are due shortly after each other?

Debouncing: of the runs of one deployment and one concurrency key that are due within
`debounce_seconds` of each other one starts. On the trailing edge it is the last one, due that much
later than it came; on the leading edge it is the first one, and whoever follows within the period
is cancelled. Whoever holds a slot is never concerned. Pure: what is known of other runs is an
`order`, a text that sorts them by their due times.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from push_dispatch.core.model import Edge, Ready
from push_dispatch.core.usage import slot_name

__all__ = ["is_near", "leads_from", "order_of", "quiet_group", "stands_for"]

_DIGITS = 13
_T = TypeVar("_T")


def quiet_group(run: Ready) -> str:
    """Which runs it is debounced with; empty if it is not."""
    if not run.debounce_seconds or not (run.deployment or run.concurrency_key):
        return ""
    return f"{run.debounce_edge}:{slot_name(run.deployment)}:{slot_name(run.concurrency_key)}"


def order_of(run: Ready) -> str:
    """Sorts the runs of a group by due time, then by submission."""
    return f"{run.due:0{_DIGITS}d}#{run.order}"


def leads_from(run: Ready) -> str:
    """The least order of a run that this one leaves the lead to."""
    return f"{max(0, run.due - (run.debounce_seconds or 0) * 1000 + 1):0{_DIGITS}d}"


def is_near(run: Ready, order: str) -> bool:
    """Whether the run with this order is due within the period of `run`, before or after it."""
    due = int(order[:_DIGITS]) if order[:_DIGITS].isdigit() else 0
    return abs(run.due - due) < (run.debounce_seconds or 0) * 1000


def stands_for(runs: Iterable[tuple[_T, Ready]]) -> set[_T]:
    """Of runs that are all known beforehand, those in whose place another one starts."""
    gone: set[_T] = set()
    known: dict[str, tuple[_T, Ready]] = {}
    for name, run in sorted(runs, key=lambda each: order_of(each[1])):
        if not (group := quiet_group(run)):
            continue
        before = known.get(group)
        near = before is not None and is_near(run, order_of(before[1]))
        if near and run.debounce_edge is Edge.LEADING:
            gone.add(name)
            continue
        if near and before is not None:
            gone.add(before[0])
        known[group] = (name, run)
    return gone
