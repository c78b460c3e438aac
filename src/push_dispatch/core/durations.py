"""How are durations and rates written? The same in files, on the command line and in the API."""

from __future__ import annotations

import re
from typing import Any

from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Rate, check_rate
from push_dispatch.core.reasons import Reason

__all__ = ["UNITS", "duration", "rate"]

#: Seconds of each unit.
UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PARTS = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


def duration(text: str, where: str) -> int:
    """`90s`, `5m`, `1h30m`, `2d` or bare seconds, as seconds. Raises Invalid (`invalid_time`)."""
    if _NUMBER.fullmatch(text):
        return int(text)
    parts = _PARTS.fullmatch(text)
    if not text or parts is None:
        raise Invalid(
            f"{where} {text!r} is not a duration: write it like 90s, 5m, 1h30m or 2d",
            reason=Reason.INVALID_TIME,
        )
    return sum(int(n or 0) * UNITS[u] for n, u in zip(parts.groups(), UNITS, strict=True))


def rate(text: str, where: str, *, otherwise: str = "") -> Rate:
    """`100/1h` or `100/h` as starts per period. Raises Invalid; `otherwise` is what else may be
    written."""
    starts, _, period = text.partition("/")
    seconds = _period(period)
    if seconds is None or not re.fullmatch(r"[1-9]\d{0,8}", starts, re.ASCII):
        raise Invalid(f"{where} {text!r} is not a rate: write it like 100/h or 5/10s{otherwise}")
    found = Rate(int(starts), seconds)
    check_rate(found, where)
    return found


def _period(text: Any) -> int | None:
    try:
        return duration(f"1{text}" if text in UNITS else text, "")
    except Invalid:
        return None
