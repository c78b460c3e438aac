"""Does a bucket give its starts evenly, and never too many?"""

from __future__ import annotations

from hypothesis import given, strategies as st

from push_dispatch.core.model import Rate
from push_dispatch.core.rates import available, next_at, take

NOW = 1_800_000_000_000


def test_a_full_bucket_gives_its_starts_at_once_and_then_one_a_step() -> None:
    rate = Rate(3, 60)
    assert available(0, rate, NOW) == 3
    full_at = take(0, rate, NOW, 3)
    assert next_at(full_at, rate) == NOW + 20_000
    assert available(full_at, rate, NOW + 19_999) == 0
    assert available(full_at, rate, NOW + 20_000) == 1
    assert available(full_at, rate, NOW + 59_999) == 2
    assert available(full_at, rate, NOW + 60_000) == 3


@given(
    st.builds(Rate, st.integers(1, 20), st.integers(1, 600)),
    st.lists(st.integers(0, 10_000), max_size=60),
)
def test_no_period_has_more_starts_than_a_burst_and_its_own(rate: Rate, gaps: list[int]) -> None:
    """A bucket may be full when a period begins: twice the starts, never more."""
    now, full_at = NOW, 0
    starts: list[int] = []
    for gap in gaps:
        now += gap
        if available(full_at, rate, now):
            full_at = take(full_at, rate, now, 1)
            starts.append(now)

    for first in starts:
        within = [at for at in starts if first <= at < first + rate.period_seconds * 1000]
        assert len(within) <= 2 * rate.starts


@given(st.builds(Rate, st.integers(1, 20), st.integers(1, 600)), st.integers(0, 40))
def test_the_next_start_is_there_when_it_should_be(rate: Rate, before: int) -> None:
    full_at = take(0, rate, NOW, min(before, rate.starts)) if before else 0
    turn = max(NOW, next_at(full_at, rate))

    assert available(full_at, rate, turn) >= 1
    if turn > NOW:
        assert available(full_at, rate, turn - 1) == 0


@given(st.builds(Rate, st.integers(1, 20), st.integers(1, 600)), st.integers(0, 20))
def test_taking_some_leaves_the_rest(rate: Rate, count: int) -> None:
    count = min(count, rate.starts)
    full_at = take(0, rate, NOW, count)
    assert available(full_at, rate, NOW) == rate.starts - count
