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
from push_dispatch.adapters.telemetry import LambdaContext, logger
from push_dispatch.adapters.webhooks import Webhooks
from push_dispatch.ports.notification import Numbered

__all__ = ["handle", "handler"]


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Lambda entry point. Returns the messages to deliver again."""
    return handle(_webhooks(), event, context.get_remaining_time_in_millis)


def handle(
    webhooks: Webhooks, event: Mapping[str, Any], left: Callable[[], int]
) -> dict[str, list[dict[str, str]]]:
    """Post the change in each message; one that a webhook did not take is delivered again."""
    notifications: list[Numbered] = []
    for record in event["Records"]:
        try:
            notifications.append((record["messageId"], json.loads(record["body"])["detail"]))
        except (ValueError, KeyError, TypeError):
            # Delivered again it would be just as unreadable.
            logger.exception("unreadable message", extra={"body": record["body"]})
    failed = webhooks.post(notifications, left)
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


@cache
def _webhooks() -> Webhooks:
    return bootstrap.webhooks_for(bootstrap.settings())
