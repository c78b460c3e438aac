"""Which moment, and how long? What people type for --at, --in, --timeout and --start-within."""

from __future__ import annotations

from datetime import datetime

from push_dispatch.core import durations
from push_dispatch.core.durations import duration
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Rate
from push_dispatch.core.reasons import Reason

__all__ = ["duration", "moment", "rate_of", "span"]


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


def rate_of(text: str, option: str = "--rate") -> Rate | None:
    """`100/1h` or `100/h` as starts per period; `none` is no rate. Raises Invalid."""
    if text == "none":
        return None
    return durations.rate(text, option, otherwise=", or none")


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
