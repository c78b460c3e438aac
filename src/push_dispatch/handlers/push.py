"""Lambda entry point of one platform: starts, stops and polls attempts from its queue.

Asked directly, it says whether the credentials of its platforms are good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from push_dispatch import bootstrap
from push_dispatch.adapters.telemetry import LambdaContext, logger
from push_dispatch.core.errors import Invalid, Unavailable
from push_dispatch.core.model import parse_run_id
from push_dispatch.engine.finish import poll
from push_dispatch.engine.push import give_up, push
from push_dispatch.engine.sign_in import sign_in
from push_dispatch.engine.stop import stop
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Message, Poll, Push, StopAttempt, Wake, decode

__all__ = ["handle", "handler"]

#: Deliveries after which a message is dead-lettered; the queue's redrive policy says the same. Some
#: of them are spent without a try: a function that runs out of time returns the rest of its batch,
#: and a throttled one is given messages that it never sees.
MAX_RECEIVES = 10
#: What one message may take: two calls of a platform that time out, and some of the table.
RESERVE_MS = 12_000


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda entry point. Returns the messages to deliver again, or who is signed in."""
    return handle(bootstrap.ports(), event, context.get_remaining_time_in_millis)


def handle(
    ports: Ports, event: Mapping[str, Any], left: Callable[[], int] = lambda: RESERVE_MS
) -> dict[str, Any]:
    """Handle each message on its own; a failing one is delivered again without its neighbours, and
    so are those that are not begun because fewer than `RESERVE_MS` are `left`, in milliseconds.

    {"sign_in": ["ecs", …]} instead of messages asks these platforms, whether this function is
    deployed for them or not, and returns {"ecs": {"ok": true, "message": "…", "reason": null}, …};
    see `SignedIn`. Raises Invalid if that is not a list of names.
    """
    if "sign_in" in event:
        return {name: _signed_in(ports, name) for name in _names(event["sign_in"])}
    failed: list[str] = []
    for number, record in enumerate(event["Records"]):
        if number and left() < RESERVE_MS:
            rest = [r["messageId"] for r in event["Records"][number:]]
            logger.warning("out of time", extra={"returned": len(rest)})
            failed += rest
            break
        if not _handle(ports, record):
            failed.append(record["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": i} for i in failed]}


def _names(given: Any) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise Invalid(f'sign_in is {given!r}: it must be a list of platforms, such as ["ecs"]')
    return given


def _signed_in(ports: Ports, name: str) -> dict[str, Any]:
    found = sign_in(ports, name)
    logger.info("sign-in", extra={"platform": name, "ok": found.ok, "reason": found.reason})
    return {"ok": found.ok, "message": found.message, "reason": found.reason}


def _handle(ports: Ports, record: Mapping[str, Any]) -> bool:
    try:
        _carry_out(ports, decode(record["body"]))
    except Unavailable as error:
        # It passes, and says nothing about the run: the sweep sends again what is a dead letter.
        logger.warning("message failed", extra={"body": record["body"], "error": str(error)})
        return False
    except Exception:
        logger.exception("message failed", extra={"body": record["body"]})
        _give_up_at_last(ports, record)
        return False
    return True


def _carry_out(ports: Ports, message: Message | Wake) -> None:
    match message:
        case Push():
            outcome = push(ports, message)
            about = {"run": message.run, "attempt": message.attempt, "outcome": outcome.name}
            logger.info("push", extra=about)
            pool, _ = parse_run_id(message.run)
            ports.meter({"Pushes": 1}, pool=pool, outcome=outcome.name.lower())
        case StopAttempt():
            stop(ports, message)
        case Poll():
            poll(ports, message)
        case Wake():
            raise ValueError("a wake is for dispatch, not for a platform")


def _give_up_at_last(ports: Ports, record: Mapping[str, Any]) -> None:
    """What can never be pushed is not only a dead letter: its run ends, with the reason."""
    if int(record["attributes"]["ApproximateReceiveCount"]) < MAX_RECEIVES:
        return
    try:
        message = decode(record["body"])
        if isinstance(message, Push):
            why = f"{MAX_RECEIVES} deliveries failed; the message is in the dead-letter queue"
            give_up(ports, message, why)
    except Exception:
        logger.exception("the run of a dead letter could not be ended")
