"""The dispatch function: the table's stream and the wake queue in, one dispatch per pool out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from push_dispatch import bootstrap
from push_dispatch.adapters.dynamodb.changes import batch_of, records_of
from push_dispatch.adapters.telemetry import LambdaContext, logger
from push_dispatch.core.errors import PushDispatchError, Unavailable, Unreadable
from push_dispatch.engine.dispatch import Passed, dispatch
from push_dispatch.engine.hints import Hints, hints_of
from push_dispatch.handlers.stream import changes_of
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Wake, decode
from push_dispatch.ports.store import Change

__all__ = ["handle", "handler"]

Failures = dict[str, list[dict[str, str]]]
#: Reads the records of a batch that Lambda no longer retries. Raises if they cannot be read.
Reread = Callable[[Mapping[str, Any]], Iterable[Mapping[str, Any]]]


def handler(event: Mapping[str, Any], context: LambdaContext) -> Failures:
    """Lambda entry point. Returns the records to deliver again."""
    return handle(bootstrap.ports(), event, lambda batch: records_of(bootstrap.streams(), batch))


def handle(ports: Ports, event: Mapping[str, Any], reread: Reread | None = None) -> Failures:
    """Coalesce a batch by pool and dispatch each pool once. A pool that fails has its records
    delivered again and does not cost the others theirs.

    What this function failed to handle ten times comes back by the wake queue, as a note that says
    where in the stream it is; `reread` reads it there.
    """
    records = event["Records"]
    of_queue = bool(records) and records[0].get("eventSource") == "aws:sqs"
    read = _read_messages(records, reread) if of_queue else _read_changes(records)
    failed = list(read.failed)
    for pool, hints in read.hints.items():
        failed += _dispatch(ports, pool, hints, read.ids[pool])
    return {"batchItemFailures": [{"itemIdentifier": i} for i in dict.fromkeys(failed)]}


@dataclass(slots=True)
class _Read:
    """What a batch says, by pool, and by which records or messages it says so."""

    hints: dict[str, Hints]
    ids: dict[str, list[str]]
    #: Messages that could not be read now.
    failed: list[str] = field(default_factory=list)


def _read_changes(records: Iterable[Mapping[str, Any]]) -> _Read:
    changes: list[Change] = []
    ids: dict[str, list[str]] = defaultdict(list)
    for number, change in changes_of(records):
        if isinstance(change, Exception):
            # Delivered again it would be just as unreadable: say so, and go on.
            logger.error(
                "unreadable stream record", extra={"sequence": number, "error": str(change)}
            )
        elif change is not None:
            changes.append(change)
            ids[change.pool].append(number)
    return _Read(hints_of(changes), ids)


def _read_messages(messages: Sequence[Mapping[str, Any]], reread: Reread | None) -> _Read:
    read = _Read(defaultdict(Hints), defaultdict(list))
    for message in messages:
        if (batch := batch_of(message["body"])) is not None:
            _read_note(read, message, batch, reread)
            continue
        try:
            wake = decode(message["body"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.error("unreadable wake", extra={"body": message["body"], "error": str(error)})
            continue
        if isinstance(wake, Wake):
            read.hints[wake.pool].ended.update(wake.ended)
            read.hints[wake.pool].due.update(wake.due)
            read.ids[wake.pool].append(message["messageId"])
    return read


def _read_note(
    read: _Read, message: Mapping[str, Any], batch: Mapping[str, Any], reread: Reread | None
) -> None:
    number = message["messageId"]
    try:
        if reread is None:
            raise Unavailable("there is no stream to read them from")
        noted = _read_changes(reread(batch))
    except Exception:
        # Older than the stream's 24 hours, or it cannot be asked: a dead letter in the end.
        logger.exception("changes cannot be read again", extra={"body": message["body"]})
        read.failed.append(number)
        return
    logger.warning("changes come again", extra={"pools": list(noted.hints)})
    for pool, hints in noted.hints.items():
        read.hints[pool].add(hints)
        read.ids[pool].append(number)


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
    _log_pass(pool, passed)
    return []


def _log_pass(pool: str, passed: Passed) -> None:
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
