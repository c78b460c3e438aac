"""The trace function: runs that have ended, from the bus, by a queue, to an OTLP collector.

Apart from the function that reads the stream, as webhooks are: a collector that is slow or down
lets only its own messages wait. Each names a run, which is read when it is exported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from push_dispatch import bootstrap
from push_dispatch.adapters.telemetry import LambdaContext, logger
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Run, parse_run_id
from push_dispatch.ports.store import Store

if TYPE_CHECKING:
    from push_dispatch.adapters.otlp import Otlp

__all__ = ["handle", "handler"]


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Lambda entry point. Returns the messages to deliver again."""
    return handle(bootstrap.ports().store, _otlp(), event)


def handle(store: Store, otlp: Otlp, event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Export the run in each message. What the collector did not take is delivered again; a message
    that comes twice exports the same spans twice."""
    runs = {run.id: run for run in (_run(store, record) for record in event["Records"]) if run}
    if otlp.export(list(runs.values())):
        return {"batchItemFailures": []}
    logger.warning("the OTLP collector took no traces", extra={"runs": len(runs)})
    return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in event["Records"]]}


def _run(store: Store, record: Mapping[str, Any]) -> Run | None:
    """None if there is nothing to export: the run is deleted by now, or another one has its id."""
    try:
        pool, uuid = parse_run_id(json.loads(record["body"])["detail"]["run"])
    except (ValueError, KeyError, TypeError, Invalid):
        # Delivered again it would be just as unreadable.
        logger.exception("unreadable message", extra={"body": record["body"]})
        return None
    run = store.run(pool, uuid)
    return run if run and run.state.ended and not run.unreadable else None


@cache
def _otlp() -> Otlp:
    return bootstrap.otlp_for(bootstrap.settings())
