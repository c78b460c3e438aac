"""Does each pool get its turn, is each failure seen, and never two sweeps at once?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.control.pools import create_pool
from push_dispatch.core.errors import Unavailable
from push_dispatch.core.model import Pool
from push_dispatch.engine import sweep as sweeping
from push_dispatch.engine.sweep import Swept
from push_dispatch.handlers.sweep import LEASE_SECONDS, Incomplete, handle_alone
from push_dispatch.ports import Ports
from tests.fakes.world import TEMPLATE, World

NAMES = ["a", "b", "c", "d", "p"]
MINUTE = 60_000


class Slow:
    """Sweeps that take ten seconds a pool."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.swept: list[str] = []
        self.failing: dict[str, Exception] = {}
        for name in NAMES[:-1]:
            create_pool(world.ports, Pool(name, "process"), TEMPLATE)
        monkeypatch.setattr(sweeping, "sweep_pool", self.sweep_pool)

    def sweep_pool(self, ports: Ports, name: str, swept: Swept) -> None:
        self.swept.append(name)
        self.world.now += 10_000
        if error := self.failing.get(name):
            raise error

    def minute(self, seconds: int = 45) -> list[str]:
        """The pools that one sweep sweeps."""
        self.swept.clear()
        began = self.world.now
        try:
            handle_alone(self.world.ports, seconds)
        finally:
            self.world.now = began + MINUTE
        return list(self.swept)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(World(), monkeypatch)


def test_a_sweep_that_runs_out_of_time_is_continued_by_the_next(slow: Slow) -> None:
    turns = []
    for _ in range(5):
        with pytest.raises(Incomplete, match="2 were not swept"):
            slow.minute(seconds=25)
        turns.append("".join(slow.swept))
    assert turns == ["abc", "dpa", "bcd", "pab", "cdp"]


def test_one_that_sweeps_all_begins_with_the_first_again(slow: Slow) -> None:
    with pytest.raises(Incomplete):
        slow.minute(seconds=15)
    assert slow.minute() == ["c", "d", "p", "a", "b"]
    assert slow.minute() == NAMES


def test_a_pool_that_is_gone_costs_nobody_its_turn(slow: Slow) -> None:
    slow.world.store.end_sweep("bb")
    assert slow.minute() == ["c", "d", "p", "a", "b"]
    slow.world.store.end_sweep("z")
    assert slow.minute() == NAMES


@pytest.mark.parametrize("error", [Unavailable("throttling"), ValueError("a malformed item")])
def test_a_pool_that_fails_holds_up_nobody_and_is_an_error(slow: Slow, error: Exception) -> None:
    slow.failing["b"] = error
    with pytest.raises(Incomplete, match="1 pools failed"):
        slow.minute()
    assert slow.swept == NAMES


def test_two_sweeps_never_overlap(slow: Slow) -> None:
    other: list[object] = []
    slow.failing["b"] = Unavailable("later")
    began = slow.world.now

    def second() -> None:
        other.append(handle_alone(slow.world.ports, 45))

    def sweep_pool(ports: Ports, name: str, swept: Swept) -> None:
        slow.sweep_pool(replace(ports), name, swept)
        if name == "c":
            second()

    slow.failing.clear()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sweeping, "sweep_pool", sweep_pool)
        handle_alone(slow.world.ports, 45)
    assert slow.swept == NAMES
    assert len(other) == 1
    slow.world.now = began + LEASE_SECONDS * 1000
    slow.swept.clear()
    handle_alone(slow.world.ports, 45)
    assert slow.swept == NAMES, "who died in the middle keeps nobody away for longer"
