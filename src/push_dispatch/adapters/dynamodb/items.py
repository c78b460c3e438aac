"""How do values become DynamoDB items, and back?

Items keep only what differs from the defaults: every kilobyte written is charged. A reader takes
an absent attribute for its default, so a run may also be put by others with little more than
`state`, `queue` and `due` (an EventBridge schedule writes the item itself).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from push_dispatch.adapters.dynamodb import keys
from push_dispatch.adapters.dynamodb.kinds import MALFORMED, size_of
from push_dispatch.adapters.dynamodb.ledger_items import ledger_item, read_ledger
from push_dispatch.adapters.dynamodb.pool_reader import (
    pool_from_document,
    read_document,
    read_json,
    read_pool,
)
from push_dispatch.adapters.dynamodb.readers import read_ready, read_run
from push_dispatch.core.canonical import dumps
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import (
    Attempt,
    Collision,
    Pool,
    Queue,
    Ready,
    Run,
)
from push_dispatch.core.polling import Turn
from push_dispatch.core.reasons import Reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = Mapping[str, AttributeValueTypeDef]

__all__ = [
    "MAX_RUN_BYTES",
    "attempts_text",
    "circuit_item",
    "ledger_item",
    "new_run_item",
    "pool_document",
    "pool_from_document",
    "pool_item",
    "read_circuit",
    "read_document",
    "read_json",
    "read_ledger",
    "read_pool",
    "read_ready",
    "read_run",
    "read_turn",
    "ready_item",
    "run_item",
    "size_of",
    "turn_item",
]


#: DynamoDB takes 400 KB (409,600 bytes); a run needs room for its attempts to come: the ten that
#: it remembers, each with a handle, its times and a message.
MAX_RUN_BYTES = 350_000


# -- runs -------------------------------------------------------------------------------------


def run_item(run: Run) -> dict[str, Any]:
    """The item of a run."""
    item: dict[str, Any] = {"PK": {"S": keys.runs(run.pool)}, "SK": {"S": run.uuid}}
    for name, kind in _RUN_ATTRIBUTES.items():
        value = getattr(run, name)
        if name in _ALWAYS or value != _RUN_DEFAULTS[name]:
            item[name] = _ENCODE[kind](value)
    if run.attempts:
        item["attempts"] = {"S": attempts_text(run.attempts)}
    return item


def attempts_text(attempts: Sequence[Attempt]) -> str:
    """The attribute `attempts`."""
    return dumps([_without_defaults(attempt) for attempt in attempts])


def new_run_item(run: Run) -> dict[str, Any]:
    """The item of a run that is submitted. Raises Invalid (`run_too_large`, `invalid_input`)."""
    item = run_item(run)
    try:
        size = size_of(item)
    except UnicodeEncodeError as error:
        raise Invalid(f"the run holds text that is no Unicode: {error}") from error
    if size > MAX_RUN_BYTES:
        raise Invalid(
            f"the run is {size:,} bytes, more than the {MAX_RUN_BYTES:,} that the table can hold: "
            "put large inputs elsewhere and pass a reference",
            reason=Reason.RUN_TOO_LARGE,
        )
    return item


_TEXT, _NUMBER, _JSON, _TUPLE, _STATE, _COLLISION, _PAIRS = range(7)

_RUN_ATTRIBUTES: Mapping[str, int] = {
    "state": _STATE,
    "queue": _TEXT,
    "due": _NUMBER,
    "submitted_at": _NUMBER,
    "order": _TEXT,
    "attempt": _NUMBER,
    "rev": _NUMBER,
    "name": _TEXT,
    "variables": _JSON,
    "deployment_variables": _JSON,
    "deployment": _TEXT,
    "collision": _COLLISION,
    "debounce_seconds": _NUMBER,
    "debounce_edge": _COLLISION,
    "parameters": _JSON,
    "tags": _TUPLE,
    "idempotency_key": _TEXT,
    "concurrency_key": _TEXT,
    "traceparent": _TEXT,
    "timeout_seconds": _NUMBER,
    "expires": _NUMBER,
    "start_by": _NUMBER,
    "warned_at": _NUMBER,
    "retries": _NUMBER,
    "crash_retries": _NUMBER,
    "retry_delay_seconds": _NUMBER,
    "failures": _NUMBER,
    "crashes": _NUMBER,
    "reason": _TEXT,
    "message": _TEXT,
    "stop": _TEXT,
    "ended_at": _NUMBER,
    "returns": _NUMBER,
    "refused_at": _NUMBER,
    "blames": _NUMBER,
    "give_up_at": _NUMBER,
    "keys": _PAIRS,
    "weights": _PAIRS,
    "under": _TEXT,
    "boost": _NUMBER,
}
_ALWAYS = frozenset({"state", "queue", "due", "submitted_at", "order", "attempt", "rev"})

_ENCODE: Mapping[int, Callable[[Any], dict[str, Any]]] = {
    _TEXT: lambda value: {"S": value},
    _NUMBER: lambda value: {"N": str(value)},
    _JSON: lambda value: {"S": dumps(dict(value))},
    _TUPLE: lambda value: {"S": dumps(list(value))},
    _STATE: lambda value: {"S": value.value},
    _COLLISION: lambda value: {"S": value.value},
    _PAIRS: lambda value: {"S": dumps(dict(value))},
}


def _defaults(cls: type[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in fields(cls):
        if entry.default is not MISSING:
            found[entry.name] = entry.default
        elif entry.default_factory is not MISSING:
            found[entry.name] = entry.default_factory()
    return found


_RUN_DEFAULTS = _defaults(Run)
_ATTEMPT_DEFAULTS = _defaults(Attempt)
_ATTEMPT_NAMES = tuple(entry.name for entry in fields(Attempt))
_POOL_DEFAULTS = _defaults(Pool)
_QUEUE_DEFAULTS = _defaults(Queue)


def _without_defaults(attempt: Attempt) -> dict[str, Any]:
    found: dict[str, Any] = {}
    # Not `asdict`: it copies each value, deeply, and took two thirds of the time of a write.
    for name in _ATTEMPT_NAMES:
        value = getattr(attempt, name)
        if name not in _ATTEMPT_DEFAULTS or value != _ATTEMPT_DEFAULTS[name]:
            found[name] = value
    return found


# -- places in line ---------------------------------------------------------------------------


def ready_item(pool: str, entry: Ready, now: int) -> dict[str, Any]:
    """The item of a place in line; in the tick index only while time will change something."""
    entry = entry.standing(now)
    item: dict[str, Any] = {
        "PK": {"S": keys.pool(pool)},
        "SK": {"S": keys.ready(entry)},
        "run": {"S": entry.run},
        "attempt": {"N": str(entry.attempt)},
    }
    if entry.expires is not None:
        item["expires"] = {"N": str(entry.expires)}
    if entry.start_by is not None:
        # Its key says when it should start.
        item |= {"start_by": {"N": str(entry.start_by)}, "due": {"N": str(entry.due)}}
    if entry.collision is not Collision.ENQUEUE:
        item["collision"] = {"S": entry.collision.value}
    for name in ("keys", "weights"):
        if mapping := getattr(entry, name):
            item[name] = {"S": dumps(dict(mapping))}
    if entry.debounce_seconds:
        item["debounce_edge"] = {"S": entry.debounce_edge.value}
    for name in ("timeout_seconds", "boost", "refused_at", "blames", "debounce_seconds"):
        if number := getattr(entry, name):
            item[name] = {"N": str(number)}
    for name in ("concurrency_key", "deployment", "under", "also_in"):
        if text := getattr(entry, name):
            item[name] = {"S": text}
    at = entry.next_tick(now)
    if at is not None:
        item["tick_pool"] = {"S": keys.tick(pool)}
        item["tick_at"] = {"N": str(at)}
    return item


# -- circuits ---------------------------------------------------------------------------------


def circuit_item(circuit: Circuit) -> dict[str, Any]:
    """The item of a circuit, without its key: only what differs from one that knows nothing, and
    the numbers that every version reads."""
    item: dict[str, Any] = {"reason": {"S": circuit.reason}} if circuit.reason else {}
    for name in _CIRCUIT_NUMBERS:
        if (number := getattr(circuit, name)) or name in ("failures", "failed_at"):
            item[name] = {"N": str(number)}
    return item


def read_circuit(item: Item | None) -> Circuit:
    """The circuit in an item; one that knows nothing if there is none, or a malformed one."""
    if item is None:
        return Circuit()
    try:
        numbers = {name: int(item[name]["N"]) for name in _CIRCUIT_NUMBERS if name in item}
        return Circuit(reason=item["reason"]["S"] if "reason" in item else "", **numbers)
    except MALFORMED:
        return Circuit()


_CIRCUIT_NUMBERS = ("failures", "failed_at", "refusals", "next_at", "recovered_at")


# -- polls ------------------------------------------------------------------------------------


def turn_item(turn: Turn) -> dict[str, Any]:
    """The item of a turn to poll, without its key."""
    return {"next_at": {"N": str(turn.at)}, "before": {"N": str(turn.before)}}


def read_turn(item: Item | None) -> Turn:
    """The turn in an item; none if there is no item."""
    return Turn(int(item["next_at"]["N"]), int(item["before"]["N"])) if item else Turn()


# -- pools ------------------------------------------------------------------------------------


def pool_item(pool: Pool) -> dict[str, Any]:
    """The item of a pool's configuration: one readable document and its version."""
    return {
        "PK": {"S": keys.pool(pool.name)},
        "SK": {"S": keys.CONFIG},
        "version": {"N": str(pool.version)},
        "document": {"S": dumps(pool_document(pool))},
    }


def pool_document(pool: Pool) -> dict[str, Any]:
    """A pool as plain data, without its name and version. Only what differs from the defaults."""
    own = _plain(pool, _POOL_DEFAULTS)
    queues = [_plain(queue, _QUEUE_DEFAULTS) for queue in pool.in_order]
    return {k: v for k, v in own.items() if k not in ("name", "version")} | {"queues": queues}


def _plain(value: Pool | Queue, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """By comparison with the defaults, not by truth: a limit of 0 is no missing limit."""
    plain: dict[str, Any] = {}
    for entry in fields(value):
        content = getattr(value, entry.name)
        if entry.name not in defaults or content != defaults[entry.name]:
            plain[entry.name] = _plain_value(content)
    return plain


def _plain_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain_value(entry) for entry in value]
    if isinstance(value, Mapping):
        return dict(value)
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
