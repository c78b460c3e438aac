"""The dispatch function: the table's stream and the wake queue in, one dispatch per pool out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from push_dispatch import bootstrap
from push_dispatch.adapters.telemetry import LambdaContext, logger
from push_dispatch.core.errors import PushDispatchError, Unreadable
from push_dispatch.engine.dispatch import Hints, Passed, dispatch, hints_of
from push_dispatch.handlers.stream import changes_of
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Wake, decode
from push_dispatch.ports.store import Change

__all__ = ["handle", "handler"]

Failures = dict[str, list[dict[str, str]]]


def handler(event: Mapping[str, Any], context: LambdaContext) -> Failures:
    """Lambda entry point. Returns the records to deliver again."""
    return handle(bootstrap.ports(), event)


def handle(ports: Ports, event: Mapping[str, Any]) -> Failures:
    """Coalesce a batch by pool and dispatch each pool once. A pool that fails has its records
    delivered again and does not cost the others theirs."""
    hints, ids = _read(event["Records"])
    failed = [i for pool in hints for i in _dispatch(ports, pool, hints[pool], ids[pool])]
    return {"batchItemFailures": [{"itemIdentifier": i} for i in failed]}


def _read(records: list[Mapping[str, Any]]) -> tuple[dict[str, Hints], dict[str, list[str]]]:
    ids: dict[str, list[str]] = defaultdict(list)
    if records and records[0].get("eventSource") == "aws:sqs":
        return _read_wakes(records, ids), ids
    changes: list[Change] = []
    for number, change in changes_of(records):
        if isinstance(change, Exception):
            # Delivered again it would be just as unreadable: say so, and go on.
            logger.error(
                "unreadable stream record", extra={"sequence": number, "error": str(change)}
            )
        elif change is not None:
            changes.append(change)
            ids[change.pool].append(number)
    return hints_of(changes), ids


def _read_wakes(records: list[Mapping[str, Any]], ids: dict[str, list[str]]) -> dict[str, Hints]:
    hints: dict[str, Hints] = defaultdict(Hints)
    for record in records:
        try:
            wake = decode(record["body"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.error("unreadable wake", extra={"body": record["body"], "error": str(error)})
            continue
        if isinstance(wake, Wake):
            hints[wake.pool].ended.update(wake.ended)
            hints[wake.pool].due.update(wake.due)
            ids[wake.pool].append(record["messageId"])
    return dict(hints)


def _dispatch(ports: Ports, pool: str, hints: Hints, ids: list[str]) -> list[str]:
    """The records to deliver again: none if all went well."""
    try:
        passed = dispatch(ports, pool, hints)
    except Unreadable as error:
        # Delivered again it would be just as malformed, and the shard would wait for it. Once the
        # configuration is corrected, the audits find whom this batch would have put in line.
        logger.error("dispatch failed", extra={"pool": pool, "error": error.message})
        return []
    except PushDispatchError as error:
        logger.warning(
            "dispatch failed", extra={"pool": pool, "reason": error.reason, "error": str(error)}
        )
        return ids
    except Exception:
        logger.exception("dispatch failed", extra={"pool": pool})
        return ids
    _report(pool, passed)
    return []


def _report(pool: str, passed: Passed) -> None:
    if passed.admitted or passed.released or passed.resent or passed.expired:
        logger.info(
            "dispatched",
            extra={
                "pool": pool,
                "admitted": len(passed.admitted),
                "released": passed.released,
                "resent": passed.resent,
                "expired": passed.expired,
                "waiting": passed.waiting,
                "races_lost": passed.races_lost,
            },
        )
