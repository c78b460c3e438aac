"""Which parts of a story does a failure need? Leaves out what it can, by delta debugging.

A. Zeller, R. Hildebrandt: Simplifying and isolating failure-inducing input (2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.simulation.plan import Plan
from tests.simulation.simulation import Outcome, simulate

__all__ = ["shrink", "shrunk"]

#: Stories that are played at most.
_MOST = 300


def shrink(
    items: Sequence[int], fails: Callable[[Sequence[int]], bool], most: int = _MOST
) -> list[int]:
    """Leave out items while `fails` holds, until it does not without any one of the rest, or after
    `most` tries."""
    kept, size, tries = list(items), max(1, len(items) // 2), 0
    while True:
        removed = False
        start = 0
        while start < len(kept) and tries < most:
            without = kept[:start] + kept[start + size :]
            tries += 1
            if fails(without):
                kept, removed = without, True
            else:
                start += size
        if tries >= most or (size == 1 and not removed):
            return kept
        size = size if removed and size == 1 else max(1, size // 2)


def shrunk(plan: Plan, outcome: Outcome, most: int = _MOST) -> tuple[list[int], Outcome]:
    """The parts of the plan that the same kind of failure needs, and that story."""
    best = outcome

    def fails(numbers: Sequence[int]) -> bool:
        nonlocal best
        found = simulate(plan.only(frozenset(numbers)))
        if found.kind == outcome.kind:
            best = found
            return True
        return False

    return shrink(range(len(plan.parts)), fails, most), best
