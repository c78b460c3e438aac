"""Does an expression mean what crontab, or EventBridge, means by it?

Our translation and evaluation are held against three others over a year: croniter and cronsim for
crontab's five fields, aws-croniter for EventBridge's six; and for days against their definition,
day by day. None of them does everything: what one lacks is left out for it below, and nowhere else.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from random import Random

import pytest
from aws_croniter import AwsCroniter
from croniter import croniter
from cronsim import CronSim

from push_dispatch.core.cron import parse_cron
from push_dispatch.core.errors import Invalid

BEGIN = datetime(2027, 12, 31, 23, 59)  # noqa: DTZ001 - a wall clock; 2028 is a leap year
END = datetime(2029, 1, 1)  # noqa: DTZ001
#: Times of an expression that are compared: a year of `*/5 * * * *` tells no more than a week.
MOST = 400


@pytest.mark.parametrize(
    ("cron", "fields", "first"),
    [
        # The second Friday, and not the third: what follows # is no weekday.
        ("0 9 * * 5#2", "0 9 ? * 6#2 *", "2028-01-14T09:00"),
        ("0 9 * * FRI#2", "0 9 ? * FRI#2 *", "2028-01-14T09:00"),
        ("0 9 * * 1#1", "0 9 ? * 2#1 *", "2028-01-03T09:00"),
        ("0 9 * * L", "0 9 ? * L *", "2028-01-01T09:00"),
        ("0 9 * * 5L", "0 9 ? * 6L *", "2028-01-28T09:00"),
        ("0 9 * * 0", "0 9 ? * 1 *", "2028-01-02T09:00"),
        ("0 9 * * 7", "0 9 ? * 1 *", "2028-01-02T09:00"),
        ("0 9 * * */2", "0 9 ? * 1,3,5,7 *", "2028-01-01T09:00"),
        ("0 9 * * 1-5", "0 9 ? * 2-6 *", "2028-01-03T09:00"),
        ("0 9 * * 5-7", "0 9 ? * 1,6,7 *", "2028-01-01T09:00"),
        ("0 9 * * SAT-MON", "0 9 ? * 1,2,7 *", "2028-01-01T09:00"),
        ("0 22-2 * * *", "0 22,23,0,1,2 * * ? *", "2028-01-01T00:00"),
        ("0 9 L * *", "0 9 L * ? *", "2028-01-31T09:00"),
        ("0 9 15W * *", "0 9 15W * ? *", "2028-01-14T09:00"),
        ("0 0 29 2 *", "0 0 29 2 ? *", "2028-02-29T00:00"),
        ("@daily", "0 0 * * ? *", "2028-01-01T00:00"),
        ("0 9 ? * 6#2 *", "0 9 ? * 6#2 *", "2028-01-14T09:00"),
        ("0 9 ? FEB 3#5 *", "0 9 ? FEB 3#5 *", "2028-02-29T09:00"),
    ],
)
def test_an_expression_as_eventbridge_has_it_and_when_it_fires(
    cron: str, fields: str, first: str
) -> None:
    found = parse_cron(cron)
    assert (found.fields, next(found.after(BEGIN))) == (fields, datetime.fromisoformat(first))


@pytest.mark.parametrize(
    "cron", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 9 ? * 6L 2022-2023", "0 0 31W 2 ? *"]
)
def test_never_again_is_an_answer(cron: str) -> None:
    assert list(parse_cron(cron).after(BEGIN)) == []


def test_a_leap_day_is_found_across_a_century_without_one() -> None:
    after = parse_cron("0 0 29 2 *").after(datetime(2096, 3, 1))  # noqa: DTZ001
    assert next(after) == datetime(2104, 2, 29)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("cron", "problem"),
    [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("60 * * * *", "minute '60': 0 to 59"),
        ("* 24 * * *", "hour '24': 0 to 23"),
        ("* * 0 * *", "day of month '0': 1 to 31"),
        ("* * * 13 *", "month '13': 1 to 12, or JAN to DEC"),
        ("* * * * 8", "day of week '8': 0 to 7, or SUN to SAT"),
        ("* * ? * 0 *", "day of week '0': 1 to 7, or SUN to SAT"),
        ("0 0 1 * 1", "two schedules"),
        ("0 0 * * * *", "exactly one of"),
        ("0 0 ? * ? *", "exactly one of"),
        ("0 0 LW * *", "day of month 'LW': L, L-3 or 15W"),
        ("0 0 1,L * *", "day of month '1,L'"),
        ("0 0 L-31 * *", "L-1 to L-30"),
        ("0 0 * * 5#6", "# and 1 to 5"),
        ("0 0 * * 5#2,1#1", "# and 1 to 5"),
        ("0 0 ? * 2/2 *", "no steps of weekdays"),
        ("*/0 * * * *", "a step '0'"),
        ("*/61 * * * *", "a step '61'"),
        ("1-a * * * *", "minute 'a'"),
        ("\u0661 * * * *", "minute"),
        ("* * * * ? 1969", "year '1969': 1970 to 2199"),
        ("@reboot", "1 fields"),
        ("--1 * * * *", "minute ''"),
    ],
)
def test_what_is_wrong_is_named(cron: str, problem: str) -> None:
    with pytest.raises(Invalid, match="not valid") as caught:
        parse_cron(cron)
    assert problem in caught.value.message
    assert caught.value.reason == "invalid_time"


# -- against others, over a year -----------------------------------------------------------------


def year_of(times: Iterator[datetime]) -> list[datetime]:
    return list(islice(takewhile(lambda time: time < END, times), MOST))


def ours(cron: str) -> list[datetime]:
    return year_of(parse_cron(cron).after(BEGIN))


def by_croniter(cron: str) -> list[datetime]:
    times = croniter(cron, BEGIN, ret_type=datetime)
    return year_of(iter(times.get_next, END))


def by_cronsim(cron: str) -> list[datetime]:
    return year_of(CronSim(cron, BEGIN))


def by_aws_croniter(fields: str) -> list[datetime]:
    expression = AwsCroniter(fields)
    found: list[datetime] = []
    last = BEGIN.replace(tzinfo=UTC)
    while len(found) < MOST and (last := expression.get_next(last, 1)[0]) and last.year < END.year:
        found.append(last.replace(tzinfo=None))
    return found


def day_by_day(cron: str) -> list[datetime]:
    """At 9:30 on the days that are as their field says, each day asked by itself."""
    _, _, day, month, weekday = cron.split()[:5]
    days = [datetime(2028, 1, 1, 9, 30) + timedelta(n) for n in range(366)]  # noqa: DTZ001
    is_ = _day_is(day) if weekday in ("*", "?") else _weekday_is(weekday)
    return [d for d in days if is_(d) and month in ("*", str(d.month))]


def _day_is(text: str) -> Callable[[datetime], bool]:
    if text.startswith("L"):
        before = int(text[2:] or 0)
        return lambda d: d.day == monthrange(d.year, d.month)[1] - before
    wanted = int(text[:-1])

    def nearest(d: datetime) -> bool:
        length = monthrange(d.year, d.month)[1]
        workdays = [n for n in range(1, length + 1) if d.replace(day=n).weekday() < 5]
        return wanted <= length and d.day == min(workdays, key=lambda n: abs(n - wanted))

    return nearest


def _weekday_is(text: str) -> Callable[[datetime], bool]:
    """`5#2`, `5L`: of crontab's weekdays."""
    number = int(text[0]) % 7

    def matches(d: datetime) -> bool:
        if d.isoweekday() % 7 != number:
            return False
        if text.endswith("L"):
            return d.day + 7 > monthrange(d.year, d.month)[1]
        return (d.day - 1) // 7 + 1 == int(text[2])

    return matches


