"""When is the next attempt due, and how are starts spread?"""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from push_dispatch.core.retry import MAX_DELAY_SECONDS, back_off, longest_rest

NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("delay", "ended", "seconds"),
    [
        (10, 1, 10),
        (10, 2, 20),
        (10, 5, 160),
        (10, 9, 2560),
        (10, 10, 3600),
        (0, 7, 0),
        (1, 10**6, 3600),
    ],
)
def test_the_back_off_doubles_up_to_an_hour(delay: int, ended: int, seconds: int) -> None:
    assert back_off(delay, ended) == seconds


@given(st.integers(0, 10**9), st.integers(1, 10**6))
def test_the_back_off_never_shrinks(delay: int, ended: int) -> None:
    assert back_off(delay, ended) <= back_off(delay, ended + 1) <= MAX_DELAY_SECONDS


def test_the_rests_after_lost_races_grow_and_have_a_bound() -> None:
    rests = [longest_rest(race) for race in range(25)]
    assert rests == sorted(rests)
    assert 0 < rests[0] < rests[-1] <= 0.25
