"""How many runs may wait, and which of them count together?

`max_waiting` bounds the runs that wait for their first start: of a queue, of a concurrency key, of
a deployment, or of one key of a named limit. A run that has started once is never refused, nor
counted: its retries are not submissions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from push_dispatch.core.errors import Invalid, Refused
from push_dispatch.core.model import MAX_WAITING, Pool, Ready
from push_dispatch.core.reasons import Reason

__all__ = ["WAITING", "Bound", "bounds_of", "check_max_waiting", "full", "has_bounds", "seats_of"]

#: Stands for a queue's name in the places that are counted here: no queue is called that.
WAITING = "~waiting"


@dataclass(frozen=True, slots=True)
class Bound:
    """How many runs may wait that are counted together."""

    #: Names what is counted together, as a lane does.
    lane: str
    most: int
    #: For people, such as `queue 'night'`.
    what: str


def has_bounds(pool: Pool) -> bool:
    """Whether any run of the pool may be refused because others wait."""
    return bool(
        pool.key_max_waiting is not None
        or pool.deployment_max_waiting
        or any(queue.max_waiting is not None for queue in pool.queues)
        or any(limit.max_waiting is not None for limit in pool.limits)
    )


def bounds_of(pool: Pool, run: Ready) -> Iterator[Bound]:
    """The bounds that a run falls under."""
    queue = pool.queue(run.queue)
    if queue is not None and queue.max_waiting is not None:
        yield _bound("q", run.queue, queue.max_waiting, f"queue {run.queue!r}")
    if run.concurrency_key and pool.key_max_waiting is not None:
        key = run.concurrency_key
        yield _bound("k", key, pool.key_max_waiting, f"the concurrency key {key!r}")
    if (most := pool.deployment_max_waiting.get(run.deployment)) is not None:
        yield _bound("d", run.deployment, most, f"deployment {run.deployment!r}")
    keys = dict(run.keys)
    for limit in pool.limits:
        if limit.max_waiting is not None and limit.name in keys:
            key = keys[limit.name]
            what = f"limit {limit.name!r}" + (f", key {key!r}" if key else "")
            yield _bound("l", f"{limit.name}:{key}", limit.max_waiting, what)


def seats_of(pool: Pool, run: Ready) -> list[Ready]:
    """The places in which a run that waits for its first start is counted; none if it does not, or
    falls under no bound. They are named after the submission, so that the same request, made
    twice, does not take away the place of the first."""
    if run.attempt > 1:
        return []
    return [
        Ready(WAITING, 0, run.order, run.run, 1, lane=bound.lane) for bound in bounds_of(pool, run)
    ]


def full(pool: str, bound: Bound, waiting: int, more: int) -> Refused:
    """The refusal of `more` runs where so many wait already."""
    runs = "the run is" if more == 1 else f"{more:,} runs are"
    return Refused(
        f"{runs} refused: {waiting:,} runs of {bound.what} wait in pool {pool!r}, and its "
        f"max_waiting is {bound.most:,}",
        reason=Reason.TOO_MANY_WAITING,
    )


def check_max_waiting(most: int | None, what: str) -> None:
    """Raise Invalid (`invalid_limit`) if `most` is not a number of runs that may wait."""
    if most is not None and not (type(most) is int and 0 <= most <= MAX_WAITING):
        raise Invalid(
            f"max_waiting {most} of {what} is not valid: an integer from 0 to {MAX_WAITING}, or "
            "none",
            reason=Reason.INVALID_LIMIT,
        )


def _bound(kind: str, name: str, most: int, what: str) -> Bound:
    digest = hashlib.sha256(f"{kind}:{name}".encode("utf-8", "replace")).hexdigest()[:20]
    return Bound(digest, most, what)
