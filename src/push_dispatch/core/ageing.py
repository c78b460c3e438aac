"""In which order are the queues of a pool served?

Strictly: the queue of the first priority to its end, then the next. With ageing: whoever is due
first, where each queue behind the first counts as due one step later than the queue before it. So
a run of a lower queue is passed only by runs that become due within its steps, and by none that
come later; a step without end is the strict order.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, count

from push_dispatch.core.model import Pool, Queue, Ready

__all__ = ["in_turn", "passed_until"]


def in_turn(
    pool: Pool, ready: Mapping[str, Sequence[Ready]]
) -> Iterator[tuple[Queue, Ready | None]]:
    """Every place with its queue, first served first; each queue once more, with None, where it
    has no more places."""
    if pool.ageing_seconds is None:
        for queue in pool.in_order:
            for entry in ready.get(queue.name, ()):
                yield queue, entry
            yield queue, None
        return
    step = pool.ageing_seconds * 1000
    lines = [
        _aged(queue, rank, ready.get(queue.name, ()), rank * step)
        for rank, queue in enumerate(pool.in_order)
    ]
    for _, _, _, queue, place in heapq.merge(*lines, key=lambda turn: turn[:3]):
        yield queue, place


def passed_until(pool: Pool, entry: Ready) -> dict[str, int]:
    """By queue, in the order of service: runs that are due before this time are served before
    `entry`, runs that are due later are not. Only queues whose runs may pass it although they
    are due later. Empty if the pool does not age its runs."""
    if pool.ageing_seconds is None:
        return {}
    names = [queue.name for queue in pool.in_order]
    if entry.queue not in names:
        return {}
    own = names.index(entry.queue)
    step = pool.ageing_seconds * 1000
    return {name: entry.counts_from + (own - rank) * step for rank, name in enumerate(names[:own])}


def _aged(
    queue: Queue, rank: int, line: Sequence[Ready], later: int
) -> Iterator[tuple[int, int, int, Queue, Ready | None]]:
    # A line is in its own order already: a place counts from when the first is due that stands
    # there or behind it, so that whoever should start early takes no turn of another queue.
    times = [*accumulate((entry.counts_from + later for entry in reversed(line)), min)][::-1]
    numbers = count()
    for at, entry in zip(times, line, strict=True):
        yield at, rank, next(numbers), queue, entry
    yield times[-1] if times else 0, rank, next(numbers), queue, None
