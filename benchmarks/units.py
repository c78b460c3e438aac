"""How much of a capacity is used with units, and how much with a count that is set safely?

A made trace in the shape of the public cluster traces: most runs are small and short, few are
large and long, more come than fit. Made with a seed; the decision is the one that dispatches.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from push_dispatch.core.model import Backfill, Pool, Ready
from push_dispatch.core.simulate import Arrival, Simulated, simulate

__all__ = ["main", "used"]

SEED = 20261127
VCPU = 64
_RUNS = 1500
#: vCPU of a run, and how many in a hundred have it.
_SIZES = {0.25: 35, 0.5: 25, 1: 18, 2: 10, 4: 7, 8: 4, 16: 1}
#: The load is measured between these parts of the time, without the beginning and the end.
_FROM, _TO = 0.1, 0.7


def main() -> None:
    """Print what was used, at most and on average, for each way to limit it."""
    trace = list(made(SEED))
    plain = Pool("p", "ecs", limit=VCPU // int(max(_SIZES)))
    units = Pool("p", "ecs", capacity={"vcpu": VCPU * 1000})
    conservative = replace(units, backfill=Backfill.CONSERVATIVE)
    print(f"{_RUNS} runs of {min(_SIZES)} to {max(_SIZES)} vCPU, capacity {VCPU} vCPU, seed {SEED}")
    for name, pool in (
        (f"a count that is safe: limit {plain.limit}", plain),
        ("units, backfill none", units),
        ("units, backfill conservative", conservative),
    ):
        mean, most = used(list(simulate(pool, trace)))
        over = max(0.0, most - VCPU)
        print(f"  {name:30} {mean / VCPU:6.1%} used, at most {most:g} vCPU, {over:g} over")


def made(seed: int) -> Iterator[Arrival]:
    """The trace."""
    dice = random.Random(seed)
    sizes, chances = list(_SIZES), list(_SIZES.values())
    at = 0
    for number in range(_RUNS):
        at += int(dice.expovariate(1 / 1500))
        (size,) = dice.choices(sizes, chances)
        duration = min(3_600_000, max(1000, int(dice.lognormvariate(11, 1))))
        timeout = duration // 1000 + dice.choice((60, 300, 3600))
        ready = Ready(
            "default",
            at,
            f"{number:06d}",
            f"r{number}",
            1,
            weights=(("vcpu", int(size * 1000)),),
            timeout_seconds=timeout,
        )
        yield Arrival(at, duration, ready)


def used(fates: Sequence[Simulated]) -> tuple[float, float]:
    """vCPU taken: the mean while there was enough to do, and the most at any time."""
    steps: dict[int, int] = {}
    for fate in fates:
        if fate.started is None or fate.ended is None:
            continue
        taken = sum(weight for _, weight in fate.arrival.ready.weights)
        steps[fate.started] = steps.get(fate.started, 0) + taken
        steps[fate.ended] = steps.get(fate.ended, 0) - taken
    end = max(steps)
    low, high = int(end * _FROM), int(end * _TO)
    taken, last, area, most = 0, low, 0, 0
    for at in sorted(steps):
        inside = min(max(at, low), high)
        area += taken * (inside - last)
        last = inside
        taken += steps[at]
        most = max(most, taken)
    return area / (high - low) / 1000, most / 1000
