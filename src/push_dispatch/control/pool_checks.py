"""Could there be such a pool? Its name, its type, and the bounds of its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch.control.sharing import check_sharing
from push_dispatch.core.errors import Refused
from push_dispatch.core.model import (
    Pool,
    Queue,
    Rate,
    check_description,
    check_limit,
    check_name,
    check_patience,
    check_priority,
    check_rate,
    check_secret_patterns,
)
from push_dispatch.core.reasons import Reason
from push_dispatch.core.validation import check_template
from push_dispatch.platforms.registry import entry_for

__all__ = ["check_pool", "check_queue", "check_server_decides", "check_settings"]


def check_pool(pool: Pool, template: Mapping[str, Any]) -> None:
    """Raise Invalid if there could not be such a pool, whatever its name."""
    check_name(pool.name, "pool")
    entry_for(pool.type)
    check_settings(pool)
    check_template(template)


def check_settings(pool: Pool, before: Pool | None = None) -> None:
    """Raise Invalid for a setting that is out of bounds, unless it was stored `before` there were
    bounds and stays as it is."""
    check_limit(pool.limit, f"pool {pool.name!r}")
    check_limit(pool.key_limit, f"pool {pool.name!r}, per key")
    check_patience(pool)
    check_sharing(pool)
    for queue in pool.queues:
        check_queue(queue)
    _check_rates(pool, before)
    _check_texts(pool, before)


def check_queue(queue: Queue) -> None:
    check_name(queue.name, "queue")
    check_limit(queue.limit, f"queue {queue.name!r}")
    check_limit(queue.key_limit, f"key of queue {queue.name!r}")
    check_priority(queue.priority, f"queue {queue.name!r}")


def check_server_decides(pool: Pool, changed: Pool) -> None:
    """Raise Refused (`attached`) for a change that the next mirroring would undo."""
    if not pool.gateway or not changed.gateway:
        return
    for what in ("type", "limit", "paused", "queues", "template"):
        if getattr(pool, what) != getattr(changed, what):
            raise Refused(
                f"pool {pool.name!r} is attached to a Prefect server, which decides its {what}: "
                "change it there",
                reason=Reason.ATTACHED,
            )


def _check_rates(pool: Pool, before: Pool | None) -> None:
    """Raise Invalid for a rate out of bounds. One that was stored before the bounds were stays
    until it is changed: it must not keep the pool from being paused."""
    known = {rate for _, rate in _rates(before)} if before else set()
    for what, rate in _rates(pool):
        if rate not in known:
            check_rate(rate, what)


def _check_texts(pool: Pool, before: Pool | None) -> None:
    """As with rates: what was stored before there were bounds keeps nobody from another change."""
    known = set(_descriptions(before)) if before else set()
    for what, text in _descriptions(pool):
        if (what, text) not in known:
            check_description(text, what)
    check_secret_patterns(set(pool.secrets) - set(before.secrets if before else ()), pool.name)


def _descriptions(pool: Pool) -> list[tuple[str, str]]:
    queues = [(f"queue {queue.name!r}", queue.description) for queue in pool.queues]
    return [(f"pool {pool.name!r}", pool.description), *queues]


def _rates(pool: Pool) -> list[tuple[str, Rate | None]]:
    return [
        (f"pool {pool.name!r}", pool.rate),
        (f"pool {pool.name!r} (platform_rate)", pool.platform_rate),
        *((f"queue {queue.name!r}", queue.rate) for queue in pool.queues),
    ]
