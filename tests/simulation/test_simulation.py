"""Does every simulated story go well? A short range of them; `.ci/steps` plays more.

A failure prints the command that replays its story step by step.
"""

from __future__ import annotations

import pytest

from tests.simulation.hunt import hunt
from tests.simulation.plan import PROFILES, plan_of
from tests.simulation.simulation import simulate


@pytest.mark.parametrize("profile", PROFILES)
def test_stories(profile: str) -> None:
    tally = hunt(range(1000, 1001) if profile == "quiet" else range(1000, 1004), profile)
    assert tally.runs
    assert [(found.command, found.broken) for found in tally.found] == []


def test_the_same_seed_tells_the_same_story() -> None:
    first, second = (simulate(plan_of(7, "everything"), trace=True) for _ in range(2))
    assert first.trace == second.trace
    assert first.faults
