"""Are times and durations read as their writer meant them?"""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from push_dispatch.cli.times import duration, moment, rate_of, span
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Rate
from push_dispatch.insight.views import iso


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-12-01T09:00+01:00", "2026-12-01T08:00:00.000Z"),
        ("2026-12-01T09:00:30Z", "2026-12-01T09:00:30.000Z"),
        ("2026-12-01 09:00:30.250-05:00", "2026-12-01T14:00:30.250Z"),
        ("20261201T0900Z", "2026-12-01T09:00:00.000Z"),
    ],
)
def test_a_moment_has_a_time_zone(text: str, utc: str) -> None:
    assert iso(moment(text)) == utc


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-12-01T09:00", "2026-12-01", "2026-13-01T00:00Z", "9", "25:00Z"]
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid, match="--at") as caught:
        moment(text)
    assert caught.value.reason == "invalid_time"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("45", 45), ("1h1s", 3601)],
)
def test_durations(text: str, seconds: int) -> None:
    assert duration(text, "--in") == seconds


@pytest.mark.parametrize("text", ["", "-5s", "5 m", "1.5h", "30m1h", "m", "5x", "9" * 10, "٣s"])
def test_a_malformed_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid, match="--in") as caught:
        duration(text, "--in")
    assert caught.value.reason == "invalid_time"


@given(st.integers(min_value=0, max_value=999_999_999))
def test_bare_seconds_and_units_agree(seconds: int) -> None:
    assert duration(str(seconds), "--in") == duration(f"{seconds}s", "--in") == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0s"), (0.04, "0.0s"), (9.96, "10.0s"), (59.4, "59s"), (61, "1m01s"), (7800, "2h10m")],
)
def test_spans_for_people(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("text", "rate"), [("100/1h", Rate(100, 3600)), ("100/h", Rate(100, 3600)), ("none", None)]
)
def test_rates(text: str, rate: Rate | None) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize("text", ["often", "100", "100/", "/1h", "0/1h", "100/hour", "None"])
def test_a_malformed_rate_says_how_to_write_one(text: str) -> None:
    with pytest.raises(Invalid, match="is not a rate: write it like 100/h") as caught:
        rate_of(text)
    assert caught.value.reason == "invalid_input"
