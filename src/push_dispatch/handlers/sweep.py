"""The sweep function: called every minute, never twice at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from push_dispatch import bootstrap
from push_dispatch.adapters.telemetry import LambdaContext, logger
from push_dispatch.engine.sweep import Swept, sweep
from push_dispatch.ports import Ports

__all__ = ["Incomplete", "handle", "handle_alone", "handler"]

#: A sweep begins no pool when only this much of the function's time is left: enough to end one.
RESERVE_SECONDS = 12
#: For how long no other sweep may begin: a little less than the minute between two of them, which
#: do not come exactly on time. It is never given back, so that it costs one write.
LEASE_SECONDS = 50


class Incomplete(Exception):
    """Some pools failed or were not swept: Lambda counts an error, on which there is an alarm."""


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda entry point for the schedule. Raises Incomplete."""
    seconds = context.get_remaining_time_in_millis() // 1000 - RESERVE_SECONDS
    return handle_alone(bootstrap.ports(), seconds)


def handle_alone(ports: Ports, seconds: int) -> dict[str, Any]:
    """Sweep for so many seconds unless another sweep is under way. Raises Incomplete after what
    could be done was done; the next sweep goes on where this one stopped."""
    now = ports.clock()
    first = ports.store.begin_sweep(now, now + LEASE_SECONDS * 1000)
    if first is None:
        logger.warning("another sweep is under way")
        return asdict(Swept())
    swept = sweep(ports, first=first, until=now + seconds * 1000)
    following = swept.left[0] if swept.left else ""
    if following != first:
        ports.store.end_sweep(following)
    if swept.failed or swept.left:
        logger.error("incomplete sweep", extra=asdict(swept))
        raise Incomplete(f"{len(swept.failed)} pools failed, {len(swept.left)} were not swept")
    return _logged(swept)


def handle(ports: Ports) -> dict[str, Any]:
    """Sweep every pool, and say what was done."""
    return _logged(sweep(ports))


def _logged(swept: Swept) -> dict[str, Any]:
    fields = asdict(swept)
    if any(fields.values()):
        logger.debug("swept", extra=fields)
    return fields
