"""How is an explanation told? In the order in which somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from push_dispatch.cli.output import console, print_json, say
from push_dispatch.cli.times import span
from push_dispatch.insight.views import explanation_view, pool_explanation_view

if TYPE_CHECKING:
    from push_dispatch.core.model import Holder
    from push_dispatch.insight.explain import Explanation, PoolExplanation
    from push_dispatch.ports import Ports

__all__ = ["show_explanation", "show_pool_explanation"]

#: Holders of slots that are named.
_HOLDERS = 10


def show_explanation(ports: Ports, found: Explanation, *, as_json: bool) -> None:
    """Print why a run is where it is."""
    if as_json:
        print_json(explanation_view(found))
        return
    from push_dispatch.cli.tables import show_facts, state

    run, now = found.run, ports.clock()
    show_facts(
        [
            ("run", run.id),
            ("state", state(run.state.value)),
            ("reason", found.reason),
            ("", found.sentence),
            *((name, str(number)) for name, number in found.numbers.items()),
            ("runs ahead", None if found.ahead is None else str(found.ahead)),
            ("estimated start", _when(found.estimated_start, now)),
            ("message", run.message),
            ("next try", _when(found.next_try_at, now)),
            ("what to do", found.remedy),
        ]
    )
    if found.holders:
        console().print()
        _show_holders(run.pool, found.holders[:_HOLDERS], now)
        if len(found.holders) > _HOLDERS:
            say(f"… and {len(found.holders) - _HOLDERS} more")


def show_pool_explanation(ports: Ports, found: PoolExplanation, *, as_json: bool) -> None:
    """Print who holds a pool's slots and who waits, and why."""
    if as_json:
        print_json(pool_explanation_view(found))
        return
    from push_dispatch.cli.tables import show_facts, show_table

    pool, now = found.pool, ports.clock()
    held = len(found.ledger.holders)
    show_facts(
        [
            ("pool", pool.name),
            ("slots", f"{held} of {pool.slots if pool.limit is not None else 'no limit'}"),
            ("paused", "yes" if pool.paused else "no"),
        ]
    )
    console().print()
    show_table(
        ("PRIORITY", "QUEUE", "SLOTS", "WAITING", "OLDEST", "WHY"),
        [
            (
                str(q.queue.priority),
                q.queue.name,
                str(q.held) + ("" if q.queue.limit is None else f" of {q.queue.limit}"),
                f"{q.waiting}{'+' if q.more else ''}",
                "" if q.oldest_due is None else span(max(0, now - q.oldest_due) / 1000),
                ", ".join(f"{count} {reason}" for reason, count in q.reasons.items()),
            )
            for q in found.queues
        ],
    )
    if found.ledger.holders:
        console().print()
        holders = sorted(found.ledger.holders, key=lambda h: h.since)[:_HOLDERS]
        _show_holders(pool.name, holders, now)


def _show_holders(pool: str, holders: Sequence[Holder], now: int) -> None:
    from push_dispatch.cli.grid import short_ids, show_table

    ids = [f"{pool}.{holder.run}" for holder in holders]
    shown = short_ids(ids)
    rows = [(shown[i], h.queue, _ago(h, now)) for i, h in zip(ids, holders, strict=True)]
    show_table(("HOLDS A SLOT", "QUEUE", "SINCE"), rows)


def _ago(holder: Holder, now: int) -> str:
    return span(max(0, now - holder.since) / 1000)


def _when(at: int | None, now: int) -> str | None:
    if at is None:
        return None
    return "now" if at <= now else f"in {span((at - now) / 1000)}"
