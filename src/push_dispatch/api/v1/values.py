"""Which values may a field of a request have? The bounds are the core's, at every door the same.

Durations are seconds, times are ISO 8601 with a time zone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from push_dispatch.core import bounds
from push_dispatch.core.model import (
    MAX_GIVE_UP_SECONDS,
    MAX_HOLD_SECONDS,
    MAX_SLOTS,
    MAX_START_BY_SECONDS,
    MAX_WAITING,
)

__all__ = [
    "BATCH",
    "PAGE",
    "After",
    "Ageing",
    "Amount",
    "Count",
    "Description",
    "GiveUp",
    "Hold",
    "Input",
    "Interval",
    "Key",
    "Limit",
    "MaxWaiting",
    "Name",
    "PageSize",
    "Priority",
    "RateText",
    "RunName",
    "Seconds",
    "Secret",
    "StartBy",
    "Tag",
    "Time",
    "Type",
]

#: The longest list in one reply, and runs in one batch.
PAGE = 200
BATCH = 500

Name = Annotated[str, Meta(pattern=bounds.NAME)]
Limit = Annotated[int, Meta(ge=0, le=MAX_SLOTS, description="Slots; 0 starts nothing.")]
MaxWaiting = Annotated[
    int, Meta(ge=0, le=MAX_WAITING, description="Runs that may wait for their first start.")
]
Priority = Annotated[int, Meta(ge=1, le=bounds.LARGEST, description="1 is served first.")]
RateText = Annotated[
    str,
    Meta(
        pattern=r"^[1-9][0-9]{0,5}/([1-9][0-9]{0,6})?[dhms]$",
        description="Starts per period, such as 100/h or 5/10s.",
    ),
]
Hold = Annotated[int, Meta(ge=0, le=MAX_HOLD_SECONDS)]
GiveUp = Annotated[int, Meta(ge=1, le=MAX_GIVE_UP_SECONDS)]
Ageing = Annotated[int, Meta(ge=1, le=MAX_GIVE_UP_SECONDS)]
Amount = Annotated[float, Meta(ge=0, le=1_000_000_000)]
Count = Annotated[int, Meta(ge=0, le=bounds.LARGEST)]
Seconds = Annotated[int, Meta(ge=1, le=bounds.LARGEST)]
StartBy = Annotated[
    int,
    Meta(ge=1, le=MAX_START_BY_SECONDS, description="Who should start earlier goes first."),
]
Description = Annotated[str, Meta(max_length=bounds.DESCRIPTION)]
Secret = Annotated[str, Meta(pattern=bounds.SECRET_PATTERN)]
Type = Annotated[
    str,
    Meta(
        max_length=63,
        description="Such as process, ecs or cloud-run-v2:push.",
        examples=["process"],
    ),
]
Tag = Annotated[str, Meta(max_length=bounds.TAG)]
RunName = Annotated[str, Meta(max_length=bounds.RUN_NAME)]
Key = Annotated[str, Meta(max_length=bounds.CONCURRENCY_KEY)]
Interval = Annotated[int, Meta(ge=60, le=bounds.LONGEST_INTERVAL, multiple_of=60)]
Time = Annotated[datetime, Meta(tz=True)]
PageSize = Annotated[int, Meta(ge=1, le=PAGE, description="Items in one reply.")]
After = Annotated[str, Meta(max_length=200, description="`next` of the reply before.")]


class Input(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What all of them share: unknown fields are refused."""
