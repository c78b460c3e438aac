"""Is an end known soon, and do few polls suffice?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest

from push_dispatch.core.model import Holder
from push_dispatch.core.polling import AT_ONCE, IN_AWS, Pauses, Round, Turn, round_of

START = 1_800_000_000_000
LOCALLY = Pauses(2, 5)


def holder(number: int, since: int = START) -> Holder:
    # The ends of their ids differ as those of uuids do.
    return Holder(
        f"00000000-0000-7000-8000-{number:08x}{number * 40_503 % 65_536:04x}", 1, "q", since
    )


@dataclass
class Life:
    """Polls of a pool's attempts, turn by turn, each on time."""

    holders: list[Holder]
    pauses: Pauses = IN_AWS

    def polls(self, until: int) -> dict[str, list[int]]:
        """When each was polled, in milliseconds from the start."""
        found: dict[str, list[int]] = {h.run: [] for h in self.holders}
        turn = Turn(START + self.pauses.first * 1000)
        while turn.at and turn.at < START + until:
            now = turn.at
            held = [h for h in self.holders if h.since <= now]
            this = round_of(held, turn, now, self.pauses)
            for h in this.due:
                found[h.run].append(now - h.since)
            turn = this.following
        return found


@pytest.mark.parametrize("pauses", [IN_AWS, LOCALLY])
def test_an_end_is_known_after_a_tenth_of_its_duration(pauses: Pauses) -> None:
    [polls] = Life([holder(0)], pauses).polls(3_600_000).values()
    before = 0
    for at in polls:
        assert at - before <= max(pauses.first * 1000, 0.1 * before) + 1
        before = at
    assert pauses.until - pauses.longest * 1000 <= before <= pauses.until
    assert len(polls) <= 50, "few, however long it runs"


def test_attempts_share_turns_and_none_waits_longer() -> None:
    """Twenty that came at any moment are asked for in the same turns, at most twelve a minute."""
    life = Life([holder(n, START + n * 1_700) for n in range(20)])
    turns: set[int] = set()
    for h, polls in zip(life.holders, life.polls(600_000).values(), strict=True):
        turns |= {h.since + at for at in polls}
        for before, at in pairwise(polls):
            # Of one that has come between two turns the first poll is up to a turn late.
            assert at - before <= max(5000, 0.1 * before) + 1
        assert polls[0] <= 10_000
    ordered = sorted(turns)
    assert min(b - a for a, b in pairwise(ordered)) >= 5000


def test_of_many_the_youngest_are_polled_for_the_sake_of_the_platform() -> None:
    """The sweep polls the others."""
    crowd = [holder(n, START + n * 100) for n in range(200)]
    now = START + 60_000
    found = round_of(crowd, Turn(now, START), now, IN_AWS)
    assert found.due == crowd[: -AT_ONCE - 1 : -1]
    assert found.following.at >= now + 5000


def test_who_has_grown_old_is_left_to_the_sweep() -> None:
    assert round_of([holder(0)], Turn(), START + IN_AWS.until, IN_AWS) == Round()
    assert round_of([holder(0)], Turn(), START, Pauses()) == Round()
    assert round_of([], Turn(), START, IN_AWS) == Round()


def test_a_turn_that_comes_late_misses_nobody() -> None:
    late = START + 60_000
    found = round_of([holder(0), holder(1, late - 1)], Turn(START + 5000), late, IN_AWS)
    assert found.due == [holder(0)]
    assert found.following.before == late


def test_a_turn_is_coming_until_it_is_overdue() -> None:
    turn = Turn(START)
    assert turn.is_coming(START - 5000, 5000)
    assert turn.is_coming(START + 30_000, 5000)
    assert not turn.is_coming(START + 30_001, 5000)
    assert not turn.is_coming(START - 5001, 5000)
    assert not Turn().is_coming(0, 5000)
