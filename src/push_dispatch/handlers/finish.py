"""The finish function: what platforms report by themselves, directly or through a queue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from push_dispatch import bootstrap
from push_dispatch.adapters.telemetry import LambdaContext, logger
from push_dispatch.core.model import Run, Status
from push_dispatch.engine.eager import release
from push_dispatch.engine.finish import finish
from push_dispatch.platforms.capabilities import event_parser
from push_dispatch.platforms.registry import reporting
from push_dispatch.ports import Ports

__all__ = ["handle", "handler"]


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Lambda entry point for an EventBridge event, or a batch of them from SQS."""
    return handle(bootstrap.ports(), event)


def handle(ports: Ports, event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Apply what each event says; a failing one is delivered again without its neighbours."""
    ended: list[Run] = []
    if "Records" not in event:
        _apply(ports, event, ended)
        release(ports, ended)
        return {"batchItemFailures": []}
    failed = [r["messageId"] for r in event["Records"] if not _handle(ports, r, ended)]
    release(ports, ended)
    return {"batchItemFailures": [{"itemIdentifier": i} for i in failed]}


def _handle(ports: Ports, record: Mapping[str, Any], ended: list[Run]) -> bool:
    try:
        _apply(ports, json.loads(record["body"]), ended)
    except Exception:
        logger.exception("event failed", extra={"body": record["body"]})
        return False
    return True


def _apply(ports: Ports, event: Mapping[str, Any], ended: list[Run]) -> None:
    platform = event_parser(reporting(event.get("source", ""), ports.platform))
    observation = platform.parse(event) if platform else None
    run = finish(ports, observation) if observation else None
    # One that waits for another attempt has to be put in line first: by the stream.
    if run is not None and observation is not None:
        ended += [run] if observation.status is Status.ENDED and run.state.ended else []
