"""At which times does a cron expression come true? Crontab's five fields, or EventBridge's six.

A `Cron` is an expression with its six fields and the wall-clock times at which it fires. In AWS,
EventBridge Scheduler evaluates the same six fields, and these rules are its own:
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based

Two differences between the forms: EventBridge counts weekdays from 1 (Sunday), crontab from 0; and
one of day-of-month and day-of-week must be `?` there, so that a crontab that restricts both (which
means "either") has no equivalent.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason

__all__ = ["Cron", "parse_cron"]

#: Of a month, by weekday of its first day (Monday is 0) and its length, the days that match.
Days = Callable[[int, int], "frozenset[int]"]


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression that was understood."""

    #: EventBridge's six, separated by spaces.
    fields: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: tuple[int, ...]
    years: tuple[int, ...]
    days: Days

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The times later than `moment`, in order, on a clock that never changes. Ends after the
        last one; empty for what never comes true, such as 30 February."""
        for day in self._days_from(moment.date()):
            for hour in self.hours:
                for minute in self.minutes:
                    time = datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001
                    if time > moment:
                        yield time

    def _days_from(self, first: date) -> Iterator[date]:
        for year in self.years:
            for month in self.months:
                if (year, month) >= (first.year, first.month):
                    for day in sorted(self.days(*monthrange(year, month))):
                        if (found := date(year, month, day)) >= first:
                            yield found


@lru_cache(maxsize=1024)
def parse_cron(text: str) -> Cron:
    """Understand five or six fields, or a name such as `@daily`. Raises Invalid (`invalid_time`),
    naming the field that is wrong."""
    try:
        return _parsed(_MACROS.get(text.strip().lower(), text).split())
    except ValueError as error:
        raise Invalid(
            f"cron {text!r} is not valid: {error}; write it like 0 2 * * * or @daily",
            reason=Reason.INVALID_TIME,
        ) from None


# -- the fields -------------------------------------------------------------------------------

_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    #: The number of the first name.
    first: int = 0
    #: After how many values a range that goes over the end begins again.
    size: int = 0

    def values(self, text: str) -> tuple[int, ...]:
        """All values of a list of numbers, ranges and steps. Raises ValueError."""
        return tuple(sorted({value for part in text.split(",") for value in self.part(part)}))

    def number(self, text: str) -> int:
        """A number, or a name as a number. Raises ValueError."""
        if text.upper() in self.names:
            return self.names.index(text.upper()) + self.first
        if re.fullmatch(r"[0-9]{1,4}", text) and self.least <= int(text) <= self.most:
            return int(text)
        raise ValueError(f"{self.name} {text!r}: {self.least} to {self.most}{self._or_names()}")

    def part(self, text: str) -> list[int]:
        """The values of one number, range or step, in its order. Raises ValueError."""
        span, slash, step = text.partition("/")
        low, dash, high = span.partition("-")
        if span == "*":
            first, last = self.least, self.most
        else:
            first = self.number(low)
            last = self.number(high) if dash else (self.most if slash else first)
        if first > last:
            # FRI-MON, 22-2: over the end.
            size = self.size or self.most - self.least + 1
            numbers = [self.least + (n - self.least) % size for n in range(first, last + size + 1)]
        else:
            numbers = list(range(first, last + 1))
        return numbers[:: self._step(step)] if slash else numbers

    def _step(self, text: str) -> int:
        if re.fullmatch(r"[0-9]{1,4}", text) and 1 <= int(text) <= self.most - self.least + 1:
            return int(text)
        raise ValueError(f"{self.name}: a step {text!r} is not 1 to {self.most - self.least + 1}")

    def _or_names(self) -> str:
        return f", or {self.names[0]} to {self.names[-1]}" if self.names else ""


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS, 1)
_YEAR = _Field("year", 1970, 2199)
#: EventBridge's, and crontab's, which has two Sundays.
_WEEKDAY = _Field("day of week", 1, 7, _WEEKDAYS, 1)
_CRONTAB_WEEKDAY = _Field("day of week", 0, 7, _WEEKDAYS, 0, size=7)


def _parsed(fields: list[str]) -> Cron:
    if len(fields) == 5:
        fields = _six(*fields)
    elif len(fields) != 6:
        raise ValueError(f"{len(fields)} fields; 5 (crontab) or 6 (EventBridge) are valid")
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise ValueError("exactly one of day of month and day of week is ?")
    return Cron(
        fields=" ".join(fields),
        minutes=_MINUTE.values(minute),
        hours=_HOUR.values(hour),
        months=_MONTH.values(month),
        years=_YEAR.values(year),
        days=_of_month(day) if weekday == "?" else _of_week(weekday),
    )


def _six(minute: str, hour: str, day: str, month: str, weekday: str) -> list[str]:
    free = ("*", "?")
    if day not in free and weekday not in free:
        raise ValueError(
            "it restricts day of month and day of week, which EventBridge cannot express: make two "
            "schedules"
        )
    if weekday in free:
        six = [minute, hour, "*" if day in free else day, month, "?", "*"]
    else:
        six = [minute, hour, "?", month, _weekday_of_crontab(weekday), "*"]
    # EventBridge's ranges do not go over the end.
    six[0], six[1] = _unwrapped(_MINUTE, six[0]), _unwrapped(_HOUR, six[1])
    six[2], six[3] = _unwrapped(_DAY, six[2]), _unwrapped(_MONTH, six[3])
    return six


def _unwrapped(field: _Field, text: str) -> str:
    return ",".join(_unwrapped_part(field, part) for part in text.split(","))


def _unwrapped_part(field: _Field, part: str) -> str:
    match = re.fullmatch(r"(\w+)-(\w+)(/\w+)?", part)
    if not match or part.upper().startswith("L-"):
        return part
    if field.number(match.group(1)) <= field.number(match.group(2)):
        return part
    return ",".join(map(str, field.part(part)))


def _weekday_of_crontab(text: str) -> str:
    """Crontab's 0 to 7 (0 and 7 are Sunday) as EventBridge's 1 to 7; names stay."""
    if text.upper() == "L":
        return "L"
    if text.upper().endswith("L"):
        return f"{_shifted(text[:-1])}L"
    day, hash_, week = text.partition("#")
    if hash_:
        return f"{_shifted(day)}#{week}"
    return ",".join(_shifted_part(part) for part in text.split(","))


def _shifted(day: str) -> str:
    number = _CRONTAB_WEEKDAY.number(day)
    return str(number % 7 + 1) if day.isdigit() else day


def _shifted_part(part: str) -> str:
    low, dash, high = part.partition("-")
    if "/" not in part and not dash:
        return "*" if part == "*" else _shifted(part)
    if "/" not in part and _WEEKDAY.number(_shifted(low)) <= _WEEKDAY.number(_shifted(high)):
        return f"{_shifted(low)}-{_shifted(high)}"
    # EventBridge knows no steps of weekdays, and its ranges end on Saturday.
    days = sorted({number % 7 + 1 for number in _CRONTAB_WEEKDAY.part(part)})
    return ",".join(map(str, days))


# -- days of a month: each takes the weekday of the first (Monday is 0) and the month's length ----


def _of_month(text: str) -> Days:
    upper = text.upper()
    if match := re.fullmatch(r"L(?:-([0-9]{1,2}))?", upper):
        before = int(match.group(1) or 0)
        if before > 30:
            raise ValueError(f"day of month {text!r}: L-1 to L-30")
        return lambda _, length: frozenset({length - before} if length > before else ())
    if match := re.fullmatch(r"([0-9]{1,2})W", upper):
        day = _DAY.number(match.group(1))
        return lambda first, length: _nearest_weekday(day, first, length)
    if re.search(r"[LW]", upper):
        raise ValueError(f"day of month {text!r}: L, L-3 or 15W, and nothing beside it")
    days = _DAY.values(text)
    return lambda _, length: frozenset(day for day in days if day <= length)


def _nearest_weekday(day: int, first: int, length: int) -> frozenset[int]:
    """The day from Monday to Friday that is nearest to `day` in the same month."""
    if day > length:
        return frozenset()
    weekday = (first + day - 1) % 7
    if weekday == 5:
        return frozenset({day - 1 if day > 1 else day + 2})
    if weekday == 6:
        return frozenset({day + 1 if day < length else day - 2})
    return frozenset({day})


def _of_week(text: str) -> Days:
    upper = text.upper()
    if upper == "L":
        return _of_week("SAT")
    if upper.endswith("L"):
        weekday = _WEEKDAY.number(text[:-1])
        return lambda first, length: frozenset(_on((weekday,), first, length)[-1:])
    if "#" in text:
        day, _, week = text.partition("#")
        weekday = _WEEKDAY.number(day)
        if not re.fullmatch(r"[1-5]", week):
            raise ValueError(f"day of week {text!r}: # and 1 to 5 behind one weekday")
        nth = int(week)
        return lambda first, length: frozenset(_on((weekday,), first, length)[nth - 1 : nth])
    if "/" in text:
        raise ValueError(f"day of week {text!r}: EventBridge knows no steps of weekdays")
    weekdays = _WEEKDAY.values(text)
    return lambda first, length: frozenset(_on(weekdays, first, length))


def _on(weekdays: tuple[int, ...], first: int, length: int) -> list[int]:
    """The days of the month on these weekdays, of which Sunday is 1."""
    return [day for day in range(1, length + 1) if (first + day) % 7 + 1 in weekdays]
