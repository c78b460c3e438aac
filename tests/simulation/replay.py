"""Play one story again: `python -m tests.simulation.replay SEED [--trace]`.

`--shrink` leaves out of it what its failure does not need, and prints the command for the rest.
"""

from __future__ import annotations

import argparse
import sys

from tests.simulation.plan import PROFILES, Plan, plan_of
from tests.simulation.shrink import shrunk
from tests.simulation.simulation import Outcome, simulate

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """0 if every invariant holds, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.replay", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="")
    parser.add_argument("--only", help="numbers of the parts to keep, such as 0,3,17")
    parser.add_argument("--shrink", action="store_true", help="leave out what is not needed")
    parser.add_argument("--trace", action="store_true", help="print every step")
    given = parser.parse_args(arguments)
    plan = whole = plan_of(given.seed, given.profile)
    numbers = list(range(len(whole.parts)))
    if given.only is not None:
        numbers = [int(number) for number in given.only.split(",") if number]
        plan = whole.only(frozenset(numbers))
    outcome = simulate(plan, trace=given.trace)
    if given.shrink and outcome.broken:
        kept, _ = shrunk(plan, outcome)
        numbers = [numbers[place] for place in kept]
        plan = whole.only(frozenset(numbers))
        outcome = simulate(plan, trace=given.trace)
        listed = ",".join(map(str, numbers))
        print(
            f"python -m tests.simulation.replay {plan.seed} --profile {plan.profile} "
            f"--only {listed} --trace"
        )
    _print(plan, numbers, outcome)
    return 1 if outcome.broken else 0


def _print(plan: Plan, numbers: list[int], outcome: Outcome) -> None:
    print(f"seed {plan.seed} ({plan.profile}): {plan.pool}")
    for number, part in zip(numbers, plan.parts, strict=True):
        print(f"  {number:3} {part}")
    for line in outcome.trace:
        print(line)
    hours = outcome.time / 3_600_000
    print(f"{hours:.1f} h, {outcome.runs} runs, {outcome.calls} calls, faults {outcome.faults}")
    print("\n".join(outcome.broken) or "every invariant holds")


if __name__ == "__main__":
    sys.exit(main())
