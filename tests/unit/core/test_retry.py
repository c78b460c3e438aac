"""When is the next attempt due, and how are starts spread?"""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from push_dispatch.core.model import Rate
from push_dispatch.core.pacing import take
from push_dispatch.core.retry import MAX_DELAY_SECONDS, back_off

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


def test_a_full_bucket_gives_its_starts_at_once_and_then_one_a_step() -> None:
    rate, full_at = Rate(3, 60), 0
    waits = []
    for _ in range(4):
        full_at, wait = take(full_at, rate, NOW)
        waits.append(wait)

    assert waits == [0, 0, 0, 20_000]
    assert take(full_at, rate, NOW + 19_999)[1] == 1
    assert take(full_at, rate, NOW + 20_000)[1] == 0


def test_who_has_to_wait_takes_nothing() -> None:
    full_at, _ = take(0, Rate(1, 60), NOW)

    assert take(full_at, Rate(1, 60), NOW) == (full_at, 60_000)


@given(
    st.builds(Rate, st.integers(1, 20), st.integers(1, 600)),
    st.lists(st.integers(0, 10_000), max_size=60),
)
def test_no_period_has_more_starts_than_a_burst_and_its_own(rate: Rate, gaps: list[int]) -> None:
    """A bucket may be full when a period begins: twice the starts, never more."""
    now, full_at, starts = NOW, 0, []
    for gap in gaps:
        now += gap
        full_at, wait = take(full_at, rate, now)
        if not wait:
            starts.append(now)

    for first in starts:
        within = [at for at in starts if first <= at < first + rate.period_seconds * 1000]
        assert len(within) <= 2 * rate.starts


@given(st.builds(Rate, st.integers(1, 20), st.integers(1, 600)), st.integers(0, 40))
def test_waiting_as_told_is_enough(rate: Rate, before: int) -> None:
    full_at = 0
    for _ in range(before):
        full_at, _ = take(full_at, rate, NOW)
    _, wait = take(full_at, rate, NOW)

    assert take(full_at, rate, NOW + wait)[1] == 0
