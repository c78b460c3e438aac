"""How do requests become changes of a configuration, and under which conditions?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from msgspec import UNSET, to_builtins

from push_dispatch.api.v1 import declarations
from push_dispatch.control.known import queue_named
from push_dispatch.control.pools import with_priority
from push_dispatch.control.sharing import sharing_of
from push_dispatch.core.canonical import digest_of
from push_dispatch.core.durations import rate
from push_dispatch.core.errors import Refused
from push_dispatch.core.model import Fallback, Pool, Queue, Rate, check_rate
from push_dispatch.core.reasons import Reason
from push_dispatch.core.validation import check_template
from push_dispatch.platforms.registry import entry_for
from push_dispatch.platforms.templates import default_template
from push_dispatch.ports import Ports

__all__ = [
    "changed_pool",
    "changed_queue",
    "check_match",
    "creates_only",
    "fields_of",
    "keep_fallbacks",
    "pool_of",
    "queue_of",
    "template_of",
    "whole",
]


def check_match(headers: Mapping[str, str], etag: str | None, what: str) -> None:
    """Raise Refused (`precondition_failed`) unless `If-Match` names this version, or is absent.
    None is the version of what does not exist."""
    wanted = headers.get("if-match")
    if wanted is None:
        return
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in wanted.split(",")}
    if etag is None or not tags & {etag, "*"}:
        now = "does not exist" if etag is None else f'has the ETag "{etag}"'
        raise Refused(f"{what} {now}, and not {wanted[:80]}", reason=Reason.PRECONDITION_FAILED)


def creates_only(headers: Mapping[str, str]) -> bool:
    """Whether what exists is not to be replaced: `If-None-Match: *`."""
    return headers.get("if-none-match", "").strip() == "*"


_RATES = ("rate", "platform_rate")


def fields_of(settings: Any) -> dict[str, Any]:
    """The fields that are given, as the model has them."""
    given = {name: getattr(settings, name) for name in settings.__struct_fields__}
    return {name: _value(name, value) for name, value in given.items() if value is not UNSET}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, declarations.RateSettings):
        return Rate(value.starts, value.period_seconds)
    if name in _RATES and isinstance(value, str):
        return rate(value, name)
    return tuple(value) if isinstance(value, list) else value


# -- pools ------------------------------------------------------------------------------------


def template_of(kind: str, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The base job template that is given, else that of the type. Raises Invalid."""
    entry_for(kind)
    return default_template(kind) if given is None else given


def pool_of(name: str, settings: declarations.PoolSettings) -> Pool:
    """The pool that is described, but for its templates."""
    return changed_pool(Pool(name, settings.type), settings)


def keep_fallbacks(
    ports: Ports, name: str, given: list[declarations.FallbackSettings]
) -> tuple[Fallback, ...]:
    """Keep the templates of fallbacks, and return these. Raises Invalid; nothing is kept then."""
    templates = [template_of(each.type, each.base_job_template) for each in given]
    for template in templates:
        check_template(template)
    kept = []
    for each, template in zip(given, templates, strict=True):
        digest = digest_of(template)
        ports.store.put_template(name, digest, template)
        kept.append(Fallback(each.type, digest))
    return tuple(kept)


_OF_TEMPLATES = ("base_job_template", "job_variables", "fallbacks")


def changed_pool(pool: Pool, change: declarations.PoolChange) -> Pool:
    """The pool with what is to change of it, but for its templates. Raises Invalid."""
    fields = {name: v for name, v in fields_of(change).items() if name not in _OF_TEMPLATES}
    if "secrets" in fields:
        fields["secrets"] = tuple(dict.fromkeys(fields["secrets"]))
    _check_rates(fields, f"pool {pool.name!r}")
    sharing = sharing_of(to_builtins(change), f"pool {pool.name!r}")
    return replace(pool, **{**fields, **sharing})


# -- queues -----------------------------------------------------------------------------------


def queue_of(name: str, settings: declarations.QueueSettings) -> Queue:
    """The queue that is described, but for its priority."""
    return Queue(name, **{**fields_of(settings), "priority": 1})


def changed_queue(pool: Pool, name: str, change: declarations.QueueChange) -> Pool:
    """The pool with what is to change of one queue. Raises NotFound (`queue_not_found`)."""
    queue = queue_named(pool, name)
    if isinstance(change, declarations.QueueSettings):
        queue = Queue(name, queue.priority)
    fields = fields_of(change)
    priority = fields.pop("priority", None)
    _check_rates(fields, f"queue {name!r}")
    queues = tuple(replace(queue, **fields) if q.name == name else q for q in pool.queues)
    after = replace(pool, queues=queues)
    return after if priority in (None, queue.priority) else with_priority(after, name, priority)


def whole(pool: Pool, change: declarations.Change) -> Pool:
    """The pool with everything that is to change of it and of its queues."""
    after = changed_pool(pool, change.pool)
    for name, each in change.queues.items():
        after = changed_queue(after, name, each)
    return after


def _check_rates(fields: Mapping[str, Any], what: str) -> None:
    for name in _RATES:
        check_rate(fields.get(name), what)
