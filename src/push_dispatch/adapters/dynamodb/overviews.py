"""What do the first items of a pool's partition say? Nearly all that a pass has to know.

By their sort keys a pool's circuits and configuration come first, then its lanes, its ledger and
its line: one query reads them all. Where many lanes lie in between, the ledger is read by its key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from push_dispatch.adapters.dynamodb import items, keys
from push_dispatch.core.model import Ledger, Pool, Ready
from push_dispatch.ports.store import Heads, Overview

__all__ = ["BEFORE_LANES", "BETWEEN", "LIMIT", "overview_of"]

#: The first sort key that is read, and one behind the last.
BETWEEN = (keys.circuit(""), "READY$")
#: The same without lanes, and what comes after them.
BEFORE_LANES = (keys.circuit(""), keys.CONFIG)
#: Items of one read: with their ledger they are one read unit where few slots are held.
LIMIT = 20


def overview_of(
    name: str,
    found: Sequence[items.Item],
    ledger_of: Callable[[items.Item], Ledger],
    places: Callable[[Iterable[items.Item]], Sequence[Ready]],
    *,
    whole: bool,
) -> tuple[Overview, bool]:
    """The overview in what was found, whether that was the `whole` of what is `BETWEEN` or as much
    as one read takes, and whether the ledger was reached: otherwise it is still to be read."""
    by_kind: dict[str, list[items.Item]] = {}
    for item in found:
        by_kind.setdefault(item["SK"]["S"].partition("#")[0], []).append(item)
    last = None if whole else found[-1]["SK"]["S"] if found else ""
    pool = items.read_pool(by_kind[keys.CONFIG][0]) if keys.CONFIG in by_kind else None
    stored = by_kind[keys.LEDGER][0] if keys.LEDGER in by_kind else None
    circuits = {
        item["SK"]["S"].partition("#")[2]: items.read_circuit(item)
        for item in by_kind.get("CIRCUIT", ())
    }
    line = places(by_kind.get("READY", ()))
    ledger = ledger_of(stored) if stored else Ledger(name)
    heads = _heads(pool, line, last) if pool else {}
    reached = last is None or last >= keys.LEDGER
    return Overview(pool, ledger, circuits, heads), reached


def _heads(pool: Pool, line: Sequence[Ready], last: str | None) -> dict[str, Heads]:
    """Of each queue whose places were read: to their end, unless the last item is one of them."""
    heads: dict[str, Heads] = {}
    for queue in pool.queues:
        first, end = keys.between(queue.name, None, None, None)
        own = [place for place in line if place.queue == queue.name]
        if last is None or last > end:
            heads[queue.name] = Heads(own, more=False)
        elif last >= first and own:
            heads[queue.name] = Heads(own, more=True)
    return heads
