"""Play one story again: `python -m tests.simulation.replay SEED [--trace]`."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.plan import PROFILES, plan_of
from tests.simulation.simulation import simulate

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """0 if every invariant holds, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.replay", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="")
    parser.add_argument("--only", help="numbers of the parts to keep, such as 0,3,17")
    parser.add_argument("--trace", action="store_true", help="print every step")
    given = parser.parse_args(arguments)
    plan = plan_of(given.seed, given.profile)
    if given.only is not None:
        plan = plan.only({int(number) for number in given.only.split(",") if number})
    outcome = simulate(plan, trace=given.trace)
    print(f"seed {plan.seed} ({plan.profile}): pool {plan.pool}")
    for number, part in enumerate(plan.parts):
        print(f"  {number:3} {part}")
    for line in outcome.trace:
        print(line)
    hours = outcome.time / 3_600_000
    print(f"{hours:.1f} h, {outcome.runs} runs, {outcome.calls} calls, faults {outcome.faults}")
    print("\n".join(outcome.broken) or "every invariant holds")
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main())
