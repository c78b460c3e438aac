"""The notify function: every change of a run's state, to the bus and to webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from push_dispatch import bootstrap
from push_dispatch.handlers.events import changes_of
from push_dispatch.notify import Notifier, notification_of
from push_dispatch.telemetry import LambdaContext, logger

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
    return handle(_notifier(), event)


def handle(notifier: Notifier, event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Tell of each change of state, at least once and with a stable id."""
    failed: list[str] = []
    told: list[tuple[str, dict[str, Any]]] = []
    for number, change in changes_of(event["Records"]):
        if isinstance(change, Exception):
            logger.error("unreadable stream record", extra={"sequence": number})
        elif change and (notification := notification_of(change)):
            told.append((number, notification))
    failed = notifier.tell(told)
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


@cache
def _notifier() -> Notifier:
    return Notifier.from_settings(bootstrap.settings())