class Generated:
    """Expressions, the same ones every time."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def part(self, least: int, most: int) -> str:
        low, high = sorted(self._random.sample(range(least, most + 1), 2))
        step = self._random.randint(1, max(2, (most - least) // 2))
        return self._random.choice(
            ("*", str(low), f"{low}-{high}", f"*/{step}", f"{low}-{high}/{step}", f"{low},{high}")
        )

    def listed(self, least: int, most: int) -> str:
        parts = {self.part(least, most) for _ in range(self._random.randint(1, 3))}
        return "*" if "*" in parts else ",".join(sorted(parts))

    def plain(self) -> str:
        """Lists, ranges and steps in every field; one of the days is free."""
        day, weekday = self.listed(1, 31), "*"
        if self._random.random() < 0.5:
            day, weekday = "*", self.listed(0, 6)
        month = self._random.choice(("*", self.listed(1, 12)))
        return f"{self.listed(0, 59)} {self.listed(0, 23)} {day} {month} {weekday}"

    def special(self) -> str:
        """At 9:30 on days by L, W and #."""
        n = self._random.randint
        day, weekday = self._random.choice(
            (
                ("L", "*"),
                (f"L-{n(1, 27)}", "*"),
                (f"{n(1, 31)}W", "*"),
                ("*", f"{n(0, 7)}L"),
                ("*", f"{n(0, 7)}#{n(1, 5)}"),
            )
        )
        return f"30 9 {day} {self._random.choice(('*', str(n(1, 12))))} {weekday}"


#: A hundred expressions in the quick tests, two thousand in the others.
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))]


@pytest.mark.parametrize("seed", SEEDS)
def test_plain_expressions_mean_what_two_other_evaluators_say(seed: int) -> None:
    generated = Generated(seed)
    for _ in range(40):
        cron = generated.plain()
        mine = ours(cron)
        assert mine == by_cronsim(cron), cron
        assert mine == by_croniter(cron), cron
        assert mine == by_aws_croniter(parse_cron(cron).fields), cron


@pytest.mark.parametrize("seed", SEEDS)
def test_l_w_and_hash_mean_what_others_and_their_definition_say(seed: int) -> None:
    generated = Generated(seed)
    for _ in range(60):
        cron = generated.special()
        mine = ours(cron)
        assert mine == day_by_day(cron), cron
        fields = parse_cron(cron).fields
        assert mine == ours(fields)
        month = cron.split()[3]
        if month == "*":
            # It gives up after ten steps, and calls what comes later never.
            assert mine == by_aws_croniter(fields), cron
        if "W" not in cron and "L-" not in cron:
            assert mine == by_cronsim(cron), cron
        if "#" in cron:
            assert mine == by_croniter(cron), cron
