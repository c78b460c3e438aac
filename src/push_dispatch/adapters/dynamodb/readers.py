"""What is in an item that anybody may have put here?

Any program that can write to the table may put a run, and a newer version may have written what
this one does not know. So types and ranges are checked once, here: unknown fields are dropped, and
what comes out is a value that every writer and every view takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from push_dispatch.adapters.dynamodb import keys
from push_dispatch.adapters.dynamodb.kinds import (
    LARGEST,
    MALFORMED,
    json_object,
    number,
    plain,
    text,
    within,
    wording,
)
from push_dispatch.core.bounds import LAST_TIME, parse_json
from push_dispatch.core.model import (
    DEFAULT_QUEUE,
    Attempt,
    Collision,
    Edge,
    Ready,
    Run,
    RunState,
    is_name,
    is_uuid,
)
from push_dispatch.core.reasons import Reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = Mapping[str, AttributeValueTypeDef]

__all__ = ["LAST_ATTEMPT", "read_ready", "read_run"]

#: The ledger keeps an attempt's number in four bytes.
LAST_ATTEMPT = 2**31
#: Bytes of a text that stands in a key; DynamoDB takes 1,024 for all of it.
_IN_A_KEY = 500
_LONGEST_MESSAGE = 1000


# -- runs -------------------------------------------------------------------------------------


def read_run(item: Item) -> Run:
    """The run in an item. What is malformed is left out and said in `Run.unreadable`; what remains
    is sound, so that it can be listed, stopped and ended. Raises ValueError if the key is not
    that of a run: then there is nothing to end."""
    pool = keys.pool_of_runs(text(item["PK"]))
    uuid = text(item["SK"])
    if pool is None or not is_name(pool) or not is_uuid(uuid):
        # The ledger packs 16 bytes: another spelling would come back as the id of another run.
        raise ValueError(f"{pool}.{uuid} is not the key of a run: a uuid in lower case with dashes")
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, read in _RUN.items():
        if name in item:
            try:
                values[name] = read(item[name])
            except MALFORMED as error:
                problems.append(f"{name}: {wording(error)}")
    if "state" not in item:
        problems.append("state: missing")
    values.setdefault("queue", DEFAULT_QUEUE)
    values.setdefault("order", uuid)
    values.setdefault("due", 0)
    values.setdefault("submitted_at", values["due"])
    run = _consistent(Run(pool=pool, uuid=uuid, **values), problems)
    return _marked(run, problems)


def _consistent(run: Run, problems: list[str]) -> Run:
    """The run without what cannot be true at once."""
    changes: dict[str, Any] = {}
    state = run.state
    if state in (RunState.PENDING, RunState.RUNNING, RunState.CANCELLING):
        current = run.current
        if current is None or current.number != run.attempt:
            problems.append(
                f"attempts: a run that is {state} has one with the number {run.attempt}"
            )
            changes |= {"state": RunState.SCHEDULED, "attempts": ()}
            state = RunState.SCHEDULED
    if state is RunState.CANCELLING and run.stop is None:
        # The change of state is the order to stop: whoever may write the run may cancel it.
        changes["stop"] = Reason.CANCELLED_BY_USER
    elif run.stop is not None and not (state.ended or state is RunState.CANCELLING):
        problems.append(f"stop: set although the run is {state}")
        changes["stop"] = None
    return replace(run, **changes) if changes else run


def _marked(run: Run, problems: Sequence[str]) -> Run:
    if not problems:
        return run
    why = "; ".join(problems)[:_LONGEST_MESSAGE]
    return replace(run, unreadable=f"the stored item is malformed: {why}")


# -- attributes -------------------------------------------------------------------------------


def _short(value: Any) -> str:
    found = text(value)
    if len(found.encode()) > _IN_A_KEY:
        raise ValueError(f"longer than {_IN_A_KEY} bytes")
    return found


def _queue_name(value: Any) -> str:
    name = text(value) or DEFAULT_QUEUE
    if not is_name(name):
        raise ValueError(f"{name!r:.60} is not a name of a queue")
    return name


def _time(value: Any) -> int:
    try:
        return number(LAST_TIME)(value)
    except ValueError as error:
        raise ValueError(f"{error}: a time is in milliseconds since the epoch") from None


def _tags(value: Any) -> tuple[str, ...]:
    document = parse_json(text(value))
    if not isinstance(document, list) or not all(isinstance(tag, str) for tag in document):
        raise ValueError("not a JSON list of texts")
    return tuple(document)


def _pairs(value: Any, kind: type[Any]) -> tuple[Any, ...]:
    """Names, each with a text or a whole number."""
    found = json_object(value)
    if any(type(content) is not kind for content in found.values()):
        raise ValueError(f"not an object of {kind.__name__}")
    return tuple(found.items())


def _attempts(value: Any) -> tuple[Attempt, ...]:
    document = parse_json(text(value))
    if not isinstance(document, list):
        raise ValueError("not a JSON list")  # noqa: TRY004
    return tuple(_attempt(entry) for entry in document)


_RUN: Mapping[str, Callable[[Any], Any]] = {
    "state": lambda value: RunState(text(value)),
    "queue": _queue_name,
    "due": _time,
    "submitted_at": _time,
    "order": _short,
    "attempt": number(LAST_ATTEMPT),
    "rev": number(LARGEST),
    "name": text,
    "variables": json_object,
    "deployment_variables": json_object,
    "deployment": _short,
    "collision": lambda value: Collision(text(value)),
    "debounce_seconds": number(LARGEST),
    "debounce_edge": lambda value: Edge(text(value)),
    "parameters": json_object,
    "tags": _tags,
    "idempotency_key": text,
    "concurrency_key": _short,
    "traceparent": text,
    "timeout_seconds": number(LARGEST),
    "expires": _time,
    "start_by": _time,
    "warned_at": _time,
    "retries": number(LARGEST),
    "crash_retries": number(LARGEST),
    "retry_delay_seconds": number(LARGEST),
    "failures": number(LARGEST),
    "crashes": number(LARGEST),
    "reason": text,
    "message": text,
    "stop": text,
    "ended_at": _time,
    "returns": number(LAST_ATTEMPT),
    "refused_at": _time,
    "blames": number(LAST_ATTEMPT),
    "give_up_at": _time,
    "attempts": _attempts,
    "keys": lambda value: _pairs(value, str),
    "weights": lambda value: _pairs(value, int),
    "under": text,
    "boost": number(LAST_TIME),
}


# -- attempts: plain data inside an attribute -----------------------------------------------------


def _attempt(document: Any) -> Attempt:
    if not isinstance(document, dict):
        raise ValueError("an attempt is not an object")  # noqa: TRY004
    values = {k: plain(k, v, _ATTEMPT[k]) for k, v in document.items() if k in _ATTEMPT}
    values["tried"] = tuple(values.get("tried", ()))
    return Attempt(**values)


_ATTEMPT: Mapping[str, str] = {
    "number": "number",
    "platform": "text",
    "template": "text",
    "type": "text",
    "tried": "list of texts",
    "claimed_at": "time",
    "sent_at": "time?",
    "lease_until": "time",
    "claim": "text",
    "tries": "number",
    "next_try_at": "time?",
    "handle": "text?",
    "pushed_at": "time?",
    "started_at": "time?",
    "ended_at": "time?",
    "exit_code": "code?",
    "reason": "text?",
    "message": "text?",
    "observed": "number?",
    "seen_at": "time?",
}


# -- places in line ---------------------------------------------------------------------------


def read_ready(item: Item) -> Ready:
    """The place in line in an item. Raises ValueError, KeyError or TypeError if it is none."""
    place, _, returns = text(item["SK"]).partition(keys.RETURNED)
    kind, queue, rest = place.split("#", 2)
    lane, _, rest = rest.partition("#") if kind == "LANE" else ("", "", rest)
    due, order = rest.split("#", 1)
    run = _uuid(item["run"])
    names_run = order.endswith(f"#{run}")
    boost = number(LAST_TIME)(item["boost"]) if "boost" in item else 0
    return Ready(
        queue=queue,
        due=_time(item["due"]) if "due" in item else within(due, LAST_TIME) + boost,
        start_by=_time(item["start_by"]) if "start_by" in item else None,
        boost=boost,
        lane=lane,
        also_in=text(item["also_in"]) if "also_in" in item else "",
        keys=_pairs(item["keys"], str) if "keys" in item else (),
        weights=_pairs(item["weights"], int) if "weights" in item else (),
        timeout_seconds=number(LARGEST)(item["timeout_seconds"])
        if "timeout_seconds" in item
        else None,
        under=text(item["under"]) if "under" in item else "",
        order=order.removesuffix(f"#{run}"),
        run=run,
        attempt=number(LAST_ATTEMPT + 1)(item["attempt"]),
        expires=_time(item["expires"]) if "expires" in item else None,
        concurrency_key=text(item["concurrency_key"]) if "concurrency_key" in item else "",
        deployment=text(item["deployment"]) if "deployment" in item else "",
        collision=Collision(text(item["collision"])) if "collision" in item else Collision.ENQUEUE,
        debounce_seconds=number(LARGEST)(item["debounce_seconds"])
        if "debounce_seconds" in item
        else None,
        debounce_edge=Edge(text(item["debounce_edge"]))
        if "debounce_edge" in item
        else Edge.TRAILING,
        returns=within(returns or "0", LAST_ATTEMPT),
        refused_at=_time(item["refused_at"]) if "refused_at" in item else 0,
        blames=number(LAST_ATTEMPT)(item["blames"]) if "blames" in item else 0,
        names_run=names_run or order == run,
    )


def _uuid(value: Any) -> str:
    found = text(value)
    if not is_uuid(found):
        raise ValueError(f"{found!r} is not a uuid")
    return found
