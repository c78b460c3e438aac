"""Play many stories: `python -m tests.simulation.hunt --seeds 0:1000`.

Prints what was found, with the one command that replays it, and how much was simulated.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from tests.simulation.plan import PROFILES, plan_of
from tests.simulation.simulation import Outcome, simulate

#: Stories that a process plays before it takes others.
_PART = 20

__all__ = ["Found", "Tally", "hunt", "main"]


@dataclass(frozen=True)
class Found:
    """A story in which something is broken."""

    seed: int
    profile: str
    broken: tuple[str, ...]
    #: Whether the profile was given. One that the seed draws makes another story if it is given.
    named: bool

    @property
    def command(self) -> str:
        """What replays it."""
        more = f" --profile {self.profile}" if self.named else ""
        return f"python -m tests.simulation.replay {self.seed}{more}"


@dataclass
class Tally:
    """What a range of stories came to."""

    stories: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    hours: float = 0
    runs: int = 0
    calls: int = 0
    found: list[Found] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take over another range's."""
        self.stories += other.stories
        self.faults += other.faults
        self.hours += other.hours
        self.runs += other.runs
        self.calls += other.calls
        self.found += other.found

    def note(self, outcome: Outcome, *, named: bool) -> None:
        """Count a story."""
        self.stories += 1
        self.faults.update(outcome.faults)
        self.hours += outcome.time / 3_600_000
        self.runs += outcome.runs
        self.calls += outcome.calls
        if outcome.broken:
            plan = outcome.plan
            self.found.append(Found(plan.seed, plan.profile, tuple(outcome.broken), named))


def hunt(
    seeds: Sequence[int], profile: str = "", *, until: float | None = None, first: bool = False
) -> Tally:
    """Play these stories, no more of them after `until` (of time.time); with `first`, none after
    the first one that is broken."""
    tally = Tally()
    for seed in seeds:
        if until is not None and time.time() > until:
            break
        tally.note(simulate(plan_of(seed, profile)), named=bool(profile))
        if first and tally.found:
            break
    return tally


def main(arguments: list[str] | None = None) -> int:
    """0 if nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.hunt", description=__doc__)
    parser.add_argument("--seeds", default="0:200", help="FIRST:LAST, the last one not included")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="begin no story after this time")
    parser.add_argument("--first", action="store_true", help="stop at the first broken story")
    given = parser.parse_args(arguments)
    first, _, last = given.seeds.partition(":")
    seeds = range(int(first), int(last))
    began = time.monotonic()
    until = time.time() + given.seconds if given.seconds else None
    tally = Tally()
    if given.processes == 1:
        tally = hunt(seeds, given.profile, until=until, first=given.first)
    else:
        with ProcessPoolExecutor(given.processes) as pool:
            parts = [seeds[start : start + _PART] for start in range(0, len(seeds), _PART)]
            play = partial(hunt, profile=given.profile, until=until)
            for part in pool.map(play, parts):
                tally.add(part)
    report(tally, time.monotonic() - began)
    return 1 if tally.found else 0


def report(tally: Tally, seconds: float) -> None:
    """Print it."""
    for found in tally.found[:20]:
        print(f"seed {found.seed} ({found.profile}): {found.broken[0]}\n    {found.command}")
    faults = sum(tally.faults.values())
    print(
        f"{tally.stories} stories, {tally.hours:,.0f} simulated hours, {tally.runs:,} runs, "
        f"{tally.calls:,} calls, {faults:,} faults: {len(tally.found)} broken; "
        f"{seconds:.0f} s, {tally.hours / max(seconds, 0.001) * 60:,.0f} simulated hours a minute"
    )
    print("faults:", ", ".join(f"{kind} {n:,}" for kind, n in tally.faults.most_common()))


if __name__ == "__main__":
    sys.exit(main())
