"""Which moment, and how long? What people type for --at, --in, --timeout and --start-within."""

from __future__ import annotations

import re
from datetime import datetime

from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Rate, check_rate
from push_dispatch.core.reasons import Reason

__all__ = ["duration", "moment", "rate_of", "span"]

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PARTS = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)


def moment(text: str, option: str = "--at") -> int:
    """`2026-12-01T09:00+01:00` as epoch milliseconds. Raises Invalid (`invalid_time`).

    Without a time zone it is refused, because the machine that reads it may be in another one.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            f"{option} {text!r} is not a time: write it like 2026-12-01T09:00+01:00",
            reason=Reason.INVALID_TIME,
        ) from None
    if at.tzinfo is None:
        raise Invalid(
            f"{option} {text!r} has no time zone: append Z for UTC, or an offset such as +01:00",
            reason=Reason.INVALID_TIME,
        )
    return int(at.timestamp() * 1000)


def duration(text: str, option: str) -> int:
    """`90s`, `5m`, `1h30m`, `2d` or bare seconds, as seconds. Raises Invalid (`invalid_time`)."""
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return int(text)
    parts = _PARTS.fullmatch(text)
    if not text or parts is None:
        raise Invalid(
            f"{option} {text!r} is not a duration: write it like 90s, 5m, 1h30m or 2d",
            reason=Reason.INVALID_TIME,
        )
    return sum(int(n or 0) * _UNITS[u] for n, u in zip(parts.groups(), _UNITS, strict=True))


def rate_of(text: str, option: str = "--rate") -> Rate | None:
    """`100/1h` or `100/h` as starts per period; `none` is no rate. Raises Invalid."""
    if text == "none":
        return None
    starts, slash, period = text.partition("/")
    period = f"1{period}" if period in _UNITS else period
    try:
        seconds = duration(period, option)
    except Invalid:
        slash = ""
    if not slash or not re.fullmatch(r"[1-9]\d{0,8}", starts, re.ASCII):
        raise Invalid(f"{option} {text!r} is not a rate: write it like 100/1h or 5/10s, or none")
    rate = Rate(int(starts), seconds)
    check_rate(rate, option)
    return rate


def span(seconds: float) -> str:
    """Seconds for people: `0.4s`, `12s`, `3m05s`, `2h10m`, `4d`."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest}s"
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours < 48 else f"{hours // 24}d"
