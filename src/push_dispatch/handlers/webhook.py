"""The webhook function: changes of state from the bus, by a queue, to the receivers.

Apart from the function that reads the stream, so that a slow receiver delays neither the bus nor
the metrics nor the runs of another pool: here it only lets its own messages wait.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from push_dispatch import bootstrap
from push_dispatch.adapters.notifier import Notifier
from push_dispatch.adapters.telemetry import LambdaContext, logger

__all__ = ["handle", "handler"]


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Lambda entry point. Returns the messages to deliver again."""
    return handle(_notifier(), event, context.get_remaining_time_in_millis)


def handle(
    notifier: Notifier, event: Mapping[str, Any], left: Callable[[], int]
) -> dict[str, list[dict[str, str]]]:
    """Post the change in each message; one that a webhook did not take is delivered again."""
    details: list[tuple[str, dict[str, Any]]] = []
    for record in event["Records"]:
        try:
            details.append((record["messageId"], json.loads(record["body"])["detail"]))
        except (ValueError, KeyError, TypeError):
            # Delivered again it would be just as unreadable.
            logger.exception("unreadable message", extra={"body": record["body"]})
    failed = notifier.post_all(details, left)
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


@cache
def _notifier() -> Notifier:
    return Notifier.from_settings(bootstrap.settings())
