"""The notify function: every change of a run's state, to the bus and to the metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from push_dispatch import bootstrap
from push_dispatch.adapters.event_bus import EventBus
from push_dispatch.adapters.telemetry import LambdaContext, logger, meter
from push_dispatch.handlers.stream import changes_of
from push_dispatch.ports.meter import Meter, meter_changes, no_meter
from push_dispatch.ports.notification import Numbered, notification_of
from push_dispatch.ports.store import Change

__all__ = ["NOTIFY_FILTERS", "handle", "handler"]

#: Every write of a run; what does not change the state is dropped in the function.
NOTIFY_FILTERS: list[dict[str, Any]] = [
    {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {"Keys": {"PK": {"S": [{"prefix": "RUNS#"}]}}},
    }
]


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Lambda entry point. Returns the records to deliver again."""
    return handle(_bus(), event, meter)


def handle(
    bus: EventBus | None, event: Mapping[str, Any], meter: Meter = no_meter
) -> dict[str, list[dict[str, str]]]:
    """Put each change of state on the bus, at least once and with a stable id; count what ended.
    What has to be delivered again is counted when it is."""
    notifications: list[Numbered] = []
    changes: dict[str, Change] = {}
    for number, change in changes_of(event["Records"]):
        if isinstance(change, Exception):
            logger.error("unreadable stream record", extra={"sequence": number})
        elif change and not (change.after and change.after.unreadable):  # notified when it is ended
            changes[number] = change
            if notification := _notification(number, change):
                notifications.append((number, notification))
    failed = bus.put(notifications) if bus else []
    meter_changes(meter, _before(changes, failed))
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def _notification(number: str, change: Change) -> dict[str, Any] | None:
    """None, too, if it cannot be made: it could not the next time, and others are behind it."""
    try:
        return notification_of(change)
    except Exception:
        logger.exception("a change cannot be notified of", extra={"sequence": number})
        return None


def _before(changes: Mapping[str, Change], failed: Sequence[str]) -> Iterator[Change]:
    """The stream delivers again from the first that failed."""
    for number, change in changes.items():
        if failed and number == failed[0]:
            return
        yield change


@cache
def _bus() -> EventBus | None:
    return bootstrap.event_bus_for(bootstrap.settings())
