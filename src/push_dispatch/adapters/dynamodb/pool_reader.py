"""What is in the item of a pool's configuration? Nothing is guessed: no limit is no limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from push_dispatch.adapters.dynamodb import keys
from push_dispatch.adapters.dynamodb.kinds import (
    LARGEST,
    MALFORMED,
    json_object,
    number,
    plain,
    wording,
)
from push_dispatch.core.errors import Unreadable
from push_dispatch.core.model import (
    DEFAULT_QUEUE,
    Backfill,
    Fallback,
    NamedLimit,
    Pool,
    Queue,
    Rate,
    is_name,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = Mapping[str, AttributeValueTypeDef]

__all__ = ["pool_from_document", "read_document", "read_json", "read_pool"]


def read_pool(item: Item) -> Pool:
    """The pool in an item. Raises Unreadable: a configuration is not guessed, because a limit that
    is left out would be no limit."""
    name = keys.pool_of(item["PK"]["S"]) or ""
    try:
        version = number(LARGEST)(item["version"]) if "version" in item else 0
        return pool_from_document(name, read_json(item, "document"), version)
    except MALFORMED as error:
        raise Unreadable(
            f"the configuration of pool {name!r} in the table is malformed: {wording(error)}; "
            "correct the item, or delete it and create the pool again"
        ) from error


def read_json(item: Item, name: str) -> dict[str, Any]:
    """The JSON object in an attribute. Raises ValueError or KeyError."""
    return dict(json_object(item[name]))


def read_document(item: Item) -> Mapping[str, Any]:
    """The document of a deployment; an empty one, which is no deployment, if it is malformed."""
    try:
        return read_json(item, "document")
    except MALFORMED:
        return {}


def pool_from_document(name: str, document: Mapping[str, Any], version: int) -> Pool:
    """The pool that `pool_document` has described, without fields that are not known here. Raises
    ValueError."""
    values = _known(document, _POOL)
    queues = [_queue(entry) for entry in _list(document, "queues")]
    if all(queue.name != DEFAULT_QUEUE for queue in queues):
        taken = {queue.priority for queue in queues}
        free = next(n for n in range(1, len(taken) + 2) if n not in taken)
        queues.append(Queue(DEFAULT_QUEUE, free))
    if len({queue.name for queue in queues}) < len(queues):
        raise ValueError("two queues have the same name")
    fallbacks = [_known(_mapping(e, "fallback"), _FALLBACK) for e in _list(document, "fallbacks")]
    return Pool(
        name=name,
        version=version,
        queues=tuple(queues),
        rate=_rate(document.get("rate")),
        platform_rate=_rate(document.get("platform_rate")),
        fallbacks=tuple(_made(Fallback, entry) for entry in fallbacks),
        limits=tuple(_limit(entry) for entry in _list(document, "limits")),
        backfill=Backfill(plain("backfill", document.get("backfill", "none"), "text")),
        retired=tuple(plain("retired", document.get("retired") or [], "list of texts")),
        secrets=tuple(plain("secrets", document.get("secrets") or [], "list of texts")),
        **{"type": _required(values, "type"), **values},
    )


def _queue(document: Any) -> Queue:
    values = _known(_mapping(document, "queue"), _QUEUE)
    if not is_name(_required(values, "name")):
        raise ValueError(f"{values['name']!r:.60} is not a name of a queue")
    _required(values, "priority")
    return Queue(**values, rate=_rate(document.get("rate")))


def _limit(document: Any) -> NamedLimit:
    values = _known(_mapping(document, "limit"), _LIMIT)
    _required(values, "name")
    return NamedLimit(**values, rate=_rate(document.get("rate")))


def _rate(document: Any) -> Rate | None:
    if not document:
        return None
    rate: Rate = _made(Rate, _known(_mapping(document, "rate"), _RATE))
    return rate


def _made(cls: type[Any], values: Mapping[str, Any]) -> Any:
    for entry in fields(cls):
        _required(values, entry.name)
    return cls(**values)


def _known(document: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    return {k: plain(k, v, kinds[k]) for k, v in document.items() if k in kinds}


def _required(values: Mapping[str, Any], name: str) -> Any:
    if name not in values:
        raise ValueError(f"{name} is missing")
    return values[name]


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"a {what} is not an object")  # noqa: TRY004
    return value


def _list(document: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = document.get(name) or []
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{name} is not a list")  # noqa: TRY004
    return value


_POOL: Mapping[str, str] = {
    "type": "text",
    "limit": "limit?",
    "paused": "flag",
    "description": "text",
    "template": "text",
    "gateway": "text",
    "key_limit": "limit?",
    "hold_seconds": "number",
    "give_up_seconds": "number?",
    "deployment_limits": "set of limits",
    "key_max_waiting": "number?",
    "deployment_max_waiting": "set of numbers",
    "laned": "flag",
    "capacity": "set of numbers",
    "weights": "set of texts",
    "ageing_seconds": "number?",
}
_QUEUE: Mapping[str, str] = {
    "name": "text",
    "priority": "positive number",
    "limit": "limit?",
    "paused": "flag",
    "description": "text",
    "key_limit": "limit?",
    "max_waiting": "number?",
}
_LIMIT: Mapping[str, str] = {
    "name": "text",
    "key": "text",
    "limit": "limit?",
    "max_waiting": "number?",
}
_FALLBACK: Mapping[str, str] = {"type": "text", "template": "text"}
_RATE: Mapping[str, str] = {"starts": "positive number", "period_seconds": "positive number"}
